"""A hundred thousand moments that are pending, what waiting for them costs, and how late one that is due rings."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, NamedTuple

from tests.promises.live import ROOT, Server, client, drive, request, until

PARCELS = ROOT / "tests" / "promises" / "parcels.yaml"
SACK = 10  # parcels made by one request


class Idle(NamedTuple):
    """What a server did while nothing was due."""

    wakings: int
    cpu_share: float  # of one core


async def fill(server: Server, pending: int) -> float:
    """Make so many parcels, each with its moment tomorrow; the seconds it took."""
    began = time.monotonic()
    tally = await drive(server, (request("POST", "/sacks") for _ in range(pending // SACK)))
    assert tally == {201: pending // SACK}, tally
    return time.monotonic() - began


async def idle(server: Server, seconds: float) -> Idle:
    """Leave a server alone, and see what it does meanwhile."""
    async with client(server) as watcher:
        wakings, used_s = (await watcher.control("GET", "clock"))["wakings"], server.cpu_s()
        began = time.monotonic()
        await asyncio.sleep(seconds)
        used_s, passed_s = server.cpu_s() - used_s, time.monotonic() - began
        return Idle((await watcher.control("GET", "clock"))["wakings"] - wakings, used_s / passed_s)


async def late_ms(server: Server, bells: int, seed: int = 1) -> list[float]:
    """Wind bells, some ten a second, and let them ring by themselves; how late each rang, sorted."""
    dice = random.Random(seed)
    async with client(server) as sender:
        await sender.control("PUT", "records/bell/mark", {"state": "RUNG"})
        mark = (await sender.journal("control"))[-1]["number"]
        for _ in range(bells):
            await asyncio.sleep(dice.uniform(0.05, 0.15))
            assert (await sender.ask("POST", "/bells")).status == 201
        moves: list[dict[str, Any]] = []

        async def all_rang() -> bool:
            moves[:] = await sender.journal("transition", after=mark)
            return len([move for move in moves if move["to_state"] == "RUNG"]) >= bells

        await until(all_rang, within_s=10)
    return lateness(moves)


def lateness(moves: list[dict[str, Any]]) -> list[float]:
    """Milliseconds between when a move was due in service time and when it was made in wire time, sorted.

    Service time is whole milliseconds, wire time is not. How the two lie to each other is the most that any creation
    shows, for the clock had at least reached the instant that it names.
    """
    offset_us = max(move["at_ms"] * 1000 - move["wire_us"] for move in moves if move["cause"] == "created")
    return sorted(
        (move["wire_us"] + offset_us - move["due_ms"] * 1000) / 1000 for move in moves if move["cause"] == "after"
    )
