"""The SQLite file itself: its tables, whose it is, and the one thread that touches it.

Rules: a file that is not ours is refused before anything in it changes; one process at a time serves a file, and
the lock is the operating system's, so that it dies with the process; a path of "" is SQLite's private temporary
file, which has no name and goes away with the connection.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

from simulator.errors import StoreError

APPLICATION_ID = 0x53494D55  # "SIMU", in the file's header
SCHEMA_VERSION = 1
LOCK_WAIT_S = 1.0  # long enough for a process that is just ending, short enough to be told at once
CACHE_KIB = 4096  # of the file's pages in memory
CHECKPOINT_PAGES = 4000  # 16 MiB of log, then it is folded into the file

# A space without a name is dropped, and its rows are being deleted.
TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE space(
    id INTEGER PRIMARY KEY,
    name TEXT UNIQUE);
CREATE TABLE record(
    number INTEGER PRIMARY KEY, space INTEGER, kind TEXT, id TEXT, ordinal INTEGER, state TEXT, due_ms INTEGER,
    body BLOB, UNIQUE(space, kind, id));
CREATE INDEX record_order ON record(space, kind, ordinal);
CREATE INDEX record_state ON record(space, kind, state, ordinal);
CREATE INDEX record_due ON record(space, due_ms, kind, ordinal) WHERE due_ms IS NOT NULL;
CREATE TABLE field(
    record INTEGER, field TEXT, space INTEGER, kind TEXT, ordinal INTEGER, text TEXT, sort,
    PRIMARY KEY(record, field)) WITHOUT ROWID;
CREATE INDEX field_text ON field(space, kind, field, text, ordinal);
CREATE INDEX field_sort ON field(space, kind, field, sort, ordinal);
CREATE TABLE indexed(space INTEGER, kind TEXT, field TEXT, PRIMARY KEY(space, kind, field)) WITHOUT ROWID;
CREATE TABLE entry(
    number INTEGER PRIMARY KEY, space INTEGER, key TEXT, value BLOB, expires_ms INTEGER, UNIQUE(space, key));
CREATE INDEX entry_end ON entry(space, expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE counter(space INTEGER, name TEXT, value INTEGER, PRIMARY KEY(space, name)) WITHOUT ROWID;
CREATE TABLE journal(space INTEGER, last INTEGER, first INTEGER, boot TEXT, blob BLOB, PRIMARY KEY(space, last));
"""

T = TypeVar("T")


class Link(aiosqlite.Connection):
    """An aiosqlite connection that takes any amount of work to its thread in one hop."""

    def __init__(self, path: str) -> None:
        super().__init__(self._open, 64)
        self.path = path
        self.failure: sqlite3.Error | None = None

    def _open(self) -> sqlite3.Connection:
        """On the thread. A stand-in where the file cannot be opened: only an open connection ends its thread."""
        try:
            return sqlite3.connect(self.path, isolation_level=None, timeout=LOCK_WAIT_S)
        except sqlite3.Error as error:
            self.failure = error
            return sqlite3.connect(":memory:")

    async def ask(self, work: Callable[..., T], *args: Any) -> T:
        """Do `work(connection, *args)` on the thread. Raises StoreError for whatever the database complains of."""
        try:
            answer: T = await self._execute(work, self._conn, *args)  # type: ignore[no-untyped-call]
            return answer
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(complaint(self.path, error)) from error


async def link(path: str) -> Link:
    """Open, check and prepare the file. Raises StoreError with what to do about it."""
    made = Link(path)
    _ = await made
    try:
        if made.failure is not None:
            raise StoreError(complaint(path, made.failure)) from made.failure
        await made.ask(prepare, path)
    except BaseException:
        await made.close()
        raise
    return made


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Lock the file, see whose it is, and make the tables where there are none."""
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    owner, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    if tables and owner != APPLICATION_ID:
        raise StoreError(f"{path}: a database, but not the simulator's; name another file")
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path}: written by a newer simulator (layout {version}); use that one or another file")
    db.execute(f"PRAGMA journal_mode={'WAL' if path else 'MEMORY'}")
    db.execute(f"PRAGMA synchronous={'FULL' if path else 'OFF'}")
    db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    with transaction(db):  # also when there is nothing to make: the first write is what takes the lock
        if not tables:
            _make(db)


def _make(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('digest_key', ?)", (secrets.token_bytes(32),))
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


class transaction:  # noqa: N801 - reads as a word of the language
    """All statements inside, or none."""

    __slots__ = ("_db",)

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # after a full disk SQLite has rolled back by itself
                self._db.execute("ROLLBACK")


def complaint(path: str, error: Exception) -> str:
    """What is wrong with the file and what to do about it."""
    place, text = path or "the temporary store", str(error)
    if "locked" in text:
        return f"{place}: another process serves this file; stop it or name another file"
    if "not a database" in text:
        return f"{place}: not an SQLite file; name another file or move this one away"
    if "unable to open" in text:
        return f"{place}: cannot be opened; its directory must exist and be writable"
    if "malformed" in text:
        return f"{place}: the file is damaged; restore a copy, or move it away to begin anew"
    if "full" in text:
        return f"{place}: the disk is full; make room and try again"
    return f"{place}: {text}; see that the disk and the file can be written"
