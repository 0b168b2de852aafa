"""A server for tests of the wire: uvicorn with our protocol, on a thread of this process, and bare sockets against it.

Rules: the application does what a test tells it; ports are the system's; whatever is started ends with its test.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import uvicorn

from simulator.server.line import Limits, Wiring
from simulator.server.plans import Delivered, Plan
from simulator.server.timekeeper import Machine
from simulator.server.turn import deliver
from simulator.server.wire import EXTENSION, Arrival, Wire
from tests.live import WAIT_S, drained, until

LOOPS = ("asyncio", "uvloop")
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TEXT = ((b"Content-Type", b"text/plain"),)

Call = Callable[[Any, Any, Any], Awaitable[None]]
START = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/plain")]}


def hello(body: bytes = b"hello", **changes: Any) -> Plan:
    """The plainest plan, but for these changes."""
    return Plan(200, TEXT, ((0, body),))._replace(**changes)


def says(*messages: dict[str, Any]) -> Call:
    """An application that sends these."""

    async def service(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return service


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def post(body: bytes, path: bytes = b"/", *lines: bytes) -> bytes:
    """A request with a body."""
    head = [b"POST %b HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


class Service:
    """An application that delivers plans by path, and notes what became of them. Other callables are called."""

    def __init__(self, *plans: Plan | Call, limits: Limits | None = None) -> None:
        self.machine = Machine()
        self.wiring = Wiring(self.machine, limits)
        self.arrivals: list[Arrival] = []
        self.scopes: list[Any] = []
        self.delivered: list[Delivered] = []
        self.open = 0
        self._plans = plans or (hello(),)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.arrivals.append(scope["extensions"][EXTENSION])
        plan = self._plans[int(scope["path"][1:] or 0)]
        self.open += 1
        try:
            if isinstance(plan, Plan):
                self.delivered.append(await deliver(plan, scope, send, self.wiring.delays))
            else:
                await plan(scope, receive, send)
        finally:
            self.open -= 1


class Prompt(uvicorn.Server):
    """uvicorn, but it looks more often whether it is to end."""

    async def main_loop(self) -> None:
        while not self.should_exit:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.002)


class Wired:
    """A service that listens."""

    def __init__(self, service: Service, server: uvicorn.Server, port: int) -> None:
        self.service = service
        self.server = server
        self.port = port

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """A bare connection; `receive_bytes` makes it one that takes little at a time."""
        line = socket.socket()
        if receive_bytes is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        line.settimeout(WAIT_S)
        line.connect(("127.0.0.1", self.port))
        return line

    def talk(self, sent: bytes) -> bytes:
        """All that comes back until the connection ends, however it does."""
        with self.connect() as line:
            line.sendall(sent)
            return drained(line)

    def only(self) -> Delivered:
        """What became of the one plan, once it has."""
        (delivered,) = until(lambda: self.service.delivered)
        return delivered

    @property
    def full(self) -> bool:
        """Whether every buffer on the way to a client is."""
        return any(cast(Any, connection)._line.full for connection in list(self.server.server_state.connections))

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self.server.server_state.connections)


@contextlib.contextmanager
def wired(*plans: Plan | Call, loop: str = "uvloop", limits: Limits | None = None, **options: Any) -> Iterator[Wired]:
    """A service on a real port."""
    service = Service(*plans, limits=limits)
    chosen = {"lifespan": "off", "ws": "none", "proxy_headers": False, "log_level": "error", "access_log": False}
    config = uvicorn.Config(service, http=Wire, loop=loop, **{"timeout_graceful_shutdown": 1, **chosen, **options})
    server = Prompt(config)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started)
            yield Wired(service, server, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(WAIT_S)
            assert not thread.is_alive(), "the server does not end"


def reply_of(line: socket.socket) -> bytes:
    """One reply with a Content-Length, from a connection that stays."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        part = line.recv(1)
        assert part, raw
        raw += part
    length = next(int(each[15:]) for each in raw.lower().split(b"\r\n") if each.startswith(b"content-length:"))
    while length:
        part = line.recv(length)
        assert part, raw
        raw, length = raw + part, length - len(part)
    return raw
