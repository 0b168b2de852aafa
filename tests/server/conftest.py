"""A simulator without a socket, and a client of it; its clock is moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from simulator.server.app import App
from tests.live import inside, started


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(clock="manual") as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(app) as client:
        yield client
