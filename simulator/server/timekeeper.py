"""Now, and the loops that wake what is due.

Rules: nothing else in the house reads a clock. Wall time is read once, at the start, and goes on by the monotonic
clock, so it never goes back; a due moment is never run early; moments run one by one in the order of their time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import os
import time
from typing import Any, Protocol

from simulator.core.clock import Clock
from simulator.core.events import ClockMoved
from simulator.core.records import Entry, Record
from simulator.errors import StoreError
from simulator.stores.base import Space

LOG = logging.getLogger("simulator")
RETRY_S = 1.0  # between two looks at a store that failed
SLICE = 64  # due moments between two looks at the other tasks
TIMER_MS_MAX = 3_600_000.0  # a longer wait is looked at again, which also keeps it within the event loop's range


class Machine:
    """The machine's time, and the identity of this run of the process."""

    def __init__(self) -> None:
        self._wall_ns = time.time_ns()
        self._monotonic_ns = time.monotonic_ns()
        self.boot = hashlib.blake2b(f"{self._wall_ns}/{os.getpid()}".encode(), digest_size=6).hexdigest()
        self._names = 0

    def wall_ms(self) -> float:
        """Milliseconds since 1970, never going back."""
        return (self._wall_ns + time.monotonic_ns() - self._monotonic_ns) / 1_000_000

    def wire_us(self) -> int:
        """Microseconds of the monotonic clock."""
        return time.monotonic_ns() // 1000

    def name(self) -> str:
        """A name that no other run of the process gives: for sandboxes and holds."""
        self._names += 1
        return hashlib.blake2b(f"{self.boot}/{self._names}".encode(), digest_size=6).hexdigest()

    def seed(self) -> int:
        """A seed for a scenario that has none."""
        return int.from_bytes(hashlib.blake2b(f"{self.boot}/seed".encode(), digest_size=4).digest(), "big")


class Sleeper(Protocol):
    """What a pulse wakes: a sandbox."""

    space: Space
    clock: Clock
    open: int  # exchanges under way

    def now_ms(self) -> int:
        """Service time."""

    def held(self, wall_ms: float) -> list[str]:
        """The leases that keep it from leaping."""

    async def wake(self, record: Record, now_ms: int, kept: tuple[Entry, ...] = ()) -> None:
        """Run one record's moment, and keep these entries with it."""

    async def save_clock(self) -> None:
        """Keep the clock."""


