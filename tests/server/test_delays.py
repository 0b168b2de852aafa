"""Delays: never early, one heap, one timer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from simulator.server.delays import TIDY_FROM, Delays
from simulator.server.timekeeper import Machine


def run(main: Coroutine[Any, Any, Any], loop: str) -> Any:
    """Run this on that kind of loop."""
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


class Standing(Machine):
    """A clock that is moved by hand, while timers run by the real one."""

    def __init__(self) -> None:
        super().__init__()
        self.us = 1_000_000

    def wire_us(self) -> int:
        return self.us


async def lateness(delays: Delays, wait_us: int) -> int:
    """How much longer than asked for it takes."""
    until_us = delays.now_us() + wait_us
    await delays.wait(until_us)
    return delays.now_us() - until_us


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_nobody_is_woken_early_whatever_the_loop_does(loop: str) -> None:
    dice = random.Random(1)

    async def main() -> list[int]:
        delays = Delays(Machine())
        return await asyncio.gather(*[lateness(delays, dice.randrange(200_000)) for _ in range(2000)])

    assert min(run(main(), loop)) >= 0


async def test_a_timer_that_rings_before_the_time_wakes_nobody() -> None:
    machine = Standing()
    delays = Delays(machine)
    waiting = asyncio.ensure_future(delays.wait(machine.us + 1000))
    for _ in range(3):
        await asyncio.sleep(0.003)  # it has rung meanwhile, by a clock that has not moved
    assert not waiting.done()
    machine.us += 999
    await asyncio.sleep(0.003)
    assert not waiting.done()
    machine.us += 1
    await waiting


async def test_ten_thousand_wait_on_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    call_later, made = loop.call_later, list[asyncio.TimerHandle]()

    def counted(*args: Any) -> asyncio.TimerHandle:
        made.append(call_later(*args))
        return made[-1]

    monkeypatch.setattr(loop, "call_later", counted)
    machine = Standing()
    delays = Delays(machine)
    waiting = [asyncio.ensure_future(delays.wait(machine.us + 20_000 - n)) for n in range(10_000)]
    await asyncio.sleep(0)
    assert len(delays) == 10_000
    assert sum(not timer.cancelled() for timer in made) == 1
    machine.us += 20_000
    await asyncio.gather(*waiting)
    assert len(delays) == 0


async def test_the_earlier_goes_first_and_of_two_at_once_the_first_to_ask() -> None:
    machine = Standing()
    delays, woken = Delays(machine), list[str]()

    async def wait(name: str, us: int) -> None:
        await delays.wait(1_000_000 + us)
        woken.append(name)

    waiting = [asyncio.ensure_future(wait(*each)) for each in (("late", 900), ("a", 500), ("b", 500), ("soon", 100))]
    await asyncio.sleep(0)
    machine.us += 1000
    await asyncio.gather(*waiting)
    assert woken == ["soon", "a", "b", "late"]


async def test_what_is_past_is_not_waited_for() -> None:
    machine = Standing()
    delays = Delays(machine)
    async with asyncio.timeout(1):  # the clock stands still: to wait would be to wait for ever
        await delays.wait(machine.us)
        await delays.wait(0)
    assert len(delays) == 0


async def test_the_abandoned_leave_the_heap() -> None:
    delays = Delays(Machine())
    kept = delays.at(delays.now_us() + 10**9)
    for _ in range(10 * TIDY_FROM):
        delays.at(delays.now_us() + 10**9).cancel()
    assert len(delays) <= TIDY_FROM
    assert not kept.done()


async def test_the_heap_holds_all_that_is_not_abandoned() -> None:
    delays = Delays(Machine())
    kept = [delays.at(delays.now_us() + 10**9) for _ in range(3 * TIDY_FROM)]
    assert len(delays) == len(kept)


async def test_one_who_gives_up_does_not_keep_the_others_from_waking() -> None:
    delays = Delays(Machine())
    first, second = (delays.at(delays.now_us() + us) for us in (1000, 2000))
    first.cancel()
    await second
    assert len(delays) == 0
