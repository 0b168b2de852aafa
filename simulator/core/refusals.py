"""`errors:` and `refuse:`: how the service says no, with one envelope for every error that the simulator itself makes.

Rules: RFC 9457 unless the scenario says otherwise; each kind of refusal has a status and a code that the scenario
may change; an `error:` anywhere in a scenario takes the same shape and uses the same envelope.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.expressions import Names, Scope
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.profiles.envelopes import ENVELOPES, HEADERS, MEMBERS
from simulator.core.profiles.envelopes import STATUSES as STATUSES_OF
from simulator.core.replies import (
    HeaderLines,
    Reply,
    header_bytes,
    header_lines,
    json_bytes,
    legal_header,
    shown_at,
)
from simulator.core.templates import (
    EVERYWHERE,
    LiveScope,
    Value,
    compile_condition,
    compile_text,
    compile_value,
    static,
)

PROBLEM_TYPE = b"application/problem+json"


class Kind(NamedTuple):
    """A kind of refusal: what is answered unless the scenario changes it."""

    status: int
    title: str


KINDS = {
    "invalid": Kind(400, "The request is not valid"),
    "idempotency_key_missing": Kind(400, "An idempotency key is required"),
    "unauthorized": Kind(401, "Valid credentials are required"),
    "request_expired": Kind(401, "The request's time is not within the window"),
    "over_budget": Kind(402, "The budget is spent"),
    "forbidden": Kind(403, "The credentials do not allow this"),
    "not_found": Kind(404, "There is no such thing"),
    "no_operation": Kind(404, "No operation answers this path"),
    "method_not_allowed": Kind(405, "No operation answers this method here"),
    "wrong_state": Kind(409, "Not possible in this state"),
    "conflict": Kind(409, "It exists already"),
    "idempotency_in_flight": Kind(409, "A request with this idempotency key is still running"),
    "precondition_failed": Kind(412, "It has changed meanwhile"),
    "too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The content type is not supported"),
    "contract": Kind(422, "The request breaks the contract"),
    "idempotency_mismatch": Kind(422, "The idempotency key belongs to another request"),
    "refused": Kind(422, "The service refuses this"),
    "precondition_required": Kind(428, "A condition is required"),
    "rate_limited": Kind(429, "Too many requests"),
    "scenario_failed": Kind(500, "An expression of the scenario failed"),
    "unavailable": Kind(503, "Not available at the moment"),
}
ERROR_FIELDS = ("kind", "status", "title", "code", "message", "detail", "type", "errors", "nearest", "request_id")


class Refused(Exception):  # noqa: N818 - a reply, no failure
    """The service says no: a kind, a sentence, members for the envelope, headers."""

    def __init__(
        self, kind: str, detail: str, members: dict[str, Any] | None = None, headers: HeaderLines = ()
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.members = members or {}
        self.headers = headers
        self.error: CompiledError | None = None  # where the scenario says itself what is answered
        self.scope: Scope | None = None  # and the names that its sentence may use
        self.reply: Reply | None = None  # where the scenario says the whole reply
        super().__init__(detail)

    def said(self, error: CompiledError | None, scope: Scope) -> Refused:
        """The same, in the words of this error."""
        self.error, self.scope = error, scope
        return self


class ErrorModel(BaseModel):
    """What one kind of refusal answers."""

    model_config = ConfigDict(extra="forbid")

    status: int | None = Field(None, ge=400, le=599, description="400 to 599; each kind has its own by default")
    code: str | int | None = Field(None, description="The service's own code for this; the kind's name by default")
    message: str | None = Field(None, description="The sentence; expressions may use `error.detail`")
    headers: dict[str, str | int] = Field({}, description="Further header fields")
    details: dict[str, Any] = Field({}, description="Further members, `error.<name>` in the envelope")


class ErrorsModel(BaseModel):
    """The envelope of the service's errors, and what each kind answers."""

    model_config = ConfigDict(extra="forbid")

    envelope: Any = Field(
        "problem",
        description="`problem` (RFC 9457), a vendor's by name, or a body with `{{ error.… }}` in it",
        examples=["problem", *ENVELOPES],
    )
    content_type: str | None = Field(None, description="application/problem+json for problem, else application/json")
    invalid: ErrorModel = Field(ErrorModel(), description="The request is not what the operation takes")
    idempotency_key_missing: ErrorModel = Field(ErrorModel(), description="The operation demands an idempotency key")
    unauthorized: ErrorModel = Field(ErrorModel(), description="No credentials came, or wrong ones")
    request_expired: ErrorModel = Field(ErrorModel(), description="A signed request's time is outside the window")
    over_budget: ErrorModel = Field(ErrorModel(), description="What the client may spend is spent")
    forbidden: ErrorModel = Field(ErrorModel(), description="The credentials lack a scope")
    not_found: ErrorModel = Field(ErrorModel(), description="There is no such record")
    no_operation: ErrorModel = Field(ErrorModel(), description="No operation answers this path")
    method_not_allowed: ErrorModel = Field(ErrorModel(), description="No operation answers this method on this path")
    wrong_state: ErrorModel = Field(ErrorModel(), description="The record's state has no row for this")
    conflict: ErrorModel = Field(ErrorModel(), description="A record with the same `unique` fields exists already")
    idempotency_in_flight: ErrorModel = Field(ErrorModel(), description="The first request with this key still runs")
    precondition_failed: ErrorModel = Field(ErrorModel(), description="If-Match names another version")
    too_large: ErrorModel = Field(ErrorModel(), description="The body is larger than the server takes")
    unsupported_media_type: ErrorModel = Field(ErrorModel(), description="The body's type cannot be read")
    contract: ErrorModel = Field(ErrorModel(), description="The request is not what `accepts` says")
    idempotency_mismatch: ErrorModel = Field(ErrorModel(), description="The key came with another request before")
    refused: ErrorModel = Field(ErrorModel(), description="A `refuse` of an operation holds")
    precondition_required: ErrorModel = Field(ErrorModel(), description="The operation demands If-Match")
    rate_limited: ErrorModel = Field(ErrorModel(), description="A limit is reached")
    scenario_failed: ErrorModel = Field(ErrorModel(), description="An expression failed while a request was answered")
    unavailable: ErrorModel = Field(ErrorModel(), description="The records cannot be reached at the moment")


