"""The OpenAPI 3.1 documents that the control plane gives: of the services played here, and of itself.

Rules: each request of the control plane stands in CALLS, and a test holds that; bodies are described by the models
that read them, and what those check beside their types is said in the schema, too; every error is a problem (RFC 9457).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from simulator.core.clock import RATE_MAX
from simulator.core.events import KINDS
from simulator.core.values import DURATION
from simulator.scenario.openapi import VERSION, Played, openapi
from simulator.server.control_bodies import HOLD_MS, ClockMove, Hold, Move, NewSandbox, RecordBody
from simulator.server.desk import Desk, Table, sandbox_of
from simulator.server.problems import PROBLEM_TYPE, answer

Schema = dict[str, Any]
JSON = "application/json"
BODIES = (ClockMove, Hold, Move, NewSandbox, RecordBody)
REF = "#/components/schemas/{model}"
NULL = {"type": "null"}
TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
INSTANT = {"type": "string", "format": "date-time"}
MODES = ["real", "scaled", "manual", "jump"]
STEADY = {"enum": ["real", "manual", "jump"]}  # modes without a rate
RATE = {"type": "number", "exclusiveMinimum": 0, "maximum": RATE_MAX}
# What is surely within ten years, and from 1970 on: the models take a little more than these patterns say.
WITHIN = r"^([0-9]{1,4}(\.[0-9]{1,3})?(ms|s|m|h)|([0-9]{1,3}|[12][0-9]{3}|3[0-5][0-9]{2})(\.[0-9]{1,3})?d|3650d)$"
SINCE = {**INSTANT, "pattern": "^(19[7-9]|2[0-9]{2})[0-9]-"}
WORDS = r"^(real|manual|jump|scaled:[1-9][0-9]{0,3}(\.[0-9]{1,3})?)(@2[0-9]{3}-0[1-9]-[12][0-9]T00:00:00Z)?$"
NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
SENTENCES = {
    400: "The request makes no sense: the sentence says what would",
    403: "Only the networks of --control-from, or whoever sends --control-token, may ask",
    404: "There is no such thing, or no such sandbox",
    409: "Not possible as things are",
    413: "The body is larger than --body-max-bytes",
    422: "The body is not what it should be; `errors` has the places in a scenario",
    429: "There are too many sandboxes",
    500: "The simulator failed; its log says where",
    503: "The store cannot be used",
}
ALWAYS = (403, 404, 500, 503)
READS = (400, 413, 422)  # of whatever reads a body
EXAMPLE = {"scenario": "greetings", "operations": {"GET /hello": {"reply": {"body": {"hello": "world"}}}}}


class Call(NamedTuple):
    """One request of the control plane."""

    method: str
    path: str
    id: str
    summary: str
    replies: Mapping[int, str | None]  # by status, the schema of the body
    errors: tuple[int, ...] = ()
    body: str | None = None
    query: Mapping[str, Schema] = {}
    body_required: bool = True
    links: tuple[str, ...] = ()  # the requests that the reply's id leads to


AFTER_MOST = {"after": NUMBER, "most": NUMBER}
OF_KINDS = {"kind": {"type": "array", "items": {"enum": [*KINDS]}}}
RECORD = "/records/{resource}/{id}"
CALLS = (
    Call("GET", "", "index", "What there is", {200: "Index"}),
    Call("GET", "/health", "health", "Whether it is up, and what it plays", {200: "Health"}),
    Call("POST", "/reset", "reset", "Forget records and journal, start the clock again", {204: None}),
    Call("GET", "/clock", "show_clock", "What time it is, and what is next", {200: "Clock"}),
    Call(
        "POST", "/clock", "move_clock", "Move the clock, or change its pace", {200: "Clock"}, (409, *READS), "ClockMove"
    ),
    Call("POST", "/clock/hold", "hold", "Keep a jumping clock from leaping", {200: "Lease", 204: None}, READS, "Hold"),
    Call("GET", "/journal", "journal", "The facts", {200: "Journal"}, (400,), query={**AFTER_MOST, **OF_KINDS}),
    Call("GET", "/faults", "list_faults", "Every fault, and how often it has struck", {200: "FaultList"}),
    Call(
        "POST",
        "/faults",
        "add_fault",
        "One more fault",
        {201: "FaultTold"},
        (409, *READS),
        "FaultDocument",
        query={"scenario": TEXT},
    ),
    Call("PATCH", "/faults/{name}", "change_fault", "Change or switch it", {200: "FaultTold"}, READS, "FaultPatch"),
    Call("DELETE", "/faults/{name}", "delete_fault", "Take a fault away", {204: None}),
    Call("GET", "/unmatched", "unmatched", "Requests that met no operation", {200: "UnmatchedList"}),
    Call("GET", "/accounts", "accounts", "What each client's requests cost", {200: "Accounts"}),
    Call(
        "GET",
        "/records/{resource}",
        "list_records",
        "Records in the order of their creation",
        {200: "RecordList"},
        (400,),
        query={**AFTER_MOST, "state": TEXT},
    ),
    Call("GET", RECORD, "show_record", "One record", {200: "Record"}, (400,)),
    Call(
        "PUT",
        RECORD,
        "put_record",
        "Seed a record, or change it",
        {200: "Record"},
        (409, *READS),
        "RecordBody",
        links=("show_record", "delete_record", "move_record"),
    ),
    Call("DELETE", RECORD, "delete_record", "Remove a record", {204: None}, (400, 409, 422)),
    Call("POST", RECORD + "/move", "move_record", "Force a transition", {200: "Record"}, (409, *READS), "Move"),
    Call("GET", "/scenario", "show_scenario", "What is played", {200: "Scenarios"}),
    Call(
        "PUT", "/scenarios/{name}", "play_scenario", "Play another document", {200: "Loaded"}, (409, *READS), "Document"
    ),
    Call("GET", "/sandboxes", "list_sandboxes", "Every sandbox", {200: "SandboxList"}),
    Call(
        "POST",
        "/sandboxes",
        "create_sandbox",
        "An isolated copy of the service",
        {201: "Sandbox"},
        (429, *READS),
        "NewSandbox",
        body_required=False,
        links=("delete_sandbox",),
    ),
    Call("DELETE", "/sandboxes/{id}", "delete_sandbox", "Delete a sandbox and all it holds", {204: None}, (409,)),
    Call("GET", "/openapi.json", "describe_service", "The simulated service", {200: "Description"}),
    Call("GET", "/control/openapi.json", "describe_control", "The control plane", {200: "Description"}),
)


def control_openapi(base_url: str) -> dict[str, Any]:
    """The document of the control plane of the sandbox at `base_url`."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(f"/_simulator{call.path}", {})[call.method.lower()] = _operation(call)
    return {
        "openapi": VERSION,
        "info": {"title": "simulator", "summary": "The control plane of a simulated service", "version": "1"},
        "servers": [{"url": base_url}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {f"problem_{status}": _problem(status) for status in SENTENCES},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "--control-token"}},
        },
    }


