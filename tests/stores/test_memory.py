"""What only the store in memory does. What every store does is in test_contract.py."""

from __future__ import annotations

import pytest

from simulator.core.records import Changes, Entry
from simulator.stores.memory import MemoryStore
from tests.stores.making import entered, event, numbers, put, record


async def test_nothing_waits_for_anything() -> None:
    store = MemoryStore()
    space = await store.space("default", "boot")
    with pytest.raises(StopIteration) as done:
        space.commit(Changes(puts=(record("a"),)), space.view()).send(None)
    assert done.value.value is True
    assert not store.waits


async def test_the_journal_is_bounded() -> None:
    space = await MemoryStore(journal_events_max=3).space("default", "boot")
    for number in range(1, 8):
        space.note(event(number))
    assert await numbers(space) == [5, 6, 7]


async def test_entries_go_once_an_event_is_later_than_their_end() -> None:
    space = await MemoryStore().space("default", "boot")
    entries = (Entry("short", 1, 100), Entry("long", 1, 300), Entry("renewed", 1, 100), Entry("ever", 1))
    await space.commit(Changes(entries=entries), space.view())
    await space.commit(Changes(entries=(Entry("renewed", 2, 300),)), space.view())
    space.note(event(1, at_ms=100))
    assert await entered(space, "short") == 1
    space.note(event(2, at_ms=101))
    assert [await entered(space, key) for key in ("short", "long", "renewed", "ever")] == [None, 1, 2, 1]


async def test_asking_far_ahead_what_is_due_ends_no_entry() -> None:
    space = await MemoryStore().space("default", "boot")
    await put(space, record("a", due_ms=10))
    await space.commit(Changes(entries=(Entry("key", 1, 100),)), space.view())
    assert len(await space.due(2**62, 1)) == 1
    assert await entered(space, "key") == 1
