"""A space whose memory is smaller than what it holds, and what waits for what."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.core.records import LOOSE, Changes, Entry, NotLoaded
from simulator.errors import StoreError
from simulator.stores import rows
from simulator.stores.sqlite import SqliteStore
from simulator.stores.sqlite_space import PURGE_EVERY, Limits, SqliteSpace
from tests.stores.making import KIND, entered, event, ids, keep, moved, numbers, put, record, seen, stored

SMALL = Limits(journal_events_max=1000, hot_max=8, wakes_max=16)


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    made = SqliteStore(limits=SMALL, queue_max=50)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def small(store: SqliteStore) -> SqliteSpace:
    return await store.space("default", "boot")


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(str(tmp_path / "store.db"))
    await made.open()
    yield made
    await made.close()


async def fill(space: SqliteSpace, count: int, due_ms: int | None = None) -> None:
    for number in range(1, count + 1):
        while not await put(space, record(f"r{number}", number, due_ms=due_ms, n=number)):
            pass
    await space.writer.flush()


async def test_what_left_memory_is_read_again(small: SqliteSpace) -> None:
    await fill(small, 40)
    assert len(small.records.hot) <= 10
    with pytest.raises(NotLoaded):
        small.view().record(KIND, "r1")
    assert await stored(small, "r1") == record("r1", 1, n=1)
    assert small.view().record(KIND, "r1") is not None


async def test_entries_that_left_memory_are_read_again(small: SqliteSpace) -> None:
    for number in range(40):
        await small.commit(Changes(entries=(Entry(f"k{number}", number, 2**40),)), small.view())
    await small.writer.flush()
    assert len(small.entries.hot) <= 10
    with pytest.raises(NotLoaded):
        small.view().entry("k0")
    assert await entered(small, "k0") == 0


async def test_a_commit_finds_the_version_of_what_left_memory(small: SqliteSpace) -> None:
    await fill(small, 40)
    first = record("r1", 1, n=1)
    assert not await put(small, first)
    assert not await put(small, moved(moved(first)))
    await fill_with_others(small)
    assert await put(small, moved(first))
    await fill_with_others(small)
    assert await small.commit(Changes(removes=(moved(first),)), small.view())
    assert await stored(small, "r1") is None


async def fill_with_others(space: SqliteSpace) -> None:
    """Look at so many others that the rest leaves."""
    for number in range(20, 40):
        await stored(space, f"r{number}")


async def test_a_decision_on_something_that_changed_during_the_wait_is_taken_again(small: SqliteSpace) -> None:
    await fill(small, 40)
    view = small.view()
    view.count("n")
    late = asyncio.create_task(small.commit(Changes(puts=(moved(record("r1", 1, n=1)),)), view))
    await asyncio.sleep(0)
    await small.commit(Changes(adds=(("n", 1),)), small.view())
    assert await late is False
    assert await small.commit(Changes(puts=(moved(record("r1", 1, n=1)),)), view)


async def test_every_due_record_comes_although_memory_holds_few(small: SqliteSpace) -> None:
    await fill(small, 100, due_ms=7)
    assert len(small._wakes.heap) <= SMALL.wakes_max
    woken: list[int] = []
    while found := await small.due(7, 1000):
        for each in found:
            woken.append(each.ordinal)
            while not await put(small, moved(each, due_ms=None)):
                pass
    assert woken == list(range(1, 101))
    assert small.next_due_ms() is None


async def test_two_that_ask_for_due_records_at_once_get_the_same(small: SqliteSpace) -> None:
    await fill(small, 100, due_ms=7)
    first, second = await asyncio.gather(small.due(7, 4), small.due(7, 4))
    assert first == second
    assert [each.ordinal for each in first] == [1, 2, 3, 4]


async def test_a_commit_waits_while_too_much_is_unwritten(small: SqliteSpace) -> None:
    for number in range(60):
        small.note(event(number))
    view = small.view()
    waiting = small.commit(Changes(puts=(record("a"),)), view)
    step = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    assert not step.done()
    assert await step
    assert small.writer.queued < 50


async def test_kept_waits_while_too_much_is_unwritten(small: SqliteSpace) -> None:
    for number in range(60):
        small.note(event(number))
    await small.kept(small.view())
    assert small.writer.queued == 0


async def test_a_commit_that_looked_at_nothing_is_never_out_of_date(small: SqliteSpace) -> None:
    for number in range(60):
        small.note(event(number))
    blind, looked = small.view(), small.view()
    looked.count("n")
    first, second, third = await asyncio.gather(
        small.commit(Changes(adds=(("n", 1),)), small.view()),
        small.commit(Changes(adds=(("n", 1),)), looked),
        small.commit(Changes(adds=(("n", 1),)), blind),
    )
    assert (first, second, third) == (True, False, True)
    assert small.view().count("n") == 2


async def test_kept_waits_for_what_was_written(durable: SqliteStore) -> None:
    space = await durable.space("default", "boot")
    view = space.view()
    await space.commit(Changes(puts=(record("a"),)), view)
    waiting = asyncio.ensure_future(space.kept(view))
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting
    assert await durable.ask(lambda db: db.execute("SELECT count(*) FROM record").fetchone()[0]) == 1


async def test_kept_waits_for_what_was_only_seen(durable: SqliteStore) -> None:
    space = await durable.space("default", "boot")
    await space.commit(Changes(puts=(record("a"),), entries=(Entry("key", 1),)), space.view())
    view, other = space.view(), space.view()
    view.record(KIND, "a")
    other.entry("key")
    assert view.batch is other.batch is space.writer.open
    await space.kept(view)
    assert await durable.ask(lambda db: db.execute("SELECT count(*) FROM record").fetchone()[0]) == 1


async def test_kept_waits_for_nothing_that_is_on_disk_or_only_told_or_loose(durable: SqliteStore) -> None:
    space = await durable.space("default", "boot")
    await keep(space, Changes(puts=(record("a"),)))
    view = space.view()
    view.record(KIND, "a")
    await space.commit(Changes(entries=(Entry(f"{LOOSE}limit", 5),), adds=(("n", 1),), events=(event(1),)), view)
    space.note(event(2))
    with pytest.raises(StopIteration):
        space.kept(view).send(None)


async def test_many_commits_share_one_write(durable: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    space = await durable.space("default", "boot")
    batches, write = 0, durable.write

    async def counted(parts: list[object]) -> None:
        nonlocal batches
        batches += 1
        await write(parts)  # type: ignore[arg-type]

    monkeypatch.setattr(durable, "write", counted)
    await asyncio.gather(*(keep(space, Changes(puts=(record(f"r{number}", number),))) for number in range(1, 201)))
    assert batches < 10
    assert len(await ids(space, most=1000)) == 200


async def test_a_new_id_costs_no_read_after_others_left_memory(
    small: SqliteSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(small, 40)
    absent = sum(_is_known_absent(small, f"new-{number}") for number in range(100))
    assert absent >= 99


def _is_known_absent(space: SqliteSpace, name: str) -> bool:
    try:
        return space.view().record(KIND, name) is None
    except NotLoaded:
        return False


async def test_expired_entries_leave_the_file(store: SqliteStore) -> None:
    space = await store.space("default", "boot")
    for number in range(PURGE_EVERY):
        while not await space.commit(Changes(entries=(Entry(f"k{number}", 1, number),)), space.view()):
            pass
    await space.due(2**62, 1)
    space.note(event(1, at_ms=1000))
    await space.writer.flush()
    left = await store.ask(lambda db: db.execute("SELECT count(*) FROM entry").fetchone()[0])
    assert left == PURGE_EVERY - 1000


async def test_the_journal_is_cut_back_in_the_file(store: SqliteStore) -> None:
    space = await store.space("default", "boot")
    for number in range(1, 3001):
        space.note(event(number))
        if number % 50 == 0:
            await space.kept(space.view())
    kept = await numbers(space, most=5000)
    assert kept == list(range(kept[0], 3001))
    assert 1000 <= len(kept) <= 1100


async def test_a_scan_waits_for_what_is_being_written(small: SqliteSpace) -> None:
    await put(small, record("a"))
    part = small.take()
    small.writer.busy = batch = small.writer.open
    scanning = asyncio.ensure_future(ids(small))
    await asyncio.sleep(0.01)
    assert not scanning.done()
    await small._owner.ask(rows.write, [part], b"key")
    batch.end()
    assert await scanning == ["a"]


async def test_a_large_space_is_reset_in_slices(small: SqliteSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SLICE", 10)
    await fill(small, 40)
    slices, dig = 0, rows.dig

    def counted(db: sqlite3.Connection, space: int) -> bool:
        nonlocal slices
        slices += 1
        return dig(db, space)

    monkeypatch.setattr(rows, "dig", counted)
    await small.reset()
    assert slices == 5
    assert await ids(small) == []


async def test_what_follows_a_reset_is_waited_for_like_anything_else(durable: SqliteStore) -> None:
    space = await durable.space("default", "boot")
    await put(space, record("a"))
    await space.reset()
    await put(space, record("b"))
    batch = space.writer.open
    space.writer.hurry()
    await asyncio.sleep(0)
    view = space.view()
    view.record(KIND, "b")
    assert view.batch is batch
    await space.kept(view)


async def test_a_late_answer_reaches_no_one_after_a_reset(small: SqliteSpace) -> None:
    await fill(small, 40)
    late = asyncio.ensure_future(stored(small, "r1"))
    await asyncio.sleep(0)
    await small.reset()
    assert await late is None
    assert await stored(small, "r1") is None


async def test_declaring_while_the_index_is_made_makes_it_again(small: SqliteSpace) -> None:
    await fill(small, 40)
    small.declare({KIND: ("m",)})
    scanning = asyncio.ensure_future(ids(small, by="m", most=1))
    await asyncio.sleep(0)
    small.declare({KIND: ("m", "n")})
    await scanning
    assert await ids(small, by="n", descending=True, most=2) == ["r40", "r39"]


async def test_a_refill_that_fails_loses_no_moment(small: SqliteSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(small, 100, due_ms=7)
    found = await small.due(7, 4)
    for each in found:
        await put(small, moved(each, due_ms=None))
    real = small._owner.ask

    async def failing(work: object, *args: object) -> object:
        if getattr(work, "__name__", "") == "read_wakes":
            raise StoreError("for a moment")
        return await real(work, *args)

    monkeypatch.setattr(small._owner, "ask", failing)
    small._wakes.heap.clear()
    small._wakes.horizon = (6, "", 0, "")
    with pytest.raises(StoreError):
        await small.due(7, 4)
    monkeypatch.undo()
    assert [each.ordinal for each in await small.due(7, 4)] == [5, 6, 7, 8]


async def test_reading_finds_what_a_decision_needs_however_small_the_memory(small: SqliteSpace) -> None:
    await fill(small, 40)
    found = await seen(small, lambda look: [look.record(KIND, f"r{number}") for number in range(1, 5)])
    assert all(found)
