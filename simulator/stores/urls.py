"""Which store a URL names. The stores themselves are imported only when asked for."""

from __future__ import annotations

from simulator.errors import OperatorError
from simulator.stores.base import Store

LEGAL = "memory:// · sqlite:///relative.db · sqlite:////absolute/path.db"


def open_store(url: str | None, journal_events_max: int | None = None) -> Store:
    """The store, not yet opened. None is a private temporary file. Raises OperatorError for what names no store.

    `journal_events_max` bounds each sandbox's journal; in memory it cannot lift the store's own bound.
    """
    if url == "memory://":
        from simulator.stores.memory import JOURNAL_EVENTS_MAX, MemoryStore

        return MemoryStore(min(journal_events_max or JOURNAL_EVENTS_MAX, JOURNAL_EVENTS_MAX))
    from simulator.stores.sqlite import SqliteStore

    path = _path(url) if url is not None else None
    return SqliteStore(path) if journal_events_max is None else SqliteStore(path, journal_events_max)


def _path(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path in (url, "", ":memory:"):
        raise OperatorError(f"no store has the URL {url!r}; legal are: {LEGAL}")
    return path
