"""`when:` which requests a fault strikes.

Rules: all that is said must hold; `between`, `client`, `after` and `if` say which requests are counted at all, the
other conditions which of those it strikes; a counter advances with each request that it counts, whatever is answered;
where a counter's scope has no natural bound, it is forgotten a day after it was last used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from fnmatch import translate
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import Field, WithJsonSchema

from simulator.core.bodies import BadBody
from simulator.core.damage import Written, as_written
from simulator.core.expressions import Names
from simulator.core.helpers import as_json
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.records import LOOSE
from simulator.core.requests import Request
from simulator.core.resources import Name
from simulator.core.tallies import PARTS, Part, compile_per, read, safe
from simulator.core.templates import LiveScope, Value, compile_condition
from simulator.core.turns import Turn
from simulator.core.values import DURATION_SCHEMA, MS, duration_ms, written

FORGOTTEN_MS = 24 * MS["h"]  # after its last use, a counter per call or per expression begins anew
BOUNDED = ("service", "client", "operation")  # scopes of which there are no more than the scenario has
Windows = tuple[tuple[int, int], ...]


def windows_ms(value: object) -> Windows:
    """`[30s, 50s]`, or a list of such windows, in milliseconds. Raises ValueError with what would be legal."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{written(value)} is no window; write two durations, such as [30s, 50s], or a list of such")
    if isinstance(value[0], list):
        return tuple(_window(each) for each in value)
    return (_window(value),)


