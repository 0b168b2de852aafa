"""One sandbox's share of an SQLite store, hot in memory and whole in the file.

Rules: a decision finds what is hot without suspending; every change goes through memory and reaches the file with
the writer's next batch; what is not hot and may be in the file is asked for on the store's thread, whose answers
come in the order of the questions, so that an answer never overtakes the eviction of something newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from simulator.core.events import Event
from simulator.core.records import LOOSE, Changes, Entry, Need, Record, RecordKey, Scan
from simulator.errors import StoreError
from simulator.stores import rows
from simulator.stores.base import Numbered, View, fits
from simulator.stores.cache import HOT_MAX, Cache, Everything, Marks
from simulator.stores.leases import Leases
from simulator.stores.rows import Fields, Key, Part, Stored
from simulator.stores.sqlite_view import SqliteView
from simulator.stores.wakes import NOTHING_YET, WAKES_MAX, Row, Wakes
from simulator.stores.writer import Writer

JOURNAL_EVENTS_MAX = 1_000_000  # of each sandbox; about 1 GB of disk
FORGET_SHARE = 64  # the journal is cut back when it is this share of its length too long
PURGE_EVERY = 1_024  # expiring entries written between two purges; each purge may delete four times as many


class Limits(NamedTuple):
    """How much of a space is kept in memory, and in its journal."""

    journal_events_max: int = JOURNAL_EVENTS_MAX
    hot_max: int = HOT_MAX
    wakes_max: int = WAKES_MAX


class Owner(Protocol):
    """The store, as its spaces see it."""

    waits: bool
    limits: Limits
    writer: Writer

    async def ask(self, work: Any, *args: Any) -> Any:
        """Do `work(connection, *args)` on the store's thread. Raises StoreError."""

    def new_id(self) -> int:
        """A number for a space that is new to the file."""


