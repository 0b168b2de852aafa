"""Waiting in wire time: latency, drips and whatever else a reply takes its time for.

Rules: never early, since the clock is looked at again when a timer rings (uvloop's ring up to 1.4 ms before their
time); however many wait, there is one heap and one timer; what nobody waits for any more leaves the heap by itself.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

from simulator.server.timekeeper import TIMER_MS_MAX, Machine

TIDY_FROM = 256  # entries; a smaller heap is not worth looking through for abandoned ones


class Delays:
    """All that waits for an instant of one process's monotonic clock."""

    def __init__(self, machine: Machine) -> None:
        self.now_us = machine.wire_us
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()  # of two for the same instant the first goes first
        self._timer: asyncio.TimerHandle | None = None
        self._armed_us = 0
        self._tidy_at = TIDY_FROM

    def __len__(self) -> int:
        """How many entries the heap has, abandoned ones included."""
        return len(self._heap)

    async def wait(self, until_us: int) -> None:
        """Until this instant of `Machine.wire_us`; typically up to 1 ms longer, never shorter."""
        if self.now_us() < until_us:
            await self.at(until_us)

    def at(self, until_us: int) -> asyncio.Future[None]:
        """A future for that instant. Whoever has waited enough sets its result, or cancels it, himself."""
        future = asyncio.get_running_loop().create_future()
        if len(self._heap) >= self._tidy_at:
            self._tidy()
        heapq.heappush(self._heap, (until_us, next(self._order), future))
        if self._timer is None or until_us < self._armed_us:
            self._arm()
        return future

    def _arm(self) -> None:
        """One timer, for the first in the heap."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._heap:
            return
        self._armed_us = self._heap[0][0]
        rest_us = max(self._armed_us - self.now_us(), 0)
        # Whole milliseconds, rounded up: uvloop has no finer ones, and a rest rounded down would ring again and again.
        wait_ms = min(-(-rest_us // 1000), TIMER_MS_MAX)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self._ring)

    def _ring(self) -> None:
        """Wake what is due by the clock, which need not be what the timer was for."""
        self._timer = None
        now_us, heap = self.now_us(), self._heap
        while heap and (heap[0][0] <= now_us or heap[0][2].done()):
            future = heapq.heappop(heap)[2]
            if not future.done():
                future.set_result(None)
        self._arm()

    def _tidy(self) -> None:
        """Let go of the abandoned. The heap doubles before the next time, so that each entry pays for it only once."""
        self._heap = [entry for entry in self._heap if not entry[2].done()]
        heapq.heapify(self._heap)
        self._tidy_at = max(TIDY_FROM, 2 * len(self._heap))
