"""The task that writes batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from simulator.errors import StoreError
from simulator.stores.rows import Part
from simulator.stores.writer import Writer


class Space:
    """Collects plain names instead of records."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.names: list[str] = []
        self.landed = 0

    def add(self, name: str) -> None:
        if not self.names:
            self.writer.add(self)
        self.names.append(name)
        self.writer.queued += 1

    def take(self) -> Part | None:
        names, self.names = self.names, []
        counts = dict.fromkeys(names, 1)
        return Part(1, None, "boot", {}, {}, counts, [], 1, {}) if names else None

    def written(self) -> None:
        self.landed += 1


class Disk:
    """Remembers what was written together; writes only while the gate is open."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.losses = self.mended = 0

    async def write(self, parts: list[Part]) -> None:
        await self.gate.wait()
        if self.broken:
            raise OSError("no disk")
        self.batches.append([name for part in parts for name in part.counts])

    def lost(self) -> None:
        self.losses += 1

    async def mend(self) -> None:
        self.mended += 1


async def turns() -> None:
    """Let every task run until it waits for something: no thread and no timer takes part here."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def disk() -> Disk:
    return Disk()


@pytest.fixture
async def writer(disk: Disk) -> AsyncIterator[Writer]:
    made = Writer(disk, queue_max=3)
    made.start()
    yield made
    disk.gate.set()
    await made.stop()


async def test_it_lingers_when_nobody_waits(writer: Writer, disk: Disk) -> None:
    space = Space(writer)
    space.add("a")
    await asyncio.sleep(0)
    space.add("b")
    async with asyncio.timeout(10):
        while not space.landed:  # noqa: ASYNC110 - the fact lies in the writer, which sets no event
            await asyncio.sleep(0)
    assert disk.batches == [["a", "b"]]
    assert space.landed == 1


async def test_a_batch_is_what_gathered_while_the_last_was_written(writer: Writer, disk: Disk) -> None:
    space, other = Space(writer), Space(writer)
    disk.gate.clear()
    space.add("a")
    first = asyncio.create_task(writer.flush())
    await turns()
    space.add("b")
    other.add("c")
    second = asyncio.create_task(writer.until(writer.open))
    await turns()
    disk.gate.set()
    await asyncio.gather(first, second)
    assert disk.batches == [["a"], ["b", "c"]]


async def test_flushing_with_nothing_new_waits_for_what_is_under_way(writer: Writer, disk: Disk) -> None:
    await writer.flush()
    space = Space(writer)
    disk.gate.clear()
    space.add("a")
    writer.hurry()
    await turns()
    flushing = asyncio.create_task(writer.flush())
    await turns()
    assert not flushing.done()
    disk.gate.set()
    await flushing
    assert disk.batches == [["a"]]


async def test_one_waiter_giving_up_leaves_the_others_waiting(writer: Writer, disk: Disk) -> None:
    space = Space(writer)
    disk.gate.clear()
    space.add("a")
    waiters = [asyncio.create_task(writer.until(writer.open)) for _ in range(2)]
    await turns()
    waiters[0].cancel()
    await turns()
    assert not waiters[1].done()
    disk.gate.set()
    await waiters[1]


async def test_room_is_made_by_writing(writer: Writer, disk: Disk) -> None:
    space = Space(writer)
    disk.gate.clear()
    for name in "abc":
        space.add(name)
    waiting = asyncio.create_task(writer.room())
    await turns()
    for name in "def":
        space.add(name)
    assert not waiting.done()
    disk.gate.set()
    await waiting
    assert writer.queued < writer.queue_max


async def test_a_failed_batch_takes_what_came_after_it(writer: Writer, disk: Disk) -> None:
    space = Space(writer)
    disk.gate.clear()
    disk.broken = True
    space.add("a")
    failing = asyncio.create_task(writer.flush())
    await turns()
    space.add("b")
    later = asyncio.create_task(writer.until(writer.open))
    await turns()
    disk.gate.set()
    for waiter in (failing, later):
        with pytest.raises(StoreError, match="no disk"):
            await waiter
    assert (disk.losses, disk.mended, disk.batches) == (1, 1, [])
    disk.broken = False
    space.names.clear()
    space.add("c")
    await writer.flush()
    assert disk.batches == [["c"]]


async def test_stopping_writes_what_is_left() -> None:
    disk = Disk()
    writer = Writer(disk)
    writer.start()
    space = Space(writer)
    space.add("a")
    await writer.stop()
    assert disk.batches == [["a"]]