def _window(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{written(value)} is no window; a window is two durations, such as [30s, 50s]")
    begin, end = map(duration_ms, value)
    if begin >= end:
        raise ValueError(f"{written(value)} ends before it begins; write the earlier duration first")
    return begin, end


WINDOW_SCHEMA = {"type": "array", "items": DURATION_SCHEMA, "minItems": 2, "maxItems": 2}
WINDOWS_SCHEMA = {"anyOf": [WINDOW_SCHEMA, {"type": "array", "items": WINDOW_SCHEMA, "minItems": 1}]}
WindowsText = Annotated[Any, as_written(windows_ms), WithJsonSchema(WINDOWS_SCHEMA)]
Nth = Annotated[int, Field(ge=1)]
Numbers = Nth | Annotated[list[Nth], Field(min_length=1)]
Texts = str | Annotated[list[str], Field(min_length=1)]


class WhenModel(Written):
    """Which requests a fault strikes: all that is given must hold."""

    requests: Numbers | None = Field(None, description="The how-manieth requests, from 1", examples=[[3], [1, 2]])
    every: Nth | None = Field(None, description="Every nth request")
    attempts: Numbers | None = Field(None, description="The how-manieth tries at the same call, by its key or its body")
    probability: float | None = Field(None, ge=0, le=1, description="The share of requests, drawn for each")
    between: WindowsText | None = Field(
        None, description="A window, or several, since the sandbox began", examples=[["30s", "50s"]]
    )
    client: Texts | None = Field(None, description="Whose requests, by name or pattern", examples=["r503*"])
    condition: Any = Field(None, alias="if", description="Only requests for which this expression holds")
    after: Name | None = Field(None, description="Only once this other fault has fired, before this request")
    most: Nth | None = Field(None, description="How often at most, for each scope of `per`")
    per: Texts = Field(
        "service",
        description="Whose requests are counted together: service, client, operation, address, or an expression",
        examples=["client", ["client", "operation"], "{{ params.id }}"],
    )


class Trigger(NamedTuple):
    """A compiled `when`."""

    fault: str
    requests: tuple[int, ...]
    every: int | None
    attempts: tuple[int, ...]
    probability: float | None
    between: Windows
    client: re.Pattern[str] | None
    condition: Value | None
    after: str | None
    most: int | None
    per: tuple[Part, ...]
    scope: str  # what `per` says, in the names of counters
    forgets: bool


class Met(NamedTuple):
    """A request that met a trigger."""

    ordinal: int  # of the request within the scope of the trigger's counter
    draw: float | None  # that the probability was compared with
    named: str  # names the draws of this strike
    whose: str  # which of the scopes that `per` says


def compile_trigger(
    fault: str, model: WhenModel, place: Place, names: Names, others: Mapping[str, WhenModel]
) -> Trigger:
    """A fault's `when`; complaints go to the place. `others` are the triggers of all faults, by the fault's name."""
    per = _many(model.per)
    if model.after is not None:
        _check_after(fault, model, place / "after", others)
    clients = "|".join(translate(pattern) for pattern in _many(model.client))
    return Trigger(
        fault=fault,
        requests=_many(model.requests),
        every=model.every,
        attempts=_many(model.attempts),
        probability=model.probability,
        between=() if model.between is None else windows_ms(model.between),
        client=re.compile(clients) if clients else None,
        condition=None if model.condition is None else compile_condition(model.condition, place / "if", names),
        after=model.after,
        most=model.most,
        per=compile_per(per, place / "per", names),
        scope=_scope(model),
        forgets=any(each not in BOUNDED for each in per),
    )


def _many(value: Any) -> tuple[Any, ...]:
    return () if value is None else tuple(value) if isinstance(value, list) else (value,)


def _scope(model: WhenModel) -> str:
    return "+".join(each if each in PARTS else safe(each) for each in _many(model.per))


def _check_after(fault: str, model: WhenModel, place: Place, others: Mapping[str, WhenModel]) -> None:
    first = model.after or ""
    if first != fault and first not in others:
        place.unknown("fault", first, [name for name in others if name != fault])
        return
    chain = [fault]
    while first and first not in chain:
        chain.append(first)
        first = others[first].after or "" if first in others else ""
    if first == fault:
        place.complain(f"none of {' → '.join([*chain, fault])} can be the first to fire; take out one `after`")
    elif _scope(model) not in (*BOUNDED, _scope(others[chain[1]])):
        place.complain(
            f"firings of {chain[1]} are counted per service, client and operation, and as its own `per` says; "
            f"let `per` say one of these, not {written(model.per)}"
        )


def met(trigger: Trigger, turn: Turn, scope: LiveScope, operation: str, began_ms: int) -> Met | None:
    """What is known of a request that a fault strikes; None where it does not. Counters advance. Raises TemplateError.

    `began_ms` is when the sandbox began, in service time.
    """
    if not _may_be_meant(trigger, turn, began_ms):
        return None
    whose = "/".join(part(turn, scope, operation) for part in trigger.per)
    if trigger.after and not _count(turn, _fired(turn, trigger.after, trigger.scope, whose), trigger.forgets):
        return None
    if trigger.condition is not None and not read(trigger.condition, scope, False):
        return None
    ordinal = _advance(turn, f"fault/{turn.service.name}/{trigger.fault}/requests/{whose}", trigger.forgets)
    attempt = _attempt(trigger, turn, scope, operation) if trigger.attempts else 0
    named = f"faults/{trigger.fault}{'/' if whose else ''}{whose}/request/{ordinal}"
    draw = None if trigger.probability is None else turn.service.chance.unit(named)
    made = Met(ordinal, draw, named, whose)
    return made if _strikes(trigger, turn, made, attempt) else None


def _may_be_meant(trigger: Trigger, turn: Turn, began_ms: int) -> bool:
    since = turn.now_ms - began_ms
    if trigger.between and not any(begin <= since < end for begin, end in trigger.between):
        return False
    return trigger.client is None or trigger.client.match(turn.client) is not None


def _strikes(trigger: Trigger, turn: Turn, made: Met, attempt: int) -> bool:
    """Whether a request that counts is one of those that are struck."""
    if trigger.requests and made.ordinal not in trigger.requests:
        return False
    if trigger.every is not None and made.ordinal % trigger.every:
        return False
    if trigger.attempts and attempt not in trigger.attempts:
        return False
    if made.draw is not None and trigger.probability is not None and made.draw >= trigger.probability:
        return False
    fired = _fired(turn, trigger.fault, trigger.scope, made.whose)
    return trigger.most is None or _count(turn, fired, trigger.forgets) < trigger.most


def fire(trigger: Trigger, turn: Turn, scope: LiveScope, operation: str, made: Met) -> None:
    """Count that the fault has fired: for its budget, and for those that wait for it."""
    spots = {_fired(turn, trigger.fault, word, PARTS[word](turn, scope, operation)): False for word in BOUNDED}
    spots[_fired(turn, trigger.fault, trigger.scope, made.whose)] = trigger.forgets
    for name, forgets in spots.items():
        _advance(turn, name, forgets)


def _fired(turn: Turn, fault: str, scope: str, whose: str) -> str:
    return f"fault/{turn.service.name}/{fault}/fired/{scope}/{whose}"


def _attempt(trigger: Trigger, turn: Turn, scope: LiveScope, operation: str) -> int:
    """The how-manieth try at its call this request is."""
    made = hashlib.blake2b(PARTS["client"](turn, scope, operation).encode(), digest_size=16)
    for part in _call(turn):
        made.update(b"\0" + part)
    return _advance(turn, f"fault/{turn.service.name}/{trigger.fault}/attempts/{made.hexdigest()}", True)


def _call(turn: Turn) -> tuple[bytes, ...]:
    """What all tries at a call have in common: the idempotency key, else the whole request."""
    key, request = turn.facts.get("key"), turn.request
    if key or request is None:
        return (str(key).encode("utf-8", "surrogatepass"),)
    path = request.path.encode("utf-8", "surrogatepass")
    return request.method.encode(), path, request.query_string, _canonical(request)


def _canonical(request: Request) -> bytes:
    """The body so that two ways to write the same are equal."""
    try:
        body = request.body
    except BadBody:
        return request.raw
    return request.raw if body is OMIT else as_json(body, orjson.OPT_SORT_KEYS)


def _count(turn: Turn, name: str, forgets: bool) -> int:
    return (turn.entry(LOOSE + name) or 0) if forgets else turn.count(name)


def _advance(turn: Turn, name: str, forgets: bool) -> int:
    """The counter's next value."""
    count = _count(turn, name, forgets) + 1
    if forgets:
        turn.keep(LOOSE + name, count, turn.now_ms + FORGOTTEN_MS)
    else:
        turn.lasting_adds.append((name, 1))
    return count
