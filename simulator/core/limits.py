"""`limits:` how often clients may ask: buckets, windows, calendar quotas, concurrency; beyond them 429, or a wait.

Rules: all limits that a request falls under are looked at before any of them takes, and where one refuses none does,
unless it says that refusals cost too; the strictest answers; the only clock is the turn's. A state lives under a key
of the service, the limit, the measure (so that a reload with another begins anew) and whose it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from simulator.core.announcements import (
    FIELDS,
    Dialects,
    Policy,
    RetryAfter,
    Say,
    Standing,
    Told,
    announce,
    compile_dialects,
    compile_retry,
    inside,
    say,
)
from simulator.core.buckets import Bucket, State, bucket_of, charged
from simulator.core.expressions import Names
from simulator.core.places import Place, listed
from simulator.core.profiles.limits import DIALECTS
from simulator.core.rates import Amount, QuotaText, RateText, WindowText
from simulator.core.records import LOOSE, Lease, NotLoaded
from simulator.core.refusals import CompiledError, ErrorModel, Refused, compile_error
from simulator.core.replies import CompiledReply, HeaderLines, ReplyModel, compile_reply
from simulator.core.resources import Name
from simulator.core.tallies import Part, compile_count, compile_per, read, weight_of, weights_of
from simulator.core.templates import LiveScope, Value, compile_condition, constant, static
from simulator.core.turns import Turn
from simulator.core.values import MS, Duration, wrong_at
from simulator.errors import TemplateError

Kind = Literal["rate", "window", "quota", "concurrency"]
KINDS: tuple[Kind, ...] = ("rate", "window", "quota", "concurrency")
WHOLE = dict.fromkeys(("count", "weights", "over", "charge_rejected", "free"), ("rate", "window", "quota"))
GOES_WITH: dict[str, tuple[str, ...]] = {"burst": ("rate",), "style": ("window",), **WHOLE}
DELAY_MS = 5 * MS["s"]  # that a throttle makes wait at most unless it says: within every client's own patience
SLOTS_MAX = 100_000  # exchanges that one process could have open


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


OneOrMore = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Status = Annotated[int, Field(ge=200, le=599)]
Statuses = Annotated[list[Status], BeforeValidator(_as_list, json_schema_input_type=Status | list[Status])]
Weight = Annotated[int, Field(ge=0, le=10**9)]


class LimitModel(BaseModel):
    """One limit: exactly one of rate, window, quota and concurrency."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="What dialects and the journal call it; `rate-1` and so on by default")
    rate: RateText | None = Field(None, description="A token bucket that refills at this rate")
    burst: Amount | None = Field(None, description="How much the bucket holds; by default what a second gives")
    window: WindowText | None = Field(None, description="So many in each window of time")
    style: Literal["fixed", "sliding"] = Field("fixed", description="Windows one after the other, or any window at all")
    quota: QuotaText | None = Field(None, description="So many in each hour, day, week, month or year, in UTC")
    concurrency: int | None = Field(None, ge=1, le=SLOTS_MAX, description="So many requests at the same time")
    per: OneOrMore = Field(
        ["client"],
        description="Whose it is: client, operation, address, service, or an expression; several together",
        examples=["client", ["client", "operation"], "{{ headers.x_tenant }}"],
    )
    operations: OneOrMore | None = Field(
        None, description="Which requests fall under it, by name or pattern; all but those of `auth` by default"
    )
    when: Any = Field(None, description="Only requests for which this holds")
    count: str = Field(
        "requests",
        description="requests, bytes of the request's body, or an expression",
        examples=["requests", "bytes", "{{ body.tokens | default(1) }}"],
    )
    weights: dict[str, Weight] = Field(
        {}, description="What an operation's count is multiplied by; the first name or pattern that fits"
    )
    announce: Dialects = Field(
        [], description="Dialects of the header fields that tell how it stands", examples=["ietf", [*DIALECTS]]
    )
    retry_after: RetryAfter | None = Field(
        None, description="How a refusal tells the wait: seconds, float, date, ms or none; several together"
    )
    over: Literal["refuse", "delay"] = Field("refuse", description="What is above it is refused, or made to wait")
    delay_most: Duration | None = Field(None, description="Longer waits are refused; 5s by default", examples=["5s"])
    charge_rejected: bool = Field(False, description="A request that a limit refuses costs here all the same")
    free: Statuses = Field([], description="Replies with these statuses cost nothing", examples=[[304]])
    error: ErrorModel | None = Field(None, description="What a refusal answers; expressions may use `limit`")
    reply: ReplyModel | None = Field(None, description="A whole reply in place of an error, such as a 200 with a body")

    @property
    def kind(self) -> Kind:
        """Which of the four it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _fits_together(self) -> LimitModel:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if not given:
            raise ValueError(f"a limit is one of {listed(KINDS)}, such as rate: 10/s")
        if len(given) > 1:
            raise wrong_at(given[1], f"a limit is one of {listed(KINDS)}; make {given[1]} a limit of its own")
        for key, kinds in GOES_WITH.items():
            if key in self.model_fields_set and given[0] not in kinds:
                raise wrong_at(key, f"{key} goes with {listed(kinds)}, not with {given[0]}; take it out")
        if self.delay_most is not None and self.over != "delay":
            raise wrong_at("delay_most", "delay_most goes with `over: delay`; write that, or take it out")
        if self.error is not None and self.reply is not None:
            raise wrong_at("reply", "error or reply, not both; take out one of them")
        return self

    @model_validator(mode="after")
    def _measures_what_it_counts(self) -> LimitModel:
        measure = self.rate or self.window or self.quota
        if measure is not None and measure.sized and self.count == "requests":
            raise wrong_at(self.kind, f"{measure.text} counts bytes; add `count: bytes`")
        try:
            bucket_of(self.kind, getattr(self, self.kind), self.burst, self.style)
        except ValueError as error:
            raise wrong_at("burst", str(error))
        return self


Limits = list[LimitModel]
RETRIES: TypeAdapter[Any] = TypeAdapter(RetryAfter)


class Limit(NamedTuple):
    """A compiled limit."""

    policy: Policy
    text: str  # its measure, as written
    bucket: Bucket
    tag: str  # of the measure, in keys
    per: tuple[Part, ...]
    weights: dict[str, int]  # of the operations that fall under it
    special: bool  # whether those of `auth` may be among them
    when: Value
    counts: Value
    told: tuple[Told, ...]
    ways: tuple[Say, ...]
    delay_most_ms: int  # 0 refuses whatever has to wait
    charges: bool
    free: tuple[int, ...]
    error: CompiledError | None
    reply: CompiledReply | None


class Ask(NamedTuple):
    """What a request wants of one limit, and what comes of it."""

    limit: Limit
    key: str
    whose: str
    weight: int
    before: State = None
    after: State = None
    wait_ms: int | None = 0  # until it is admitted; None is never, or that nobody knows

    @property
    def admitted(self) -> bool:
        """Now, or after a wait that the limit allows."""
        return self.wait_ms is not None and self.wait_ms <= self.limit.delay_most_ms

    @property
    def never(self) -> bool:
        """Whether no wait will do."""
        return self.weight > self.limit.bucket.capacity


class Taken(NamedTuple):
    """What a request took, until its reply is known."""

    asks: list[Ask]
    headers: HeaderLines
    scope: LiveScope


def compile_limits(
    models: list[LimitModel], place: Place, names: Names, operations: Sequence[str]
) -> tuple[Limit, ...]:
    """The limits; complaints go to the place. `operations` are the names of all operations, those of `auth` too."""
    made = tuple(_compile(model, index, place / index, names, operations) for index, model in enumerate(models))
    seen = [limit.policy.name for limit in made]
    for index, name in enumerate(seen):
        if name in seen[:index]:
            (place / index / "name").complain(f"there is a limit {name!r} already; give this one another name")
    return made


def _compile(model: LimitModel, index: int, place: Place, names: Names, operations: Sequence[str]) -> Limit:
    measure, name = getattr(model, model.kind), model.name or f"{model.kind}-{index + 1}"
    bucket, tag = bucket_of(model.kind, measure, model.burst, model.style)
    inner = names.plus(limit=(*FIELDS,))
    retry, error, reply = _refusal(model)
    return Limit(
        policy=_policy(model, name, bucket),
        text=getattr(measure, "text", str(measure)),
        bucket=bucket,
        tag=tag,
        per=compile_per(model.per, place / "per", names),
        weights=weights_of(model.operations, model.weights, place, operations),
        special=model.operations is not None,
        when=constant(True) if model.when is None else compile_condition(model.when, place / "when", names),
        counts=compile_count(model.count, place / "count", names),
        told=compile_dialects(model.announce, place / "announce", inner, name),
        ways=compile_retry(retry, place / "retry_after"),
        delay_most_ms=0 if model.over == "refuse" else DELAY_MS if model.delay_most is None else model.delay_most,
        charges=model.charge_rejected,
        free=tuple(model.free),
        error=compile_error(error, "rate_limited", place / "error", inner),
        reply=None if reply is None else compile_reply(reply, place / "reply", inner),
    )


def _policy(model: LimitModel, name: str, bucket: Bucket) -> Policy:
    measure = model.rate or model.window
    per_second = None if measure is None else measure.amount * 1000 / measure.per_ms
    rate = int(per_second) if per_second is not None and per_second.is_integer() else per_second
    unit = "exchanges" if model.kind == "concurrency" else model.count if static(model.count) else "units"
    return Policy(name, model.kind, model.per, unit, bucket.capacity, rate)


def _refusal(model: LimitModel) -> tuple[Any, ErrorModel | None, ReplyModel | None]:
    """What the limit says of a refusal; where it says nothing, the first of its dialects that does."""
    dialects = [DIALECTS.get(name, {}) for name in model.announce if isinstance(name, str)]
    brought: dict[str, Any] = {key: value for dialect in reversed(dialects) for key, value in dialect.items()}
    retry = RETRIES.validate_python(brought.get("retry_after", "seconds"))
    retry = retry if model.retry_after is None else model.retry_after
    if model.error is not None or model.reply is not None:
        return retry, model.error, model.reply
    if "reply" in brought:
        return retry, None, ReplyModel.model_validate(brought["reply"])
    return retry, ErrorModel.model_validate(brought["error"]) if "error" in brought else None, None


def take(limits: tuple[Limit, ...], turn: Turn, scope: LiveScope, operation: str, special: bool) -> Taken | None:
    """Take from every limit that the request falls under, or from none. Raises Refused.

    `special` are the operations of `auth`, which only fall under limits that name them. Admitted or not, the turn's
    `headers`, `delay_ms` and `facts` say how the limits stand. What comes back is for `give_back`.
    """
    asks = [_ask(limit, turn, scope, operation) for limit in limits if _under(limit, scope, operation, special)]
    if not asks:
        return None
    asks = [_decided(ask, state, turn.now_ms) for ask, state in zip(asks, _states(asks, turn), strict=True)]
    if not all(ask.admitted for ask in asks):
        raise _refused([_turned_away(ask, turn) for ask in asks], turn, scope)
    for ask in asks:
        _write(ask, turn)
    turn.delay_ms += max(ask.wait_ms or 0 for ask in asks)
    return Taken(asks, _tell(asks, turn, scope), scope)


def give_back(turn: Turn, taken: Taken | None, status: int) -> None:
    """Once the reply's status is known: a limit for which such replies are free was never asked."""
    free = [ask.key for ask in taken.asks if status in ask.limit.free] if taken else []
    if taken is None or not free:
        return
    turn.lasting = [entry for entry in turn.lasting if entry.key not in free]
    before, turn.headers = turn.headers, tuple(line for line in turn.headers if line not in taken.headers)
    try:
        _tell([ask._replace(after=ask.before) if ask.key in free else ask for ask in taken.asks], turn, taken.scope)
    except TemplateError:  # of a dialect of the scenario's own; what it wrote when the limits were asked stays
        turn.headers = before


