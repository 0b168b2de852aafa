"""What happens on the store's thread: rows in, rows out. Every function here takes the connection first.

Rules: nothing here knows the loop or the cache; a batch is one transaction; what may be much is read or deleted in
slices, so that a write waiting behind it waits briefly.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson

from simulator.core.events import NAMES, Event, decode, encode
from simulator.core.records import Entry, Found, Json, Record, Scan, field_of, sort_of, text_of
from simulator.stores.base import Numbered
from simulator.stores.cache import Marks
from simulator.stores.scans import select, select_total
from simulator.stores.sqlite_schema import transaction
from simulator.stores.wakes import Row

Key = tuple[str, str]  # kind and id of a record
H = TypeVar("H", bound=Hashable)
Fields = Mapping[str, tuple[str, ...]]  # declared fields by kind

BLOB_EVENTS = 256  # in one journal row: encoding them holds the interpreter for about 2 ms
JOURNAL_SLICE = 8  # journal rows decoded in one go
SLICE = 2_000  # rows deleted or indexed in one go, about 10 ms
KEYS_SLICE = 20_000  # keys marked in one go
PURGE_MAX = 4_096  # expired entries deleted with one batch

PUT = """INSERT INTO record(space, kind, id, ordinal, state, due_ms, body) VALUES (?,?,?,?,?,?,?)
ON CONFLICT(space, kind, id) DO UPDATE SET
ordinal=excluded.ordinal, state=excluded.state, due_ms=excluded.due_ms, body=excluded.body"""
PUT_FIELD = """INSERT INTO field(space, kind, ordinal, field, text, sort, record)
SELECT ?,?,?,?,?,?, number FROM record WHERE space=? AND kind=? AND id=?
ON CONFLICT(record, field) DO UPDATE SET ordinal=excluded.ordinal, text=excluded.text, sort=excluded.sort
WHERE ordinal<>excluded.ordinal OR text IS NOT excluded.text OR sort IS NOT excluded.sort"""
REMOVE = "DELETE FROM record WHERE space=? AND kind=? AND id=?"
REMOVE_FIELDS = "DELETE FROM field WHERE record=(SELECT number FROM record WHERE space=? AND kind=? AND id=?)"
ENTER = """INSERT INTO entry(space, key, value, expires_ms) VALUES (?,?,?,?)
ON CONFLICT(space, key) DO UPDATE SET value=excluded.value, expires_ms=excluded.expires_ms"""
PURGE = """DELETE FROM entry WHERE number IN
(SELECT number FROM entry WHERE space=? AND expires_ms < ? LIMIT ?)"""
COUNT = "INSERT INTO counter VALUES (?,?,?) ON CONFLICT(space, name) DO UPDATE SET value=excluded.value"
DIG = (  # the index first, while the records it belongs to are still there to name it
    """DELETE FROM field WHERE record IN (SELECT number FROM record WHERE space=? ORDER BY number LIMIT ?)""",
    """DELETE FROM record WHERE number IN (SELECT number FROM record WHERE space=? ORDER BY number LIMIT ?)""",
    """DELETE FROM entry WHERE number IN (SELECT number FROM entry WHERE space=? LIMIT ?)""",
)
DIG_JOURNAL = "DELETE FROM journal WHERE rowid IN (SELECT rowid FROM journal WHERE space=? LIMIT ?)"


class Part(NamedTuple):
    """What one space adds to a batch."""

    space: int
    name: str | None  # given when the space has no row yet
    boot: str
    puts: dict[Key, Record | None]  # None removes
    entries: dict[str, Entry | None]
    counts: dict[str, int]  # new values
    events: list[Event]
    first: int  # number of the first of them
    fields: Fields
    indexed: Fields | None = None  # which of the fields every stored record has, where that has changed
    forget_to: int = 0  # delete journal rows up to this number
    purge_ms: int | None = None  # delete entries that expired before


class Stored(NamedTuple):
    """What the file says about a space when it is opened."""

    space: int
    counters: dict[str, int]
    number: int  # of the last event
    kept_from: int  # number before the oldest event kept
    indexed: dict[str, tuple[str, ...]]


def pack(value: Json) -> bytes:
    """JSON bytes of what a record or an entry holds, whatever a scenario computed into it."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        return json.dumps(value, default=str).encode()


def unpack(blob: bytes) -> Json:
    try:
        return orjson.loads(blob)
    except orjson.JSONDecodeError:
        return json.loads(blob)


def write(db: sqlite3.Connection, parts: Sequence[Part], key: bytes) -> None:
    """One batch. `key` hides credentials in the journal."""
    with transaction(db):
        for part in parts:
            _write_part(db, part, key)


