"""What an operation can answer, as OpenAPI 3.1 responses: its own replies, and every error that may come instead.

Rules: whatever can be answered is described; where two answers share a status, the description admits both; a header
is required only where no answer of its status lacks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from simulator.core.operations import OperationModel, Variant
from simulator.core.pages import default_envelope
from simulator.core.profiles.envelopes import ENVELOPES, HEADERS, MEMBERS
from simulator.core.profiles.envelopes import STATUSES as STATUSES_OF
from simulator.core.refusals import KINDS, PROBLEM_TYPE, TYPES, ErrorModel, ErrorsModel
from simulator.core.replies import BODYLESS, ReplyModel
from simulator.core.resources import BUILT_IN_FIELDS, ONLY_STATE, ResourceModel
from simulator.core.steps import Step, VerbModel
from simulator.core.templates import static
from simulator.scenario.openapi_shapes import (
    ANY,
    EVERYWHERE,
    INSTANT,
    NOTHING,
    TEXT,
    TRUTH,
    WHOLE,
    Known,
    Schema,
    Shape,
    either,
    literal,
    literals,
    object_of,
    shape,
)

JSON = "application/json"
HEADER = {"type": "string"}
VIOLATIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["detail"],
        "properties": {key: {"type": "string"} for key in ("detail", "pointer", "parameter", "header")},
    },
}
BY_KIND = {  # members that some kinds bring, beside those that every error has
    "contract": {"errors": Shape(VIOLATIONS), "param": Shape({"type": "string"}, True)},
    "wrong_state": {"state": TEXT},
    "rate_limited": {"violated-policies": Shape({"type": "array", "items": {"type": "string"}}, True)},
    "scenario_failed": {"where": Shape({"type": "string"}, True)},
}
ALWAYS = ("invalid", "too_large", "unsupported_media_type", "scenario_failed", "unavailable")
WRITES = ("update", "delete", "signal")
HIDDEN = ("kind", "status", "title", "detail", "message", "request_id", "param")  # of a problem: no extensions


class Header(NamedTuple):
    """One header field of an answer."""

    schema: Schema
    required: bool = False


NO_HEADERS: Mapping[str, Header] = {}


class Answer(NamedTuple):
    """One thing that can be answered. Without a status, any."""

    status: int | None
    sentence: str
    media: str | None = None
    body: Schema | None = None
    headers: Mapping[str, Header] = NO_HEADERS
    fault: str = ""  # the kind of error that it is; "own" of what a `refuse` says itself


class Fault(NamedTuple):
    """One error that an operation can answer with."""

    kind: str
    model: ErrorModel
    own: bool = False  # said elsewhere than under `errors`
    headers: Mapping[str, Header] = NO_HEADERS


def responses(answers: Iterable[Answer]) -> dict[str, dict[str, Any]]:
    """The answers by their status, each status as a Response Object."""
    by_status: dict[str, list[Answer]] = {}
    for answer in answers:
        by_status.setdefault("default" if answer.status is None else str(answer.status), []).append(answer)
    return {status: _response(by_status[status]) for status in sorted(by_status)}


def _response(answers: list[Answer]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": " ".join(dict.fromkeys(f"{answer.sentence}." for answer in answers))}
    names = dict.fromkeys(name for answer in answers for name in answer.headers)
    if names:
        made["headers"] = {name: _header([answer.headers.get(name) for answer in answers]) for name in names}
    bodies: dict[str, list[Shape]] = {}
    for answer in answers:
        if answer.media is not None:
            bodies.setdefault(answer.media, []).append(Shape({} if answer.body is None else answer.body))
    if bodies:
        made["content"] = {media: {"schema": either(*shapes).schema} for media, shapes in bodies.items()}
    return made


def _header(given: Sequence[Header | None]) -> dict[str, Any]:
    told = [header for header in given if header is not None]
    schema = either(*(Shape(header.schema) for header in told)).schema
    required = len(told) == len(given) and all(header.required for header in told)
    return {"schema": schema, **({"required": True} if required else {})}


def replies(
    model: OperationModel, variant: Variant, known: Known, view: Shape, marks: Mapping[str, Header]
) -> Iterator[Answer]:
    """What a variant answers where nothing is wrong. `known` has the names that its replies may use, `view` is what
    clients see of its resource; `marks` are header fields that go with each reply.
    """
    headers = dict(marks)
    if variant.etag and variant.step.verb != "delete":
        headers["ETag"] = Header(HEADER, required=True)
        if variant.step.verb == "read":
            yield Answer(304, "It is what If-None-Match names", headers=headers)
    if model.page is not None and model.page.link:
        headers["Link"] = Header(HEADER)
    for reply in model.replies or [model.reply or ReplyModel()]:
        yield from answers_as(reply, _body(reply, model, variant, known, view), variant.status, known, headers)


def answers_as(
    reply: ReplyModel, body: Shape, default: int, known: Known, more: Mapping[str, Header], sentence: str = ""
) -> Iterator[Answer]:
    """A reply that a scenario writes; `default` is its status where it says none, `more` are its further headers."""
    media = None
    headers = dict(more)
    for name, value in reply.headers.items():
        if name.lower() == "content-type":
            media = value if isinstance(value, str) and static(value) else "*/*"
        else:
            headers[name] = header_of(value, known)
    for status in _statuses(reply.status, default, known):
        said = sentence or (HTTPStatus(status).phrase if status in list(HTTPStatus) else "As the scenario says")
        if status in BODYLESS or body is NOTHING:
            yield Answer(status, said, headers=headers)
        else:
            kind = media or {"text": "text/plain", "bytes": "application/octet-stream"}.get(form_of(reply) or "", JSON)
            yield Answer(status, said, kind.partition(";")[0].strip(), body.schema, headers)


def _body(reply: ReplyModel, model: OperationModel, variant: Variant, known: Known, view: Shape) -> Shape:
    """The shape of a reply's body; NOTHING where it has none."""
    form = form_of(reply)
    if form in ("text", "bytes"):
        return TEXT
    if form == "body":
        return shape(reply.body, known)
    if variant.step.verb == "list" and not model.replies:
        return shape(default_envelope(model.page), known)
    shows = variant.step.verb in ("create", "read", "update", "signal")
    return view if shows else NOTHING