def _under(limit: Limit, scope: LiveScope, operation: str, special: bool) -> bool:
    """Whether the request falls under the limit."""
    fits = operation in limit.weights and (limit.special or not special)
    return fits and bool(read(limit.when, scope, True))


def _ask(limit: Limit, turn: Turn, scope: LiveScope, operation: str) -> Ask:
    whose = "/".join([part(turn, scope, operation) for part in limit.per])
    loose = "" if limit.policy.kind == "concurrency" else LOOSE
    key = f"{loose}limit/{turn.service.name}/{limit.policy.name}/{limit.tag}/{whose}"
    return Ask(limit, key, whose, weight_of(limit.counts, limit.weights[operation], scope))


def _states(asks: list[Ask], turn: Turn) -> list[State]:
    """The states of all of them. Raises NotLoaded with all that are missing."""
    states: list[State] = []
    needs: list[Any] = []
    for ask in asks:
        if ask.limit.policy.kind == "concurrency":
            states.append([len(turn.look.holders(ask.key))])
            continue
        try:
            states.append(turn.entry(ask.key))
        except NotLoaded as missing:
            needs += missing.needs
    if needs:
        raise NotLoaded(*needs)
    return states


def _decided(ask: Ask, state: State, now_ms: int) -> Ask:
    """Whether the limit has room, and its state once this is taken."""
    if not ask.weight:
        return ask._replace(before=state, after=state)
    ask = ask._replace(before=state, after=state, wait_ms=ask.limit.bucket.wait_ms(state, now_ms, ask.weight))
    if ask.wait_ms is None or not ask.admitted:
        return ask
    return ask._replace(after=ask.limit.bucket.taken(state, now_ms, now_ms + ask.wait_ms, ask.weight))