class Pulse:
    """Wakes one sandbox: one timer for its next due moment, and for a jumping clock one that watches for quiet."""

    def __init__(self, sandbox: Sleeper, machine: Machine, jump_idle_ms: int) -> None:
        self._sandbox = sandbox
        self._machine = machine
        self._jump_idle_ms = jump_idle_ms
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms: int | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._moving = asyncio.Lock()
        self._stopped = False
        self.busy_ms = machine.wall_ms()  # when something last happened
        self.wakings = 0
        self.late_ms = 0.0  # of the last moment that was run by its timer

    def arm(self, *, anew: bool = False) -> None:
        """See that a timer runs for the next due moment. Cheap where nothing changed; `anew` where the clock did."""
        next_ms = self._sandbox.space.next_due_ms()
        if anew or next_ms != self._armed_ms:
            self._set_timer(next_ms)

    def _set_timer(self, next_ms: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_ms = next_ms
        if next_ms is None or self._stopped:
            return
        if self._sandbox.clock.mode == "jump":
            self._watch_for_quiet()
        at_ms = self._sandbox.clock.wall_at(next_ms)
        if at_ms is not None:
            wait_ms = min(max(at_ms - self._machine.wall_ms(), 0.0), TIMER_MS_MAX)
            # uvloop counts whole milliseconds: a rest rounded down to none would ring again and again until it is over.
            self._timer = asyncio.get_running_loop().call_later(math.ceil(wait_ms) / 1000, self._wake)

    def _wake(self) -> None:
        """The timer has rung: run what is due, or set it again where it rang early (uvloop's can)."""
        self.wakings += 1
        due_ms, now_ms = self._armed_ms, self._sandbox.now_ms()
        self._timer, self._armed_ms = None, None
        if due_ms is not None and due_ms > now_ms:
            self._set_timer(due_ms)
        elif self._task is None or self._task.done():
            self.late_ms = now_ms - due_ms if due_ms is not None else 0.0
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.settle(self._sandbox.now_ms())
        except StoreError as error:
            LOG.error("what is due waits, the store cannot be used: %s", error)
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._wake)
        else:
            self.arm(anew=True)

    async def settle(self, now_ms: int) -> None:
        """Run every moment that is due, in the order of their time."""
        async with self._moving:
            await self._run_until(now_ms, move=False)

    async def advance(self, to_ms: int, cause: str) -> None:
        """Move the clock on, through every due moment on the way; requests meanwhile see it pass."""
        async with self._moving:
            from_ms = self._sandbox.now_ms()
            await self._run_until(to_ms, move=True)
            self._set(self._sandbox.clock.at(to_ms, self._machine.wall_ms()), from_ms, cause)

    async def pace(self, clock: Clock) -> None:
        """From now on another pace."""
        async with self._moving:
            self._set(clock, self._sandbox.now_ms(), "control")

    def paused(self) -> asyncio.Lock:
        """While this is held no moment is run and the clock is not moved."""
        return self._moving

    async def next_ms(self) -> int | None:
        """Exactly when the next moment is due."""
        found = await self._sandbox.space.due(2**62, 1)
        return found[0].due_ms if found else None

    async def _run_until(self, to_ms: int, *, move: bool) -> None:
        space = self._sandbox.space
        while records := await space.due(to_ms, SLICE):
            for record in records:
                first = record is records[0]
                next_ms = space.next_due_ms()
                if not first and next_ms is not None and record.due_ms is not None and next_ms < record.due_ms:
                    break
                await self._run_one(record, move)
            await asyncio.sleep(0)

    async def _run_one(self, record: Record, move: bool) -> None:
        sandbox, due_ms = self._sandbox, record.due_ms
        if due_ms is None:
            return
        if move and due_ms > sandbox.now_ms():
            sandbox.clock = sandbox.clock.at(due_ms, self._machine.wall_ms())
        # The clock goes with what happened by it: killed on the way, it must not come back behind its own moments.
        await sandbox.wake(record, due_ms, (saved(sandbox.clock),) if move else ())

    def _set(self, clock: Clock, from_ms: int, cause: str) -> None:
        self._sandbox.clock = clock
        now_ms = self._sandbox.now_ms()
        self._sandbox.space.note(ClockMoved(now_ms, self._machine.wire_us(), from_ms, clock.mode, clock.rate, cause))
        self.arm(anew=True)

    def _watch_for_quiet(self) -> None:
        if self._quiet is None and not self._stopped:
            rest_ms = self.busy_ms + self._jump_idle_ms - self._machine.wall_ms()
            self._quiet = asyncio.get_running_loop().call_later(max(rest_ms, 1.0) / 1000, self._listen)

    def _listen(self) -> None:
        """Leap if it has been quiet long enough, else go on listening."""
        self._quiet = None
        sandbox = self._sandbox
        if sandbox.clock.mode != "jump" or self._stopped or sandbox.space.next_due_ms() is None:
            return
        now_ms = self._machine.wall_ms()
        if sandbox.open or sandbox.held(now_ms):
            self.busy_ms = now_ms
        if now_ms - self.busy_ms < self._jump_idle_ms or self._moving.locked():
            self._watch_for_quiet()
        elif self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._leap())

    async def _leap(self) -> None:
        next_ms = await self.next_ms()
        if next_ms is not None and next_ms > self._sandbox.now_ms():
            await self.advance(next_ms, "jump")
            await self._sandbox.save_clock()
        self.arm(anew=True)

    async def stop(self) -> None:
        """No more wakings; the one at work ends first."""
        self._stopped = True
        for timer in (self._timer, self._quiet):
            if timer is not None:
                timer.cancel()
        if self._task is not None and not self._task.done():
            await asyncio.gather(self._task, return_exceptions=True)


def saved(clock: Clock) -> Entry:
    """A clock as it is kept."""
    return Entry("clock", list(clock))


def restored(value: Any) -> Clock | None:
    """A clock that was kept."""
    return Clock(*value) if isinstance(value, list) and len(value) == len(Clock._fields) else None
