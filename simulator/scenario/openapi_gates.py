"""What stands before an operation, in OpenAPI's words: credentials, limits, idempotency keys, a budget.

Rules: as everywhere in the document: what a gate can answer is described, what a client may leave out is not required.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simulator.core.announcements import DialectModel
from simulator.core.auth import Endpoint
from simulator.core.idempotency import AnswerModel, IdempotencyModel
from simulator.core.limits import LimitModel
from simulator.core.operations import OperationModel, Variant
from simulator.core.profiles.limits import DIALECTS
from simulator.core.refusals import ErrorModel
from simulator.core.replies import ReplyModel
from simulator.core.service import Service
from simulator.core.signed import HmacModel
from simulator.scenario.document import Scenario
from simulator.scenario.openapi_answers import HEADER, Answer, Fault, Header, answers_as, form_of
from simulator.scenario.openapi_inputs import TEXT, Parameter
from simulator.scenario.openapi_shapes import EVERYWHERE, NOTHING, Shape, reads, shape

Headers = dict[str, Header]
Pair = tuple[OperationModel, Variant]


def schemes_of(scenario: Scenario, model: OperationModel) -> list[str]:
    """The schemes that will do for an operation; none where it is public."""
    return list(scenario.auth) if model.auth is None else list(model.auth)


def security(scenario: Scenario, models: Iterable[OperationModel], label: str) -> list[dict[str, list[str]]] | None:
    """The Security Requirement Objects; None where the service asks nobody. `label` stands before schemes' names."""
    if not scenario.auth:
        return None
    wanted: dict[str, dict[str, list[str]]] = {}
    public = False
    for model in models:
        names = schemes_of(scenario, model)
        public = public or not names
        for name in names:
            scopes = model.scopes if scenario.auth[name].oauth2 is not None else []
            wanted.setdefault(name, {label + name: list(scopes)})
    return [*([{}] if public and wanted else []), *wanted.values()]


def faults_before(scenario: Scenario, service: Service, operation: str, method: str, pair: Pair) -> Iterator[Fault]:
    """What the gates of an operation can answer in the service's envelope."""
    model, variant = pair
    yield from _credentials(scenario, model)
    yield from limit_faults(scenario, service, operation)
    yield from _keys(scenario, service, method, variant)
    if model.cost is not None and scenario.budget is not None:
        yield _said("over_budget", scenario.budget.error, scenario)


def _said(kind: str, model: ErrorModel | None, scenario: Scenario, headers: Headers | None = None) -> Fault:
    """A fault in its own words where a key has some, else as `errors` says."""
    own = model is not None
    return Fault(kind, model or getattr(scenario.errors, kind), own, headers or {})


def _credentials(scenario: Scenario, model: OperationModel) -> Iterator[Fault]:
    names = schemes_of(scenario, model)
    if not names:
        return
    yield _said("unauthorized", None, scenario, {"WWW-Authenticate": Header(HEADER, required=True)})
    if model.scopes:
        yield _said("forbidden", None, scenario, {"WWW-Authenticate": Header(HEADER)})
    for name in names:
        hmac = scenario.auth[name].hmac
        if hmac is not None:
            yield _said("request_expired", hmac.error, scenario, {"WWW-Authenticate": Header(HEADER, required=True)})


def _limits_on(scenario: Scenario, service: Service, operation: str, special: bool = False) -> list[LimitModel]:
    """The limits that an operation falls under; `special` are those of `auth`."""
    pairs = zip(scenario.limits, service.limits, strict=True)
    return [model for model, limit in pairs if operation in limit.weights and (limit.special or not special)]


def limit_replies(scenario: Scenario, service: Service, operation: str, special: bool = False) -> Iterator[Answer]:
    """The replies that limits give in place of an error."""
    for model in _limits_on(scenario, service, operation, special):
        _, reply = _says(model)
        if reply is not None:
            form = form_of(reply)
            body = shape(reply.body) if form == "body" else NOTHING if form is None else Shape(TEXT)
            headers = {**_waits(model), **_announced([model])}
            yield from answers_as(reply, body, 429, EVERYWHERE, headers, "A limit is reached")


def limit_faults(scenario: Scenario, service: Service, operation: str, special: bool = False) -> Iterator[Fault]:
    """The errors that limits give."""
    for model in _limits_on(scenario, service, operation, special):
        error, reply = _says(model)
        if reply is None:
            yield _said("rate_limited", error, scenario, {**_waits(model), **_announced([model])})


def marks(scenario: Scenario, service: Service, operation: str, method: str, variant: Variant) -> Headers:
    """Header fields that gates add to a reply: how limits stand, and that it is a replay."""
    told = _announced(_limits_on(scenario, service, operation))
    if service.idempotency.demand(method, variant.idempotency) != "none":
        told.update(dict.fromkeys(_idempotency(scenario).replay.headers, Header(HEADER)))
    return told


