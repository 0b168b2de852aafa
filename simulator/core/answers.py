"""What a fault answers in place of the service: an error, a reply, a redirect, or nothing at all.

Rules: an error has the service's own envelope, a reply is literal; what a client is told to wait is noted for the
journal as it was sent and in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from simulator.core.announcements import Say, say
from simulator.core.damage import Written, as_written
from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.refusals import KINDS, CompiledError, ErrorModel, Refused, compile_error
from simulator.core.replies import Reply, ReplyModel, compile_reply, header_bytes, shown_at
from simulator.core.templates import LiveScope, compile_text
from simulator.core.turns import Turn
from simulator.core.values import DURATION_SCHEMA, duration_ms, written, wrong_at

KIND_OF = {
    400: "invalid",
    401: "unauthorized",
    402: "over_budget",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "refused",
    428: "precondition_required",
    429: "rate_limited",
    503: "unavailable",
}
"""What a status alone is called; the others have the name that HTTP gives them."""
HTTP = {int(status): status for status in HTTPStatus}


def wait_ms(value: object) -> int:
    """A duration above zero. Raises ValueError with what would be legal."""
    if not (ms := duration_ms(value)):
        raise ValueError(f"{written(value)} is no wait; for a field that says so, write headers: {{Retry-After: '0'}}")
    return ms


def _wait(value: object) -> object:
    """A duration, which is told what it should be before it is told that it is neither text nor a mapping."""
    if value is not None and not isinstance(value, dict | WaitModel):
        wait_ms(value)
    return value


Wait = Annotated[str, as_written(wait_ms), WithJsonSchema(DURATION_SCHEMA)]
WaitText = Annotated[str, WithJsonSchema(DURATION_SCHEMA)]


class WaitModel(Written):
    """How long a client is told to wait, and in which form."""

    value: Wait = Field(description="How long", examples=["2s"])
    form: Literal["seconds", "float", "date", "ms"] = Field(
        "seconds", alias="as", description="Whole seconds, seconds with a fraction, an HTTP-date, or retry-after-ms"
    )


class FaultErrorModel(ErrorModel):
    """An error in the service's envelope, in place of what the service would have answered."""

    kind: str | None = Field(None, description="As `errors` says for this kind", examples=["unavailable"])
    retry_after: Annotated[WaitText | WaitModel | None, BeforeValidator(_wait)] = Field(
        None, description="Sent as Retry-After, in whole seconds", examples=["2s"]
    )

    def own(self) -> list[str]:
        """What the fault itself says of the error."""
        return [key for key in ErrorModel.model_fields if key in self.model_fields_set]

    @model_validator(mode="after")
    def _one_way(self) -> FaultErrorModel:
        own = self.own()
        if self.kind is not None and own:
            raise wrong_at(own[0], f"kind takes what `errors` says for {self.kind!r}; take out {own[0]}, or kind")
        return self


class RedirectModel(Written):
    """A redirect, also to another origin."""

    status: Literal[301, 302, 303, 307, 308] = Field(307, description="301, 302, 303, 307 or 308")
    to: str = Field(description="The Location; expressions", examples=["https://other.test{{ request.path }}"])


Answer = Callable[[Turn, LiveScope], Reply]


def status_of(model: FaultErrorModel) -> int:
    """The status of an error that names no kind."""
    return model.status or KINDS["unavailable"].status


def answer_error(given: str | FaultErrorModel, place: Place, names: Names) -> Answer:
    """An error, which is raised as Refused when it is asked for; complaints go to the place."""
    model = FaultErrorModel(kind=given) if isinstance(given, str) else given
    kind = model.kind or KIND_OF.get(status_of(model), "unavailable")
    if kind not in KINDS:
        (place if isinstance(given, str) else place / "kind").unknown("kind of error", kind, KINDS)
    detail, error = _words(model, kind, place, names)
    ways = _ways(model)

    def answer(turn: Turn, scope: LiveScope) -> Reply:
        said = say(ways, None, turn.now_ms)
        if said.ms is not None:
            turn.facts.update(retry_after=said.text, retry_after_ms=said.ms)
        raise Refused(kind, detail, headers=said.headers).said(error, scope)

    return answer


def _words(model: FaultErrorModel, kind: str, place: Place, names: Names) -> tuple[str, CompiledError | None]:
    """The sentence, and the error as the fault says it; None is as `errors` does."""
    detail = f"{KINDS[kind].title}." if kind in KINDS else ""
    if not model.own():
        return detail, None
    http = HTTP.get(status_of(model)) if status_of(model) not in KIND_OF else None
    if http is None:
        return detail, compile_error(model, kind, place, names)
    code = http.name.lower() if model.code is None else model.code
    return f"{http.phrase}.", compile_error(model.model_copy(update={"code": code}), kind, place, names)


def _ways(model: FaultErrorModel) -> tuple[Say, ...]:
    wait = model.retry_after
    if wait is None:
        return ()
    given = wait if isinstance(wait, WaitModel) else WaitModel(value=wait)
    return (Say(given.form, b"retry-after-ms" if given.form == "ms" else b"Retry-After", wait_ms(given.value), None),)


def answer_reply(model: ReplyModel, place: Place, names: Names) -> Answer:
    """A literal reply; complaints go to the place."""
    reply = compile_reply(model, place, names)
    return lambda _, scope: reply.render(scope)


def answer_redirect(model: RedirectModel, place: Place, names: Names) -> Answer:
    """A redirect; complaints go to the place."""
    to, where = compile_text(model.to, place / "to", names), str(place / "to")

    def answer(_: Turn, scope: LiveScope) -> Reply:
        return Reply(model.status, ((b"Location", header_bytes(shown_at(to.of(scope), where))),), b"")

    return answer
