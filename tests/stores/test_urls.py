"""Which store a URL names."""

from __future__ import annotations

import pytest

from simulator.errors import OperatorError
from simulator.stores.memory import MemoryStore
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