def _turned_away(ask: Ask, turn: Turn) -> Ask:
    """The same where the request was refused: nothing is taken, or what a refusal costs."""
    limit, now_ms = ask.limit, turn.now_ms
    if not limit.charges or not ask.weight:
        return ask._replace(after=ask.before)
    after = charged(limit.bucket, ask.before, now_ms, ask.weight)
    ask = ask._replace(after=after, wait_ms=limit.bucket.wait_ms(after, now_ms, ask.weight))
    _write(ask, turn)
    return ask


def _write(ask: Ask, turn: Turn) -> None:
    if ask.after is ask.before:
        return
    if ask.limit.policy.kind == "concurrency":
        turn.leases.append(Lease(ask.key, turn.request.holder if turn.request else ""))
    else:
        turn.keep(ask.key, ask.after, ask.limit.bucket.level(ask.after, turn.now_ms).expires_ms)


def _standing(ask: Ask, turn: Turn, told_ms: int | None = None) -> Standing:
    now_ms, bucket = turn.now_ms, ask.limit.bucket
    level, span_ms = bucket.level(ask.after, now_ms), bucket.span_ms(now_ms)
    waits_ms = None if ask.admitted else ask.wait_ms
    return Standing(ask.limit.policy, ask.weight, *level[:3], span_ms, turn.shown_ms(now_ms), waits_ms, told_ms)


