"""The store contract, one page. Every store passes the same tests (tests/stores/test_contract.py).

Rules: keys begin with the sandbox, two sandboxes share nothing; a store reads no clock, `now_ms` is an argument;
after its last await a commit checks and applies without suspending, so one process never conflicts with itself.
Where more is unwritten than a store keeps in memory, `commit` and `kept` wait; a commit that waited while others
wrote answers False if its view has seen anything, for that may have changed, and deciding again is free. What time
it is in the service a store knows from the events alone, and an entry may go once one is later than its expiry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from simulator.core.events import Event
from simulator.core.records import Changes, Look, Need, Record, Scan
from simulator.stores.leases import Leases

ALWAYS_SCANNED = frozenset({"", "id", "state"})  # what scans filter and order by without being told


class Numbered(NamedTuple):
    """An event with its number in its sandbox's journal (from 1, without gaps) and the boot that wrote it."""

    number: int
    boot: str
    event: Event


class View(Look, Protocol):
    """A look at one sandbox during one decision: what was loaded for it, and a note of what it saw."""


class Space(Protocol):
    """One sandbox's share of a store."""

    leases: Leases

    def declare(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        """Which fields of which kinds scans filter and order by; `id` and `state` always work.

        It replaces what was declared before. A scan by any other field raises ValueError.
        """

    def view(self) -> View:
        """A fresh look. What is in memory it sees at once, the rest raises NotLoaded."""

    async def load(self, need: Need, view: View) -> None:
        """Fetch what a NotLoaded asked for, so that the view sees it (or its absence)."""

    async def commit(self, changes: Changes, view: View) -> bool:
        """Write all of it and return True, or nothing and return False (a conflict). Raises StoreError."""

    def note(self, event: Event) -> None:
        """Add a fact to the journal; nobody waits for it."""

    async def kept(self, view: View) -> None:
        """Return when all that this view wrote or saw is as safe as this store makes it. Raises StoreError."""

    def next_due_ms(self) -> int | None:
        """When the next record is due, or None. May be too early (even long past), never too late."""

    async def due(self, now_ms: int, most: int) -> list[Record]:
        """Up to `most` records with due_ms <= now_ms, by (due_ms, kind, ordinal)."""

    async def counts(self, prefix: str) -> dict[str, int]:
        """The counters whose names begin so, sums of an account, say."""

    async def journal(self, after: int, most: int, kinds: frozenset[str] | None = None) -> list[Numbered]:
        """Up to `most` events with a number above `after`, in order; only these kinds (names of `events.KINDS`)."""

    async def reset(self) -> None:
        """Forget every record, counter, entry and event; the journal counts from 1 again."""


class Store(Protocol):
    """All sandboxes of one place."""

    waits: bool  # whether `kept` waits for a disk or a server, for `serve` to say
    url: str  # how it is named to people, without secrets

    async def open(self) -> None:
        """Be ready. Raises StoreError where the file cannot be opened or is not ours."""

    async def close(self) -> None:
        """Write what is left and let go."""

    async def names(self) -> list[str]:
        """The sandboxes that have anything stored."""

    async def space(self, sandbox: str, boot: str) -> Space:
        """This sandbox's share, with its counters and due moments loaded. Asked again, the same one."""

    async def drop(self, sandbox: str) -> None:
        """Delete a sandbox and all it holds, in slices that let others work."""


def fits(changes: Changes, stored: Callable[[str, str], Record | None]) -> bool:
    """Whether each put and remove meets the version it demands; puts come first, and each sees those before it."""
    versions: dict[tuple[str, str], int] = {}
    for put in changes.puts:
        if _version(put, versions, stored) != put.version - 1:
            return False
        versions[put.kind, put.id] = put.version
    for gone in changes.removes:
        if _version(gone, versions, stored) != gone.version:
            return False
        versions[gone.kind, gone.id] = 0
    return True


def _version(record: Record, versions: dict[tuple[str, str], int], stored: Callable[[str, str], Record | None]) -> int:
    version = versions.get((record.kind, record.id))
    if version is None:
        found = stored(record.kind, record.id)
        version = found.version if found is not None else 0
    return version


def demand_declared(scan: Scan, declared: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ValueError where a scan filters or orders by a field that nobody declared."""
    legal = declared.get(scan.kind, ())
    for name in (scan.by, *(name for name, _ in scan.where)):
        if name not in ALWAYS_SCANNED and name not in legal:
            raise ValueError(f"scan of {scan.kind} by the undeclared field {name!r}; declared: {', '.join(legal)}")
