"""`faults:` which requests misbehave, when, and how.

Rules: what strikes is decided once for each request, before anything else; at most one fault answers a request, the
first in the file's order, while delays add up and damages combine; a fault of which nothing would be seen does not
strike; a draw is named by the fault and the ordinal of its counter, so the same ordinals fall whatever else comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, WithJsonSchema, model_validator

from simulator.core.answers import (
    Answer,
    FaultErrorModel,
    RedirectModel,
    answer_error,
    answer_redirect,
    answer_reply,
    status_of,
)
from simulator.core.damage import SILENT, Connection, Damage, Pages, Written, as_written, damages
from simulator.core.drift import Body, BodyModel, Spoiler, compile_body
from simulator.core.events import FaultFired
from simulator.core.expressions import Names
from simulator.core.places import Place, listed
from simulator.core.replies import Reply, ReplyModel
from simulator.core.resources import Name
from simulator.core.skew import SIGNED_SCHEMA, signed_ms
from simulator.core.templates import LiveScope
from simulator.core.triggers import Met, Texts, Trigger, WhenModel, compile_trigger, fire, met
from simulator.core.turns import Turn
from simulator.core.values import SPAN_SCHEMA, Span, span, wrong_at

FAULTS_MAX = 500  # each request looks at all that are meant for its operation
Point = Literal["arrival", "reply"]
EFFECTS = ("error", "reply", "redirect", "connection", "delay", "body", "stale", "pages", "tokens", "clock")
ANSWERS = ("error", "reply", "redirect")
SignedText = Annotated[Any, as_written(signed_ms), WithJsonSchema(SIGNED_SCHEMA)]
SpanText = Annotated[Any, as_written(span), WithJsonSchema(SPAN_SCHEMA)]


class ClockModel(Written):
    """What happens to the clock that clients see."""

    jump: SignedText = Field(description="How far it leaps, forward or back", examples=["5m", "-1h"])


class FaultModel(Written):
    """One misbehaviour: which requests it strikes, where, and with what effects."""

    name: Name = Field(description="What the journal and the control plane call it")
    operation: Texts = Field("*", description="Which operations, by name or pattern", examples=["POST /jobs", "GET *"])
    when: WhenModel = Field(WhenModel(), description="Which of their requests; all of them by default")
    at: Point | None = Field(
        None, description="arrival: nothing has happened; reply: all of it has, and the client is not told"
    )
    enabled: bool = Field(True, description="Whether it may strike")
    error: str | FaultErrorModel | None = Field(None, description="An error is answered, or a kind of `errors`")
    reply: ReplyModel | None = Field(None, description="This reply is answered")
    redirect: RedirectModel | None = Field(None, description="The client is sent elsewhere")
    connection: Connection | None = Field(
        None, description="The connection is reset, closed, left hanging or sent garbage; or the reply's bytes suffer"
    )
    delay: SpanText | None = Field(None, description="The reply leaves so much later, in wire time", examples=["500ms"])
    body: Body | None = Field(
        None, description="The body is malformed JSON, a proxy's html, or drifts from the contract"
    )
    stale: bool = Field(False, description="A read shows the record as before its last change")
    pages: Pages | None = Field(
        None, description="Of a list: duplicate or missing records, a page that repeats for ever, or an empty one"
    )
    tokens: Literal["expire", "revoke"] | None = Field(None, description="What becomes of the client's tokens")
    clock: ClockModel | None = Field(None, description="The clock that clients see leaps")

    def effects(self) -> list[str]:
        """The effects that are given."""
        given = {key: getattr(self, key) for key in EFFECTS}
        return [key for key, value in given.items() if value is not None and value is not False]

    def answers(self) -> list[str]:
        """Those of them that answer in place of the service, or leave no reply at all."""
        ends = isinstance(self.connection, str)
        return [key for key in self.effects() if key in ANSWERS or (ends and key == "connection")]

    @model_validator(mode="after")
    def _effects_agree(self) -> FaultModel:
        answers = self.answers()
        if not self.effects():
            raise ValueError(f"a fault has an effect: one or more of {listed(EFFECTS)}")
        if len(answers) > 1:
            raise wrong_at(answers[1], f"a request is answered once, by {answers[0]} or by {answers[1]}; take out one")
        for key in ("stale", "pages"):
            if answers and key in self.effects():
                raise wrong_at(key, f"{answers[0]} answers before there is anything to read; make {key} another fault")
        if self.body is not None and answers == ["connection"]:
            raise wrong_at("body", f"after connection: {self.connection} there is no body; take out one of them")
        if self.at == "arrival" and self.point() == "reply":
            raise wrong_at("at", f"{listed(self.effects())} comes with the reply; take out `at`, or write at: reply")
        return self

    def point(self) -> Point:
        """Where it strikes."""
        early = self.answers() or self.tokens or self.clock
        return self.at if self.at is not None and early else "arrival" if early else "reply"


Faults = Annotated[list[FaultModel], Field(max_length=FAULTS_MAX)]
Reach = Literal["any", "reply", "service"]


class Fault(NamedTuple):
    """A compiled fault."""

    name: str
    enabled: bool
    operations: frozenset[str]
    trigger: Trigger
    point: Point
    effect: str  # in words, for the journal
    reach: Reach  # what there must be for anything to be seen of it: a request, a reply, or the service's own answer
    answer: Answer | None
    delay: Span | None
    connection: Connection | None
    body: Spoiler | None
    stale: bool
    pages: Pages | None
    tokens: Literal["expire", "revoke"] | None
    jump_ms: int  # of the clock that clients see
    model: FaultModel

    @property
    def silent(self) -> bool:
        """Whether it leaves no reply."""
        return isinstance(self.connection, str)


def compile_faults(
    models: Sequence[FaultModel], place: Place, names: Names, operations: Sequence[str]
) -> tuple[Fault, ...]:
    """The faults; complaints go to the place. `operations` are the names of all operations."""
    made = []
    for index, model in enumerate(models):
        if any(model.name == other.name for other in models[:index]):
            (place / index / "name").complain(f"there is a fault {model.name!r} already; give this one another name")
        made.append(compile_fault(model, place / index, names, operations, models))
    return tuple(made)


def compile_fault(
    model: FaultModel, place: Place, names: Names, operations: Sequence[str], others: Sequence[FaultModel] = ()
) -> Fault:
    """One fault; complaints go to the place. `others` are those that `after` may name."""
    return Fault(
        name=model.name,
        enabled=model.enabled,
        operations=_operations(model, place / "operation", operations),
        trigger=compile_trigger(
            model.name, model.when, place / "when", names, {other.name: other.when for other in others}
        ),
        point=model.point(),
        effect=", ".join(_in_words(model, key) for key in model.effects()),
        reach=_reach(model),
        answer=_answer(model, place, names),
        delay=None if model.delay is None else span(model.delay),
        connection=model.connection,
        body=None if model.body is None else compile_body(model.body, place / "body", names),
        stale=model.stale,
        pages=model.pages,
        tokens=model.tokens,
        jump_ms=0 if model.clock is None else signed_ms(model.clock.jump),
        model=model,
    )


def _operations(model: FaultModel, place: Place, operations: Sequence[str]) -> frozenset[str]:
    if "operation" not in model.model_fields_set:
        return frozenset(operations)
    chosen: list[str] = []
    several = isinstance(model.operation, list)
    for index, pattern in enumerate(model.operation if isinstance(model.operation, list) else [model.operation]):
        found = [name for name in operations if name == pattern or fnmatchcase(name, pattern)]
        chosen += found
        if not found:
            (place / index if several else place).unknown("operation", pattern, operations)
    return frozenset(chosen)


def _in_words(model: FaultModel, effect: str) -> str:
    """`error 503`, `connection reset`, `delay`."""
    if model.error is not None and effect == "error":
        return f"error {model.error if isinstance(model.error, str) else model.error.kind or status_of(model.error)}"
    if model.redirect is not None and effect == "redirect":
        return f"redirect {model.redirect.status}"
    if effect == "body" and isinstance(model.body, BodyModel):
        return "body drift"
    if effect == "connection" and model.connection is not None and not isinstance(model.connection, str):
        return f"connection {' '.join(model.connection.damages())}"
    value = getattr(model, effect)
    return f"{effect} {value}" if effect in ("connection", "body", "pages", "tokens") else effect


def _reach(model: FaultModel) -> Reach:
    effects = [key for key in model.effects() if key not in ("stale", "pages")]
    if not effects:
        return "service"
    suffer = [key for key in effects if key == "body" or (key == "connection" and not model.answers())]
    return "reply" if suffer == effects else "any"


def _answer(model: FaultModel, place: Place, names: Names) -> Answer | None:
    if model.error is not None:
        return answer_error(model.error, place / "error", names)
    if model.reply is not None:
        return answer_reply(model.reply, place / "reply", names)
    if model.redirect is not None:
        return answer_redirect(model.redirect, place / "redirect", names)
    return (lambda _, __: SILENT) if isinstance(model.connection, str) else None


class Strike(NamedTuple):
    """A fault that strikes a request."""

    fault: Fault
    met: Met


class Strikes(NamedTuple):
    """The faults that strike a request, by where they do."""

    arrival: tuple[Strike, ...] = ()
    reply: tuple[Strike, ...] = ()

    @property
    def all(self) -> tuple[Strike, ...]:
        """Those of both points: a fault's damages are felt on the way out, wherever it strikes."""
        return (*self.arrival, *self.reply)

    @property
    def stale(self) -> bool:
        """Whether a read shows the record as it was before its last change."""
        return any(strike.fault.stale for strike in self.all)


