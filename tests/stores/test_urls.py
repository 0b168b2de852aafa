"""Which store a URL names."""

from __future__ import annotations

import pytest

from simulator.core.events import ControlChanged
from simulator.errors import OperatorError
from simulator.stores.memory import JOURNAL_EVENTS_MAX, MemoryStore
from simulator.stores.sqlite import SqliteStore
from simulator.stores.urls import open_store


def test_no_url_is_a_temporary_file_that_nobody_waits_for() -> None:
    store = open_store(None)
    assert isinstance(store, SqliteStore)
    assert not store.waits
    assert store.url == "a temporary file"


def test_memory_is_memory() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("path", ["relative.db", "/absolute/path.db", "a b/ä.db"])
def test_three_slashes_and_a_path_are_a_file_to_wait_for(path: str) -> None:
    store = open_store(f"sqlite:///{path}")
    assert isinstance(store, SqliteStore)
    assert store.waits
    assert store.url == f"sqlite:///{path}"


@pytest.mark.parametrize(
    "url", ["", "store.db", "sqlite://", "sqlite:///", "sqlite://host/a.db", "sqlite:///:memory:", "redis://localhost"]
)
def test_anything_else_is_refused_with_what_is_legal(url: str) -> None:
    with pytest.raises(OperatorError, match=r"memory:// · sqlite:///relative\.db · sqlite:////absolute/path\.db"):
        open_store(url)


@pytest.mark.parametrize("url", ["memory://", None])
async def test_the_operators_bound_holds_for_the_journal(url: str | None) -> None:
    store = open_store(url, 200)
    await store.open()
    try:
        space = await store.space("default", "boot")
        for second in range(500):
            space.note(ControlChanged(second, 0, "reset", ""))
            if second % 100 == 0:
                await space.journal(0, 1)
        await space.journal(0, 1)
        assert 200 <= len(await space.journal(0, 1000)) <= 300
    finally:
        await store.close()


def test_memory_keeps_its_own_bound_where_the_operators_is_larger() -> None:
    store = open_store("memory://", 10**9)
    assert isinstance(store, MemoryStore)
    assert store.journal_events_max == JOURNAL_EVENTS_MAX
