"""What the engine reads and writes: records, counters, entries, and the looks it takes at them.

Rules: a record is immutable, a change is a new record with the next version; what the engine wants to look at
and is not at hand is named by `NotLoaded`, the shell fetches it and the engine, being pure, decides again.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from simulator.core.events import Event

Json = Any  # None, bool, int, float, str, list[Json], dict[str, Json]
Sortable = float | str


class Record(NamedTuple):
    """One thing that the service keeps. Instants are milliseconds of service time since 1970."""

    kind: str  # scenario and resource: "documents.job"
    id: str
    ordinal: int  # creation number within its kind, from 1
    version: int  # 1 when created, one more with each change
    state: str
    fields: dict[str, Json]  # never changed in place
    created_ms: int
    updated_ms: int
    entries: int  # how many states it has entered; names the draws of this stay
    due_ms: int | None  # when the drawn transition happens
    row: int | None  # which row of the state's table was drawn
    origin: str  # base URL of the request that created it, for links that timers make


class RecordKey(NamedTuple):
    """Names one record."""

    kind: str
    id: str


class Entry(NamedTuple):
    """A small fact that is no record: a unique value's owner, the clock's settings, a stored reply."""

    key: str
    value: Json  # None removes it
    expires_ms: int | None = None  # service time after which nobody asks for it


LOOSE = "~"
"""Begins the key of an entry that is a count of sorts, such as a limit's state: no reply waits for it to be safe."""


class Lease(NamedTuple):
    """What an exchange holds until it ends, or its process does."""

    name: str  # what is held
    holder: str  # by which exchange


class Scan(NamedTuple):
    """A question for many records of one kind, answered in order, a part at a time."""

    kind: str
    where: tuple[tuple[str, str], ...] = ()  # field and the text (see `text_of`) that it must have
    by: str = ""  # the field to order by; "" is the order of creation
    descending: bool = False
    after: tuple[Sortable, int] | None = None  # (sort value, ordinal) of the last record already seen
    offset: int = 0
    most: int = 100
    total: bool = False  # also count all that match


class Found(NamedTuple):
    """The answer to a scan."""

    records: tuple[Record, ...]
    more: bool  # there are further ones behind the last
    total: int | None = None


Need = RecordKey | Scan | str  # a string names an entry


class NotLoaded(Exception):  # noqa: N818 - a question, not an error
    """The engine wants to see this and it is not in memory; `needs` are several where they were found at once."""

    def __init__(self, *needs: Need) -> None:
        self.needs = needs
        super().__init__(*needs)

    @property
    def need(self) -> Need:
        """The first of them."""
        return self.needs[0]


class Held(Exception):  # noqa: N818 - a request to wait, no failure
    """Another exchange holds what this one has to wait for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Behind(Exception):  # noqa: N818 - a request to wait, no failure
    """What is overdue is more than one turn may run, or needs the others' moves in their order: the due loop first."""


class Changes(NamedTuple):
    """What one decision writes, all or nothing.

    A put of version n demands that version n-1 is stored (n = 1: that no such record is); a remove demands the
    very version it names. Anything else is a conflict, and nothing is written.
    """

    puts: tuple[Record, ...] = ()
    removes: tuple[Record, ...] = ()
    entries: tuple[Entry, ...] = ()
    adds: tuple[tuple[str, int], ...] = ()  # counters and by how much
    events: tuple[Event, ...] = ()
    leases: tuple[Lease, ...] = ()  # held until the exchange ends


class Look(Protocol):
    """What the engine may see while it decides. Each method may raise `NotLoaded`."""

    def record(self, kind: str, id: str) -> Record | None:
        """The record, or None where there is none."""

    def scan(self, scan: Scan) -> Found:
        """The records a scan finds."""

    def entry(self, key: str) -> Json:
        """The entry's value, or None."""

    def count(self, name: str) -> int:
        """The counter's value, 0 where nothing was ever added."""

    def holders(self, name: str) -> tuple[str, ...]:
        """Which open exchanges hold this."""


def field_of(record: Record, name: str) -> Json:
    """A field by its (dotted) name; `id`, `state`, `ordinal`, `version`, `created_at`, `updated_at` are built in."""
    if name in BUILT_IN:
        return record[BUILT_IN[name]]
    value: Json = record.fields
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


BUILT_IN = {
    "id": Record._fields.index("id"),
    "state": Record._fields.index("state"),
    "ordinal": Record._fields.index("ordinal"),
    "version": Record._fields.index("version"),
    "created_at": Record._fields.index("created_ms"),
    "updated_at": Record._fields.index("updated_ms"),
}


def text_of(value: Json) -> str | None:
    """A scalar as the text that filters compare, so that `?paid=true` meets `true` and `?n=10` meets `10`.

    None for what no filter can name: null, lists and mappings.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, int) else None


def sort_of(value: Json) -> Sortable:
    """A value as something that orders: numbers before texts, and what has no order as the empty text."""
    if isinstance(value, bool | int | float):
        return float(value)
    return value if isinstance(value, str) else ""
