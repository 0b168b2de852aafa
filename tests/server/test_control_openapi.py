"""The control plane's document: legal, complete, and true of what the control plane takes and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError

from simulator.core.events import KINDS
from simulator.scenario.parse import parse_data
from simulator.server.app import App
from simulator.server.control_bodies import ClockMove, Hold, Move, NewSandbox, RecordBody
from simulator.server.control_openapi import CALLS, EXAMPLE, control_openapi
from tests.live import LIGHT, draft, inside, started
from tests.scenario.described import Json, resolved, valid

AT = "/_simulator"
BASE = "http://api.test"
DOCUMENT = control_openapi(BASE)
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model for model in (ClockMove, Hold, Move, NewSandbox, RecordBody)
}


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client


def operation(method: str, path: str) -> Json:
    found: Json = DOCUMENT["paths"][AT + path][method.lower()]
    return found


async def ask(client: httpx.AsyncClient, method: str, path: str, sent: Any = None, at: str = "", **more: Any) -> Any:
    """A request whose reply must be one that the document describes; `path` is the document's, `at` the real one."""
    reply = await client.request(method, AT + (at or path), **({"json": sent} if sent is not None else {}), **more)
    responses = operation(method, path.partition("?")[0])["responses"]
    assert str(reply.status_code) in responses, reply.text
    content = resolved(DOCUMENT, responses[str(reply.status_code)]).get("content")
    if content is None:
        assert reply.content == b""
        return None
    ((media, told),) = content.items()
    assert reply.headers["content-type"] == media
    assert valid(DOCUMENT, told["schema"], reply.json()), (told, reply.json())
    schema = resolved(DOCUMENT, told["schema"])
    if schema.get("required") and media == "application/json" and "additionalProperties" not in schema:
        assert set(reply.json()) == set(schema["properties"]), "every member is described"
    return reply.json()


def test_the_document_is_legal_and_says_where_it_counts_from() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["servers"] == [{"url": BASE}]
    ids = [call.id for call in CALLS]
    assert len(ids) == len(set(ids))


async def test_every_request_of_the_index_is_described(client: httpx.AsyncClient) -> None:
    index = set((await client.get(AT)).json()["operations"])
    told = {f"{call.method} {AT}{call.path}" for call in CALLS}
    assert index - told == set(), "describe it in CALLS of simulator/server/control_openapi.py"
    assert told - index == {f"GET {AT}/health"}


async def test_whatever_shows_something_answers_as_described(client: httpx.AsyncClient) -> None:
    id_ = (await client.post("/lamps", json={"name": "n"})).json()["id"]
    await client.get("/nowhere")
    await client.post(f"/lamps/{id_}/break")
    for path in ("", "/health", "/clock", "/unmatched", "/accounts", "/scenario", "/sandboxes"):
        await ask(client, "GET", path)
    journal = await ask(client, "GET", "/journal", at="/journal?after=0&most=100&kind=exchange&kind=transition")
    event = DOCUMENT["components"]["schemas"]["Event"]
    assert journal["events"]
    assert all(valid(DOCUMENT, event, each) for each in journal["events"])
    assert (await ask(client, "GET", "/records/{resource}", at="/records/lamp?state=BROKEN"))["records"]
    assert (await ask(client, "GET", "/records/{resource}/{id}", at=f"/records/lamp/{id_}"))["state"] == "BROKEN"


