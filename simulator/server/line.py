"""The outgoing side of one connection: what can be written to it, waited for on it, and done to end it.

Rules: only what asyncio documents of transports and sockets is used, so that uvloop, asyncio and TLS do alike; whoever
waits here wakes at once when the client has left.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import NamedTuple

from simulator.server.delays import Delays
from simulator.server.plans import SLICE
from simulator.server.timekeeper import Machine

if sys.platform == "linux":
    import fcntl

    SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes that the kernel has not sent yet

FLUSH_MS = 5_000  # for the kernel to send what stands before a RST
LOOK_MS = 2  # between two looks at what the kernel has sent
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing sends a RST


class Limits(NamedTuple):
    """How long clients may take. A connection's number and idle time are uvicorn's own settings."""

    head_timeout_ms: int = 30_000  # from a request's first byte to the end of its head
    body_timeout_ms: int = 60_000  # from there to the end of its body
    hang_max_ms: int = 600_000  # how long a reply may stand still beyond what its plan says
    head_max_bytes: int = 2**20  # a request's line and fields; longer ones get 431
    linger_ms: int = 2_000  # after a FIN, for what the client still sends


class Wiring:
    """What the connections of one application share."""

    def __init__(self, machine: Machine, limits: Limits | None = None) -> None:
        self.machine = machine
        self.limits = limits or Limits()
        self.delays = Delays(machine)


class Line:
    """One connection, as its replies see it."""

    def __init__(self, transport: asyncio.Transport, wiring: Wiring) -> None:
        self.transport = transport
        self.wiring = wiring
        self.now_us = wiring.machine.wire_us
        self.lost = False  # nothing arrives any more
        self.full = False  # the transport wants no more for now
        self.ended = False  # nothing more is written, and what is read is not looked at
        self.stopping = False  # the server ends
        self.held_back = False  # reading is paused
        self._waiters: list[asyncio.Future[None]] = []
        self._holding: asyncio.Future[None] | None = None
        self._last: asyncio.TimerHandle | None = None  # cuts a connection that does not end by itself

    @property
    def gone(self) -> bool:
        """Whether writing is pointless."""
        return self.lost or self.ended or self.transport.is_closing()

    async def put(self, before: bytes, data: bytes, after: bytes = b"") -> int:
        """Write a part of a body between its wrappings, in one piece where it is small; the bytes of it handed over."""
        write = self.transport.write
        if len(data) <= SLICE:
            write(before + data + after if before or after else data)
            if self.full:
                await self.drain()
            return len(data)
        for start in range(0, len(data), SLICE):
            if self.gone:
                return start
            write(before + data[start : start + SLICE])
            before = b""
            await self.drain()
        if after:
            write(after)
        return len(data)

    async def drain(self) -> None:
        """Until the transport takes more, or the client is gone."""
        while self.full and not self.gone:
            await self._wait(asyncio.get_running_loop().create_future())

    async def until(self, until_us: int) -> None:
        """Until this instant, or the client is gone."""
        while not self.gone and self.now_us() < until_us:
            await self._wait(self.wiring.delays.at(until_us))

    async def hold(self) -> None:
        """Until the client is gone, or somebody lets go."""
        if not (self.gone or self.stopping):
            self._holding = asyncio.get_running_loop().create_future()
            await self._wait(self._holding)

    def let_go(self) -> bool:
        """End a hold; whether there was one."""
        holding, self._holding = self._holding, None
        if holding is None or holding.done():
            return False
        holding.set_result(None)
        return True

    async def _wait(self, future: asyncio.Future[None]) -> None:
        self._waiters.append(future)
        try:
            await future
        finally:
            self._waiters.remove(future)

    def wake(self) -> None:
        """Let all who wait look again."""
        for future in self._waiters:
            if not future.done():
                future.set_result(None)

    def close(self, *, unread: bool = False) -> None:
        """FIN, after what was written. What is still `unread` is taken in first, for closing over it would send a RST
        (RFC 9112 section 9.6)."""
        if self.gone:
            return
        self.ended = True
        linger = unread and self.transport.can_write_eof()
        if linger:
            self.transport.write_eof()
            self.read_on()
        else:
            self.transport.close()
        flushing = self.transport.get_write_buffer_size() > 0
        if linger or flushing:
            wait_ms = self.wiring.limits.body_timeout_ms if flushing else self.wiring.limits.linger_ms
            self._last = asyncio.get_running_loop().call_later(wait_ms / 1000, self.transport.abort)

    def lose(self) -> None:
        """The connection is no more."""
        self.lost = True
        if self._last is not None:
            self._last.cancel()
        self.wake()

    async def reset(self) -> bool:
        """RST, behind what was written; False where the client was gone before."""
        give_up_us = self.now_us() + 1000 * FLUSH_MS
        while not self.gone and self._unsent() and self.now_us() < give_up_us:
            await self.until(self.now_us() + 1000 * LOOK_MS)
        if self.gone:
            return False
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.abort()
        return True

    def abort(self) -> None:
        """The end, and what was written may be lost."""
        self.ended = True
        self.transport.abort()

    def _socket(self) -> socket.socket:
        found: socket.socket = self.transport.get_extra_info("socket")
        return found

    def _unsent(self) -> int:
        """Bytes that a RST would overtake: the transport's, and where that can be asked, the kernel's."""
        if waiting := self.transport.get_write_buffer_size():
            return waiting
        if sys.platform != "linux":
            return 0
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._socket().fileno(), SIOCOUTQNSD, b"\0\0\0\0"))[0])
        except OSError:  # no TCP socket
            return 0

    def hold_back(self) -> None:
        """Read no more for now."""
        if not (self.held_back or self.transport.is_closing()):
            self.held_back = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if self.held_back and not self.transport.is_closing():
            self.held_back = False
            self.transport.resume_reading()
