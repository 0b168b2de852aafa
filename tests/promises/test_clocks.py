"""Clocks that don't keep the machine's pace: one that leaps, one that runs faster."""

from __future__ import annotations

import time
from pathlib import Path

from tests.promises.live import DOCUMENTS, Server, client, until

HOUR_MS = 3_600_000
THREE_DAYS = """
scenario: voyages
seed: 3
resources:
  voyage:
    id: "v{{ ordinal }}"
    view: {id: "{{ id }}", status: "{{ state }}", docked_at: "{{ record.docked_at }}"}
    states:
      LOADING: [{to: AT_SEA, after: 12h}]
      AT_SEA: [{to: IN_SIGHT, after: 50h}]
      IN_SIGHT: [{to: DOCKED, after: 10h, set: {docked_at: "{{ now.iso }}"}}]
      DOCKED: []
operations:
  POST /voyages: {create: voyage, reply: {status: 202}}
  GET /voyages/{id}: {read: voyage}
"""
RATE = 60
SCALED_SECONDS = 1.5


async def test_a_clock_that_leaps_plays_three_days_in_seconds(tmp_path: Path) -> None:
    scenario = tmp_path / "voyages.yaml"
    scenario.write_text(THREE_DAYS, encoding="utf-8")
    with Server(scenario, "--clock", "jump@2026-01-01T00:00:00Z") as server:
        async with client(server) as sender:
            assert (await sender.ask("POST", "/voyages")).json["status"] == "LOADING"

            async def docked() -> bool:
                return bool((await sender.control("GET", "records/voyage/v1"))["state"] == "DOCKED")

            await until(docked, within_s=5)
            shown = await sender.ask("GET", "/voyages/v1")
            assert (shown.header("date") or "").startswith("Sun, 04 Jan 2026 00:00:0"), shown
            moves = await sender.journal("transition")
            begin_ms = moves[0]["at_ms"]
            assert [move["at_ms"] - begin_ms for move in moves] == [0, 12 * HOUR_MS, 62 * HOUR_MS, 72 * HOUR_MS]
            assert shown.json["docked_at"].startswith("2026-01-04T00:00:0")
            leaps = [move for move in await sender.journal("clock") if move["cause"] == "jump"]
            assert len(leaps) == 3


async def test_a_clock_that_leaps_stays_while_a_client_holds_it(tmp_path: Path) -> None:
    scenario = tmp_path / "voyages.yaml"
    scenario.write_text(THREE_DAYS, encoding="utf-8")
    with Server(scenario, "--clock", "jump", "--jump-idle-ms", "20") as server:
        async with client(server) as sender:
            lease = (await sender.control("POST", "clock/hold", {"for": "1m"}))["lease"]
            await sender.ask("POST", "/voyages")
            began = time.monotonic()

            async def long_enough() -> bool:
                assert (await sender.control("GET", "records/voyage/v1"))["state"] == "LOADING"
                return time.monotonic() - began > 0.5  # twenty-five times as long as it waits otherwise

            await until(long_enough, within_s=5)
            await sender.control("POST", "clock/hold", {"release": lease}, 204)

            async def docked() -> bool:
                return bool((await sender.control("GET", "records/voyage/v1"))["state"] == "DOCKED")

            await until(docked, within_s=5)


async def test_a_clock_sixty_times_as_fast_passes_a_minute_a_second() -> None:
    with Server(DOCUMENTS, "--clock", f"scaled:{RATE}") as server:
        async with client(server) as watcher:

            async def look() -> tuple[float, float, float]:
                """Monotonic time before and after the server looked at its clock, and what it saw; in seconds."""
                before = time.monotonic()
                now_ms = (await watcher.control("GET", "clock"))["now_ms"]
                return before, time.monotonic(), now_ms / 1000

            before, after, begin_s = await look()

            async def passed() -> bool:
                return time.monotonic() - before > SCALED_SECONDS

            await until(passed, within_s=SCALED_SECONDS + 5)
            before_2, after_2, end_s = await look()
    least, most = (before_2 - after) * RATE, (after_2 - before) * RATE
    assert least - 0.1 <= end_s - begin_s <= most + 0.1


async def test_a_faster_clock_runs_moments_by_itself_and_in_its_own_time() -> None:
    with Server(DOCUMENTS, "--clock", f"scaled:{RATE}") as server:
        async with client(server) as sender:
            for _ in range(20):
                await sender.ask("POST", "/v3/jobs", {"input": "x"})

            async def over() -> bool:
                ends = [move for move in await sender.journal("transition") if move["from_state"] == "PROCESSING"]
                return len(ends) == 20

            took_s = await until(over, within_s=10)
            moves = await sender.journal("transition")
            assert all(move["at_ms"] == move["due_ms"] for move in moves if move["cause"] == "after")
            span_s = (max(move["at_ms"] for move in moves) - min(move["at_ms"] for move in moves)) / 1000
            assert took_s < max(span_s / 4, 2.0), f"{span_s} s of service time took {took_s} s"
