"""What a view remembers of what it saw."""

from __future__ import annotations

import pytest

from simulator.core.records import LOOSE, Entry, Found, Lease, NotLoaded, Record, RecordKey, Scan
from simulator.stores.cache import Cache, Everything
from simulator.stores.leases import Leases
from simulator.stores.rows import Fields, Key
from simulator.stores.sqlite_view import SqliteView
from simulator.stores.writer import Writer
from tests.stores.making import KIND, record


class Disk:
    """Never asked to write."""

    async def write(self, parts: object) -> None:
        raise AssertionError

    def lost(self) -> None:
        raise AssertionError

    async def mend(self) -> None:
        raise AssertionError


class Space:
    """A space as a view needs it."""

    def __init__(self) -> None:
        self.broken = False
        self.counters = {"n": 3}
        self.entries: Cache[str, Entry] = Cache()
        self.fields: Fields = {}
        self.leases = Leases()
        self.records: Cache[Key, Record] = Cache()
        self.turn = 1
        self.writer = Writer(Disk())


async def test_what_is_not_in_memory_is_asked_for() -> None:
    space = Space()
    space.records, space.entries = Cache(8, Everything()), Cache(8, Everything())
    view = SqliteView(space)
    scan = Scan(KIND)
    for look, need in (
        (lambda: view.record(KIND, "a"), RecordKey(KIND, "a")),
        (lambda: view.entry("key"), "key"),
        (lambda: view.scan(scan), scan),
    ):
        with pytest.raises(NotLoaded) as missing:
            look()
        assert missing.value.needs == (need,)
    view.scans[scan] = Found((), False)
    assert view.scan(scan) == Found((), False)


async def test_a_counter_is_asked_for_when_memory_is_not_to_be_believed() -> None:
    space = Space()
    assert SqliteView(space).count("n") == 3
    space.broken = True
    with pytest.raises(NotLoaded):
        SqliteView(space).count("n")


async def test_it_remembers_the_last_batch_of_anything_it_saw() -> None:
    space = Space()
    view = SqliteView(space)
    space.records.hot[KIND, "old"] = record("old")
    view.record(KIND, "old")
    assert view.batch is None
    space.records.put((KIND, "busy"), record("busy"))
    space.records.take()
    space.writer.busy = busy = space.writer.open
    view.record(KIND, "busy")
    assert view.batch is busy
    space.writer.open = fresh = type(busy)()
    space.entries.put("key", Entry("key", 1))
    view.entry("key")
    assert view.batch is fresh
    view.record(KIND, "busy")
    assert view.batch is fresh


async def test_it_is_out_of_date_once_anything_changed_after_its_first_look() -> None:
    space = Space()
    view = SqliteView(space)
    space.turn += 1
    assert not view.outdated()
    view.count("n")
    assert not view.outdated()
    space.turn += 1
    view.count("n")
    assert view.outdated()


async def test_a_loose_entry_binds_nobody() -> None:
    space = Space()
    view = SqliteView(space)
    space.entries.put(f"{LOOSE}limit", Entry(f"{LOOSE}limit", 1))
    assert view.entry(f"{LOOSE}limit") == 1
    assert view.batch is None
    space.turn += 1
    assert view.outdated()


async def test_holders_are_those_of_the_space() -> None:
    space = Space()
    space.leases.take((Lease("key", "req_1"),))
    assert SqliteView(space).holders("key") == ("req_1",)