def _tell(asks: list[Ask], turn: Turn, scope: LiveScope) -> HeaderLines:
    """How the limits stand, for the client and the journal; the strictest is the one with the least share left."""
    standings = [_standing(ask, turn) for ask in asks]
    first = min(range(len(asks)), key=lambda index: standings[index].share)
    return _noted(asks, standings, first, turn, scope)


def _noted(asks: list[Ask], standings: list[Standing], first: int, turn: Turn, scope: LiveScope) -> HeaderLines:
    strictest = standings[first]
    turn.facts["limit"] = strictest.policy.name
    turn.facts["limit_scope"] = asks[first].whose
    turn.facts["limit_remaining"] = strictest.remaining
    turn.facts["limit_reset_ms"] = strictest.reset_ms
    told = [(ask.limit.told, standing) for ask, standing in zip(asks, standings, strict=True) if ask.limit.told]
    lines = announce(told, strictest, scope) if told else ()
    turn.headers = (*turn.headers, *lines)
    return lines


def _refused(asks: list[Ask], turn: Turn, scope: LiveScope) -> Refused:
    """The refusal of the strictest: what can never be admitted, else the longest wait."""
    refusing = [index for index, ask in enumerate(asks) if not ask.admitted]
    first = max(refusing, key=lambda index: (asks[index].never, asks[index].wait_ms or 0))
    ask, limit = asks[first], asks[first].limit
    said = say(() if ask.never else limit.ways, ask.wait_ms, turn.shown_ms(turn.now_ms))
    standings = [_standing(each, turn, said.ms) for each in asks]
    _noted(asks, standings, first, turn, scope)
    turn.facts["retry_after"], turn.facts["retry_after_ms"] = said.text, said.ms
    names = [asks[index].limit.policy.name for index in refusing]
    inner = inside(scope, standings[first])
    refused = Refused("rate_limited", _why(ask), {"violated-policies": names}, said.headers).said(limit.error, inner)
    if limit.reply is not None:
        reply = limit.reply.render(inner, 429)
        refused.reply = reply._replace(headers=(*reply.headers, *said.headers))
    return refused


def _why(ask: Ask) -> str:
    limit = f"{ask.limit.policy.name} ({ask.limit.text})"
    if ask.never:
        return f"The request counts {ask.weight}, more than the {ask.limit.policy.limit} of the limit {limit}."
    again = "" if ask.wait_ms is None else f" Try again in {-(-ask.wait_ms // 1000)} s."
    return f"The limit {limit} is reached.{again}"