class SqliteSpace:
    """What one sandbox holds."""

    def __init__(self, name: str, boot: str, owner: Owner) -> None:
        self._name = name
        self._boot = boot
        self._owner = owner
        self._declared = False
        self._opening = asyncio.Lock()
        self._refilling = asyncio.Lock()
        self._indexing = asyncio.Lock()
        self.writer = owner.writer
        self.fields: Fields = {}
        self.turn = 0  # one more with each change, so that a decision knows whether it is out of date
        self.gone = False
        self.leases = Leases()
        self.lost()

    def lost(self) -> None:
        """Nothing in memory is to be believed until `ready` has read the file."""
        self._begin(Stored(0, {}, 0, 0, {}), born=False, records=Everything(), entries=Everything())
        self.broken = True
        self._stirred = False  # the writer, too, has forgotten this space

    def leave(self) -> None:
        """The sandbox is dropped or the store closed; whoever still holds this space is told so."""
        self.lost()
        self.gone = True

    async def ready(self) -> None:
        """Have in memory what must be there: counters, marks, the journal's end, the nearest due moments."""
        async with self._opening:
            if self.broken and not self.gone:
                await self._read()
        if self.gone:
            self.lost()
            raise StoreError(f"the sandbox {self._name!r} is gone; ask for it anew")

    async def _read(self) -> None:
        stored: Stored | None = await self._owner.ask(rows.open_space, self._name)
        if stored is None:
            self._begin(Stored(self._owner.new_id(), {}, 0, 0, {}), born=False)
            return
        records = await self._marks(rows.mark_records, stored.space, ("", ""))
        entries = await self._marks(rows.mark_entries, stored.space, "")
        wakes = await self._owner.ask(rows.read_wakes, stored.space, NOTHING_YET, self._owner.limits.wakes_max // 2)
        self._begin(stored, born=True, records=records, entries=entries)
        self._wakes.horizon = NOTHING_YET
        self._wakes.refilled(NOTHING_YET, *wakes)

    async def _marks(self, work: Any, space: int, after: Any) -> Marks | None:
        marks = Marks()
        while after is not None:
            after = await self._owner.ask(work, space, after, marks)
        return marks if marks.used else None

    def _begin(
        self,
        stored: Stored,
        born: bool,
        records: Marks | Everything | None = None,
        entries: Marks | Everything | None = None,
    ) -> None:
        """Start over from what is stored. New objects, so that late answers reach only the old ones."""
        limits = self._owner.limits
        self._id, self.counters, self._number, self._kept_from, indexed = stored
        self._born = born
        self.records: Cache[Key, Record] = Cache(limits.hot_max, records)
        self.entries: Cache[str, Entry] = Cache(limits.hot_max, entries)
        self._wakes = Wakes(limits.wakes_max)
        self._events: list[Event] = []
        self._counted: set[str] = set()
        self._expiring = 0
        self._reindex = False
        self._indexed: Fields = indexed
        self._use(self.fields if self._declared else indexed)
        self.broken = False
        self.turn += 1

    def declare(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        self._declared = True
        self._use(fields)

    def _use(self, fields: Fields) -> None:
        self.fields = dict(fields)
        # Records written from now on lack what is no longer declared, so it is not whole in the index any more.
        whole = {kind: tuple(n for n in names if n in fields.get(kind, ())) for kind, names in self._indexed.items()}
        self._reindex |= whole != self._indexed
        self._indexed = whole

    def view(self) -> SqliteView:
        return SqliteView(self)

    async def load(self, need: Need, view: View) -> None:
        own = cast(SqliteView, view)
        if self.broken:
            await self.ready()
        if isinstance(need, RecordKey):
            await self._fetch([(need.kind, need.id)])
        elif isinstance(need, Scan):
            await self._scan(need, own)
        else:
            entries = self.entries
            entries.found(need, await self._owner.ask(rows.read_entry, self._id, need))
        own.turn = None  # it decides anew

    async def _fetch(self, keys: Sequence[Key]) -> None:
        records = self.records
        found = await self._owner.ask(rows.read_records, self._id, keys)
        for key, record in zip(keys, found, strict=True):
            records.found(key, record)

    async def _scan(self, scan: Scan, view: SqliteView) -> None:
        await self._settle()
        await self._index()
        records = self.records
        view.scans[scan] = found = await self._owner.ask(rows.read_scan, self._id, scan)
        for record in found.records:  # whoever scans goes on to change what was found
            records.found((record.kind, record.id), record)

    async def _settle(self) -> None:
        """Have every record in the file."""
        if self.records.fresh:
            await self.writer.until(self.writer.open)
        elif self.records.busy and self.writer.busy is not None:
            await self.writer.busy.wait()

    async def _index(self) -> None:
        """Have the declared fields of every stored record in the index."""
        async with self._indexing:
            while self._born and self._indexed != self.fields:
                space, fields = self._id, self.fields
                for kind, names in fields.items():
                    if missing := tuple(name for name in names if name not in self._indexed.get(kind, ())):
                        await self._index_kind(kind, missing)
                if space == self._id and fields is self.fields:
                    self._indexed = fields
                    await self._owner.ask(rows.set_indexed, space, fields)

    async def _index_kind(self, kind: str, names: tuple[str, ...]) -> None:
        after: str | None = ""
        while after is not None:
            after = await self._owner.ask(rows.index_some, self._id, kind, after, names)

    async def commit(self, changes: Changes, view: View) -> bool:
        own = cast(SqliteView, view)
        while True:
            try:
                if self.broken or self.writer.queued >= self.writer.queue_max:
                    await self._room()
                elif fits(changes, self._stored):
                    self._apply(changes, own)
                    return True
                else:
                    return False
            except KeyError:
                await self._fetch([(record.kind, record.id) for record in (*changes.puts, *changes.removes)])
            if own.outdated():
                return False

    async def _room(self) -> None:
        if self.broken:
            await self.ready()
        await self.writer.room()

    def _stored(self, kind: str, id: str) -> Record | None:
        return self.records.get((kind, id))

    def _apply(self, changes: Changes, view: SqliteView) -> None:
        puts, removes, entries, adds, events, leases = changes
        for put in puts:
            self._put(put)
        for gone in removes:
            self.records.put((gone.kind, gone.id), None)
        for entry in entries:
            self._expiring += entry.expires_ms is not None
            self.entries.put(entry.key, entry if entry.value is not None else None)
        for name, amount in adds:
            self.counters[name] = self.counters.get(name, 0) + amount
            self._counted.add(name)
        self._events += events
        self.leases.take(leases)
        if puts or removes or any(not entry.key.startswith(LOOSE) for entry in entries):
            view.batch = self.writer.open
        self.turn += 1
        view.turn = None
        self._stir(len(puts) + len(removes) + len(entries) + len(events))

    def _put(self, put: Record) -> None:
        key = (put.kind, put.id)
        if put.due_ms is not None:
            old = self.records.hot.get(key)
            if old is None or old.due_ms != put.due_ms or old.ordinal != put.ordinal:
                self._wakes.add((put.due_ms, put.kind, put.ordinal, put.id))
        self.records.put(key, put)

    def _stir(self, size: int) -> None:
        self.writer.queued += size
        if not self._stirred:
            self._stirred = True
            self.writer.add(self)

    def note(self, event: Event) -> None:
        if not self.broken:
            self._events.append(event)
            self._stir(1)

    async def kept(self, view: View) -> None:
        batch = cast(SqliteView, view).batch
        if batch is not None:
            if self._owner.waits and not batch.done:
                await self.writer.until(batch)
            batch.check()
        if self.writer.queued >= self.writer.queue_max:
            await self.writer.room()

    def take(self) -> Part | None:
        self._stirred = False
        events, self._events = self._events, []
        counts = {name: self.counters[name] for name in self._counted}
        self._counted.clear()
        puts, entries = self.records.take(), self.entries.take()
        if not (events or counts or puts or entries):
            return None
        if not self._born:
            self._indexed, self._reindex = self.fields, True
        name = None if self._born else self._name
        indexed = self._indexed if self._reindex else None
        first, self._born, self._reindex = self._number + 1, True, False
        self._number += len(events)
        kept = (puts, entries, counts, events, first)
        rest = (self.fields, indexed, self._forget_to(), self._purge_ms(events))
        return Part(self._id, name, self._boot, *kept, *rest)

    def _forget_to(self) -> int:
        most = self._owner.limits.journal_events_max
        if self._number - self._kept_from <= most + most // FORGET_SHARE:
            return 0
        self._kept_from = self._number - most
        return self._kept_from

    def _purge_ms(self, events: Sequence[Event]) -> int | None:
        if self._expiring < PURGE_EVERY or not events:
            return None
        self._expiring = 0
        return events[-1].at_ms

    def written(self) -> None:
        self.records.written()
        self.entries.written()

    def next_due_ms(self) -> int | None:
        if self.broken:
            return None if self.gone else NOTHING_YET[0]
        return self._wakes.next_ms(self._is_stale)

    async def due(self, now_ms: int, most: int) -> list[Record]:
        if self.broken:
            await self.ready()
        limits = self._owner.limits
        most = max(1, min(most, limits.hot_max // 2, limits.wakes_max // 4))  # so that all of them fit into memory
        while True:
            near = self._wakes.nearest(now_ms, most, self._is_stale)
            if cold := [(row[1], row[3]) for row in near if (row[1], row[3]) not in self.records.hot]:
                await self._fetch(cold)
            elif len(near) < most and self._wakes.beyond(now_ms):
                await self._refill()
            else:
                return [record for row in near if (record := self.records.hot[row[1], row[3]])]

    def _is_stale(self, row: Row) -> bool:
        """Whether memory knows that the record is no longer due then."""
        try:
            record = self.records.get((row[1], row[3]))
        except KeyError:
            return False
        return record is None or record.due_ms != row[0] or record.ordinal != row[2]

    async def _refill(self) -> None:
        wakes = self._wakes
        async with self._refilling:
            if wakes is not self._wakes or (after := wakes.refilling()) is None:
                return
            try:
                await self._settle()
                found = await self._owner.ask(rows.read_wakes, self._id, after, self._owner.limits.wakes_max // 2)
            except BaseException:
                wakes.abandoned()
                raise
            wakes.refilled(after, *found)

    async def counts(self, prefix: str) -> dict[str, int]:
        if self.broken:
            await self.ready()
        return {name: value for name, value in self.counters.items() if name.startswith(prefix)}

    async def journal(self, after: int, most: int, kinds: frozenset[str] | None = None) -> list[Numbered]:
        if self.broken:
            await self.ready()
        await self.writer.flush()
        found: list[Numbered] = []
        go_on: int | None = after
        while go_on is not None and len(found) < most:
            some, go_on = await self._owner.ask(rows.read_journal, self._id, go_on, most - len(found), kinds)
            found += some
        return found

    async def reset(self) -> None:
        await self.ready()
        self._begin(Stored(self._owner.new_id(), {}, 0, 0, {}), born=False)
        self.leases.clear()
        await bury(self._owner, self._name)


async def bury(owner: Owner, name: str) -> None:
    """Delete what is stored under this name; the name is free at once, the rows go in slices."""
    space: int | None = await owner.ask(rows.bury, name)
    while space is not None and await owner.ask(rows.dig, space):
        pass