class OpenAPIDesk(Desk):
    """The documents."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "openapi.json", self.service),
            ("GET", "control/openapi.json", self.control),
        ]

    async def service(self, request: Request) -> Response:
        """The services that the sandbox plays."""
        sandbox = sandbox_of(request)
        played = [Played(sandbox.drafts[name].scenario, service) for name, service in sandbox.engine.services.items()]
        # A service with hundreds of operations takes a while, and nothing blocks the loop.
        return answer(await asyncio.to_thread(openapi, played, self.origin(request, sandbox)))

    async def control(self, request: Request) -> Response:
        """The control plane itself."""
        return answer(control_openapi(self.origin(request, sandbox_of(request))))


def _operation(call: Call) -> dict[str, Any]:
    told = [_parameter(name, "path", TEXT | {"minLength": 1}) for name in ("resource", "id", "name") if _in(name, call)]
    told += [_parameter(name, "query", schema) for name, schema in call.query.items()]
    said = {str(status): _reply(status, schema, call) for status, schema in call.replies.items()}
    for status in sorted({*call.errors, *ALWAYS}):
        said[str(status)] = {"$ref": f"#/components/responses/problem_{status}"}
    return {
        "operationId": call.id,
        "summary": call.summary,
        **({"parameters": told} if told else {}),
        **({"requestBody": _body(call.body, call.body_required)} if call.body else {}),
        "responses": said,
    }


def _in(name: str, call: Call) -> bool:
    return f"{{{name}}}" in call.path


def _parameter(name: str, where: str, schema: Schema) -> dict[str, Any]:
    told = {"name": name, "in": where, **({"required": True} if where == "path" else {}), "schema": schema}
    return told | ({"example": EXAMPLE["scenario"]} if name == "name" else {})


def _body(schema: str, required: bool) -> dict[str, Any]:
    ref = {"$ref": REF.format(model=schema)}
    content: dict[str, Any] = {JSON: {"schema": ref}}
    if schema == "Document":
        content = {JSON: {"schema": ref, "example": EXAMPLE}, "application/yaml": {"schema": TEXT}}
    return {"required": required, "content": content}


def _reply(status: int, schema: str | None, call: Call) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        told["content"] = {JSON: {"schema": {"$ref": REF.format(model=schema)}}}
    if call.links:
        given = {"resource": "$request.path.resource"} if _in("resource", call) else {}
        values = {f"path.{name}": value for name, value in {**given, "id": "$response.body#/id"}.items()}
        told["links"] = {name: {"operationId": name, "parameters": values} for name in call.links}
    return told


def _problem(status: int) -> dict[str, Any]:
    ref = {"$ref": REF.format(model="Problem")}
    return {"description": SENTENCES[status], "content": {PROBLEM_TYPE: {"schema": ref}}}


def _object(**properties: Schema) -> Schema:
    """An object that always has all of these members."""
    return {"type": "object", "required": [*properties], "properties": properties}


def _many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": REF.format(model=name)}


PLAYED = {"name": TEXT, "summary": TEXT, "digest": TEXT, "seed": WHOLE, "prefix": TEXT, "operations": _many(TEXT)}
SHOWN: dict[str, Schema] = {
    "Index": _object(operations=_many(TEXT)),
    "Health": _object(status={"const": "up"}, scenarios=_many(TEXT), sandbox=TEXT, now=INSTANT),
    "Clock": _object(
        mode={"enum": MODES},
        rate={"type": "number"},
        now=INSTANT,
        now_ms=WHOLE,
        next_due={"anyOf": [INSTANT, NULL]},
        holds=_many(TEXT),
        wakings=WHOLE,
    ),
    "Lease": _object(lease=TEXT),
    "Event": _object(number=WHOLE, kind={"enum": [*KINDS]}, at=INSTANT, at_ms=WHOLE, wire_us=WHOLE, boot=TEXT),
    "Journal": _object(events=_many(_ref("Event")), next=WHOLE),
    "Unmatched": _object(
        at_ms=WHOLE, at=INSTANT, method=TEXT, target=TEXT, status={"enum": [404, 405]}, nearest=_many(TEXT)
    ),
    "UnmatchedList": _object(unmatched=_many(_ref("Unmatched"))),
    "Account": _object(scenario=TEXT, client=TEXT, operation=TEXT, requests=WHOLE, cost={"type": "number"}),
    "Accounts": _object(accounts=_many(_ref("Account")), cost={"type": "number"}),
    "FaultTold": _object(name=TEXT, scenario=TEXT, fired=WHOLE),
    "FaultList": _object(faults=_many(_ref("FaultTold"))),
    "FaultDocument": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": TEXT},
        "description": "A fault, as in `faults` of a scenario",
    },
    "FaultPatch": {"type": "object", "description": "A merge patch (RFC 7396) over a fault"},
    "Record": _object(
        id=TEXT,
        state=TEXT,
        record={"type": "object"},
        ordinal=WHOLE,
        version=WHOLE,
        created_at=INSTANT,
        updated_at=INSTANT,
        next_at={"anyOf": [INSTANT, NULL]},
    ),
    "RecordList": _object(records=_many(_ref("Record")), next={"type": ["integer", "null"]}),
    "Played": _object(**PLAYED, document={"type": "object"}),
    "Loaded": _object(**PLAYED, warnings=_many(TEXT)),
    "Scenarios": _object(scenarios=_many(_ref("Played"))),
    "Sandbox": _object(
        id=TEXT,
        base_url=TEXT,
        control_url=TEXT,
        seed={"type": ["integer", "object"], "additionalProperties": WHOLE},
        clock={"enum": MODES},
        now=INSTANT,
    ),
    "SandboxList": _object(sandboxes=_many(_ref("Sandbox"))),
    "Description": _object(openapi=TEXT, info={"type": "object"}, paths={"type": "object"}),
    "Problem": {
        **_object(type=TEXT, title=TEXT, status=WHOLE, detail=TEXT),
        "description": "RFC 9457; `errors` has the places of what is wrong in a scenario",
    },
    "Document": {
        "type": "object",
        "required": ["scenario"],
        "properties": {"scenario": TEXT},
        "description": "A scenario, as of the schema that `simulator schema` prints",
    },
}


@functools.cache
def _schemas() -> dict[str, Schema]:
    """Every schema; those of bodies as the models have them, with what the models check beside their types."""
    _, made = models_json_schema([(model, "validation") for model in BODIES], ref_template=REF)
    bodies: dict[str, Schema] = _bounded(made["$defs"])
    bodies["Hold"]["properties"]["for"]["default"] = f"{HOLD_MS}ms"
    move, clock = bodies["ClockMove"]["properties"], bodies["ClockSettings"]["properties"]
    bodies["ClockMove"] = _one_of(
        bodies["ClockMove"],
        _way(move, {"advance": _some(move["advance"])}),
        _way(move, {"advance_to": {"anyOf": [{"const": "next"}, SINCE]}}),
        _way(move, {"mode": STEADY}),
        _way(move, {"mode": {"const": "scaled"}, "rate": RATE}),
    )
    bodies["ClockSettings"] = _one_of(
        bodies["ClockSettings"],
        _way(clock, {}, {"mode": STEADY, "epoch": {"anyOf": [SINCE, NULL]}}),
        _way(clock, {"mode": {"const": "scaled"}, "rate": RATE}, {"epoch": {"anyOf": [SINCE, NULL]}}),
    )
    one = bodies["Move"]["properties"]
    bodies["Move"] = _one_of(
        bodies["Move"], _way(one, {"to": _some(one["to"])}), _way(one, {"signal": _some(one["signal"])})
    )
    sandbox = bodies["NewSandbox"]["properties"]
    sandbox["clock"] = {"anyOf": [_ref("ClockSettings"), {"type": "string", "pattern": WORDS}, NULL]}
    documents = {"type": "array", "items": {"anyOf": [TEXT, _ref("Document")]}, "minItems": 1, "uniqueItems": True}
    sandbox["scenarios"] = {"anyOf": [documents, NULL], "description": sandbox["scenarios"].get("description", "")}
    return {**SHOWN, **bodies}


def _bounded(schema: Any) -> Any:
    """The same, with durations that are surely within the longest one there is."""
    if isinstance(schema, list):
        return [_bounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _bounded(part) for key, part in schema.items()}
    return made | {"pattern": WITHIN} if made.get("pattern") == f"^{DURATION.pattern}$" else made


def _one_of(schema: Schema, *ways: Schema) -> Schema:
    return {"title": schema["title"], "description": schema["description"], "anyOf": [*ways]}


def _way(properties: Mapping[str, Schema], given: Schema, more: Schema | None = None) -> Schema:
    """One way to fill a body: what is given is required, what may be given more is not, the rest is absent or null."""
    filled = {name: given.get(name, (more or {}).get(name, NULL)) for name in properties}
    return {"type": "object", "additionalProperties": False, "required": [*given], "properties": filled}


def _some(schema: Schema) -> Schema:
    """An optional property, where it is given."""
    return {"anyOf": [part for part in schema["anyOf"] if part != NULL]}
