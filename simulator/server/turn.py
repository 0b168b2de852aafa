"""One request on a connection of our own server, and how its reply gets out: as a plan, or by ASGI messages.

Rules: head and body leave in one write where they are there together; the reply that has begun is finished, or the
connection ends; what ASGI (version 3, HTTP messages 2.3) asks of a server holds for every application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from simulator.core.replies import BODYLESS
from simulator.server.delays import Delays
from simulator.server.line import Line
from simulator.server.plans import (
    CHUNKED_LINE,
    CLOSE_LINE,
    LAST_CHUNK,
    Cut,
    Delivered,
    Ending,
    Plan,
    Steps,
    add_lines,
    head_of,
    length_told,
    status_line,
)

TURN = "simulator.turn"  # among the scope's extensions
FOREVER = 2**63  # microseconds
BODY_HELD_MAX = 64 * 1024  # bytes of a request's body that nobody has asked for yet; reading pauses beyond
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ONLY_HEAD: Steps = ((0, b""),)
CLOSED = {"close": "fin", "reset": "rst", "hang": "fin"}

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Turn:
    """A request: its body as it comes, and its one reply. Its scope knows it, but not the other way round, so that
    both go away without the garbage collector."""

    # What most requests never change stands here, which makes a million of them cheaper.
    begun = False  # something of the reply is out
    ended = False  # all of it is
    ended_us = 0
    more = True  # the body is not all there
    told = False  # the application knows that nobody waits for it any more
    refusal: Plan | None = None  # what is answered in the application's stead
    until_us = FOREVER  # when the reply has stood still for too long
    _body: list[bytes] | None = None
    _size = 0
    _given = False  # the whole body, to the application
    _news: asyncio.Future[None] | None = None
    _start: Message | None = None
    _chunked = False
    _left: int | None = None  # bytes that a Content-Length still promises

    def __init__(
        self, line: Line, *, keep: bool, old: bool = False, silent: bool = False, asks_first: bool = False
    ) -> None:
        self.keep = keep  # whether the connection goes on afterwards
        self._line = line
        self._old = old  # HTTP/1.0
        self._silent = silent  # HEAD, or a status without a body
        self._asks_first = asks_first  # before it sends the body

    def feed(self, data: bytes) -> None:
        """A part of the body has come."""
        if self.ended:
            return
        if self._body is None:
            self._body = []
        self._body.append(data)
        self._size += len(data)
        if self.brims:
            self._line.hold_back()
        self.wake()

    @property
    def brims(self) -> bool:
        """Whether so much of the body waits that no more of it is read for now."""
        return self._size > BODY_HELD_MAX and not self.ended

    def complete(self) -> None:
        """The body is all there."""
        self.more = False
        self.wake()

    def refuse(self, plan: Plan) -> None:
        """Answer this instead, if it is not too late, and end the connection; to the application the client is gone."""
        self.refusal = plan
        self.keep = False
        self.wake()

    def wake(self) -> None:
        """Let the application look again at what it waits for."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        """The next part of the body, then `http.disconnect` once the reply is out or the client gone."""
        if self._asks_first and self.more and not (self._body or self.begun or self._line.gone):
            self._line.transport.write(CONTINUE)
            self._asks_first = False
        while not self.ended:
            if self._body or not (self.more or self._given):
                return self._take()  # a client that has left afterwards asked all the same
            if self.refusal or self._line.gone:
                break
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        self.told = True
        return {"type": "http.disconnect"}

    def _take(self) -> Message:
        body, self._body = b"".join(self._body or ()), None
        self._given = not self.more
        self._size = 0
        self._line.read_on()
        return {"type": "http.request", "body": body, "more_body": self.more}

    async def send(self, message: Message) -> None:
        """A part of the reply. Raises RuntimeError where it is out of turn, or is not as long as promised."""
        kind = message["type"]
        if self.ended or kind != ("http.response.body" if self._start else "http.response.start"):
            raise RuntimeError(f"the application sent {kind!r} out of turn")
        if self._start is None:
            self._start = message  # ASGI: nothing of it leaves before the first part of the body is there
        elif not self._line.gone:
            await self._part(self._start, message.get("body", b""), message.get("more_body", False))

    async def _part(self, start: Message, body: bytes, more: bool) -> None:
        line = self._line
        self.until_us = line.now_us() + 1000 * line.wiring.limits.hang_max_ms
        head = b"" if self.begun else self._begin(start, body, more)
        if self._silent:
            await line.put(head, b"")
        elif self._chunked:
            await line.put(head, _chunk(body) + (b"" if more else LAST_CHUNK))
        else:
            await line.put(head, body)
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("the application's reply is not as long as its Content-Length says")
        if not more:
            self._end(line.now_us())

    def _begin(self, start: Message, body: bytes, more: bool) -> bytes:
        """The head, with the framing that the application left open."""
        status, headers = start["status"], start.get("headers", ())
        parts = [status_line(status)]
        self._keep_on(add_lines(headers, parts))
        told = next((value for name, value in headers if name.lower() == b"content-length"), None)
        self._silent = self._silent or status in BODYLESS
        if told is None and not (more or status in BODYLESS or (self._silent and not body)):
            told = b"%d" % len(body)
            parts.append(b"Content-Length: %d\r\n" % len(body))
        self._chunked = told is None and not (self._silent or self._old)
        if self._chunked:
            parts.append(CHUNKED_LINE)
        self._left = None if told is None else int(told)
        parts += (b"" if self.keep else CLOSE_LINE, b"\r\n")
        return b"".join(parts)

    def _keep_on(self, keep: bool) -> None:
        """Decide, as the head is made, whether the connection goes on. Not where the client asked whether to send its
        body and was not told to: whether it does then is not known (RFC 9110 section 10.1.1)."""
        self.begun = True
        self.keep = keep and self.keep and not self._line.stopping and not (self._asks_first and self.more)

    async def deliver(self, plan: Plan) -> Delivered:
        """Do what the plan says. It does not raise where the client leaves meanwhile; the answer says so."""
        line = self._line
        began_us = line.now_us()
        self._keep_on(plan.head)
        gone = line.gone
        if (body := plan.whole) is None or self._silent or gone:
            return await self._in_steps(plan, began_us)
        head, self.keep = head_of(plan, len(body), keep=self.keep)
        line.transport.write(head + body)
        closed = ""
        if line.full:
            self.until_us = began_us + 1000 * line.wiring.limits.hang_max_ms
            await line.drain()
            closed = "client_gone" if line.gone else ""
        self._end(line.now_us())
        return Delivered(began_us, self.ended_us, len(body), len(body), closed)

    async def _in_steps(self, plan: Plan, began_us: int) -> Delivered:
        line = self._line
        head, planned, steps = b"", plan.body_bytes, plan.steps
        if plan.head:
            head, self.keep = head_of(plan, planned, keep=self.keep, old=self._old)
            steps = steps or ONLY_HEAD
            if self._silent or plan.status in BODYLESS:
                steps, planned = ((steps[0][0], b""),), 0
            else:
                self._chunked = plan.chunked and not self._old
        self.until_us = began_us + 1000 * (plan.delay_ms + line.wiring.limits.hang_max_ms)
        begun_us, handed = await self._steps(steps, head, began_us)
        closed = "client_gone" if line.gone else await self._finish(plan.ending)
        self._end(line.now_us())
        return Delivered(begun_us or self.ended_us, self.ended_us, planned, handed, closed)

    async def _steps(self, steps: Steps, head: bytes, due_us: int) -> tuple[int, int]:
        """Write each when it is due: the instant before the first byte, 0 if there was none, and bytes of body."""
        line = self._line
        begun_us = handed = 0
        for delay_ms, data in steps:
            if delay_ms:
                due_us += 1000 * delay_ms
                await line.until(due_us)
            if line.gone:
                break
            begun_us = begun_us or line.now_us()
            if self._chunked and data:
                handed += await line.put(head + b"%x\r\n" % len(data), data, b"\r\n")
            else:
                handed += await line.put(head, data)
            head = b""
        return begun_us, handed

    async def _finish(self, ending: Ending) -> str:
        """End it so; what the journal calls that."""
        line = self._line
        if ending == "normal":
            if self._chunked:
                await line.put(LAST_CHUNK, b"")
            return ""
        self.keep = False
        if ending == "hang":
            await line.hold()
        elif ending == "reset":
            return "rst" if await line.reset() else "client_gone"
        return "client_gone" if line.gone else "fin"

    def _end(self, now_us: int) -> None:
        """The reply is out. What comes of the request's body is thrown away; a FIN follows where nothing else does."""
        line = self._line
        self.ended, self.ended_us = True, now_us
        self._body = None
        if not self.keep:
            line.close(unread=self.more or line.held_back)
        if self._news is not None:
            self.wake()


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


