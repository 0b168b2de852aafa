"""The clock as the control plane shows and moves it: by hand, in leaps, at another pace, and never back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from simulator.server.app import App
from tests.live import draft, inside, started

CLOCK = "/_simulator/clock"
HOLD = f"{CLOCK}/hold"
WRONG = HTTPStatus(422).phrase


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client


async def eventually(fact: Callable[[], Awaitable[Any]], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not await fact():  # noqa: ASYNC110 - the fact lies in the simulator, which sets no event
            await asyncio.sleep(0.005)


async def told(client: httpx.AsyncClient) -> dict[str, Any]:
    clock: dict[str, Any] = (await client.get(CLOCK)).json()
    return clock


async def status(client: httpx.AsyncClient, id_: str) -> str:
    found: str = (await client.get(f"/lamps/{id_}")).json()["status"]
    return found


async def lamp(client: httpx.AsyncClient) -> str:
    id_: str = (await client.post("/lamps", json={})).json()["id"]
    return id_


async def test_a_clock_tells_its_time_and_what_is_next(client: httpx.AsyncClient) -> None:
    still = {"mode": "manual", "rate": 0.0, "now": "2026-01-01T00:00:00.000Z", "now_ms": 1_767_225_600_000}
    assert await told(client) == {**still, "next_due": None, "holds": [], "wakings": 0}
    await lamp(client)
    assert (await told(client))["next_due"] == "2026-01-01T00:00:10.000Z"


async def test_an_advance_runs_all_that_falls_due_at_its_own_instant(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    moved = (await client.post(CLOCK, json={"advance": "2h"})).json()
    assert (moved["now"], moved["next_due"]) == ("2026-01-01T02:00:00.000Z", None)
    assert await status(client, id_) == "HOT"
    moves = (await client.get("/_simulator/journal?kind=transition")).json()["events"]
    assert [(each["to_state"], each["at_ms"] - 1_767_225_600_000) for each in moves] == [
        ("COLD", 0),
        ("WARM", 10_000),
        ("HOT", 70_000),
    ]
    (*_, leap) = (await client.get("/_simulator/journal?kind=clock")).json()["events"]
    assert (leap["at_ms"] - leap["from_ms"], leap["cause"]) == (7_200_000, "control")


async def test_next_is_the_next_due_moment_and_nothing_where_there_is_none(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    seen = []
    for _ in range(3):
        moved = (await client.post(CLOCK, json={"advance_to": "next"})).json()
        seen.append((moved["now"], await status(client, id_)))
    assert seen == [
        ("2026-01-01T00:00:10.000Z", "WARM"),
        ("2026-01-01T00:01:10.000Z", "HOT"),
        ("2026-01-01T00:01:10.000Z", "HOT"),
    ]


async def test_a_clock_goes_to_an_instant(client: httpx.AsyncClient) -> None:
    moved = await client.post(CLOCK, json={"advance_to": "2026-02-01T01:00:00+01:00"})
    assert moved.json()["now"] == "2026-02-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("move", "code", "title", "words"),
    [
        ({"advance_to": "2025-12-31T23:59:59Z"}, 409, "Conflict", "never goes back; it shows 2026-01-01T00:00:00.000Z"),
        ({"advance": "-1s"}, 422, WRONG, "advance: '-1s' is no duration"),
        ({"advance": 5}, 422, WRONG, "advance: 5 is no duration"),
        ({"advance_to": "later"}, 422, WRONG, "next"),
        ({"advance_to": "2026-02-01T00:00:00"}, 422, WRONG, "with a zone"),
        ({"advance_to": 5}, 422, WRONG, "advance_to"),
        ({"mode": "backwards"}, 422, WRONG, "'real', 'scaled', 'manual' or 'jump'"),
        ({"mode": "scaled"}, 422, WRONG, "a scaled clock needs one"),
        ({"mode": "real", "rate": 2}, 422, WRONG, "a rate goes with {mode: scaled}"),
        ({"mode": "scaled", "rate": 0}, 422, WRONG, "rate"),
        ({"mode": "scaled", "rate": 1e9}, 422, WRONG, "rate"),
        ({}, 422, WRONG, "say one of advance, advance_to or mode"),
        ({"advance": "1s", "mode": "real"}, 422, WRONG, "say one of"),
        ({"advence": "1s"}, 422, WRONG, "no key 'advence'"),
    ],
)
async def test_a_move_that_cannot_be_is_a_problem_and_moves_nothing(
    client: httpx.AsyncClient, move: dict[str, Any], code: int, title: str, words: str
) -> None:
    no = await client.post(CLOCK, json=move)
    assert no.json() | {"detail": ""} == {"type": "about:blank", "title": title, "status": code, "detail": ""}
    assert no.headers["content-type"] == "application/problem+json"
    assert words in no.json()["detail"]
    assert (await told(client))["now"] == "2026-01-01T00:00:00.000Z"


async def test_a_clock_ends_with_the_year_9999(client: httpx.AsyncClient) -> None:
    await client.post(CLOCK, json={"advance_to": "9999-12-31T23:59:59.999Z"})
    no = await client.post(CLOCK, json={"advance": "1ms"})
    assert (no.status_code, "ends with the year 9999" in no.json()["detail"]) == (400, True)
    made = await client.post("/lamps", json={})
    assert (made.status_code, made.headers["date"]) == (201, "Fri, 31 Dec 9999 23:59:59 GMT")


async def test_another_pace_goes_on_from_where_the_clock_stood(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    fast = (await client.post(CLOCK, json={"mode": "scaled", "rate": 1000})).json()
    assert (fast["mode"], fast["rate"], fast["now"][:16]) == ("scaled", 1000.0, "2026-01-01T00:00")
    await eventually(lambda: _is(client, id_, "HOT"))
    stood = (await client.post(CLOCK, json={"mode": "manual"})).json()
    assert stood["now"] > "2026-01-01T00:01:10"
    assert await told(client) == stood


async def _is(client: httpx.AsyncClient, id_: str, wanted: str) -> bool:
    return await status(client, id_) == wanted


async def test_a_jumping_clock_leaps_to_what_is_due_once_it_is_quiet() -> None:
    """70 seconds of service time pass in the time of one pause."""
    async with started(clock="jump", jump_idle_ms=60) as app, inside(app) as client:
        id_ = await lamp(client)
        began = time.monotonic()
        await eventually(lambda: _next_is(client, None))
        took = time.monotonic() - began
        assert await status(client, id_) == "HOT"
        events = (await client.get("/_simulator/journal?kind=clock,transition")).json()["events"]
        leaps = [each for each in events if each["kind"] == "clock" and each["cause"] == "jump"]
        assert 0.05 < took < 5
        assert len(leaps) == 2
        assert [each["at_ms"] - 1_767_225_600_000 for each in events if each["kind"] == "transition"][1] >= 10_000
        assert (await told(client))["now_ms"] - 1_767_225_600_000 < 75_000


async def _next_is(client: httpx.AsyncClient, wanted: str | None) -> bool:
    return bool((await told(client))["next_due"] == wanted)


async def test_a_held_clock_does_not_leap_until_it_is_released() -> None:
    async with started(clock="jump", jump_idle_ms=30) as app, inside(app) as client:
        lease = (await client.post(HOLD, json={"for": "1m"})).json()["lease"]
        id_ = await lamp(client)
        assert (await told(client))["holds"] == [lease]
        pulse = app.sandboxes.default.pulse
        before_ms = pulse.busy_ms
        await eventually(lambda: _busier(app, before_ms))  # it has looked, and was told to wait
        assert await status(client, id_) == "COLD"
        assert (await client.post(HOLD, json={"release": lease})).status_code == 204
        await eventually(lambda: _is_quietly(app, "HOT"))


async def _busier(app: App, before_ms: float) -> bool:
    return app.sandboxes.default.pulse.busy_ms > before_ms + 60


async def _is_quietly(app: App, wanted: str) -> bool:
    """A look that is no exchange, which would keep the clock from leaping."""
    found = app.sandboxes.default.space.view().record("light.lamp", "lamp_1")
    return found is not None and found.state == wanted


async def test_an_open_exchange_keeps_the_clock_from_leaping() -> None:
    async with started(clock="jump", jump_idle_ms=30) as app, inside(app) as client:
        await lamp(client)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"{"
            await gate.wait()
            yield b"}"

        request = client.build_request("POST", "/echo", content=slowly())
        # ASGITransport hands the body over piece by piece, so the exchange stays open until the gate does
        asking = asyncio.create_task(client.send(request))
        await eventually(lambda: _open(app))
        before_ms = app.sandboxes.default.pulse.busy_ms
        await eventually(lambda: _busier(app, before_ms))
        assert await _is_quietly(app, "COLD")
        gate.set()
        assert (await asking).status_code == 200
        await eventually(lambda: _is_quietly(app, "HOT"))


async def _open(app: App) -> bool:
    return app.sandboxes.default.open == 1


async def test_a_lease_is_renewed_by_its_name_and_runs_out(client: httpx.AsyncClient) -> None:
    lease = (await client.post(HOLD, json={})).json()["lease"]
    assert (await client.post(HOLD, json={"lease": lease, "for": "1ms"})).json() == {"lease": lease}
    await eventually(lambda: _no_holds(client))
    no = await client.post(HOLD, json={"release": lease})
    assert (no.status_code, no.json()["detail"]) == (404, f"no lease {lease!r}")


async def _no_holds(client: httpx.AsyncClient) -> bool:
    return not (await told(client))["holds"]


async def test_a_request_during_a_long_advance_is_answered(client: httpx.AsyncClient, app: App) -> None:
    for _ in range(300):
        await client.post("/lamps", json={})
    moving = asyncio.create_task(client.post(CLOCK, json={"advance": "1h"}))
    answered = 0
    while not moving.done():
        assert (await client.get("/lamps/lamp_1")).status_code == 200
        await asyncio.sleep(0)
        answered += not moving.done()
    assert (await moving).status_code == 200
    assert answered > 0
    assert {(await status(client, f"lamp_{number}")) for number in (1, 300)} == {"HOT"}


async def test_moments_run_in_the_order_of_their_time_also_across_records() -> None:
    text = """
        scenario: order
        seed: 1
        resources:
          thing:
            id: "{{ body.id }}"
            record: {wait: "{{ body.wait }}"}
            states:
              A:
                - {to: B, after: 3s, when: "{{ record.wait == 3 }}"}
                - {to: B, after: 1s, when: "{{ record.wait == 1 }}"}
              B: [{to: C, after: 1500ms}]
              C: []
        operations:
          POST /things: {create: thing}
        """
    async with started(draft(text), clock="manual") as app, inside(app) as client:
        for wait in (3, 1):
            await client.post("/things", json={"id": str(wait), "wait": wait})
        await client.post(CLOCK, json={"advance": "1m"})
        moves = (await client.get("/_simulator/journal?kind=transition")).json()["events"][2:]
    assert [(each["id"], each["to_state"]) for each in moves] == [("1", "B"), ("1", "C"), ("3", "B"), ("3", "C")]
    assert [each["at_ms"] % 60_000 for each in moves] == [1000, 2500, 3000, 4500]


async def test_two_advances_at_once_both_happen(client: httpx.AsyncClient) -> None:
    await asyncio.gather(*(client.post(CLOCK, json={"advance": "1m"}) for _ in range(5)))
    assert (await told(client))["now"] == "2026-01-01T00:05:00.000Z"
