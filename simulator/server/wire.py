"""The server's side of an HTTP/1.1 connection: bytes in, one turn after the other out to the application.

Rules: uvicorn accepts, starts and stops; this is the protocol class it is given (`http=`), with the parts that it
counts on (`connections`, `tasks`, `shutdown`). Each connection has one timer, which no byte moves: it looks at the
deadlines when it rings. What a client does wrong on the wire is answered here and ends its connection.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import urllib.parse
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from simulator.server.line import Limits, Line, Wiring
from simulator.server.plans import Plan, refusal
from simulator.server.turn import FOREVER, TURN, Scope, Turn

EXTENSION = "simulator.wire"
ASGI = {"version": "3.0", "spec_version": "2.3"}
PIPELINED_MAX = 64  # requests that may wait behind one; reading pauses beyond
SPARE = 256  # connections over the limit that are still told so; further ones are cut
LOOK_S_MAX = 30.0  # between two looks at a connection's deadlines
LOG = logging.getLogger("simulator")

MALFORMED = refusal(400, "This is not HTTP/1.1 as RFC 9112 has it.")
HEAD_TOO_LATE = refusal(408, "The request's head took too long; --head-timeout-ms says how long it may take.")
BODY_TOO_LATE = refusal(408, "The request's body took too long; --body-timeout-ms says how long it may take.")
HEAD_TOO_LONG = refusal(431, "The request's line and header fields are too long.")
FULL = refusal(503, "There are too many connections; --connections-max says how many there may be.")
FAILED = refusal(500, "The simulator failed; its log says where.")

IDLE, HEAD, BODY = range(3)  # what is being read


class Arrival(NamedTuple):
    """Where and when a request came in."""

    connection: int  # counted from 1 in this process; 0 where the server is another one
    turn: int  # the how-manieth request on the connection, from 1
    wire_us: int  # its first byte, in microseconds of the monotonic clock


class Wire(asyncio.Protocol):
    """One connection. `app.wiring` tells the time, and how long clients may take."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.app: Any = config.loaded_app
        self._loop = _loop or asyncio.get_running_loop()
        self._config = config
        self._server = server_state
        self._app_state = app_state
        self._wiring: Wiring = self.app.wiring
        self._limits: Limits = self._wiring.limits
        self._now_us = self._wiring.machine.wire_us
        self._keep_alive_us = int(config.timeout_keep_alive * 1_000_000)
        self._look_s = self._shortest_s()
        self.number = next(self._numbers)
        self.turn = 0  # the how-manieth request this is
        self._turns: deque[tuple[Turn, Scope]] = deque()  # in the order they came; the first is being answered
        self._task: asyncio.Task[None] | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._incoming: Turn | None = None  # whose body is being read
        self._reading = IDLE
        self._read_us = self._since_us = self._begun_us = 0  # last bytes; this reading since; request's first byte
        self._head_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._asks_first = False
        self._deaf = False  # the last request is there; what still comes is nobody's

    def _shortest_s(self) -> float:
        """Whoever looks this often is late for no deadline, since none is set closer than that."""
        limits = self._limits
        ms = min(limits.head_timeout_ms, limits.body_timeout_ms, limits.hang_max_ms, self._keep_alive_us // 1000)
        return max(min(ms / 1000, LOOK_S_MAX), 0.001)

    # what asyncio and uvicorn tell

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._line = Line(transport, self._wiring)
        self._since_us = self._now_us()
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._peer = _address(transport.get_extra_info("peername"))
        self._here = _address(transport.get_extra_info("sockname"))
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes there
        self._timer = self._loop.call_later(self._look_s, self._look)
        most, now = self._config.limit_concurrency, len(self._server.connections)
        if most is not None and now > most + SPARE:
            self._line.abort()
        elif most is not None and now > most:
            self._refuse(FULL)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client has left, or the connection has been ended."""
        self._server.connections.discard(self)
        self._timer.cancel()
        self._line.lose()
        for turn, _ in self._turns:
            turn.wake()
        self._parser = None  # it knows this object, and this object it

    def eof_received(self) -> None:
        """The client has hung up. It might still read, but nearly always it is gone, and a hang ends with that."""
        self._line.close()
        self._line.wake()
        for turn, _ in self._turns:
            turn.wake()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._line.full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._line.full = False
        self._line.wake()

    def shutdown(self) -> None:
        """The server ends, and with it this connection as soon as the reply under way is out."""
        self._line.stopping = True
        self._line.let_go()
        if not self._turns:
            self._line.close(unread=self._reading != IDLE)

    # reading

    def data_received(self, data: bytes) -> None:
        """Bytes have come; a request that begins with them began now."""
        self._read_us = self._now_us()
        while data and not (self._deaf or self._line.ended):
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # declined: what follows is HTTP as before
            except httptools.HttpParserError:
                if not self._deaf:
                    self._refuse(MALFORMED)
        if self._reading == HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_max_bytes:
                self._refuse(HEAD_TOO_LONG)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers = []
        self._asks_first = False
        self._incoming = None
        self._head_bytes = 0
        self._reading = HEAD
        self._since_us = self._begun_us = self._read_us
        self.turn += 1

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field. Those behind a body are dropped (RFC 9110 section 6.5): the application has read the head."""
        if self._reading != HEAD:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._asks_first = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: the application may begin."""
        parser = self._parser
        raw_path, query = _target(self._url)
        path = raw_path.decode("ascii")
        if "%" in path:
            path = urllib.parse.unquote(path)
        version = parser.get_http_version()
        method = parser.get_method().decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": method,
            "scheme": self._scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._peer,
            "server": self._here,
            "state": self._app_state.copy(),
        }
        old = version == "1.0"
        keep = parser.should_keep_alive() and not old
        turn = Turn(self._line, keep=keep, old=old, silent=method == "HEAD", asks_first=self._asks_first)
        scope["extensions"] = {EXTENSION: Arrival(self.number, self.turn, self._begun_us), TURN: turn}
        self._incoming = turn
        self._reading = BODY
        self._since_us = self._read_us
        self._queue(turn, scope)

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self._incoming is not None:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        """The request is all there."""
        self._reading = IDLE
        self._since_us = self._read_us
        if self._incoming is not None:
            self._incoming.complete()
            self._deaf = self._deaf or not self._incoming.keep

    def _refuse(self, plan: Plan) -> None:
        """Answer this to the request that is being read, and read no more."""
        turn = self._incoming
        self._deaf = True
        self._reading = IDLE
        if turn is None or not turn.more:
            turn = Turn(self._line, keep=False)
            self._queue(turn, {})
        turn.refuse(plan)  # where the application has it, it may have answered already
        if turn.ended:
            self._line.close(unread=True)

    # answering

    def _queue(self, turn: Turn, scope: Scope) -> None:
        self._turns.append((turn, scope))
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
            self._server.tasks.add(self._task)
        elif len(self._turns) > PIPELINED_MAX:
            self._line.hold_back()

    async def _serve(self) -> None:
        """Answer what has come, one after the other."""
        turns, line, task = self._turns, self._line, self._task
        try:
            while turns:
                turn, scope = turns[0]
                try:
                    if turn.refusal is None:
                        await self.app(scope, turn.receive, turn.send)
                except Exception:
                    if not turn.told:
                        LOG.exception("%s %s failed inside the simulator", scope["method"], scope["path"])
                if not (turn.ended or line.gone):
                    await self._make_up_for(turn)
                turns.popleft()
                self._answered(turn)
        except asyncio.CancelledError:  # the server waits no longer
            line.abort()
            raise
        finally:
            self._task = None
            self._server.tasks.discard(task)

    async def _make_up_for(self, turn: Turn) -> None:
        """The application has not answered, or not to the end."""
        if turn.begun:  # what is out cannot be taken back
            self._line.abort()
        else:
            await turn.deliver(turn.refusal or FAILED)

    def _answered(self, turn: Turn) -> None:
        line = self._line
        self._server.total_requests += 1
        if line.gone:
            self._turns.clear()
        elif line.stopping:
            line.close(unread=self._reading != IDLE)
            self._turns.clear()
        else:
            self._since_us = turn.ended_us if self._reading == IDLE else self._since_us
            if line.held_back and not (self._incoming and self._incoming.brims):
                line.read_on()

    # deadlines

    def _look(self) -> None:
        """See whether this has been going on for too long, and when to look again."""
        now_us = self._now_us()
        due_us, act = self._next()
        if due_us <= now_us:
            act()
            due_us, _ = self._next()
        rest_s = -(-(due_us - now_us) // 1000) / 1000
        self._timer = self._loop.call_later(rest_s if 0 < rest_s < self._look_s else self._look_s, self._look)

    def _next(self) -> tuple[int, Callable[[], object]]:
        """The next deadline, and what to do then."""
        line, limits = self._line, self._limits
        if line.gone:
            return FOREVER, line.abort
        if self._reading == HEAD:
            return self._since_us + 1000 * limits.head_timeout_ms, lambda: self._refuse(HEAD_TOO_LATE)
        if self._reading == BODY and not line.held_back:
            return self._since_us + 1000 * limits.body_timeout_ms, lambda: self._refuse(BODY_TOO_LATE)
        if self._turns:
            return self._turns[0][0].until_us, self._stuck
        return self._since_us + self._keep_alive_us, line.close

    def _stuck(self) -> None:
        """A hang that has lasted long enough is let go; a client that takes nothing is cut off."""
        if not self._line.let_go() and self._line.full:
            self._line.abort()


def _target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query. Raises what httptools raises, or ValueError, where it is none."""
    if url[:1] == b"/" and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path, query
    parsed = httptools.parse_url(url)
    return parsed.path or b"/", parsed.query or b""


def _address(found: Any) -> tuple[str, int] | None:
    """Host and port; a Unix socket has none."""
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) and len(found) > 1 else None
