"""Scans as SQL, and what SQLite makes of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from simulator.core.records import Scan
from simulator.stores import sqlite_schema
from simulator.stores.scans import Query, select, select_total
from tests.stores.making import KIND


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect("", isolation_level=None)
    sqlite_schema.prepare(made, "")
    yield made
    made.close()


def plan(db: sqlite3.Connection, query: Query) -> list[str]:
    sql, params = query
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", params)]


@pytest.mark.parametrize(
    ("scan", "first"),
    [
        (Scan(KIND), "record_order (space=? AND kind=?)"),
        (Scan(KIND, after=(0.0, 5)), "record_order (space=? AND kind=? AND ordinal>?)"),
        (Scan(KIND, after=(0.0, 5), descending=True), "record_order (space=? AND kind=? AND ordinal<?)"),
        (Scan(KIND, (("state", "done"),)), "record_state (space=? AND kind=? AND state=?)"),
        (Scan(KIND, (("n", "1"),)), "field_text (space=? AND kind=? AND field=? AND text=?)"),
        (
            Scan(KIND, (("n", "1"),), after=("", 3)),
            "field_text (space=? AND kind=? AND field=? AND text=? AND ordinal>?)",
        ),
        (Scan(KIND, (("state", "done"), ("n", "1"))), "field_text (space=? AND kind=? AND field=? AND text=?)"),
        (Scan(KIND, by="n"), "field_sort (space=? AND kind=? AND field=?)"),
        (Scan(KIND, by="n", descending=True, after=(1.0, 3)), "field_sort (space=? AND kind=? AND field=? AND (sort,"),
        (Scan(KIND, by="state"), "record_state (space=? AND kind=?)"),
    ],
)
def test_a_page_is_read_from_an_index_without_sorting(db: sqlite3.Connection, scan: Scan, first: str) -> None:
    steps = plan(db, select(1, scan))
    assert first in steps[0]
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps)


@pytest.mark.parametrize(
    "scan",
    [Scan(KIND, (("n", "1"),), by="m"), Scan(KIND, (("n", "1"), ("m", "2"))), Scan(KIND, (("id", "a"), ("n", "1")))],
)
def test_every_table_is_searched_by_an_index(db: sqlite3.Connection, scan: Scan) -> None:
    for query in (select(1, scan), select_total(1, scan)):
        assert not any(step.startswith("SCAN") for step in plan(db, query))


def test_the_id_tells_more_than_any_other_filter(db: sqlite3.Connection) -> None:
    steps = plan(db, select(1, Scan(KIND, (("n", "1"), ("id", "a")))))
    assert "(space=? AND kind=? AND id=?)" in steps[0]


def test_values_travel_as_parameters() -> None:
    scan = Scan(KIND, (("n'--", "1'--"),), by="m'--", after=("x'--", 1))
    for sql, params in (select(1, scan), select_total(1, scan)):
        assert "'" not in sql
        assert "n'--" in params
        assert sql.count("?") == len(params)
