"""Records and journal as plain objects in memory, for simulation and for tests. Nothing outlives the process.

Rules: a commit never waits; the journal is bounded; scans look at every record of their kind.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush

from simulator.core.events import NAMES, Event, decode, encode
from simulator.core.records import (
    Changes,
    Entry,
    Found,
    Json,
    Need,
    NotLoaded,
    Record,
    Scan,
    field_of,
    sort_of,
    text_of,
)
from simulator.stores.base import Numbered, View, demand_declared, fits
from simulator.stores.leases import Leases
from simulator.stores.wakes import Row, Wakes

JOURNAL_EVENTS_MAX = 100_000  # about 200 MiB of exchanges; whoever wants more takes a file

Place = tuple[int, float, str, int]


class MemoryView:
    """A look that sees everything at once but scans: for those, whoever decides brings the records up to date first."""

    __slots__ = ("_space", "scans")

    def __init__(self, space: MemorySpace) -> None:
        self._space = space
        self.scans: dict[Scan, Found] = {}

    def record(self, kind: str, id: str) -> Record | None:
        return self._space.records.get((kind, id))

    def scan(self, scan: Scan) -> Found:
        demand_declared(scan, self._space.fields)
        found = self.scans.get(scan)
        if found is None:
            raise NotLoaded(scan)
        return found

    def entry(self, key: str) -> Json:
        entry = self._space.entries.get(key)
        return entry.value if entry is not None else None

    def count(self, name: str) -> int:
        return self._space.counters.get(name, 0)

    def holders(self, name: str) -> tuple[str, ...]:
        return self._space.leases.holders(name)


class MemorySpace:
    """One sandbox's share: a few dicts."""

    def __init__(self, boot: str, key: bytes, journal_events_max: int) -> None:
        self._boot = boot
        self._key = key
        self.fields: Mapping[str, tuple[str, ...]] = {}
        self._journal: deque[Event] = deque(maxlen=journal_events_max)
        self.leases = Leases()
        self._forget()

    def _forget(self) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.entries: dict[str, Entry] = {}
        self.counters: dict[str, int] = {}
        self._ends: list[tuple[int, str]] = []  # when entries expire
        self._wakes = Wakes(most=None)
        self._journal.clear()
        self.leases.clear()
        self._number = 0

    @property
    def empty(self) -> bool:
        return not (self.records or self.entries or self.counters or self._journal)

    def declare(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        self.fields = dict(fields)

    def view(self) -> MemoryView:
        return MemoryView(self)

    async def load(self, need: Need, view: View) -> None:
        if isinstance(view, MemoryView) and isinstance(need, Scan):
            view.scans[need] = self.find(need)

    async def commit(self, changes: Changes, view: View) -> bool:  # noqa: ARG002 - nothing can have changed
        if not fits(changes, lambda kind, id: self.records.get((kind, id))):
            return False
        for put in changes.puts:
            self._put(put)
        for gone in changes.removes:
            del self.records[gone.kind, gone.id]
        for entry in changes.entries:
            self._enter(entry)
        for name, amount in changes.adds:
            self.counters[name] = self.counters.get(name, 0) + amount
        for event in changes.events:
            self.note(event)
        self.leases.take(changes.leases)
        return True

    def _put(self, put: Record) -> None:
        self.records[put.kind, put.id] = put
        if put.due_ms is not None:
            self._wakes.add((put.due_ms, put.kind, put.ordinal, put.id))

    def _enter(self, entry: Entry) -> None:
        if entry.value is None:
            self.entries.pop(entry.key, None)
            return
        self.entries[entry.key] = entry
        if entry.expires_ms is not None:
            heappush(self._ends, (entry.expires_ms, entry.key))

    def note(self, event: Event) -> None:
        self._journal.append(event)
        self._number += 1
        self._expire(event.at_ms)

    async def kept(self, view: View) -> None:
        """Nothing to wait for: memory is as safe as this store makes it."""

    def next_due_ms(self) -> int | None:
        return self._wakes.next_ms(self._is_stale)

    async def due(self, now_ms: int, most: int) -> list[Record]:
        return [self.records[row[1], row[3]] for row in self._wakes.nearest(now_ms, most, self._is_stale)]

    def _is_stale(self, row: Row) -> bool:
        record = self.records.get((row[1], row[3]))
        return record is None or record.due_ms != row[0] or record.ordinal != row[2]

    def _expire(self, now_ms: int) -> None:
        while self._ends and self._ends[0][0] < now_ms:
            expires_ms, key = heappop(self._ends)
            entry = self.entries.get(key)
            if entry is not None and entry.expires_ms == expires_ms:
                del self.entries[key]

    async def counts(self, prefix: str) -> dict[str, int]:
        return {name: value for name, value in self.counters.items() if name.startswith(prefix)}

    async def journal(self, after: int, most: int, kinds: frozenset[str] | None = None) -> list[Numbered]:
        found: list[Numbered] = []
        for number, event in enumerate(self._journal, self._number - len(self._journal) + 1):
            if len(found) == most:
                break
            if number > after and (kinds is None or NAMES[type(event)] in kinds):
                found.append(Numbered(number, self._boot, decode(encode([event], self._key))[0]))
        return found

    async def reset(self) -> None:
        self._forget()

    def find(self, scan: Scan) -> Found:
        """The records a scan finds, the slow and simple way."""
        matching = [
            record
            for record in self.records.values()
            if record.kind == scan.kind and all(text_of(field_of(record, name)) == text for name, text in scan.where)
        ]
        ordered = sorted(matching, key=lambda record: _place(record, scan.by), reverse=scan.descending)
        part = [record for record in ordered if _follows(record, scan)][scan.offset :]
        return Found(tuple(part[: scan.most]), len(part) > scan.most, len(matching) if scan.total else None)


def _place(record: Record, by: str) -> Place:
    """Where a record comes in an order: numbers before texts, then the older record."""
    sort = sort_of(field_of(record, by)) if by else 0.0
    return (1, 0.0, sort, record.ordinal) if isinstance(sort, str) else (0, sort, "", record.ordinal)


def _follows(record: Record, scan: Scan) -> bool:
    if scan.after is None:
        return True
    sort, ordinal = scan.after if scan.by else (0.0, scan.after[1])
    last: Place = (1, 0.0, sort, ordinal) if isinstance(sort, str) else (0, sort, "", ordinal)
    place = _place(record, scan.by)
    return place < last if scan.descending else place > last


class MemoryStore:
    """All sandboxes of one process."""

    waits = False
    url = "memory://"

    def __init__(self, journal_events_max: int = JOURNAL_EVENTS_MAX) -> None:
        self._spaces: dict[str, MemorySpace] = {}
        self._key = secrets.token_bytes(32)
        self.journal_events_max = journal_events_max

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to write and nothing to let go."""

    async def names(self) -> list[str]:
        return sorted(name for name, space in self._spaces.items() if not space.empty)

    async def space(self, sandbox: str, boot: str) -> MemorySpace:
        if sandbox not in self._spaces:
            self._spaces[sandbox] = MemorySpace(boot, self._key, self.journal_events_max)
        return self._spaces[sandbox]

    async def drop(self, sandbox: str) -> None:
        self._spaces.pop(sandbox, None)