def form_of(reply: ReplyModel) -> str | None:
    """Which kind of body a reply says; None where it says none."""
    return next((key for key in ("body", "text", "bytes") if key in reply.model_fields_set), None)


def _statuses(given: int | str | None, default: int, known: Known) -> list[Any]:
    """The statuses that a reply can have; None stands for any."""
    told = shape(given, known)
    if told == NOTHING:
        return [default]
    found = [default if value is None else _status(value) for value in literals(told.schema)]
    return [*found, *([default] if told.omits else [])] if found else [None]


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None


def header_of(value: Any, known: Known) -> Header:
    """A header field that a scenario says; a list repeats it."""
    told = shape(value, known)
    fixed = told.schema.get("const")
    text = str(fixed) if isinstance(fixed, str | int) and not isinstance(fixed, bool) else ""
    if text and text.isascii() and text.isprintable() and text == text.strip():
        return Header({"type": "string", "const": text}, True)
    return Header(HEADER, told.schema.get("type") == "string" and not told.omits)


def faults(errors: ErrorsModel, model: OperationModel, variant: Variant, unique: Mapping[str, Any]) -> Iterator[Fault]:
    """The errors that a variant can answer with. `unique` has the resources whose records share no values."""
    kinds = dict.fromkeys(ALWAYS)
    steps = (variant.step, *variant.also)
    if variant.accepts is not None:
        kinds["contract"] = None
    for step in steps:
        kinds.update(dict.fromkeys(_kinds(step, unique)))
    writes = any(step.verb in WRITES for step in steps)
    if variant.etag and writes:
        kinds["precondition_failed"] = None
    if variant.etag == "required" and writes:
        kinds["precondition_required"] = None
    for kind in kinds:
        tag = {"ETag": Header(HEADER)} if kind == "precondition_failed" else {}
        yield Fault(kind, getattr(errors, kind), headers=tag)
    for each in (model, *model.also):
        yield from refused(errors, each)


def _kinds(step: Step, unique: Mapping[str, Any]) -> Iterator[str]:
    """The errors of one verb."""
    if step.find or step.verb in ("read", *WRITES):
        yield "not_found"
    if step.resource is None:
        return
    signals = {"update": "updated", "delete": "deleted"}
    if step.verb == "signal" or signals.get(step.verb or "") in step.resource.signals:
        yield "wrong_state"
    if step.verb == "create" or (step.verb in WRITES and step.resource.name in unique):
        yield "conflict"


def refused(errors: ErrorsModel, model: VerbModel) -> Iterator[Fault]:
    """The service's own refusals."""
    for rule in model.refuse:
        if isinstance(rule.error, str):
            yield Fault(rule.error, getattr(errors, rule.error))
        else:
            yield Fault("refused", rule.error, own=True)