NO_STRIKES = Strikes()


def fallen(faults: tuple[Fault, ...], turn: Turn, scope: LiveScope, operation: str, began_ms: int) -> Strikes:
    """Decide which faults strike this request: once, before anything else. Raises TemplateError, NotLoaded.

    Counters advance, events and facts are noted, and delays are added to the turn's. `began_ms` is when the sandbox
    began, in service time.
    """
    found = []
    for fault in faults:
        if fault.enabled and operation in fault.operations:
            known = met(fault.trigger, turn, scope, operation, began_ms)
            found += [] if known is None else [Strike(fault, known)]
    struck = _seen(found)
    if not struck:
        return NO_STRIKES
    for strike in struck:
        _note(strike, turn, scope, operation)
    turn.facts["fault"] = ",".join(strike.fault.name for strike in struck)
    turn.facts["fault_draw"] = next((strike.met.draw for strike in struck if strike.met.draw is not None), None)
    arrival = tuple(strike for strike in struck if strike.fault.point == "arrival")
    return Strikes(arrival, tuple(strike for strike in struck if strike.fault.point == "reply"))


def _seen(found: list[Strike]) -> list[Strike]:
    """Those of which something is seen: the first that answers, and of the others those that it leaves something to."""
    answer = next((strike for strike in found if strike.fault.answer is not None), None)
    if answer is None:
        return found
    left = ("any",) if answer.fault.silent else ("any", "reply")
    return [each for each in found if each is answer or (each.fault.answer is None and each.fault.reach in left)]


