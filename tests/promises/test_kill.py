"""`kill -9`, at any moment: with a named store, what was acknowledged is kept and life goes on where it was."""

from __future__ import annotations

import asyncio
import random
from asyncio import IncompleteReadError
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.promises.live import DOCUMENTS, Client, Server, client, until

CREATES = 2_000
SENDERS = 16
FINAL = {"COMPLETED", "FAILED"}
PATHS = {  # every way a job goes by itself
    (None, "CREATED"),
    ("CREATED", "PROCESSING"),
    ("PROCESSING", "COMPLETED"),
    ("PROCESSING", "FAILED"),
}


def served(store: Path, clock: str = "manual") -> Server:
    return Server(DOCUMENTS, "--clock", clock, "--store", f"sqlite:///{store}")


class Load:
    """Many senders that create at once; what was acknowledged to them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.acknowledged: dict[str, str] = {}  # id -> what was sent
        self.sent = 0

    async def create(self, acknowledged: int) -> None:
        """Create until so many are acknowledged in all."""
        await asyncio.gather(*(self._send(acknowledged) for _ in range(SENDERS)))

    async def create_and_kill(self, acknowledged: int, kill_after_s: float) -> None:
        """Create until so many are acknowledged, and then, with creates still under way, kill the server."""
        senders = [asyncio.create_task(self._send_until_gone()) for _ in range(SENDERS)]

        async def enough() -> bool:
            return len(self.acknowledged) >= acknowledged

        await until(enough, within_s=30, every_s=0)
        await asyncio.sleep(kill_after_s)
        self.server.kill()
        await asyncio.gather(*senders)

    async def _send_until_gone(self) -> None:
        with suppress(ConnectionError, IncompleteReadError):
            await self._send(CREATES * 10)

    async def _send(self, acknowledged: int) -> None:
        async with client(self.server) as sender:
            while len(self.acknowledged) < acknowledged:
                name = f"{self.sent}.pdf"
                self.sent += 1
                reply = await sender.ask("POST", "/v3/jobs", {"input": name})
                assert reply.status == 202, reply
                self.acknowledged[reply.json["id"]] = name


async def check_records(sender: Client, load: Load) -> list[dict[str, Any]]:
    """Every acknowledged record is there, as it was sent; nothing was made twice."""
    records = await sender.records("job")
    kept = {record["id"]: record["record"]["input"] for record in records}
    lost = {id_ for id_, name in load.acknowledged.items() if kept.get(id_) != name}
    assert not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged records are lost"
    assert [record["ordinal"] for record in records] == list(range(1, len(records) + 1))
    assert len(set(kept.values())) == len(kept), "one create made two records"
    return records


async def check_journal(sender: Client, boots: int) -> None:
    """Numbers without gaps, one boot after the other, and only moves that the table of states allows."""
    events = await sender.journal()
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    order = list(dict.fromkeys(event["boot"] for event in events))
    assert len(order) == boots == sum(event["kind"] == "boot" for event in events)
    assert [event["boot"] for event in events] == sorted((e["boot"] for e in events), key=order.index)
    histories: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["kind"] == "transition":
            histories[event["id"]].append(event)
    for id_, moves in histories.items():
        assert {(move["from_state"], move["to_state"]) for move in moves} <= PATHS
        assert [move["version"] for move in moves] == list(range(1, len(moves) + 1)), f"{id_} moved twice: {moves}"
        assert all(move["at_ms"] == move["due_ms"] for move in moves[1:])


def chances(seed: int, kills: int) -> Iterator[tuple[int, float]]:
    """When to kill: after how many acknowledged in all, and how long after that one."""
    dice = random.Random(seed)
    for at in sorted(dice.sample(range(50, CREATES - 50), kills)):
        yield at, dice.choice([0.0, dice.uniform(0, 0.01)])


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_acknowledged_survives_kills_in_the_middle_of_two_thousand_creates(
    seed: int, tmp_path: Path
) -> None:
    with served(tmp_path / "kept.db") as server:
        load, kills = Load(server), list(chances(seed, 3))
        for at, kill_after_s in kills:
            await load.create_and_kill(at, kill_after_s)
            server.start()
            async with client(server) as sender:
                await check_records(sender, load)
                await sender.control("POST", "clock", {"advance": "1s"})
        await load.create(CREATES)
        async with client(server) as sender:
            records = await check_records(sender, load)
            await sender.control("POST", "clock", {"advance": "10m"})
            assert {record["state"] for record in await sender.records("job")} == FINAL
            await check_journal(sender, boots=len(kills) + 1)
    assert len(load.acknowledged) >= CREATES
    assert len(records) <= load.sent


async def test_a_kill_changes_no_draw(tmp_path: Path) -> None:
    async def ids(server: Server, kill_at: int | None) -> dict[int, tuple[str, str]]:
        load = Load(server)
        if kill_at is not None:
            await load.create_and_kill(kill_at, 0.0)
            server.start()
        await load.create(500)
        async with client(server) as sender:
            await sender.control("POST", "clock", {"advance": "10m"})
            return {each["ordinal"]: (each["id"], each["state"]) for each in await sender.records("job")}

    with served(tmp_path / "killed.db") as killed, served(tmp_path / "whole.db") as whole:
        one, other = await asyncio.gather(ids(killed, 250), ids(whole, None))
    both = one.keys() & other.keys()
    assert len(both) >= 500 - SENDERS
    assert {ordinal: one[ordinal] for ordinal in both} == {ordinal: other[ordinal] for ordinal in both}


async def advance_and_kill(server: Server, kill_at_ms: int) -> None:
    """Advance the clock by ten minutes; kill the server when it has come as far as this, and not to the end."""
    async with client(server) as mover, client(server) as watcher:
        begin_ms = (await watcher.control("GET", "clock"))["now_ms"]
        moving = asyncio.create_task(mover.control("POST", "clock", {"advance": "10m"}))

        async def far_enough() -> bool:
            return bool((await watcher.control("GET", "clock"))["now_ms"] >= begin_ms + kill_at_ms)

        await until(far_enough, within_s=30, every_s=0)
        server.kill()
        with pytest.raises((ConnectionError, IncompleteReadError)):
            await moving


@pytest.mark.parametrize("kill_at_ms", [50, 2_500])
async def test_a_kill_while_the_clock_is_advanced_runs_no_moment_twice_and_none_never(
    kill_at_ms: int, tmp_path: Path
) -> None:
    with served(tmp_path / "kept.db") as server:
        load = Load(server)
        await load.create(1_000)
        await advance_and_kill(server, kill_at_ms)
        server.start()
        async with client(server) as sender:
            await check_records(sender, load)
            moved_ms = [move["at_ms"] for move in await sender.journal("transition")]
            now_ms = (await sender.control("GET", "clock"))["now_ms"]
            assert now_ms >= max(moved_ms), "the clock went back behind moments that had happened"
            await sender.control("POST", "clock", {"advance": "10m"})
            assert {record["state"] for record in await sender.records("job")} == FINAL
            await check_journal(sender, boots=2)


async def test_timers_resume_by_themselves_after_a_kill(tmp_path: Path) -> None:
    with served(tmp_path / "kept.db", "scaled:10") as server:
        load = Load(server)
        await load.create_and_kill(300, 0.0)
        server.start()
        async with client(server) as sender:
            records = await check_records(sender, load)
            assert {"PROCESSING"} <= {record["state"] for record in records} - FINAL, "all was over before the restart"

            async def over() -> bool:
                transitions = await sender.journal("transition")
                ends = Counter(move["to_state"] for move in transitions)
                return sum(ends[state] for state in FINAL) == len(records)

            await until(over, within_s=15)  # nobody reads a job: the timers do it
            await check_journal(sender, boots=2)
            assert {record["state"] for record in await sender.records("job")} == FINAL
