"""The embedded store: an SQLite file, or a private temporary one that nobody waits for.

Rules: one thread and one writer for all sandboxes; with a path, what `kept` returned for is on disk; without one,
nothing waits and nothing stays. After a failed write every space goes on from what is in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from simulator.errors import StoreError
from simulator.stores import rows
from simulator.stores.rows import Part
from simulator.stores.sqlite_schema import Link, link
from simulator.stores.sqlite_space import JOURNAL_EVENTS_MAX, Limits, SqliteSpace, bury
from simulator.stores.writer import QUEUE_MAX, Writer

T = TypeVar("T")


class SqliteStore:
    """All sandboxes of one file."""

    def __init__(
        self,
        path: str | None = None,
        journal_events_max: int = JOURNAL_EVENTS_MAX,
        limits: Limits | None = None,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        """`limits` and `queue_max` say how much is kept in memory; `journal_events_max` stands in for the first."""
        self.waits = path is not None
        self.url = f"sqlite:///{path}" if path is not None else "a temporary file"
        self.limits = limits or Limits(journal_events_max)
        self.writer = Writer(self, queue_max)
        self._path = path or ""
        self._link: Link | None = None
        self._spaces: dict[str, SqliteSpace] = {}
        self._last_id = 0

    async def open(self) -> None:
        self._link = await link(self._path)
        try:
            self._key = await self.ask(rows.digest_key)
            buried, self._last_id = await self.ask(rows.space_ids)
            for space in buried:  # a process died while it deleted them
                while await self.ask(rows.dig, space):
                    pass
        except BaseException:
            await self._let_go()
            raise
        self.writer.start()

    async def close(self) -> None:
        if self._link is None:
            return
        try:
            await self.writer.stop()
        finally:
            for space in self._spaces.values():
                space.leave()
            await self._let_go()

    async def _let_go(self) -> None:
        held, self._link = self._link, None
        if held is not None:
            await held.close()

    async def ask(self, work: Callable[..., T], *args: Any) -> T:
        """Do `work(connection, *args)` on the store's thread. Raises StoreError."""
        if self._link is None:
            raise StoreError(f"{self.url}: the store is closed")
        return await self._link.ask(work, *args)

    async def names(self) -> list[str]:
        await self.writer.flush()
        return await self.ask(rows.space_names)

    async def space(self, sandbox: str, boot: str) -> SqliteSpace:
        space = self._spaces.get(sandbox)
        if space is None:
            space = self._spaces[sandbox] = SqliteSpace(sandbox, boot, self)
        await space.ready()
        return space

    async def drop(self, sandbox: str) -> None:
        space = self._spaces.pop(sandbox, None)
        if space is not None:
            space.leave()
        await bury(self, sandbox)

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def write(self, parts: list[Part]) -> None:
        await self.ask(rows.write, parts, self._key)

    def lost(self) -> None:
        for space in self._spaces.values():
            space.lost()

    async def mend(self) -> None:
        for space in list(self._spaces.values()):
            with suppress(StoreError):  # whoever asks next tries again, and is told
                await space.ready()