def _note(strike: Strike, turn: Turn, scope: LiveScope, operation: str) -> None:
    fault, known = strike
    fire(fault.trigger, turn, scope, operation, known)
    if fault.delay is not None:
        turn.delay_ms += fault.delay.draw_ms(turn.service.chance.unit(f"{known.named}/delay"))
    turn.lasting_events.append(
        FaultFired(
            at_ms=turn.now_ms,
            wire_us=turn.wire_us,
            digest=turn.service.digest,
            fault=fault.name,
            operation=operation,
            point=fault.point,
            effect=fault.effect,
            draw=known.draw,
            ordinal=known.ordinal,
            request_id=turn.request.request_id if turn.request else "",
        )
    )


def answer(strikes: Sequence[Strike], turn: Turn, scope: LiveScope) -> Reply | None:
    """What the faults of one point answer in place of the service: SILENT for a connection that ends without a reply,
    None where none of them answers. Raises Refused, TemplateError.
    """
    for strike in strikes:
        if strike.fault.answer is not None:
            return strike.fault.answer(turn, scope)
    return None


def spoil(strikes: Strikes, reply: Reply, scope: LiveScope) -> Reply:
    """The reply with its body as the faults leave it. Raises TemplateError."""
    for strike in strikes.all:
        if strike.fault.body is not None:
            reply = strike.fault.body(reply, scope)
    return reply


def damage_of(strikes: Strikes, turn: Turn) -> tuple[Damage, ...]:
    """What happens to the connection; `damage.remains` says what they leave."""
    made: list[Damage] = []
    for fault, known in strikes.all:
        if fault.connection is not None:
            made += damages(fault.connection, turn.service.chance, known.named)
    return tuple(made)


def pages_of(strikes: Strikes, turn: Turn) -> tuple[tuple[Pages, float], ...]:
    """What is done to the page of a list, each with a number between 0 and 1: for `damage.spoil_page`."""
    return tuple(
        (fault.pages, turn.service.chance.unit(f"{known.named}/page"))
        for fault, known in strikes.all
        if fault.pages is not None
    )


def details_of(models: Sequence[FaultModel]) -> list[str]:
    """Members of errors that the faults give, for the envelope."""
    errors = [model.error for model in models]
    return [name for error in errors if error is not None and not isinstance(error, str) for name in error.details]