def _says(model: LimitModel) -> tuple[ErrorModel | None, ReplyModel | None]:
    """What a limit answers; where it says nothing, the first of its dialects that does."""
    if model.error is not None or model.reply is not None:
        return model.error, model.reply
    dialects = [DIALECTS.get(name, {}) for name in model.announce if isinstance(name, str)]
    for dialect in dialects:
        if "reply" in dialect:
            return None, ReplyModel.model_validate(dialect["reply"])
    errors = [dialect["error"] for dialect in dialects if "error" in dialect]
    return (ErrorModel.model_validate(errors[0]) if errors else None), None


def _waits(model: LimitModel) -> Headers:
    """The fields that tell a wait. None of them is sure: nobody knows when a slot is free."""
    if model.retry_after is None:
        return {"Retry-After": Header(HEADER)}
    defaults = {"none": None, "ms": "retry-after-ms"}
    names = [way.header or defaults.get(way.form, "Retry-After") for way in model.retry_after if way.form != "none"]
    return {name: Header(HEADER) for name in names if name}


def _announced(models: Iterable[LimitModel]) -> Headers:
    """The fields of the limits' dialects, whose names may hold expressions; those are not told."""
    told: Headers = {}
    for model in models:
        for dialect in model.announce:
            given = DialectModel.model_validate(_fields(dialect)) if isinstance(dialect, str) else dialect
            names = [*given.headers, *given.joined]
            told.update({name: Header(HEADER) for name in names if "{{" not in name})
    return told


def _fields(name: str) -> dict[str, Any]:
    return {key: DIALECTS.get(name, {}).get(key, {}) for key in ("headers", "joined")}


def _idempotency(scenario: Scenario) -> IdempotencyModel:
    return scenario.idempotency or IdempotencyModel()


def _keys(scenario: Scenario, service: Service, method: str, variant: Variant) -> Iterator[Fault]:
    demand, model = service.idempotency.demand(method, variant.idempotency), _idempotency(scenario)
    if demand == "none":
        return
    if demand == "required":
        yield _said("idempotency_key_missing", None, scenario)
    busy = model.in_flight.error if isinstance(model.in_flight, AnswerModel) else None
    yield _said("idempotency_in_flight", busy, scenario)
    if model.fingerprint:
        yield _said("idempotency_mismatch", model.mismatch.error if model.mismatch else None, scenario)
    if model.replay.error is not None:
        yield _said("conflict", model.replay.error, scenario)


def parameters_before(scenario: Scenario, service: Service, method: str, pair: Pair) -> Iterator[Parameter]:
    """What the gates read of a request, beside the credentials that `securitySchemes` tell."""
    model, variant = pair
    demand = service.idempotency.demand(method, variant.idempotency)
    if demand != "none":
        yield from _key(_idempotency(scenario), demand == "required")
    for name in schemes_of(scenario, model):
        hmac = scenario.auth[name].hmac
        if hmac is not None:
            yield from _signed(hmac)


def _key(model: IdempotencyModel, required: bool) -> Iterator[Parameter]:
    where = reads(model.key)
    must = required and len(where.headers) + len(where.query) == 1 and not where.body
    schema: dict[str, Any] = {"type": "string", "maxLength": model.key_max, **({"minLength": 1} if must else {})}
    if model.syntax == "quoted":
        schema = {"type": "string", "pattern": f'^"[^"\\\\]{{1,{model.key_max}}}"$'}
    sentence = "The same key, the same answer"
    yield from (Parameter(name.replace("_", "-"), "header", schema, must, sentence) for name in where.headers)
    yield from (Parameter(name, "query", schema, must, sentence) for name in where.query)


def _signed(model: HmacModel) -> Iterator[Parameter]:
    """What a signature needs beside itself."""
    where = reads(model.key, model.timestamp, model.nonce)
    for name in where.headers:
        if name.replace("_", "-").lower() != model.header.lower():
            yield Parameter(name.replace("_", "-"), "header", TEXT, sentence="Goes with the signature")
    for name in where.query:
        yield Parameter(name, "query", TEXT, sentence="Goes with the signature")


def endpoint_said(endpoint: Endpoint) -> tuple[dict[str, Any], list[Answer]]:
    """A request that a scheme itself answers: its operation without responses, and these as answers."""
    told = dict(endpoint.described)
    answers = [_answer(status, each) for status, each in told.pop("responses").items()]
    return told, answers


def _answer(status: str, response: dict[str, Any]) -> Answer:
    contents: dict[str, Any] = response.get("content", {})
    media = next(iter(contents), None)
    content: dict[str, Any] = contents[media] if media is not None else {}
    headers = {
        name: Header(header["schema"], header.get("required", False))
        for name, header in response.get("headers", {}).items()
    }
    sentence = response["description"].rstrip(".")
    return Answer(int(status), sentence, media, content.get("schema"), headers)
