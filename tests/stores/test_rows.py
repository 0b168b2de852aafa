"""Rows in and rows out, without a loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.core.records import Entry, Scan
from simulator.stores import rows, sqlite_schema
from simulator.stores.cache import Marks
from simulator.stores.rows import BLOB_EVENTS, JOURNAL_SLICE, Part
from simulator.stores.wakes import NOTHING_YET
from tests.stores.making import KIND, event, moved, record

EVENTS = BLOB_EVENTS * JOURNAL_SLICE + 10


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect("", isolation_level=None)
    sqlite_schema.prepare(made, "")
    yield made
    made.close()


def part(**changed: Any) -> Part:
    plain = Part(1, None, "boot", {}, {}, {}, [], 1, {})
    return plain._replace(**changed)


def puts(*records: Any) -> dict[Any, Any]:
    return {(each.kind, each.id): each for each in records}


def write(db: sqlite3.Connection, **changed: Any) -> None:
    rows.write(db, [part(**changed)], b"key")


def counted(db: sqlite3.Connection) -> dict[str, int]:
    tables = ("space", "record", "field", "indexed", "entry", "counter", "journal")
    sql = "SELECT count(*) FROM "
    return {table: db.execute(sql + table).fetchone()[0] for table in tables}


@pytest.mark.parametrize("value", [None, 1.5, "ä", [1, {"a": True}], 10**30, {"x": "\ud83d"}])
def test_what_is_packed_comes_back(value: object) -> None:
    assert rows.unpack(rows.pack(value)) in (value, float(10**30))


def test_a_batch_is_written_wholly_or_not_at_all(db: sqlite3.Connection) -> None:
    bad = part(events=[object()])
    with pytest.raises(KeyError):
        rows.write(db, [part(name="one", puts=puts(record("a")), counts={"n": 1}), bad], b"key")
    assert not any(counted(db).values())
    assert not db.in_transaction


def test_a_space_is_opened_with_its_counters_and_the_end_of_its_journal(db: sqlite3.Connection) -> None:
    assert rows.open_space(db, "one") is None
    indexed = {KIND: ("m", "n")}
    write(db, name="one", counts={"n": 3}, events=[event(1), event(2)], first=1, indexed=indexed)
    write(db, events=[event(3)], first=3, counts={"n": 4}, forget_to=2)
    assert rows.open_space(db, "one") == (1, {"n": 4}, 3, 2, indexed)
    assert rows.space_names(db) == ["one"]
    assert rows.space_ids(db) == ([], 1)


def test_a_field_that_has_not_changed_is_found_once(db: sqlite3.Connection) -> None:
    fields = {KIND: ("n",)}
    job = record("a", n=1)
    write(db, puts=puts(job), fields=fields)
    write(db, puts=puts(moved(job, ordinal=7, fields={"n": 2})), fields=fields)
    assert db.execute("SELECT ordinal, text, sort FROM field").fetchall() == [(7, "2", 2.0)]
    assert rows.read_scan(db, 1, Scan(KIND, (("n", "1"),))).records == ()
    assert len(rows.read_scan(db, 1, Scan(KIND, (("n", "2"),))).records) == 1


def test_a_removed_record_leaves_nothing(db: sqlite3.Connection) -> None:
    write(db, puts=puts(record("a", n=1), record("b", n=1)), fields={KIND: ("n",)})
    write(db, puts={(KIND, "a"): None, (KIND, "never"): None})
    assert (counted(db)["record"], counted(db)["field"]) == (1, 1)
    assert rows.read_records(db, 1, [(KIND, "a"), (KIND, "b")]) == [None, record("b", n=1)]


def test_entries_are_replaced_removed_and_purged(db: sqlite3.Connection) -> None:
    entries = {key: Entry(key, 1, end) for key, end in (("a", 10), ("b", 20), ("c", None), ("d", None))}
    write(db, entries=entries)
    write(db, entries={"a": Entry("a", 2, 30), "d": None}, purge_ms=25)
    assert rows.read_entry(db, 1, "a") == Entry("a", 2, 30)
    assert rows.read_entry(db, 1, "c") == Entry("c", 1)
    assert [rows.read_entry(db, 1, key) for key in "bd"] == [None, None]


def test_a_garbled_name_names_nothing(db: sqlite3.Connection) -> None:
    assert rows.read_records(db, 1, [(KIND, "\udc80")]) == [None]
    assert rows.read_entry(db, 1, "\udc80") is None
    assert rows.read_scan(db, 1, Scan(KIND, (("id", "\udc80"),), total=True)) == ((), False, 0)


def test_a_long_journal_is_written_in_blobs_and_read_in_slices(db: sqlite3.Connection) -> None:
    write(db, events=[event(number) for number in range(1, EVENTS + 1)])
    assert counted(db)["journal"] == JOURNAL_SLICE + 1
    found, go_on = rows.read_journal(db, 1, 0, EVENTS, None)
    assert (len(found), go_on) == (BLOB_EVENTS * JOURNAL_SLICE, BLOB_EVENTS * JOURNAL_SLICE)
    found, go_on = rows.read_journal(db, 1, EVENTS - 10, EVENTS, None)
    assert ([each.number for each in found], go_on) == (list(range(EVENTS - 9, EVENTS + 1)), None)
    found, go_on = rows.read_journal(db, 1, 5, 2, None)
    assert ([each.number for each in found], go_on) == ([6, 7], None)


def test_due_moments_are_read_a_part_at_a_time(db: sqlite3.Connection) -> None:
    write(db, puts=puts(*(record(f"r{i}", i, due_ms=10 + i % 2) for i in range(1, 6)), record("never", 9)))
    first, complete = rows.read_wakes(db, 1, NOTHING_YET, 3)
    assert ([row[3] for row in first], complete) == (["r2", "r4", "r1"], False)
    rest, complete = rows.read_wakes(db, 1, first[-1], 3)
    assert ([row[3] for row in rest], complete) == (["r3", "r5"], True)


def test_marking_goes_on_where_it_stopped(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "KEYS_SLICE", 2)
    write(db, puts=puts(*(record(f"r{i}", i) for i in range(3))), entries={"e": Entry("e", 1)})
    marks = Marks()
    assert rows.mark_records(db, 1, ("", ""), marks) == (KIND, "r1")
    assert rows.mark_records(db, 1, (KIND, "r1"), marks) is None
    assert rows.mark_entries(db, 1, "", marks) is None
    assert all(key in marks for key in [(KIND, "r0"), (KIND, "r1"), (KIND, "r2"), "e"])


def test_indexing_goes_on_where_it_stopped(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SLICE", 2)
    write(db, puts=puts(*(record(f"r{i}", i, n=i) for i in range(3))))
    assert rows.index_some(db, 1, KIND, "", ("n",)) == "r1"
    assert rows.index_some(db, 1, KIND, "r1", ("n",)) is None
    assert [found.id for found in rows.read_scan(db, 1, Scan(KIND, by="n")).records] == ["r0", "r1", "r2"]
    rows.set_indexed(db, 1, {KIND: ("n",)})
    assert counted(db)["indexed"] == 1


def test_a_buried_space_is_dug_out_in_slices(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SLICE", 2)
    full = {
        "name": "one",
        "puts": puts(*(record(f"r{i}", i, n=i) for i in range(5))),
        "fields": {KIND: ("n",)},
        "indexed": {KIND: ("n",)},
        "entries": {"e": Entry("e", 1)},
        "counts": {"n": 1},
        "events": [event(1)],
    }
    write(db, **full)
    write(db, **{**full, "space": 2, "name": "two"})
    before = counted(db)
    assert rows.bury(db, "one") == 1
    assert rows.bury(db, "one") is None
    assert rows.space_names(db) == ["two"]
    assert rows.space_ids(db) == ([1], 2)
    slices = 1
    while rows.dig(db, 1):
        slices += 1
    assert slices == 3
    assert counted(db) == {table: count // 2 for table, count in before.items()}