class RefuseModel(BaseModel):
    """A refusal of the service's own."""

    model_config = ConfigDict(extra="forbid")

    when: Any = Field(description="The condition; the first that holds refuses")
    error: str | ErrorModel = Field(description="What is answered, or the name of a kind", examples=["wrong_state"])


class CompiledError(NamedTuple):
    """One kind, ready to be rendered."""

    kind: str
    status: int
    code: str | int
    message: Value | None
    headers: tuple[tuple[bytes, Value], ...]
    details: Value


class Refusals:
    """A service's way to say no."""

    def __init__(
        self,
        kinds: dict[str, CompiledError],
        envelope: Value | None,
        content_type: bytes,
        where: str,
        headers: tuple[tuple[bytes, Value], ...] = (),
        status: int | None = None,
    ) -> None:
        """`headers` go with every error; `status`, where there is one, is that of every error."""
        self._kinds = kinds
        self._envelope = envelope
        self._content_type = content_type
        self._where = where
        self._headers = headers
        self._status = status

    def reply(self, refused: Refused, scope: Scope, request_id: str = "") -> Reply:
        """The reply for a refusal, in the service's envelope. Raises TemplateError where that one fails."""
        if refused.reply is not None:
            return refused.reply
        error = refused.error or self._kinds[refused.kind]
        scope = refused.scope or scope
        shape = self._members(error, refused, scope, request_id)
        inner = _inside(scope, shape)
        body = _problem(shape) if self._envelope is None else self._envelope.of(inner)
        headers = [(b"Content-Type", self._content_type), *refused.headers]
        for name, value in (*self._headers, *error.headers):
            headers.extend(header_lines(name, value.of(inner), self._where))
        return Reply(self._status or error.status, tuple(headers), json_bytes(body, self._where))

    def _members(self, error: CompiledError, refused: Refused, scope: Scope, request_id: str) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "kind": error.kind,
            "status": error.status,
            "title": KINDS[error.kind].title,
            "code": error.code,
            "detail": refused.detail,
            "request_id": request_id,
            **refused.members,
        }
        inner = _inside(scope, shape)
        shape["message"] = refused.detail if error.message is None else shown_at(error.message.of(inner), self._where)
        return {**shape, **error.details.of(inner)}


class Refuse(NamedTuple):
    """A compiled refusal of the service's own."""

    when: Value
    kind: str
    error: CompiledError | None  # None: as `errors` says for the kind


