"""Every kind of store, open and empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.stores.base import Space, Store
from simulator.stores.memory import MemoryStore
from simulator.stores.sqlite import SqliteStore


@pytest.fixture(params=["memory", "temporary", "named"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: dict[str, Store] = {
        "memory": MemoryStore(journal_events_max=100),
        "temporary": SqliteStore(journal_events_max=100),
        "named": SqliteStore(str(tmp_path / "store.db"), journal_events_max=100),
    }
    chosen = made[request.param]
    await chosen.open()
    yield chosen
    await chosen.close()


@pytest.fixture
async def space(store: Store) -> Space:
    return await store.space("default", "boot-1")
