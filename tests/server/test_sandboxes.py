"""Sandboxes: copies that share a server and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.core.records import Changes, Entry, NotLoaded, Record, RecordKey
from simulator.errors import OperatorError, StoreError
from simulator.server import sandbox as one
from simulator.server import sandboxes
from simulator.server.app import App
from simulator.stores.memory import MemoryStore
from simulator.stores.sqlite import SqliteStore
from tests.live import LIGHT, documents, draft, inside, serving, started, until

BOXES = "/_simulator/sandboxes"
WRONG = HTTPStatus(422).phrase
OTHER = "scenario: other\noperations:\n  GET /who: {reply: {body: '{{ chance.hex(16) }}'}}\n"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client


async def box(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    made = await client.post(BOXES, json=body)
    assert made.status_code == 201, made.text
    told: dict[str, Any] = made.json()
    return told


async def test_a_sandbox_says_where_it_is(client: httpx.AsyncClient) -> None:
    made = await box(client, seed=5, clock="manual")
    assert made == {
        "id": made["id"],
        "base_url": f"http://api.test/_sandbox/{made['id']}",
        "control_url": f"http://api.test/_sandbox/{made['id']}/_simulator",
        "seed": 5,
        "clock": "manual",
        "now": "2026-01-01T00:00:00.000Z",
    }
    assert (await client.get(made["control_url"] + "/health")).json()["sandbox"] == made["id"]
    told = (await client.get(BOXES)).json()["sandboxes"]
    assert [each["id"] for each in told] == ["default", made["id"]]
    seen = (await client.get(made["control_url"] + "/sandboxes")).json()["sandboxes"]
    assert [each["base_url"] for each in seen] == [each["base_url"] for each in told]


async def test_links_and_locations_carry_the_prefix(client: httpx.AsyncClient) -> None:
    base = (await box(client))["base_url"]
    made = await client.post(f"{base}/lamps", json={})
    assert made.headers["location"] == f"{base}/lamps/lamp_1"
    assert (await client.get(made.headers["location"])).status_code == 200
    (told,) = (await client.get(f"{base}/_simulator/scenario")).json()["scenarios"]
    assert told["operations"][0] == f"POST {base.removeprefix('http://api.test')}/lamps"


async def test_the_public_url_stands_before_the_prefix() -> None:
    async with started(public_url="https://x.example/y") as app, inside(app) as client:
        made = await box(client)
        assert made["base_url"] == f"https://x.example/y/_sandbox/{made['id']}"


async def test_two_sandboxes_never_see_each_others_records_clock_or_journal(client: httpx.AsyncClient) -> None:
    boxes = [
        "http://api.test",
        (await box(client, clock="manual"))["base_url"],
        (await box(client, clock={"mode": "manual", "epoch": "2030-01-01T00:00:00Z"}))["base_url"],
    ]
    for number, base in enumerate(boxes):
        for _ in range(number + 1):
            await client.post(f"{base}/lamps", json={"name": base})
        await client.get(f"{base}/nowhere/{number}")
    await client.post(f"{boxes[1]}/_simulator/clock", json={"advance": "1h"})
    await client.post(f"{boxes[1]}/_simulator/clock/hold", json={})
    seen = []
    for number, base in enumerate(boxes):
        lamps = (await client.get(f"{base}/lamps")).json()
        assert {each["name"] for each in lamps} == {base}
        clock = (await client.get(f"{base}/_simulator/clock")).json()
        events = (await client.get(f"{base}/_simulator/journal")).json()["events"]
        assert [each["number"] for each in events] == list(range(1, len(events) + 1))
        asked = [each["target"] for each in events if each["kind"] == "exchange"]
        assert all(each.startswith(base.removeprefix("http://api.test") + "/") for each in asked)
        (unmatched,) = (await client.get(f"{base}/_simulator/unmatched")).json()["unmatched"]
        assert unmatched["target"].endswith(f"/nowhere/{number}")
        seen.append((len(lamps), {each["status"] for each in lamps}, clock["now"], len(clock["holds"])))
    assert seen == [
        (1, {"COLD"}, "2026-01-01T00:00:00.000Z", 0),
        (2, {"HOT"}, "2026-01-01T01:00:00.000Z", 1),
        (3, {"COLD"}, "2030-01-01T00:00:00.000Z", 0),
    ]


async def test_a_reset_or_a_new_scenario_stays_in_its_sandbox(client: httpx.AsyncClient) -> None:
    base = (await box(client))["base_url"]
    for each in ("http://api.test", base):
        await client.post(f"{each}/lamps", json={})
    put = await client.put(f"{base}/_simulator/scenarios/light", content=LIGHT.replace("/echo", "/mirror"))
    assert put.status_code == 200
    assert (await client.post(f"{base}/mirror", json=1)).status_code == 200
    assert (await client.post("/mirror", json=1)).status_code == 404
    await client.post(f"{base}/_simulator/reset")
    assert (await client.get(f"{base}/lamps")).json() == []
    assert len((await client.get("/lamps")).json()) == 1


async def test_a_slash_too_many_never_leads_out_of_a_sandbox(client: httpx.AsyncClient) -> None:
    base = (await box(client))["base_url"]
    await client.post("/lamps", json={})
    reply = await client.post(f"{base}/_simulator/reset/", follow_redirects=True)
    assert reply.status_code == 404
    assert len((await client.get("/lamps")).json()) == 1


async def test_scenarios_come_by_name_and_by_document(client: httpx.AsyncClient) -> None:
    named = await box(client, scenarios=["light"])
    given = await box(client, scenarios=[documents().data])
    both = await box(client, scenarios=["light", {**draft(OTHER).data, "seed": 3}])
    assert (await client.get(f"{named['base_url']}/lamps")).status_code == 200
    assert (await client.get(f"{given['base_url']}/v3/jobs")).json()["jobs"] == []
    assert (await client.get(f"{given['base_url']}/lamps")).status_code == 404
    assert both["seed"] == {"light": 1, "other": 3}
    assert (await client.get(f"{both['base_url']}/other/who")).status_code == 200


async def test_the_seed_decides_the_draws(client: httpx.AsyncClient) -> None:
    replies = []
    for seed in (1, 1, 2):
        base = (await box(client, seed=seed, scenarios=[draft(OTHER).data]))["base_url"]
        replies.append((await client.get(f"{base}/who")).json())
    assert replies[0] == replies[1] != replies[2]


async def test_a_sandbox_takes_its_clock_from_itself_else_from_its_scenario(client: httpx.AsyncClient) -> None:
    slow = {**draft(OTHER).data, "clock": {"mode": "manual"}}
    for body, mode in (
        ({"clock": "jump"}, "jump"),
        ({"clock": {"mode": "scaled", "rate": 60}}, "scaled"),
        ({}, "real"),
        ({"scenarios": [slow]}, "manual"),
    ):
        base = (await box(client, **body))["control_url"]
        assert (await client.get(f"{base}/clock")).json()["mode"] == mode


@pytest.mark.parametrize(
    ("body", "status", "title", "words"),
    [
        ({"seed": -1}, 422, WRONG, "seed"),
        ({"seed": 2**63}, 422, WRONG, "seed"),
        ({"seed": "x"}, 422, WRONG, "seed"),
        ({"clock": "sideways"}, 422, WRONG, "clock.mode"),
        ({"clock": {"mode": "scaled"}}, 422, WRONG, "needs a rate"),
        ({"scenarios": []}, 400, "Bad Request", "one scenario or several"),
        ({"scenarios": ["light", "light"]}, 400, "Bad Request", "of different names"),
        ({"scenarios": ["lihgt"]}, 404, "Not Found", "light"),
        ({"scenarios": [{"scenario": "x", "operatons": {}}]}, 422, WRONG, "scenarios[0]"),
        ({"scenarios": 1}, 422, WRONG, "scenarios"),
        ({"sed": 1}, 422, WRONG, "no key 'sed'"),
        (None, 422, WRONG, "expected a mapping, got null"),
    ],
)
async def test_a_sandbox_that_cannot_be_is_a_problem(
    client: httpx.AsyncClient, body: Any, status: int, title: str, words: str
) -> None:
    no = await client.post(BOXES, content=b"null") if body is None else await client.post(BOXES, json=body)
    told = no.json()
    assert (no.status_code, told["title"], no.headers["content-type"]) == (status, title, "application/problem+json")
    assert words in told["detail"]
    assert len((await client.get(BOXES)).json()["sandboxes"]) == 1


async def test_a_deleted_sandbox_is_gone_with_all_it_held(client: httpx.AsyncClient, app: App) -> None:
    made = await box(client)
    await client.post(f"{made['base_url']}/lamps", json={})
    assert (await client.delete(f"{BOXES}/{made['id']}")).status_code == 204
    for path in ("/lamps", "/_simulator/health", ""):
        gone = await client.get(made["base_url"] + path)
        assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")
        assert gone.json()["detail"] == f"no sandbox {made['id']!r}; POST /_simulator/sandboxes makes one"
    assert (await client.delete(f"{BOXES}/{made['id']}")).status_code == 404
    assert await app.sandboxes.store.names() == ["default"]


async def test_the_default_sandbox_stays(client: httpx.AsyncClient, app: App) -> None:
    no = await client.delete(f"{BOXES}/default")
    assert (no.status_code, "reset empties it" in no.json()["detail"]) == (409, True)
    assert await app.sandboxes.delete("default") is False
    assert (await client.get("/_sandbox/default/lamps")).status_code == 200


async def test_there_are_only_so_many(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "SANDBOXES_MAX", 2)
    await box(client)
    no = await client.post(BOXES)
    assert (no.status_code, no.json()["title"]) == (429, "Too Many Requests")


def test_an_idle_sandbox_is_deleted_and_one_in_use_is_not() -> None:
    with serving(sandbox_idle_ms=700) as live, live.client() as client:
        idle, used, busy = (client.post(BOXES).json()["id"] for _ in range(3))
        with live.connect() as line:  # a request that lasts counts as use
            line.sendall(f"POST /_sandbox/{busy}/lamps HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode())

            def lone() -> bool:
                assert client.get(f"/_sandbox/{used}/_simulator/health").status_code == 200
                return live.app.sandboxes.get(idle) is None

            until(lone)
            assert [each.id for each in live.app.sandboxes.all()] == ["default", used, busy]


async def test_a_named_store_brings_back_sandboxes_with_clock_seed_and_records(tmp_path: Path) -> None:
    def store() -> SqliteStore:
        return SqliteStore(str(tmp_path / "kept.db"))

    async with started(draft(OTHER), store=store(), clock="manual") as app, inside(app) as client:
        drawn = app.sandboxes.default.seeds()
        made = await box(client, seed=5, clock="manual", scenarios=[draft(LIGHT).data])
        await client.post(f"{made['base_url']}/lamps", json={"name": "n"})
        await client.post(f"{made['control_url']}/clock", json={"advance": "30s"})
        await client.post("/_simulator/clock", json={"advance": "1h"})
        await client.post(f"{made['control_url']}/reset")
        await client.post(f"{made['base_url']}/lamps", json={"name": "n"})
        await client.post(f"{made['control_url']}/clock", json={"advance": "30s"})
    async with started(draft(OTHER), store=store(), clock="manual") as app, inside(app) as client:
        assert app.sandboxes.default.seeds() == drawn
        assert (await client.get("/_simulator/clock")).json()["now"] == "2026-01-01T01:00:00.000Z"
        assert (await client.get(BOXES)).json()["sandboxes"][1] == {**made, "now": "2026-01-01T00:00:30.000Z"}
        clock = (await client.get(f"{made['control_url']}/clock")).json()
        assert (clock["now"], clock["next_due"]) == ("2026-01-01T00:00:30.000Z", "2026-01-01T00:01:10.000Z")
        assert (await client.get(f"{made['base_url']}/lamps/lamp_1")).json()["status"] == "WARM"
        boots = (await client.get("/_simulator/journal?kind=boot")).json()["events"]
        assert len({each["boot"] for each in boots}) == 2


async def test_a_reset_after_a_restart_does_not_make_the_next_one_forget(tmp_path: Path) -> None:
    path, seeds, ids = str(tmp_path / "kept.db"), [], []
    for run in range(3):
        async with started(draft(OTHER), store=SqliteStore(path)) as app, inside(app) as client:
            if run == 0:
                await box(client, seed=5)
            seeds.append(app.sandboxes.default.seeds())
            ids.append([each.id for each in app.sandboxes.all()])
            for each in app.sandboxes.all():
                await client.post(f"{each.prefix}/_simulator/reset")
    assert seeds[0] == seeds[1] == seeds[2]
    assert ids[0] == ids[1] == ids[2]


async def test_a_scenario_put_into_a_sandbox_is_played_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.db")
    async with started(store=SqliteStore(path)) as app, inside(app) as client:
        base = (await box(client))["base_url"]
        text = LIGHT.replace("/echo", "/mirror")
        assert (await client.put(f"{base}/_simulator/scenarios/light", content=text)).status_code == 200
    async with started(store=SqliteStore(path)) as app, inside(app) as client:
        assert (await client.post(f"{base}/mirror", json=1)).status_code == 200


async def test_nothing_is_run_before_the_clock_has_begun(tmp_path: Path) -> None:
    """A restart writes things down before it knows what time it is; by a real clock all would be overdue."""
    path = str(tmp_path / "kept.db")
    async with started(store=SqliteStore(path), clock="manual") as app, inside(app) as client:
        await client.post("/lamps", json={})
    seedless = draft(LIGHT.replace("    seed: 1\n", "").replace("HOT: []", "HOT: []\n          NEW: []"))
    async with started(seedless, store=SqliteStore(path), clock="manual") as app, inside(app) as client:
        assert (await client.get("/lamps/lamp_1")).json()["status"] == "COLD"
        assert app.sandboxes.default.pulse.wakings == 0


async def test_another_clock_goes_on_from_the_kept_instant(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.db")
    async with started(store=SqliteStore(path), clock="manual@2040-01-01T00:00:00Z"):
        pass
    async with started(store=SqliteStore(path), clock="scaled:60") as app:
        clock = app.sandboxes.default.clock
        assert (clock.mode, clock.rate) == ("scaled", 60.0)
        assert clock.service_ms >= 2_208_988_800_000


@pytest.mark.parametrize(
    ("entry", "said"),
    [(None, ""), ({"seed": 1, "clock": None, "scenarios": [{"scenario": "x", "old": 1}]}, "cannot play its scenario")],
)
async def test_a_sandbox_that_cannot_be_read_any_more_is_dropped(
    entry: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    space = await store.space("old", "boot")
    await space.commit(Changes(entries=(Entry("sandbox", entry), Entry("x", 1))), space.view())
    async with started(store=store) as app:
        assert [each.id for each in app.sandboxes.all()] == ["default"]
    assert await store.names() == ["default"]
    assert said in caplog.text


async def test_a_conflict_is_decided_again_and_not_for_ever(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox, answers = app.sandboxes.default, iter([False, False, True] + [False] * 99)
    tried = []

    async def commit(changes: Changes, view: Any) -> bool:
        tried.append(changes)
        return next(answers)

    monkeypatch.setattr(sandbox.space, "commit", commit)
    await sandbox.decide(lambda _: None, lambda _: Changes(), 0)
    assert len(tried) == 3
    with pytest.raises(StoreError, match="too many others"):
        await sandbox.decide(lambda _: None, lambda _: Changes(), 0)
    assert len(tried) == 3 + one.TRIES


async def test_a_decision_that_never_has_seen_enough_is_given_up(app: App) -> None:
    def greedy(_: Any) -> None:
        raise NotLoaded(RecordKey("light.lamp", "x"))

    sandbox = app.sandboxes.default
    with pytest.raises(StoreError, match="2000 things"):
        await sandbox.seen(greedy, sandbox.space.view(), 0)


async def test_a_moment_that_somebody_else_has_run_is_left_alone(app: App, client: httpx.AsyncClient) -> None:
    await client.post("/lamps", json={})
    sandbox = app.sandboxes.default
    old = sandbox.space.view().record("light.lamp", "lamp_1")
    assert old is not None
    assert old.due_ms is not None
    await client.post("/lamps/lamp_1/break")
    await sandbox.wake(old, old.due_ms)
    now = sandbox.space.view().record("light.lamp", "lamp_1")
    assert now is not None
    assert (now.state, now.version) == ("BROKEN", 2)


async def test_a_moment_is_tried_again_where_the_record_changed_but_is_still_due(
    app: App, client: httpx.AsyncClient
) -> None:
    await client.post("/lamps", json={})
    sandbox = app.sandboxes.default
    old = sandbox.space.view().record("light.lamp", "lamp_1")
    assert old is not None
    assert old.due_ms is not None
    stale: Record = old._replace(version=0)  # as another process would have seen it before
    await sandbox.wake(stale, old.due_ms)
    now = sandbox.space.view().record("light.lamp", "lamp_1")
    assert now is not None
    assert now.state == "WARM"


async def test_a_resource_with_records_cannot_go(app: App, client: httpx.AsyncClient) -> None:
    await client.post("/lamps", json={})
    with pytest.raises(OperatorError, match=r"light\.lamp are in state"):
        await app.sandboxes.default.reload([draft(OTHER)])
    assert (await client.get("/lamps/lamp_1")).status_code == 200


async def test_many_at_once_are_each_their_own(client: httpx.AsyncClient) -> None:
    made = await asyncio.gather(*(box(client, seed=number) for number in range(20)))
    assert len({each["id"] for each in made}) == 20
    assert [each["seed"] for each in made] == list(range(20))
