"""What the control plane shows of records, scenarios and the clock."""

from __future__ import annotations

from simulator.core.records import Record
from simulator.server import told
from tests.live import LIGHT, draft, inside, started

NOW_MS = 1_767_225_600_000
LAMP = Record("light.lamp", "lamp_1", 1, 2, "COLD", {"name": "n"}, NOW_MS, NOW_MS + 1, 1, NOW_MS + 10, 0, "http://x")


def test_a_record_is_shown_whole_with_readable_instants() -> None:
    assert told.record(LAMP) == {
        "id": "lamp_1",
        "state": "COLD",
        "record": {"name": "n"},
        "ordinal": 1,
        "version": 2,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.001Z",
        "next_at": "2026-01-01T00:00:00.010Z",
    }


def test_a_record_that_waits_for_nothing_has_no_next() -> None:
    assert told.record(LAMP._replace(due_ms=None))["next_at"] is None


async def test_a_scenario_is_shown_with_the_paths_that_clients_use() -> None:
    other = draft("scenario: other\nsummary: Two\nseed: 4\nbase_path: /v1\noperations: {GET /x: {reply: {body: 1}}}\n")
    async with started(draft(LIGHT), other) as app, inside(app) as client:
        made = (await client.post("/_simulator/sandboxes")).json()["id"]
        sandbox = app.sandboxes.get(made)
        assert sandbox is not None
        assert told.played(sandbox, other) == {
            "name": "other",
            "summary": "Two",
            "digest": other.digest,
            "seed": 4,
            "prefix": f"/_sandbox/{made}/other/v1",
            "operations": [f"GET /_sandbox/{made}/other/v1/x"],
            "document": other.data,
        }


async def test_the_clock_is_shown_with_its_next_moment_and_holds() -> None:
    async with started(clock="manual") as app, inside(app) as client:
        sandbox = app.sandboxes.default
        await client.post("/lamps", json={})
        lease = sandbox.hold(60_000)
        assert await told.clock(sandbox) == {
            "mode": "manual",
            "rate": 0.0,
            "now": "2026-01-01T00:00:00.000Z",
            "now_ms": NOW_MS,
            "next_due": "2026-01-01T00:00:10.000Z",
            "holds": [lease],
            "wakings": 0,
        }
        assert sandbox.release(lease)
        assert (await told.clock(sandbox))["holds"] == []
