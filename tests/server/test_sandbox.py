"""What a sandbox plays, and what happens to its records when that changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from simulator.core.records import Record
from simulator.errors import OperatorError, StoreError
from simulator.server import timekeeper
from simulator.server.app import App
from simulator.stores.memory import MemoryStore
from simulator.stores.sqlite import SqliteStore
from tests.live import LIGHT, documents, draft, inside, started

EXTRA = "scenario: extra\nseed: 1\noperations:\n  GET /x: {reply: {body: 1}}\n"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client


async def test_a_service_stays_where_it_is_when_another_is_put_beside_it(client: httpx.AsyncClient) -> None:
    told = (await client.put("/_simulator/scenarios/extra", content=EXTRA)).json()
    assert (told["prefix"], "document" in told) == ("/extra", False)
    assert (await client.get("/lamps")).status_code == 200
    again = (await client.put("/_simulator/scenarios/light", content=LIGHT)).json()
    assert again["prefix"] == ""
    assert [(await client.get(path)).status_code for path in ("/lamps", "/extra/x")] == [200, 200]


async def test_two_answers_to_one_request_are_refused_and_change_nothing(client: httpx.AsyncClient) -> None:
    text = "scenario: other\nmount: /\noperations:\n  GET /lamps: {reply: {body: 1}}\n"
    reply = await client.put("/_simulator/scenarios/other", content=text)
    assert reply.status_code == 400
    assert "both answer GET /lamps; give one of them a mount" in reply.json()["detail"]
    assert (await client.get("/_simulator/health")).json()["scenarios"] == ["light"]


async def test_a_start_with_states_that_are_gone_is_refused_while_records_sit_in_them(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.db")
    async with started(store=SqliteStore(path), clock="manual") as app, inside(app) as client:
        await client.post("/lamps", json={"name": "n"})
    changed = draft(LIGHT.replace("COLD", "ICY"))
    with pytest.raises(OperatorError, match=r"light\.lamp are in state 'COLD', which the scenario has not"):
        async with started(changed, store=SqliteStore(path), clock="manual"):
            pass
    async with started(store=SqliteStore(path), clock="manual") as app, inside(app) as client:
        await client.delete("/_simulator/records/lamp/lamp_1")
    async with started(changed, store=SqliteStore(path), clock="manual") as app, inside(app) as client:
        assert (await client.post("/lamps", json={"name": "n"})).json()["status"] == "ICY"


async def test_a_list_in_memory_shows_what_is_overdue_as_it_is() -> None:
    async with started(store=MemoryStore(), clock="manual") as app, inside(app) as client:
        await client.post("/lamps", json={"name": "n"})
        sandbox = app.sandboxes.default
        sandbox.clock = sandbox.clock.at(sandbox.now_ms() + 10_000, 0)  # time has passed, and nobody has looked yet
        assert [lamp["status"] for lamp in (await client.get("/lamps")).json()] == ["WARM"]


async def test_a_timed_move_that_fails_is_journaled_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    broken = draft(LIGHT.replace("{to: WARM, after: 10s}", "{to: WARM, after: 10s, set: {x: '{{ 1 / 0 }}'}}"))
    async with started(broken, clock="manual") as app, inside(app) as client:
        await client.post("/lamps", json={"name": "n"})
        await client.post("/_simulator/clock", json={"advance": "1h"})
        (told,) = (await client.get("/_simulator/journal?kind=failure")).json()["events"]
        assert (told["id"], told["from_state"], told["to_state"]) == ("lamp_1", "COLD", "WARM")
        assert "division by zero" in told["what"]
        assert (await client.get("/lamps/lamp_1")).json()["status"] == "COLD"
    assert "light.lamp lamp_1 stays COLD" in caplog.text


async def test_the_due_loop_pauses_while_the_store_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timekeeper, "RETRY_S", 3600)
    async with started(documents(), clock="manual") as app:
        pulse = app.sandboxes.default.pulse

        async def gone(now_ms: int, most: int) -> list[Record]:
            raise StoreError("the disk is gone")

        with monkeypatch.context() as patched:
            patched.setattr(app.sandboxes.default.space, "due", gone)
            await pulse._run()
            before = pulse.wakings
            await pulse._run()
        assert pulse.wakings == before
    assert caplog.text.count("what is due waits, the store cannot be used: the disk is gone") == 2


async def test_a_query_parameter_that_would_be_ignored_is_refused(client: httpx.AsyncClient) -> None:
    for path in ("journal?limit=5", "records/lamp?limit=5"):
        reply = await client.get(f"/_simulator/{path}")
        assert reply.status_code == 400
        assert "no query parameter 'limit'" in reply.json()["detail"]
