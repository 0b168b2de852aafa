"""Leases: held until they are let go, and whoever waits for one is told."""

from __future__ import annotations

import asyncio

from simulator.core.records import Lease
from simulator.stores.leases import Leases

KEY = Lease("key", "req_1")
OTHER = Lease("key", "req_2")


def test_what_is_taken_is_held_until_it_is_let_go() -> None:
    leases = Leases()
    leases.take((KEY, OTHER))
    assert leases.holders("key") == ("req_1", "req_2")
    leases.release((KEY,))
    assert leases.holders("key") == ("req_2",)
    leases.release((OTHER, OTHER))  # twice does no harm
    assert leases.holders("key") == ()


async def test_whoever_waits_is_told_when_somebody_lets_go() -> None:
    leases = Leases()
    leases.take((KEY,))
    waiting = [asyncio.create_task(leases.freed("key")) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    leases.release((KEY,))
    await asyncio.gather(*waiting)


async def test_nobody_waits_for_what_nobody_holds() -> None:
    await asyncio.wait_for(Leases().freed("key"), 1)


async def test_a_reset_frees_everything_and_tells_those_who_wait() -> None:
    leases = Leases()
    leases.take((KEY,))
    waiting = asyncio.create_task(leases.freed("key"))
    await asyncio.sleep(0)
    leases.clear()
    await waiting
    assert leases.holders("key") == ()