def _write_part(db: sqlite3.Connection, part: Part, key: bytes) -> None:
    if part.name is not None:
        db.execute("INSERT INTO space VALUES (?,?)", (part.space, part.name))
    if part.indexed is not None:
        _write_indexed(db, part.space, part.indexed)
    if part.puts:
        _write_records(db, part)
    if part.entries:
        _write_entries(db, part)
    db.executemany(COUNT, ((part.space, name, value) for name, value in part.counts.items()))
    db.executemany("INSERT INTO journal(space, last, first, boot, blob) VALUES (?,?,?,?,?)", _blobs(part, key))
    if part.forget_to:
        db.execute("DELETE FROM journal WHERE space=? AND last<=?", (part.space, part.forget_to))
    if part.purge_ms is not None:
        db.execute(PURGE, (part.space, part.purge_ms, PURGE_MAX))


def _write_records(db: sqlite3.Connection, part: Part) -> None:
    space = part.space
    gone = [(space, *key) for key, record in part.puts.items() if record is None]
    if gone:
        db.executemany(REMOVE_FIELDS, gone)
        db.executemany(REMOVE, gone)
    puts = [record for record in part.puts.values() if record is not None]
    db.executemany(PUT, (_record_row(space, record) for record in puts))
    if part.fields:
        db.executemany(PUT_FIELD, _field_rows(space, puts, part.fields))


def _record_row(space: int, record: Record) -> tuple[Any, ...]:
    body = pack(tuple(record))
    return space, record.kind, record.id, record.ordinal, record.state, record.due_ms, body


def _field_rows(space: int, records: Iterable[Record], fields: Fields) -> Iterator[tuple[Any, ...]]:
    for record in records:
        kind = record.kind
        for name in fields.get(kind, ()):
            value = field_of(record, name)
            yield space, kind, record.ordinal, name, text_of(value), sort_of(value), space, kind, record.id


def _write_entries(db: sqlite3.Connection, part: Part) -> None:
    gone = [(part.space, key) for key, entry in part.entries.items() if entry is None]
    db.executemany("DELETE FROM entry WHERE space=? AND key=?", gone)
    kept = (entry for entry in part.entries.values() if entry is not None)
    db.executemany(ENTER, ((part.space, entry.key, pack(entry.value), entry.expires_ms) for entry in kept))


def _blobs(part: Part, key: bytes) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(part.events), BLOB_EVENTS):
        some = part.events[start : start + BLOB_EVENTS]
        first = part.first + start
        yield part.space, first + len(some) - 1, first, part.boot, encode(some, key)


def open_space(db: sqlite3.Connection, name: str) -> Stored | None:
    """What is stored under this name; None where nothing is."""
    row = db.execute("SELECT id FROM space WHERE name=?", (name,)).fetchone()
    if row is None:
        return None
    space = row[0]
    counters = dict(db.execute("SELECT name, value FROM counter WHERE space=?", row))
    last = db.execute("SELECT max(last) FROM journal WHERE space=?", row).fetchone()[0] or 0
    first = db.execute("SELECT first FROM journal WHERE space=? ORDER BY last LIMIT 1", row).fetchone()
    indexed: dict[str, tuple[str, ...]] = {}
    for kind, field in db.execute("SELECT kind, field FROM indexed WHERE space=?", row):
        indexed[kind] = (*indexed.get(kind, ()), field)
    return Stored(space, counters, last, first[0] - 1 if first else last, indexed)


def mark_records(db: sqlite3.Connection, space: int, after: Key, marks: Marks) -> Key | None:
    """Mark some stored records; where to go on, or None at the end."""
    sql = "SELECT kind, id FROM record WHERE space=? AND (kind, id) > (?,?) ORDER BY kind, id LIMIT ?"
    keys: list[Key] = db.execute(sql, (space, *after, KEYS_SLICE)).fetchall()
    return _mark(keys, marks)


def mark_entries(db: sqlite3.Connection, space: int, after: str, marks: Marks) -> str | None:
    """Mark some stored entries; where to go on, or None at the end."""
    sql = "SELECT key FROM entry WHERE space=? AND key > ? ORDER BY key LIMIT ?"
    return _mark([key for (key,) in db.execute(sql, (space, after, KEYS_SLICE))], marks)


def _mark(keys: Sequence[H], marks: Marks) -> H | None:
    for key in keys:
        marks.add(key)
    return keys[-1] if len(keys) == KEYS_SLICE else None


def read_records(db: sqlite3.Connection, space: int, keys: Sequence[Key]) -> list[Record | None]:
    """These records, in this order; None for each that is not there."""
    return [_record(_row(db, "SELECT body FROM record WHERE space=? AND kind=? AND id=?", space, *key)) for key in keys]


def read_entry(db: sqlite3.Connection, space: int, key: str) -> Entry | None:
    row = _row(db, "SELECT value, expires_ms FROM entry WHERE space=? AND key=?", space, key)
    return Entry(key, unpack(row[0]), row[1]) if row is not None else None


def _row(db: sqlite3.Connection, sql: str, *params: object) -> tuple[Any, ...] | None:
    try:
        row: tuple[Any, ...] | None = db.execute(sql, params).fetchone()
    except UnicodeEncodeError:  # half a surrogate pair, from a garbled URL: nothing has such a name
        return None
    return row


