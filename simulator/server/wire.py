"""What the server's protocol knows of a connection and ASGI does not tell: which one it is, the how-manieth request
on it, and when that request's first byte came.

Rules: handed over in the scope's `extensions` under `simulator.wire`; only the protocol's documented callbacks are
overridden, nothing private of the server is touched.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "simulator.wire"


class Arrival(NamedTuple):
    """Where and when a request came in."""

    connection: int  # counted from 1 in this process; 0 where the server is another one
    turn: int  # the how-manieth request on the connection, from 1
    wire_us: int  # its first byte, in microseconds of the monotonic clock


class Wire(HttpToolsProtocol):
    """uvicorn's protocol, with a memory of its connection."""

    _numbers = itertools.count(1)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self.number = next(self._numbers)
        self.turn = 0
        self.read_us = 0

    def data_received(self, data: bytes) -> None:
        """Bytes have come; a request that begins with them began now."""
        self.read_us = self.app.machine.wire_us()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.turn += 1
        self.scope["extensions"] = {EXTENSION: Arrival(self.number, self.turn, self.read_us)}  # type: ignore[dict-item]
