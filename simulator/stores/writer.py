"""One task that writes what the spaces have collected, a batch at a time.

Rules: a batch is whatever gathered while the last one was written, so many commits share one disk write; when
nobody waits it lingers, so that batches are big and few; a failed batch takes with it whatever came after, since
that was decided on what is now lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from simulator.errors import StoreError
from simulator.stores.rows import Part

LINGER_S = 0.02  # fifty batches a second cost nothing; what a crash may lose without a file to keep, nobody misses
QUEUE_MAX = 2_048  # unwritten records, entries and events; with bodies cut to 4 KiB some 8 MiB, twice while writing


class Source(Protocol):
    """A space, as the writer sees it."""

    def take(self) -> Part | None:
        """What is to be written now, if anything."""

    def written(self) -> None:
        """What was taken is in the file."""


class Owner(Protocol):
    """The store, as the writer sees it."""

    async def write(self, parts: list[Part]) -> None:
        """Put all parts into the file, or none and raise."""

    def lost(self) -> None:
        """A batch failed: what it held, and whatever no space has written yet, is gone."""

    async def mend(self) -> None:
        """Read again what is in the file, as far as that goes."""


class Batch:
    """What is written together. Waiters share it; cancelling one leaves the others alone."""

    __slots__ = ("_ended", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: str | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> None:
        """Return when it is in the file. Raises StoreError when it will never be."""
        if not self.done:
            await self._ended.wait()
        self.check()

    def check(self) -> None:
        if self.error is not None:
            raise StoreError(self.error)

    def end(self, error: str | None = None) -> None:
        self.done, self.error = True, error
        self._ended.set()


class Writer:
    """Collects from the spaces what they add, and lets the owner write it."""

    def __init__(self, owner: Owner, queue_max: int = QUEUE_MAX) -> None:
        self._owner = owner
        self._sources: list[Source] = []
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.queue_max = queue_max
        self.queued = 0  # what the open batch holds
        self.open = Batch()  # collects
        self.busy: Batch | None = None  # is being written

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name="store writer")

    async def stop(self) -> None:
        """Write what is left and end. Raises StoreError where that fails."""
        try:
            await self.flush()
        finally:
            if self._task is not None:
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task
            self._calm()

    def add(self, source: Source) -> None:
        """A source has something to write, for the first time since it was taken from."""
        self._sources.append(source)
        if self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._ready.set)

    def hurry(self) -> None:
        """Somebody waits: no lingering."""
        self._ready.set()

    async def until(self, batch: Batch) -> None:
        """Return when this batch is in the file. Raises StoreError when it will never be."""
        if batch is self.open:
            self.hurry()
        await batch.wait()

    async def flush(self) -> None:
        """Return when all that was added so far is in the file."""
        if self._sources:
            await self.until(self.open)
        elif self.busy is not None:
            await self.busy.wait()

    async def room(self) -> None:
        """Return when there is room for more. Raises StoreError when what took the room was lost."""
        while self.queued >= self.queue_max:
            self.hurry()
            await (self.busy or self.open).wait()

    async def _run(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            await self._turn()

    async def _turn(self) -> None:
        self._calm()
        batch, self.open = self.open, Batch()
        sources, self._sources = self._sources, []
        self.busy, self.queued = batch, 0
        parts = [part for source in sources if (part := source.take()) is not None]
        try:
            if parts:
                await self._owner.write(parts)
        except Exception as error:  # whatever it was, nobody may go on as if it were written
            await self._lose(batch, f"{error}" if isinstance(error, StoreError) else f"could not write: {error!r}")
            return
        for source in sources:
            source.written()
        self.busy = None
        batch.end()

    async def _lose(self, batch: Batch, error: str) -> None:
        later, self.open = self.open, Batch()
        self.busy, self.queued = None, 0
        self._sources.clear()
        self._owner.lost()
        batch.end(error)
        later.end(error)
        await self._owner.mend()

    def _calm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
