"""What a limit tells clients: the header fields of its dialects, and Retry-After.

Rules: a dialect is data, header names and expressions over `limit.…`; a time is rounded up to the unit it is told in,
so that nobody comes too early who waits what he was told; `t` of the IETF's RateLimit is never later than Retry-After.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simulator.core.clock import INSTANT_MS_MAX, http_date, iso
from simulator.core.expressions import Names
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.profiles.limits import DIALECTS
from simulator.core.replies import HeaderLines, header_bytes, header_lines, legal_header, shown_at
from simulator.core.templates import LiveScope, Value, compile_text
from simulator.core.values import Duration
from simulator.errors import TemplateError

Form = Literal["seconds", "float", "date", "ms", "none"]


class RetryAfterModel(BaseModel):
    """One way to say how long to wait."""

    model_config = ConfigDict(extra="forbid")

    form: Form = Field(
        "seconds", alias="as", description="Whole seconds, seconds with a fraction, an HTTP-date, whole ms, or nothing"
    )
    header: str | None = Field(None, description="Retry-After by default, and retry-after-ms for ms")
    value: Duration | None = Field(None, description="Said where nobody knows, as of a concurrency", examples=["1s"])
    most: Duration | None = Field(None, description="Longer waits are told as this one, and come too early")


class DialectModel(BaseModel):
    """A dialect of the scenario's own: header fields over `limit.…`."""

    model_config = ConfigDict(extra="forbid")

    headers: dict[str, str] = Field({}, description="Fields of one limit; of several, the one with least share left")
    joined: dict[str, str] = Field({}, description="A limit's member of a field that all limits share")


def _as_forms(value: Any) -> Any:
    """`seconds`, one form, or several."""
    return [{"as": each} if isinstance(each, str) else each for each in (value if isinstance(value, list) else [value])]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


OneForm = Form | RetryAfterModel
RetryAfter = Annotated[
    list[RetryAfterModel], BeforeValidator(_as_forms, json_schema_input_type=OneForm | list[OneForm])
]
OneDialect = str | DialectModel
Dialects = Annotated[list[OneDialect], BeforeValidator(_as_list, json_schema_input_type=OneDialect | list[OneDialect])]


class Policy(NamedTuple):
    """What a limit is, as it is told."""

    name: str
    kind: str  # rate, window, quota or concurrency
    per: list[str]
    unit: str  # requests, bytes, units or exchanges
    limit: int
    rate: int | float | None  # per second


class Standing(NamedTuple):
    """How a limit stands with this request: `limit` in templates."""

    policy: Policy
    weight: int
    remaining: int
    reset_ms: int | None
    next_ms: int | None
    window_ms: int | None
    now_ms: int
    retry_ms: int | None = None  # until this request would be admitted, where it was not
    told_ms: int | None = None  # what Retry-After says

    def template_field(self, name: str) -> Any:
        """`limit.remaining` and the others of FIELDS; omit for what is not known."""
        value = FIELDS[name](self) if name in FIELDS else OMIT
        return OMIT if value is None else value

    @property
    def share(self) -> int:
        """What is left of the whole, in millionths."""
        return self.remaining * 1_000_000 // self.policy.limit


