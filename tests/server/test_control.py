"""The control plane: health, journal, records, scenarios, and its one shape of error."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.errors import StoreError
from simulator.server.app import App
from tests.server.asking import AT, is_problem, lamp

EVERY = [
    "GET /_simulator",
    "POST /_simulator/reset",
    "GET /_simulator/clock",
    "POST /_simulator/clock",
    "POST /_simulator/clock/hold",
    "GET /_simulator/faults",
    "POST /_simulator/faults",
    "PATCH /_simulator/faults/{name}",
    "DELETE /_simulator/faults/{name}",
    "GET /_simulator/journal",
    "GET /_simulator/unmatched",
    "GET /_simulator/accounts",
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
    "GET /_simulator/openapi.json",
    "GET /_simulator/control/openapi.json",
]


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