def compile_refuse(models: list[RefuseModel], place: Place, names: Names) -> tuple[Refuse, ...]:
    """The `refuse:` of an operation; complaints go to the place."""
    return tuple(_compile_refuse(model, place / index, names) for index, model in enumerate(models))


def _compile_refuse(model: RefuseModel, place: Place, names: Names) -> Refuse:
    when = compile_condition(model.when, place / "when", names)
    if isinstance(model.error, str):
        if model.error not in KINDS:
            (place / "error").unknown("kind of error", model.error, KINDS)
        return Refuse(when, model.error, None)
    return Refuse(when, "refused", compile_error(model.error, "refused", place / "error", names))


def compile_error(model: ErrorModel | None, kind: str, place: Place, names: Names) -> CompiledError | None:
    """An `error:` that stands elsewhere in a scenario; None stands for what `errors` says of the kind."""
    if model is None:
        return None
    inner = names.plus(error=(*ERROR_FIELDS, *model.details))
    return _compile_kind(kind, model, place, inner)


def check_refusals(rules: tuple[Refuse, ...], scope: Scope) -> None:
    """Raises Refused for the first rule that holds."""
    for rule in rules:
        if rule.when.of(scope):
            raise Refused(rule.kind, f"{KINDS[rule.kind].title}.").said(rule.error, scope)


def compile_errors(model: ErrorsModel, place: Place, more: Iterable[str] = ()) -> Refusals:
    """The `errors:` of a scenario; complaints go to the place. `more` are details that other places give."""
    details = {name for kind in KINDS for name in getattr(model, kind).details} | {*more}
    names = EVERYWHERE.plus("request", error=(*ERROR_FIELDS, *MEMBERS, *sorted(details)))
    kinds = {kind: _compile_kind(kind, getattr(model, kind), place / kind, names) for kind in KINDS}
    if model.envelope == "problem":
        return Refusals(kinds, None, header_bytes(model.content_type or PROBLEM_TYPE.decode()), str(place))
    spot, named = place / "envelope", isinstance(model.envelope, str) and static(model.envelope)
    if named and model.envelope not in ENVELOPES:
        spot.unknown("envelope", model.envelope, ["problem", *ENVELOPES])
    body = ENVELOPES.get(model.envelope) if named else model.envelope
    headers = HEADERS.get(model.envelope, {}) if named else {}
    return Refusals(
        kinds,
        compile_value(body, spot, names),
        header_bytes(model.content_type or "application/json"),
        str(spot),
        tuple((name.encode(), compile_value(text, spot, names)) for name, text in headers.items()),
        STATUSES_OF.get(model.envelope) if named else None,
    )


def _compile_kind(kind: str, model: ErrorModel, place: Place, names: Names) -> CompiledError:
    return CompiledError(
        kind,
        model.status or KINDS[kind].status,
        kind if model.code is None else model.code,
        None if model.message is None else compile_text(model.message, place / "message", names),
        tuple(
            (key.encode(), compile_value(value, place / "headers" / key, names))
            for key, value in model.headers.items()
            if legal_header(key, place / "headers" / key)
        ),
        compile_value(model.details, place / "details", names),
    )


def _problem(shape: dict[str, Any]) -> dict[str, Any]:
    """RFC 9457: the standard members first, ours as extensions."""
    hidden = ("kind", "status", "title", "detail", "message", "request_id", "param")
    extensions = {key: value for key, value in shape.items() if key not in hidden and value is not OMIT}
    return {
        "type": TYPES.get(shape["kind"], "about:blank"),
        "title": HTTPStatus(shape["status"]).phrase if shape["status"] in STATUSES else shape["title"],
        "status": shape["status"],
        "detail": shape["message"],
        **extensions,
    }


TYPES = {  # registered problem types: draft-ietf-httpapi-ratelimit-headers-10 section 7
    "rate_limited": "https://iana.org/assignments/http-problem-types#quota-exceeded"
}
STATUSES = frozenset(int(status) for status in HTTPStatus)


def _inside(scope: Scope, shape: dict[str, Any]) -> LiveScope:
    """What envelopes may use: `error`, and what the scope around has or makes."""
    return LiveScope({**scope, "error": shape}, getattr(scope, "makers", {}), getattr(scope, "owner", None))