def deliver(plan: Plan, scope: Scope, send: Send, delays: Delays) -> Awaitable[Delivered]:
    """Hand over a plan: all of it on a connection of our own server, what ASGI messages can say elsewhere.

    Elsewhere an ending that is not normal, and garbage in place of a head, raise Cut after the steps.
    """
    turn: Turn | None = (scope.get("extensions") or {}).get(TURN)
    return _by_messages(plan, scope, send, delays) if turn is None else turn.deliver(plan)


async def _by_messages(plan: Plan, scope: Scope, send: Send, delays: Delays) -> Delivered:
    silent = scope["method"] == "HEAD" or plan.status in BODYLESS
    due_us = delays.now_us()
    begun_us = handed = 0
    for delay_ms, data in plan.steps or ONLY_HEAD:
        due_us += 1000 * delay_ms
        await delays.wait(due_us)
        if not begun_us:
            begun_us = delays.now_us()
            await _start(plan, send)
        if data and plan.head and not silent:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            handed += len(data)
    sent = Delivered(begun_us, delays.now_us(), 0 if silent else plan.body_bytes, handed, CLOSED.get(plan.ending, ""))
    if plan.ending != "normal" or not plan.head:
        raise Cut(plan, sent)
    await send({"type": "http.response.body", "body": b""})
    return sent


async def _start(plan: Plan, send: Send) -> None:
    """The head as a message, if it has one. Chunks are the other server's own affair."""
    length = length_told(plan, plan.body_bytes)
    headers = list(plan.headers) if length is None else [*plan.headers, (b"Content-Length", b"%d" % length)]
    if plan.head:
        await send({"type": "http.response.start", "status": plan.status, "headers": headers})