def up(ms: int | None, by: int = 1000) -> int | None:
    """Whole seconds, rounded up."""
    return None if ms is None else -(-ms // by)


def seconds(ms: int | None) -> str | None:
    """Seconds with three decimals, exactly: 1.500."""
    return None if ms is None else f"{ms // 1000}.{ms % 1000:03d}"


def go(ms: int | None) -> str | None:
    """A duration as Go writes it: 12ms, 1.5s, 6m0s, 1h0m0s."""
    if ms is None or not ms:
        return None if ms is None else "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest % 1000:03d}".rstrip("0").rstrip(".")
    long = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{long}{rest // 1000}{fraction}s"


def _at(standing: Standing) -> int | None:
    """The instant of the reset."""
    return None if standing.reset_ms is None else min(standing.now_ms + standing.reset_ms, INSTANT_MS_MAX)


def _iso(standing: Standing) -> str | None:
    second = up(_at(standing))
    return None if second is None else iso(min(second * 1000, INSTANT_MS_MAX)).replace(".000Z", "Z")


def _next(standing: Standing) -> int | None:
    """Left out where it is later than Retry-After: clients are to come back then, and no later."""
    second = up(standing.next_ms)
    late = second is not None and standing.told_ms is not None and second * 1000 > standing.told_ms
    return None if late else second


FIELDS: dict[str, Callable[[Standing], Any]] = {
    "name": lambda s: s.policy.name,
    "kind": lambda s: s.policy.kind,
    "per": lambda s: s.policy.per,
    "unit": lambda s: s.policy.unit,
    "limit": lambda s: s.policy.limit,
    "rate": lambda s: s.policy.rate,
    "window_s": lambda s: up(s.window_ms),
    "weight": lambda s: s.weight,
    "remaining": lambda s: s.remaining,
    "used": lambda s: s.policy.limit - s.remaining,
    "next_s": _next,
    "reset_s": lambda s: up(s.reset_ms),
    "reset_ms": lambda s: s.reset_ms,
    "reset_float": lambda s: seconds(s.reset_ms),
    "reset_go": lambda s: go(s.reset_ms),
    "reset_epoch": lambda s: up(_at(s)),
    "reset_epoch_float": lambda s: seconds(_at(s)),
    "reset_iso": _iso,
    "retry": lambda s: None if s.retry_ms is None else s.retry_ms / 1000,
    "retry_s": lambda s: up(s.retry_ms),
    "retry_ms": lambda s: s.retry_ms,
    "retry_float": lambda s: seconds(s.retry_ms),
    "retry_go": lambda s: go(s.retry_ms),
}
"""What `limit.…` has in dialects, and in the error or reply of a limit."""


class Told(NamedTuple):
    """One header field of a dialect."""

    name: bytes
    value: Value
    joined: bool
    where: str
    known: dict[int | None, Any] | None  # by the window's length, where nothing else changes what is written

    def of(self, scope: LiveScope, standing: Standing) -> Any:
        """What is written."""
        if self.known is None:
            return self.value.of(scope)
        if standing.window_ms not in self.known:
            self.known[standing.window_ms] = self.value.of(scope)
        return self.known[standing.window_ms]


def compile_dialects(given: Sequence[OneDialect], place: Place, names: Names, limit: str) -> tuple[Told, ...]:
    """The header fields that a limit of this name writes; complaints go to the place."""
    made: list[Told] = []
    for index, each in enumerate(given):
        spot = place / index
        if isinstance(each, str) and each not in DIALECTS:
            spot.unknown("dialect", each, DIALECTS)
            continue
        dialect = DIALECTS[each] if isinstance(each, str) else each.model_dump()
        for key in ("headers", "joined"):
            for name, text in dialect.get(key, {}).items():
                made += _told(name, text, key == "joined", spot / key / name, names, limit)
    return tuple(made)


def _told(name: str, text: str, joined: bool, place: Place, names: Names, limit: str) -> list[Told]:
    """A field, whose name may hold the limit's own."""
    try:
        field = shown_at(compile_text(name, place, NAME_ONLY).of({"limit": {"name": limit}}), str(place))
    except TemplateError as error:
        place.complain(error.what, at_key=True)
        return []
    value = compile_text(text, place, names)
    fixed = value.used <= {"limit"} and "limit" not in DEFINITION.sub("", text)
    told = Told(field.encode(), value, joined, str(place), {} if fixed else None)
    return [told] if legal_header(field, place) else []


DEFINITION = re.compile(r"\blimit\.(?:name|kind|per|unit|limit|rate|window_s)\b")  # fields that no request changes
NAME_ONLY = Names(frozenset({"limit"}), {"limit": ("name",)})


class Say(NamedTuple):
    """One compiled way to say how long to wait."""

    form: Form
    header: bytes
    value_ms: int | None
    most_ms: int | None


class Said(NamedTuple):
    """What is said of the wait."""

    headers: HeaderLines
    text: str  # as sent first; "" where nothing is
    ms: int | None  # what that means


def compile_retry(models: Sequence[RetryAfterModel], place: Place) -> tuple[Say, ...]:
    """The ways that say something; complaints go to the place."""
    made = []
    for index, model in enumerate(models):
        header = model.header or ("retry-after-ms" if model.form == "ms" else "Retry-After")
        if model.form != "none" and legal_header(header, place / index / "header"):
            made.append(Say(model.form, header.encode(), model.value, model.most))
    return tuple(made)


def say(ways: Sequence[Say], wait_ms: int | None, now_ms: int) -> Said:
    """How long to wait, in each of the ways. None is what nobody knows."""
    lines, first = [], Said((), "", None)
    for way in ways:
        known = way.value_ms if wait_ms is None else wait_ms
        if known is None:
            continue
        text, ms = _form(way.form, known if way.most_ms is None else min(known, way.most_ms), now_ms)
        lines.append((way.header, text.encode()))
        first = Said((), text, ms) if first.ms is None else first
    return first._replace(headers=tuple(lines))


def _form(form: Form, wait_ms: int, now_ms: int) -> tuple[str, int]:
    """A wait as it is sent, and what that means in ms: never less."""
    wait_ms = max(wait_ms, 1)
    if form == "ms":
        return str(wait_ms), wait_ms
    if form == "float":
        return seconds(wait_ms) or "", wait_ms
    if form == "date":
        second = min(-(-(now_ms + wait_ms) // 1000), INSTANT_MS_MAX // 1000)
        return http_date(second), second * 1000 - now_ms
    return str(-(-wait_ms // 1000)), -(-wait_ms // 1000) * 1000


def announce(told: Sequence[tuple[tuple[Told, ...], Standing]], strictest: Standing, scope: LiveScope) -> HeaderLines:
    """The fields of all limits' dialects, given in the limits' order; where one only can write, the strictest does."""
    inner = [(fields, standing, inside(scope, standing)) for fields, standing in told]
    lines: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for fields, standing, names in sorted(inner, key=lambda each: (each[1] is not strictest, each[1].share)):
        for field in fields:
            if not field.joined and field.name.lower() not in lines:
                lines[field.name.lower()] = header_lines(field.name, field.of(names, standing), field.where)
    members: dict[bytes, list[str]] = {}
    for fields, standing, names in inner:
        for field in fields:
            if field.joined:
                members.setdefault(field.name, []).append(shown_at(field.of(names, standing), field.where))
    joined = tuple((name, header_bytes(", ".join(texts))) for name, texts in members.items())
    return (*(line for each in lines.values() for line in each), *joined)


def inside(scope: LiveScope, standing: Standing) -> LiveScope:
    """The names around, and `limit`."""
    return LiveScope({**scope, "limit": standing}, scope.makers, scope.owner)