def _record(row: tuple[Any, ...] | None) -> Record | None:
    return Record(*unpack(row[0])) if row is not None else None


def read_scan(db: sqlite3.Connection, space: int, scan: Scan) -> Found:
    try:
        rows = db.execute(*select(space, scan)).fetchall()
        total = db.execute(*select_total(space, scan)).fetchone()[0] if scan.total else None
    except UnicodeEncodeError:
        return Found((), False, 0 if scan.total else None)
    records = tuple(Record(*unpack(body)) for (body,) in rows[: scan.most])
    return Found(records, len(rows) > scan.most, total)


def read_wakes(db: sqlite3.Connection, space: int, after: Row, most: int) -> tuple[list[Row], bool]:
    """Due moments behind this one, and whether these are all."""
    sql = """SELECT due_ms, kind, ordinal, id FROM record
    WHERE space=? AND due_ms IS NOT NULL AND (due_ms, kind, ordinal) > (?,?,?)
    ORDER BY due_ms, kind, ordinal LIMIT ?"""
    rows: list[Row] = db.execute(sql, (space, *after[:3], most)).fetchall()
    return rows, len(rows) < most


def read_journal(
    db: sqlite3.Connection, space: int, after: int, most: int, kinds: frozenset[str] | None
) -> tuple[list[Numbered], int | None]:
    """Some events, and the number to go on after, or None at the end."""
    sql = "SELECT first, last, boot, blob FROM journal WHERE space=? AND last>? ORDER BY last LIMIT ?"
    found: list[Numbered] = []
    slices, go_on = 0, after
    for first, last, boot, blob in db.execute(sql, (space, after, JOURNAL_SLICE)):
        slices, go_on = slices + 1, last
        for number, event in enumerate(decode(blob), first):
            if number > after and (kinds is None or NAMES[type(event)] in kinds):
                found.append(Numbered(number, boot, event))
        if len(found) >= most:
            return found[:most], None
    return found, go_on if slices == JOURNAL_SLICE else None


def index_some(db: sqlite3.Connection, space: int, kind: str, after: str, names: tuple[str, ...]) -> str | None:
    """Index newly declared fields of some stored records of a kind; where to go on, or None at the end."""
    sql = "SELECT id, body FROM record WHERE space=? AND kind=? AND id > ? ORDER BY id LIMIT ?"
    rows = db.execute(sql, (space, kind, after, SLICE)).fetchall()
    records = (Record(*unpack(body)) for _, body in rows)
    with transaction(db):
        db.executemany(PUT_FIELD, _field_rows(space, records, {kind: names}))
    return rows[-1][0] if len(rows) == SLICE else None


def set_indexed(db: sqlite3.Connection, space: int, fields: Fields) -> None:
    """From now on every stored record has exactly these fields in the index."""
    with transaction(db):
        _write_indexed(db, space, fields)


def _write_indexed(db: sqlite3.Connection, space: int, fields: Fields) -> None:
    db.execute("DELETE FROM indexed WHERE space=?", (space,))
    pairs = ((space, kind, name) for kind, names in fields.items() for name in names)
    db.executemany("INSERT OR IGNORE INTO indexed VALUES (?,?,?)", pairs)


def bury(db: sqlite3.Connection, name: str) -> int | None:
    """Take a space's name; from now on it is gone, whatever rows are left. Its number, if there was one."""
    row = db.execute("SELECT id FROM space WHERE name=?", (name,)).fetchone()
    db.execute("UPDATE space SET name=NULL WHERE name=?", (name,))
    return row[0] if row is not None else None


def dig(db: sqlite3.Connection, space: int) -> bool:
    """Delete some rows of a buried space; whether there are more."""
    more = False
    with transaction(db):
        for sql in DIG:
            more |= db.execute(sql, (space, SLICE)).rowcount == SLICE
        more |= db.execute(DIG_JOURNAL, (space, JOURNAL_SLICE)).rowcount == JOURNAL_SLICE
        if not more:
            db.execute("DELETE FROM counter WHERE space=?", (space,))
            db.execute("DELETE FROM indexed WHERE space=?", (space,))
            db.execute("DELETE FROM space WHERE id=?", (space,))
    return more


def space_ids(db: sqlite3.Connection) -> tuple[list[int], int]:
    """The spaces that are buried but not yet dug out, and the highest id ever used by a row."""
    buried = [space for (space,) in db.execute("SELECT id FROM space WHERE name IS NULL")]
    return buried, db.execute("SELECT max(id) FROM space").fetchone()[0] or 0


def space_names(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM space WHERE name IS NOT NULL ORDER BY name")]


def digest_key(db: sqlite3.Connection) -> bytes:
    key: bytes = db.execute("SELECT value FROM meta WHERE name='digest_key'").fetchone()[0]
    return key