class Envelope:
    """How a service says no, in OpenAPI's words."""

    def __init__(self, errors: ErrorsModel) -> None:
        named = isinstance(errors.envelope, str) and static(errors.envelope)
        self._body = ENVELOPES.get(errors.envelope) if named else errors.envelope
        self._status = STATUSES_OF.get(errors.envelope) if named else None
        self._headers = HEADERS.get(errors.envelope, {}) if named else {}
        self._problem = errors.envelope == "problem"
        media = errors.content_type or (PROBLEM_TYPE.decode() if self._problem else JSON)
        self._media = media.partition(";")[0].strip()

    def answers(self, found: Iterable[Fault]) -> Iterator[Answer]:
        """The faults as answers, one for each status."""
        groups: dict[int, list[Fault]] = {}
        for fault in found:
            groups.setdefault(self._status or _status_of(fault), []).append(fault)
        for status, group in groups.items():
            yield from self._group(status, group)

    def _group(self, status: int, group: list[Fault]) -> Iterator[Answer]:
        members = [_members(fault) for fault in group]
        known = {**EVERYWHERE, **{f"error.{name}": told for name, told in _together(members).items()}}
        problem = object_of(_together([_problem(each) for each in members]))
        body = problem if self._problem else shape(self._body, known)
        kinds = "own" if any(fault.own for fault in group) else "_or_".join(dict.fromkeys(f.kind for f in group))
        for fault in group:
            fields = {**self._headers, **fault.model.headers}
            headers = {**fault.headers, **{name: header_of(value, known) for name, value in fields.items()}}
            yield Answer(status, _sentence(fault), self._media, body.schema, headers, kinds)


def _status_of(fault: Fault) -> int:
    return fault.model.status or KINDS[fault.kind].status


def _sentence(fault: Fault) -> str:
    """What it means, in the scenario's words where it has some."""
    message = fault.model.message
    if message is not None and static(message):
        return message.rstrip(".")
    if fault.own:
        return f"{fault.model.code or KINDS[fault.kind].title}"
    field = ErrorsModel.model_fields[fault.kind]
    return (field.description or KINDS[fault.kind].title).replace("`", "")


def _members(fault: Fault) -> dict[str, Shape]:
    """The members of `error` for one fault, as envelopes see them."""
    model, kind = fault.model, KINDS[fault.kind]
    code = literal(fault.kind) if model.code is None else shape(model.code)
    fixed = model.message is not None and static(model.message)
    return {
        **dict.fromkeys((*MEMBERS, "type", "errors", "nearest"), NOTHING),
        "kind": literal(fault.kind),
        "status": literal(model.status or kind.status),
        "title": literal(kind.title),
        "code": code,
        "detail": TEXT,
        "request_id": TEXT,
        **BY_KIND.get(fault.kind, {}),
        "message": literal(model.message) if fixed else TEXT,
        **{name: shape(value) for name, value in model.details.items()},
    }


def _problem(members: Mapping[str, Shape]) -> dict[str, Shape]:
    """The members of a problem (RFC 9457): ours are extensions."""
    extensions = {name: part for name, part in members.items() if name not in HIDDEN}
    usual = literal(TYPES.get(members["kind"].schema.get("const", ""), "about:blank"))
    said = members["type"]
    return {
        **extensions,
        "type": either(usual, said._replace(omits=False)) if said.omits else said,
        "title": TEXT,
        "status": members["status"],
        "detail": members["message"],
    }


def _together(many: Sequence[Mapping[str, Shape]]) -> dict[str, Shape]:
    """The members of any of these."""
    names = dict.fromkeys(name for each in many for name in each)
    return {name: either(*(each.get(name, NOTHING) for each in many)) for name in names}


def record_names(model: ResourceModel, more: Iterable[str] = ()) -> Known:
    """What can be told of the names that a record brings; `more` are fields that operations set on it."""
    states = list(model.states) or [ONLY_STATE]
    rows = [row.set for state in model.states.values() for row in state.rows]
    own = {*model.record, *more, *(name for fields in rows for name in fields)}
    own |= {name for state in model.states.values() for name in state.set}
    built_in = {
        "id": TEXT,
        "state": Shape({"type": "string", "enum": states}),
        "ordinal": WHOLE,
        "version": WHOLE,
        "created_at": INSTANT,
        "updated_at": INSTANT,
    }
    fields = {f"record.{name}": built_in[name] for name in BUILT_IN_FIELDS if name in built_in and name not in own}
    return {"id": TEXT, "state": built_in["state"], "ordinal": WHOLE, **fields}


def page_names(style: str | None, items: Shape) -> Known:
    """What can be told of `page`; `items` is the shape of what is listed."""
    views = either(items._replace(omits=False), literal(None)) if items.omits else items
    step = Shape({"type": "integer" if style in ("offset", "number") else "string"}, True)
    numbers = dict.fromkeys(("page.size", "page.total", "page.pages", "page.offset", "page.number"), WHOLE)
    urls = dict.fromkeys(("page.next_url", "page.first_url", "page.prev_url"), Shape({"type": "string"}, True))
    listed = Shape({"type": "array", "items": views.schema})
    return {"page.items": listed, "page.next": step, "page.has_more": TRUTH, **numbers, **urls, "page": ANY}