async def test_whatever_changes_something_answers_as_described(client: httpx.AsyncClient) -> None:
    for move in ({"advance": "1s"}, {"advance_to": "next"}, {"mode": "scaled", "rate": 60}, {"mode": "jump"}):
        await ask(client, "POST", "/clock", move)
    lease = (await ask(client, "POST", "/clock/hold", {"for": "1s"}))["lease"]
    assert (await ask(client, "GET", "/clock"))["holds"] == [lease]
    await ask(client, "POST", "/clock/hold", {"release": lease})
    record = "/records/{resource}/{id}"
    await ask(client, "PUT", record, {"state": "WARM", "record": {"name": "n"}}, at="/records/lamp/mine")
    await ask(client, "POST", f"{record}/move", {"signal": "none"}, at="/records/lamp/mine/move")
    await ask(client, "POST", f"{record}/move", {"to": "HOT"}, at="/records/lamp/mine/move")
    await ask(client, "DELETE", record, at="/records/lamp/mine")
    await ask(client, "PUT", "/scenarios/{name}", EXAMPLE, at=f"/scenarios/{EXAMPLE['scenario']}")
    several = await ask(client, "POST", "/sandboxes", {"clock": "manual", "scenarios": ["light", EXAMPLE]})
    assert isinstance(several["seed"], dict)
    one = (await ask(client, "POST", "/sandboxes"))["id"]
    await ask(client, "DELETE", "/sandboxes/{id}", at=f"/sandboxes/{one}")
    await ask(client, "POST", "/reset")


@pytest.mark.parametrize(
    ("method", "path", "at", "sent", "status"),
    [
        ("POST", "/clock", "", {}, 422),
        ("POST", "/clock", "", {"advance_to": "1999-01-01T00:00:00Z"}, 409),
        ("POST", "/clock", "", {"advance_to": "9999-12-31T23:59:59.999999Z"}, 200),
        ("POST", "/clock/hold", "", {"release": "none"}, 404),
        ("GET", "/journal", "/journal?kind=none", None, 400),
        ("GET", "/journal", "/journal?after=x", None, 400),
        ("GET", "/records/{resource}", "/records/none", None, 404),
        ("GET", "/records/{resource}", "/records/lamp?x=1", None, 400),
        ("GET", "/records/{resource}/{id}", "/records/lamp/none", None, 404),
        ("PUT", "/records/{resource}/{id}", "/records/lamp/a", {"state": "NONE"}, 400),
        ("PUT", "/records/{resource}/{id}", "/records/lamp/a", {"x": 1}, 422),
        ("DELETE", "/records/{resource}/{id}", "/records/lamp/none", None, 404),
        ("POST", "/records/{resource}/{id}/move", "/records/lamp/none/move", {"to": "HOT"}, 404),
        ("PUT", "/scenarios/{name}", "/scenarios/other", EXAMPLE, 400),
        ("PUT", "/scenarios/{name}", "/scenarios/light", {"scenario": "light", "x": 1}, 422),
        ("POST", "/sandboxes", "", {"scenarios": ["none"]}, 404),
        ("POST", "/sandboxes", "", {"scenarios": []}, 400),
        ("DELETE", "/sandboxes/{id}", "/sandboxes/none", None, 404),
        ("DELETE", "/sandboxes/{id}", "/sandboxes/default", None, 409),
    ],
)
async def test_what_is_wrong_is_answered_as_described(
    client: httpx.AsyncClient, method: str, path: str, at: str, sent: Any, status: int
) -> None:
    told = await ask(client, method, path, sent, at)
    assert status == 200 or (told["status"], told["title"]) == (status, HTTPStatus(status).phrase)


async def test_strangers_and_large_bodies_are_answered_as_described() -> None:
    async with started(body_max_bytes=10) as app, inside(app, "192.0.2.1") as stranger, inside(app) as client:
        for call in CALLS:
            if call.id != "health":
                assert (await ask(stranger, call.method, call.path))["status"] == 403
        await ask(client, "POST", "/clock", {"advance": "1000000ms"})
        assert "413" in operation("PUT", "/scenarios/{name}")["responses"]


