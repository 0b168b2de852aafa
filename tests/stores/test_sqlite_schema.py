"""The file: whose it is, who may touch it, what is said when something is wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from simulator.errors import StoreError
from simulator.stores.sqlite_schema import APPLICATION_ID, complaint, link, transaction


async def test_a_new_file_is_made_ours(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    made = await link(str(path))
    await made.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    db.close()


async def test_the_key_that_hides_credentials_stays_with_the_file(tmp_path: Path) -> None:
    keys = []
    for name in ("one.db", "one.db", "two.db"):
        made = await link(str(tmp_path / name))
        keys.append(await made.ask(lambda db: db.execute("SELECT value FROM meta").fetchone()[0]))
        await made.close()
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 32


async def test_a_named_file_is_synced_and_a_temporary_one_is_not(tmp_path: Path) -> None:
    for path, expected in ((str(tmp_path / "a.db"), 2), ("", 0)):
        made = await link(path)
        assert await made.ask(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]) == expected
        await made.close()


async def test_somebody_elses_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs(a)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not the simulator's; name another file"):
        _ = await link(str(path))
    assert path.read_bytes() == before


async def test_a_file_of_a_newer_simulator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    await (await link(str(path))).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer simulator"):
        _ = await link(str(path))


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("just text, and enough of it to be looked at as a page" * 100)
    with pytest.raises(StoreError, match=r"text\.db: not an SQLite file; name another"):
        _ = await link(str(path))


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    await (await link(str(path))).close()
    raw = bytearray(path.read_bytes())
    raw[100:200] = b"\xff" * 100
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        _ = await link(str(path))


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing.*its directory must exist"):
        _ = await link(str(tmp_path / "missing" / "store.db"))


async def test_a_file_that_is_served_already_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    first = await link(path)
    with pytest.raises(StoreError, match="another process serves this file"):
        _ = await link(path)
    await first.close()
    await (await link(path)).close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("database or disk is full", "make room"), ("disk I/O error", "see that the disk"), ("", "the temporary store")],
)
def test_every_complaint_says_what_to_do(text: str, expected: str) -> None:
    assert expected in complaint("", sqlite3.OperationalError(text))


def fail_half_way(db: sqlite3.Connection) -> None:
    with transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
        db.execute("INSERT INTO missing VALUES (1)")


def test_a_transaction_is_all_or_nothing() -> None:
    db = sqlite3.connect("", isolation_level=None)
    db.execute("CREATE TABLE t(a)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        fail_half_way(db)
    with transaction(db):
        db.execute("INSERT INTO t VALUES (2)")
    assert db.execute("SELECT a FROM t").fetchall() == [(2,)]
    db.close()
