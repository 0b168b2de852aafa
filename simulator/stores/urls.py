"""Which store a URL names. The stores themselves are imported only when asked for."""

from __future__ import annotations

from simulator.errors import OperatorError
from simulator.stores.base import Store

LEGAL = "memory:// · sqlite:///relative.db · sqlite:////absolute/path.db"


def open_store(url: str | None) -> Store:
    """The store, not yet opened. None is a private temporary file. Raises OperatorError for what names no store."""
    if url == "memory://":
        from simulator.stores.memory import MemoryStore

        return MemoryStore()
    from simulator.stores.sqlite import SqliteStore

    return SqliteStore(_path(url) if url is not None else None)


def _path(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path in (url, "", ":memory:"):
        raise OperatorError(f"no store has the URL {url!r}; legal are: {LEGAL}")
    return path
