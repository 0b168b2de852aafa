"""What a protocol tells of its connection, seen from real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from simulator.server.timekeeper import Machine
from simulator.server.wire import EXTENSION, Arrival, Wire

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Recorder:
    """An application that notes where each request came in."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.arrivals: list[Arrival] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.arrivals.append(scope["extensions"][EXTENSION])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def served(app: Recorder) -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=Wire, lifespan="off", log_level="error", ws="none", proxy_headers=False)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def ask(port: int, times: int) -> None:
    """So many requests on one connection, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(times):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_requests_on_one_connection_are_numbered_in_turn() -> None:
    app = Recorder()
    async with served(app) as port:
        await ask(port, 3)
    assert [arrival.turn for arrival in app.arrivals] == [1, 2, 3]
    assert len({arrival.connection for arrival in app.arrivals}) == 1


async def test_each_connection_has_a_number_of_its_own() -> None:
    app = Recorder()
    async with served(app) as port:
        await ask(port, 1)
        await ask(port, 1)
    first, second = app.arrivals
    assert first.connection != second.connection
    assert second.turn == 1


async def test_the_first_byte_is_stamped_before_the_application_runs_and_never_goes_back() -> None:
    app = Recorder()
    before = app.machine.wire_us()
    async with served(app) as port:
        await ask(port, 5)
    stamps = [arrival.wire_us for arrival in app.arrivals]
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= stamps[-1] <= app.machine.wire_us()
