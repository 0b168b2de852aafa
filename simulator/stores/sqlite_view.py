"""A look at an SQLite space during one decision: what is hot at once, the rest by NotLoaded.

Rule: a view remembers the last batch that anything written or seen belongs to, since a reply that shows a version
may not leave before that version is safe. Counters are no versions: seeing one binds nobody.
"""

from __future__ import annotations

from typing import Any, Protocol

from simulator.core.records import LOOSE, Entry, Found, Json, NotLoaded, Record, RecordKey, Scan
from simulator.stores.base import demand_declared
from simulator.stores.cache import Cache
from simulator.stores.leases import Leases
from simulator.stores.rows import Fields, Key
from simulator.stores.writer import Batch, Writer


class Hot(Protocol):
    """A space, as its views see it."""

    broken: bool  # nothing in memory is to be believed
    counters: dict[str, int]
    entries: Cache[str, Entry]
    fields: Fields
    leases: Leases
    records: Cache[Key, Record]
    turn: int  # one more with each change
    writer: Writer


class SqliteView:
    """What one decision may see."""

    __slots__ = ("_space", "batch", "scans", "turn")

    def __init__(self, space: Hot) -> None:
        self._space = space
        self.batch: Batch | None = None
        self.scans: dict[Scan, Found] = {}
        self.turn: int | None = None  # the space's at the first look of this decision

    def record(self, kind: str, id: str) -> Record | None:
        records = self._space.records
        key = (kind, id)
        try:
            found = records.get(key)
        except KeyError:
            raise NotLoaded(RecordKey(kind, id)) from None
        self._saw(records, key)
        return found

    def scan(self, scan: Scan) -> Found:
        demand_declared(scan, self._space.fields)
        found = self.scans.get(scan)
        if found is None:
            raise NotLoaded(scan)
        self._look()
        return found

    def entry(self, key: str) -> Json:
        entries = self._space.entries
        try:
            found = entries.get(key)
        except KeyError:
            raise NotLoaded(key) from None
        if key.startswith(LOOSE):
            self._look()
        else:
            self._saw(entries, key)
        return found.value if found is not None else None

    def count(self, name: str) -> int:
        if self._space.broken:
            raise NotLoaded(name)
        self._look()
        return self._space.counters.get(name, 0)

    def holders(self, name: str) -> tuple[str, ...]:
        self._look()
        return self._space.leases.holders(name)

    def outdated(self) -> bool:
        """Whether anything has changed since this decision looked."""
        return self.turn is not None and self.turn != self._space.turn

    def _look(self) -> None:
        if self.turn is None:
            self.turn = self._space.turn

    def _saw(self, cache: Cache[Any, Any], key: Key | str) -> None:
        if self.turn is None:
            self.turn = self._space.turn
        if key in cache.fresh:
            self.batch = self._space.writer.open
        elif key in cache.busy and (self.batch is None or self.batch.done):
            self.batch = self._space.writer.busy