EPOCH = "2030-01-01T00:00:00Z"
SEEDS: list[Any] = [0, 2**63 - 1, None, -1, 2**63, 1.5, "x", []]
CLOCKS: list[Any] = [
    *("manual", "scaled:60", f"jump@{EPOCH[:8]}11{EPOCH[10:]}", {}, None),
    *("", "soon", "scaled", {"mode": "scaled"}, {"rate": 2}, {"x": 1}, 1),
]
PLAYED: list[Any] = [None, ["light"], [EXAMPLE], "light", [1], {}]
BODIES: dict[str, list[Any]] = {
    "ClockMove": [
        *({"advance": length} for length in ("10m", 0, "3650d", "1.5h", "9999999999d", "1 s", None)),
        *({"advance_to": instant} for instant in ("next", EPOCH, "1969-01-01T00:00:00Z", "soon", 1)),
        *({"mode": mode} for mode in ("real", "jump", "scaled", "fast")),
        *({"mode": mode, "rate": 60} for mode in ("scaled", "manual")),
        {"advance_to": "next", "mode": None},
        {"mode": "jump", "rate": None},
        {"advance": "1s", "advance_to": "next"},
        *({}, {"rate": 2}, {"x": 1}, [], None),
    ],
    "Hold": [
        *({"for": length} for length in ("1m", 0, None, "1")),
        *({}, {"lease": "a"}, {"release": "a", "lease": None}, {"release": 1}, {"for_": "1s"}),
    ],
    "Move": [
        *({"to": "A"}, {"signal": "a"}, {"to": "A", "signal": None}),
        *({}, {"to": "A", "signal": "b"}, {"to": None, "signal": None}, {"to": "a b"}),
    ],
    "RecordBody": [
        *({}, {"state": None}, {"state": "A", "record": {"a": [1]}}),
        *({"record": None}, {"state": ""}, {"record": []}, {"states": "A"}),
    ],
    "NewSandbox": [
        *({"seed": seed} for seed in SEEDS),
        *({"clock": clock} for clock in CLOCKS),
        *({"clock": {"mode": "scaled", "rate": 2, "epoch": epoch}} for epoch in (None, EPOCH, 1)),
        *({"scenarios": each} for each in PLAYED),
        {},
    ],
}


@pytest.mark.parametrize(("name", "body"), [(name, body) for name, bodies in BODIES.items() for body in bodies])
def test_a_body_is_described_as_its_model_reads_it(name: str, body: Any) -> None:
    try:
        MODELS[name].model_validate(body)
        legal = True
    except ValidationError:
        legal = False
    assert valid(DOCUMENT, {"$ref": f"#/components/schemas/{name}"}, body) == legal


def test_the_defaults_are_those_of_the_models() -> None:
    hold = DOCUMENT["components"]["schemas"]["Hold"]["properties"]["for"]
    assert Hold.model_validate({"for": hold["default"]}) == Hold.model_validate({})


def test_the_journal_is_told_with_its_kinds() -> None:
    (kind,) = [each for each in operation("GET", "/journal")["parameters"] if each["name"] == "kind"]
    assert kind["schema"]["items"]["enum"] == list(KINDS)


def test_the_example_of_a_scenario_is_one() -> None:
    assert parse_data(EXAMPLE, "example").warnings == ()


async def test_a_sandbox_describes_what_it_plays_and_where() -> None:
    other = LIGHT.replace("scenario: light", "scenario: dark").replace("seed: 1", "seed: 1\n    base_path: /v2")
    async with started(draft(LIGHT), draft(other)) as app, inside(app) as client:
        told = (await client.get(f"{AT}/openapi.json")).json()
        OpenAPIV31SpecValidator(told).validate()
        assert (told["info"]["title"], told["servers"]) == ("light, dark", [{"url": BASE}])
        assert {"/light/lamps", "/dark/v2/lamps/{id}"} <= set(told["paths"])
        made = (await client.post(f"{AT}/sandboxes", json={"scenarios": ["dark"]})).json()
        for document in ("openapi.json", "control/openapi.json"):
            own = (await client.get(f"{made['control_url']}/{document}")).json()
            assert own["servers"] == [{"url": made["base_url"]}]


async def test_costs_are_told_as_described() -> None:
    text = "scenario: dear\nseed: 1\noperations:\n  GET /x: {cost: 0.5, reply: {body: 1}}\n"
    async with started(draft(text)) as app, inside(app) as client:
        await client.get("/x")
        (account,) = (await ask(client, "GET", "/accounts"))["accounts"]
    assert set(account) == set(DOCUMENT["components"]["schemas"]["Account"]["properties"])
