"""The control plane: health, journal, records, scenarios, and its one shape of error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from simulator.errors import StoreError
from simulator.server.app import App
from tests.live import LIGHT, draft, inside, started

AT = "/_simulator"
WRONG = HTTPStatus(422).phrase  # which changed with Python 3.13
EVERY = [
    "GET /_simulator",
    "POST /_simulator/reset",
    "GET /_simulator/clock",
    "POST /_simulator/clock",
    "POST /_simulator/clock/hold",
    "GET /_simulator/journal",
    "GET /_simulator/unmatched",
    "GET /_simulator/records/{resource}",
    "GET /_simulator/records/{resource}/{id}",
    "PUT /_simulator/records/{resource}/{id}",
    "DELETE /_simulator/records/{resource}/{id}",
    "POST /_simulator/records/{resource}/{id}/move",
    "GET /_simulator/scenario",
    "PUT /_simulator/scenarios/{name}",
    "GET /_simulator/sandboxes",
    "POST /_simulator/sandboxes",
    "DELETE /_simulator/sandboxes/{id}",
]


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client


def is_problem(reply: httpx.Response, status: int, title: str, *words: str) -> None:
    """Exactly RFC 9457, with these words in its detail."""
    told = reply.json()
    assert reply.status_code == status, told
    assert reply.headers["content-type"] == "application/problem+json"
    assert {name: told[name] for name in ("type", "title", "status")} == {
        "type": "about:blank",
        "title": title,
        "status": status,
    }
    assert [word for word in words if word not in told["detail"]] == []


async def lamp(client: httpx.AsyncClient, **body: Any) -> str:
    id_: str = (await client.post("/lamps", json=body)).json()["id"]
    return id_


async def test_the_index_lists_every_endpoint(client: httpx.AsyncClient) -> None:
    assert (await client.get(AT)).json() == {"operations": EVERY}


async def test_health_says_what_is_played(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"{AT}/health")
    assert reply.json() == {
        "status": "up",
        "scenarios": ["light"],
        "sandbox": "default",
        "now": "2026-01-01T00:00:00.000Z",
    }
    assert (await client.head(f"{AT}/health")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nope", 404, "Not Found"),
        ("GET", "/clock/", 404, "Not Found"),
        ("GET", "/records", 404, "Not Found"),
        ("DELETE", "/clock", 405, "Method Not Allowed"),
        ("POST", "/health", 405, "Method Not Allowed"),
    ],
)
async def test_what_there_is_not_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, title: str
) -> None:
    reply = await client.request(method, AT + path)
    is_problem(reply, status, title, f"{method} {AT}{path}", "GET /_simulator lists what there is")
    assert set(reply.json()) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/clock", "GET, HEAD, POST"),
        ("/health", "GET, HEAD"),
        ("/records/lamp/x", "DELETE, GET, HEAD, PUT"),
    ],
)
async def test_a_405_allows_all_that_the_path_knows(client: httpx.AsyncClient, path: str, allow: str) -> None:
    assert (await client.patch(AT + path)).headers["allow"] == allow


async def test_a_failure_of_ours_is_a_problem_without_a_traceback(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.sandboxes.default, "drafts", None)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        is_problem(await client.get(f"{AT}/scenario"), 500, "Internal Server Error", "its log says where")


async def test_a_reset_forgets_all_and_starts_the_clock_again(client: httpx.AsyncClient) -> None:
    await lamp(client)
    await client.get("/nowhere")
    await client.post(f"{AT}/clock", json={"advance": "1h"})
    assert (await client.post(f"{AT}/reset")).status_code == 204
    assert (await client.get(f"{AT}/records/lamp")).json() == {"records": [], "next": None}
    assert (await client.get(f"{AT}/unmatched")).json() == {"unmatched": []}
    assert (await client.get(f"{AT}/clock")).json()["now"] == "2026-01-01T00:00:00.000Z"
    (event,) = (await client.get(f"{AT}/journal")).json()["events"]
    assert (event["number"], event["kind"], event["what"]) == (1, "control", "reset")
    assert await lamp(client) == "lamp_1"


async def test_the_journal_is_read_piece_by_piece(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await lamp(client)
    whole = (await client.get(f"{AT}/journal")).json()
    assert [each["number"] for each in whole["events"]] == list(range(1, len(whole["events"]) + 1))
    pieces, after = [], 0
    while events := (piece := (await client.get(f"{AT}/journal?after={after}&most=2")).json())["events"]:
        assert len(events) <= 2
        pieces += events
        after = piece["next"]
    assert pieces == whole["events"]
    assert piece["next"] == whole["next"] == len(pieces)


async def test_the_journal_can_be_asked_for_kinds(client: httpx.AsyncClient) -> None:
    await lamp(client)
    for query, kinds in {
        "kind=exchange": ["exchange"],
        "kind=exchange,boot": ["boot", "exchange"],
        "kind=boot&kind=exchange": ["boot", "exchange"],
        "kind=emission": [],
    }.items():
        told = (await client.get(f"{AT}/journal?{query}")).json()["events"]
        assert [each["kind"] for each in told] == kinds
    assert {"boot", "wire_us", "at_ms"} <= set(told[0] if told else {"boot", "wire_us", "at_ms"})


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kind=exchnge", ["exchnge", "exchange"]),
        ("after=-1", ["after is a whole number", "-1"]),
        ("after=x", ["after is a whole number"]),
        ("most=1e3", ["most is a whole number"]),
        ("most=%D9%A1", ["most is a whole number"]),
        ("after=" + "9" * 30, ["after is a whole number"]),
    ],
)
async def test_a_journal_there_is_not_is_a_problem(client: httpx.AsyncClient, query: str, words: list[str]) -> None:
    is_problem(await client.get(f"{AT}/journal?{query}"), 400, "Bad Request", *words)


async def test_unmatched_keeps_the_last_hundred(client: httpx.AsyncClient) -> None:
    for number in range(101):
        await client.get(f"/lamp?{number}")
    told = (await client.get(f"{AT}/unmatched")).json()["unmatched"]
    assert [each["target"] for each in told] == [f"/lamp?{number}" for number in range(1, 101)]
    assert told[0] == {
        "at_ms": 1_767_225_600_000,
        "method": "GET",
        "target": "/lamp?1",
        "status": 404,
        "nearest": told[0]["nearest"],
        "at": "2026-01-01T00:00:00.000Z",
    }
    assert told[0]["nearest"][0] == "GET /lamps ('lamps', not 'lamp')"


async def test_records_are_put_read_and_deleted(client: httpx.AsyncClient) -> None:
    put = await client.put(f"{AT}/records/lamp/mine", json={"state": "WARM", "record": {"name": "n"}})
    assert put.json() == {
        "id": "mine",
        "state": "WARM",
        "record": {"name": "n"},
        "ordinal": 1,
        "version": 1,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "next_at": "2026-01-01T00:01:00.000Z",
    }
    assert (await client.get("/lamps/mine")).json() == {"id": "mine", "status": "WARM", "name": "n"}
    assert (await client.get(f"{AT}/records/light.lamp/mine")).json() == put.json()
    again = (await client.put(f"{AT}/records/lamp/mine", json={"record": {"name": "m"}})).json()
    assert (again["state"], again["record"], again["version"]) == ("WARM", {"name": "m"}, 2)
    assert (await client.delete(f"{AT}/records/lamp/mine")).status_code == 204
    is_problem(await client.get(f"{AT}/records/lamp/mine"), 404, "Not Found", "no light.lamp 'mine'")
    is_problem(await client.delete(f"{AT}/records/lamp/mine"), 404, "Not Found", "no lamp 'mine'")


async def test_records_are_listed_piece_by_piece_and_by_state(client: httpx.AsyncClient) -> None:
    ids = [await lamp(client) for _ in range(5)]
    await client.post(f"/lamps/{ids[3]}/break")
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        piece = (await client.get(f"{AT}/records/lamp?most=2&after={after}")).json()
        seen += [each["id"] for each in piece["records"]]
        after = piece["next"]
    assert seen == ids
    broken = (await client.get(f"{AT}/records/lamp?state=BROKEN")).json()
    assert [each["id"] for each in broken["records"]] == [ids[3]]
    assert (await client.get(f"{AT}/records/lamp?most=0")).json() == {"records": [], "next": 0}


async def test_a_record_that_is_looked_at_has_done_all_it_had_to(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    await client.post(f"{AT}/clock", json={"advance": "2m"})
    told = (await client.get(f"{AT}/records/lamp/{id_}")).json()
    assert (told["state"], told["updated_at"], told["next_at"]) == ("HOT", "2026-01-01T00:01:10.000Z", None)


async def test_a_record_is_forced_into_a_state_or_sent_a_signal(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    at = f"{AT}/records/lamp/{id_}"
    assert (await client.post(f"{at}/move", json={"to": "HOT"})).json()["state"] == "HOT"
    assert (await client.post(f"{at}/move", json={"to": "COLD"})).json()["next_at"] == "2026-01-01T00:00:10.000Z"
    assert (await client.post(f"{at}/move", json={"signal": "break"})).json()["state"] == "BROKEN"
    moves = (await client.get(f"{AT}/journal?kind=transition")).json()["events"]
    assert [each["cause"] for each in moves] == ["created", "forced", "forced", "signal:break"]
    is_problem(await client.post(f"{at}/move", json={"signal": "break"}), 409, "Conflict", "BROKEN", "'break'")
    is_problem(await client.post(f"{at}/move", json={"to": "LUKE"}), 400, "Bad Request", "COLD, WARM, HOT, BROKEN")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title", "words"),
    [
        ("GET", "/records/lmp", None, 404, "Not Found", ["no resource 'lmp'", "light.lamp"]),
        ("PUT", "/records/lamp/a", {"state": "LUKE"}, 400, "Bad Request", ["LUKE", "COLD, WARM, HOT, BROKEN"]),
        ("PUT", "/records/lamp/a", {"records": {}}, 422, WRONG, ["records"]),
        ("PUT", "/records/lamp/a", [], 422, WRONG, ["expected a mapping", "a list"]),
        ("POST", "/records/lamp/a/move", {"to": "HOT"}, 404, "Not Found", ["no lamp 'a'"]),
        ("POST", "/records/lamp/a/move", {}, 422, WRONG, ["where to, or which signal"]),
    ],
)
async def test_a_wrong_call_about_records_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, title: str, words: list[str]
) -> None:
    is_problem(await client.request(method, AT + path, json=body), status, title, *words)


async def test_a_body_that_is_no_json_is_a_problem(client: httpx.AsyncClient) -> None:
    reply = await client.post(f"{AT}/clock", content=b'{"advance": }')
    is_problem(reply, 400, "Bad Request", "not JSON", "line 1, column 13")


async def test_two_services_may_have_resources_of_one_name() -> None:
    other = LIGHT.replace("scenario: light", "scenario: dark")
    async with started(draft(LIGHT), draft(other)) as app, inside(app) as client:
        is_problem(await client.get(f"{AT}/records/lamp"), 400, "Bad Request", "light.lamp, dark.lamp")
        assert (await client.get(f"{AT}/records/dark.lamp")).json()["records"] == []


async def test_the_scenario_is_told_as_it_is_played(client: httpx.AsyncClient) -> None:
    (told,) = (await client.get(f"{AT}/scenario")).json()["scenarios"]
    assert (told["name"], told["seed"], told["prefix"]) == ("light", 1, "")
    assert told["operations"][0] == "POST /lamps"
    assert told["document"] == draft(LIGHT).data


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_a_scenario_is_put_in_place_of_its_name_and_records_stay(client: httpx.AsyncClient, form: str) -> None:
    id_ = await lamp(client)
    text = LIGHT.replace("POST /echo", "POST /mirror")
    reply = await client.put(
        f"{AT}/scenarios/light", content=text if form == "yaml" else json.dumps(draft(text).data), headers={}
    )
    assert (reply.status_code, reply.json()["warnings"]) == (200, [])
    assert "POST /mirror" in reply.json()["operations"]
    assert (await client.post("/mirror", json=1)).json() == {"echo": 1}
    assert (await client.post("/echo", json=1)).status_code == 404
    assert (await client.get(f"/lamps/{id_}")).status_code == 200


async def test_one_more_scenario_may_stand_beside(client: httpx.AsyncClient) -> None:
    text = "scenario: extra\nseed: 1\nmount: /extra\noperations:\n  GET /x: {reply: {body: 1}}\n"
    assert (await client.put(f"{AT}/scenarios/extra", content=text)).status_code == 200
    assert (await client.get("/extra/x")).json() == 1
    assert (await client.get(f"{AT}/health")).json()["scenarios"] == ["light", "extra"]


async def test_a_broken_scenario_changes_nothing_and_names_its_lines(client: httpx.AsyncClient) -> None:
    text = "scenario: light\noperations:\n  GET /a: {reed: lamp}\n  GET /b: {reply: {body: '{{ nme }}'}}\n"
    reply = await client.put(f"{AT}/scenarios/light", content=text)
    is_problem(reply, 422, WRONG, "light:3:", "reed")
    assert {(each["file"], each["line"]) for each in reply.json()["errors"]} == {("light", 3)}
    assert all(each["column"] > 0 and each["detail"] for each in reply.json()["errors"])
    assert (await client.get("/lamps")).status_code == 200


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"a: [", b"\0", b"&a [*a]", b"!!python/object:os.x {}"])
async def test_what_is_no_scenario_is_a_problem(client: httpx.AsyncClient, content: bytes) -> None:
    reply = await client.put(f"{AT}/scenarios/light", content=content)
    is_problem(reply, 422, WRONG, "the scenario has")


async def test_a_scenario_goes_to_its_own_name(client: httpx.AsyncClient) -> None:
    reply = await client.put(f"{AT}/scenarios/dark", content=LIGHT)
    is_problem(reply, 400, "Bad Request", "the scenario 'light'; put it to scenarios/light")


async def test_a_state_with_records_cannot_go(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    text = LIGHT.replace(
        "COLD: [{to: WARM, after: 10s}, {to: BROKEN, signal: break}]", "FRESH: [{to: BROKEN, signal: break}]"
    )
    reply = await client.put(f"{AT}/scenarios/light", content=text)
    is_problem(reply, 409, "Conflict", "light.lamp are in state 'COLD'")
    assert (await client.get(f"/lamps/{id_}")).json()["status"] == "COLD"
    await client.post(f"{AT}/records/lamp/{id_}/move", json={"to": "HOT"})
    assert (await client.put(f"{AT}/scenarios/light", content=text)).status_code == 200


async def test_a_store_that_fails_is_a_503_on_both_planes(
    client: httpx.AsyncClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(app.sandboxes.default.space, "commit", full)
    is_problem(await client.put(f"{AT}/records/lamp/a", json={}), 503, "Service Unavailable", "the disk is full")
    for reply in (await client.post("/lamps", json={}), await client.get("/lamps")):
        is_problem(reply, 503, "Service Unavailable", "the disk is full")
    is_problem(await client.get("/nowhere"), 404, "Not Found", "no operation of this service")
