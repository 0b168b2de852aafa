"""The data plane: the simulated service itself, as a bare ASGI callable.

Rules: match, read, decide (pure), commit, answer, journal; no framework objects on this path; whatever goes wrong,
the client gets a reply in the service's own words and never a traceback.
"""

from __future__ import annotations

import functools
import gzip
import itertools
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from simulator.core.bodies import BadBody, inflate
from simulator.core.clock import http_date
from simulator.core.engine import Decision, Target
from simulator.core.events import BODY_BYTES_KEPT, ExchangeEnded
from simulator.core.records import Changes, Lease
from simulator.core.redaction import hidden_query
from simulator.core.refusals import Refused
from simulator.core.replies import HeaderLines, Reply
from simulator.core.requests import Request
from simulator.core.routes import Match
from simulator.errors import StoreError
from simulator.server.line import Wiring
from simulator.server.logs import ExchangeLog, Line
from simulator.server.plans import Cut, Delivered, Plan, damaged
from simulator.server.sandbox import Sandbox, Unmatched
from simulator.server.timekeeper import Machine
from simulator.server.turn import deliver
from simulator.server.wire import EXTENSION, Arrival
from simulator.settings import Settings
from simulator.stores.base import View

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

COMPRESS_FROM = 1024  # bytes; smaller bodies gain nothing
GZIP = re.compile(rb"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)  # RFC 9110 section 12.5.3: q=0 is a no
PATH_LOGGED_MAX = 300
TARGET_KEPT_MAX = 8192
COUNT_EXCHANGE = (("exchanges", 1),)
HOLDERS = itertools.count(1)  # request ids begin anew with a reset, what holds something never does
FORM = b"application/x-www-form-urlencoded"
NO_EXTENSIONS: dict[str, Any] = {}
NO_DECISION = Decision(Reply(0, (), b""), Changes())
LOG = logging.getLogger("simulator")


class ClientGone(Exception):  # noqa: N818 - the end of an exchange, no failure
    """The client went away before its request was whole."""


class Exchange:
    """One request while it is answered."""

    __slots__ = (
        "arrival",
        "body",
        "body_us",
        "decision",
        "leases",
        "match",
        "method",
        "nearest",
        "path",
        "request_id",
        "sandbox",
        "scope",
        "view",
        "wire_us",
    )

    def __init__(self, sandbox: Sandbox, scope: Scope, path: str, arrival: Arrival) -> None:
        self.sandbox = sandbox
        self.scope = scope
        self.method: str = scope["method"]
        self.path = path
        self.arrival = arrival
        self.wire_us = arrival.wire_us
        self.body = b""
        self.body_us = arrival.wire_us
        self.request_id = ""
        self.match: Match[Target] | None = None
        self.decision: Decision | None = None
        self.view: View | None = None
        self.nearest: tuple[str, ...] = ()
        self.leases: tuple[Lease, ...] = ()  # held until the end


class DataPlane:
    """Answers the requests of every sandbox."""

    def __init__(self, settings: Settings, machine: Machine, log: ExchangeLog, wiring: Wiring) -> None:
        self._settings = settings
        self._wiring = wiring
        self._machine = machine
        self._log = log

    async def __call__(self, sandbox: Sandbox, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer one request; `path` is the raw path behind the sandbox's prefix."""
        arrival = scope.get("extensions", NO_EXTENSIONS).get(EXTENSION) or Arrival(0, 0, self._machine.wire_us())
        exchange = Exchange(sandbox, scope, path, arrival)
        sandbox.open += 1
        sandbox.exchanges += 1
        exchange.request_id = f"req_{sandbox.exchanges:08x}"
        concurrent = sandbox.open
        try:
            reply = await self._reply(exchange, receive)
            self._journal(exchange, reply, await self._send(exchange, reply, send), concurrent)
        except Cut as cut:
            self._journal(exchange, reply, cut.delivered, concurrent)
            raise
        except ClientGone:
            now_us = self._machine.wire_us()
            self._journal(exchange, None, Delivered(now_us, now_us, 0, 0, "client_gone"), concurrent)
        finally:
            sandbox.open -= 1
            if exchange.leases:
                sandbox.space.leases.release(exchange.leases)
            sandbox.pulse.busy_ms = sandbox.used_ms = self._machine.wall_ms()

    async def _reply(self, exchange: Exchange, receive: Receive) -> Reply:
        """The reply, whatever happens."""
        engine, method = exchange.sandbox.engine, exchange.method
        exchange.match = match = engine.match(method, exchange.path)
        try:
            if match is None:
                return await self._unmatched(exchange)
            await self._read(exchange, receive)
            return await self._answer(exchange, match)
        except (Refused, BadBody) as error:
            return await self._refuse(
                exchange, error if isinstance(error, Refused) else Refused(error.kind, str(error))
            )
        except TimeoutError:
            return await self._refuse(exchange, Refused("idempotency_in_flight", "The first request still runs."))
        except StoreError as error:
            LOG.error("%s %s: %s", method, exchange.path[:PATH_LOGGED_MAX], error)
            return await self._refuse(exchange, Refused("unavailable", f"The simulator cannot keep this now: {error}"))
        except ClientGone:
            raise
        except Exception:
            LOG.exception("%s %s failed inside the simulator", method, exchange.path[:PATH_LOGGED_MAX])
            return await self._refuse(exchange, Refused("scenario_failed", "The simulator failed; its log says where."))

    async def _answer(self, exchange: Exchange, match: Match[Target]) -> Reply:
        sandbox = exchange.sandbox
        request = self._request(exchange, match.params)
        request.holder = f"{exchange.request_id}#{next(HOLDERS)}"
        now_ms, wire_us = sandbox.now_ms(), exchange.wire_us
        engine, target = sandbox.engine, match.target
        exchange.decision, exchange.view = decision, view = await sandbox.decide(
            lambda look: engine.answer(target, request, look, sandbox.now_ms(), wire_us), _changes, now_ms
        )
        exchange.leases = decision.changes.leases
        if decision.template_error is not None:
            LOG.error("%s: %s", target.operation.name, decision.template_error)
        if sandbox.waits:
            await sandbox.space.kept(view)
        if decision.jump_ms:
            await sandbox.mislead(engine.skew.jumped(now_ms, decision.jump_ms))
        return decision.reply

    async def _unmatched(self, exchange: Exchange) -> Reply:
        """OPTIONS, a browser's preflight, or a request that nothing answers."""
        sandbox = exchange.sandbox
        if exchange.method == "OPTIONS":
            methods = sandbox.engine.methods(exchange.path)
            if methods:
                return Reply(
                    204, ((b"Allow", ", ".join([*methods, "OPTIONS"]).encode()), *self._preflight(exchange)), b""
                )
        request = self._request(exchange, {})
        now_ms = sandbox.now_ms()
        decide = functools.partial(_no_operation, exchange, request, now_ms)
        try:
            (decision, nearest), _ = await sandbox.decide(decide, lambda _: Changes(adds=COUNT_EXCHANGE), now_ms)
        except StoreError as error:  # only a count is lost, and the answer is the same
            LOG.error("%s %s: %s", exchange.method, exchange.path[:PATH_LOGGED_MAX], error)
            decision, nearest = await sandbox.seen(decide, sandbox.space.view(), now_ms)
        exchange.decision, exchange.nearest = decision, tuple(nearest)
        target = hidden_query(_target(exchange.scope), sandbox.engine.places, lambda _: "…")
        sandbox.unmatched.append(Unmatched(now_ms, exchange.method, target, decision.reply.status, exchange.nearest))
        return decision.reply

    async def _refuse(self, exchange: Exchange, refused: Refused) -> Reply:
        sandbox, match = exchange.sandbox, exchange.match
        service = match.target if match else None
        if service is None:
            return Reply(500, (), b"")
        request = self._request(exchange, match.params if match else {})
        request.raw = b""
        view = sandbox.space.view()
        reply = sandbox.engine.refuse(service, refused, request, view, sandbox.now_ms())
        exchange.decision = Decision(reply, Changes(), 0, refused.kind)
        return reply

    def _request(self, exchange: Exchange, params: dict[str, str]) -> Request:
        scope = exchange.scope
        return Request(
            exchange.method,
            exchange.path,
            scope["query_string"],
            scope["headers"],
            exchange.body,
            self._base(exchange),
            exchange.request_id,
            params,
            (scope.get("client") or ("",))[0],
        )

    def _base(self, exchange: Exchange) -> str:
        """Where the service stands for this client: --public-url, else the Host it asked."""
        base = self._settings.public_url
        if base is None:
            scope = exchange.scope
            host = next((value for name, value in scope["headers"] if name == b"host"), None)
            base = f"{scope['scheme']}://{host.decode('latin-1')}" if host else _server(scope)
        return base + exchange.sandbox.prefix

    async def _read(self, exchange: Exchange, receive: Receive) -> None:
        """The whole body, unpacked. Raises Refused, BadBody or ClientGone."""
        length = encoding = chunked = None
        for name, value in exchange.scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value
            elif name == b"transfer-encoding":
                chunked = value
        if chunked is None and (length is None or length == b"0"):
            return
        most = self._settings.body_max_bytes
        if length is not None and length.isdigit() and int(length) > most:
            raise Refused("too_large", f"The body has {int(length)} bytes; {most} is the most.")
        exchange.body = await _read_all(receive, most)
        exchange.body_us = self._machine.wire_us()
        if encoding is not None:
            exchange.body = inflate(encoding.decode("latin-1"), exchange.body, most)

    async def _send(self, exchange: Exchange, reply: Reply, send: Send) -> Delivered:
        """Hand the reply over as its plan says. Raises Cut where the transport cannot do that to a connection."""
        decision = exchange.decision or NO_DECISION
        plan = self._plan(exchange, reply, decision)
        return await deliver(plan, exchange.scope, send, self._wiring.delays)

    def _plan(self, exchange: Exchange, reply: Reply, decision: Decision) -> Plan:
        """The reply as it goes over the wire, with all that faults do to it."""
        headers = [*reply.headers, (b"Date", http_date(exchange.sandbox.shown_ms() // 1000).encode())]
        body = reply.body
        if self._settings.cors:
            headers += ((b"Access-Control-Allow-Origin", b"*"), (b"Access-Control-Expose-Headers", b"*"))
        if self._settings.compress and len(body) >= COMPRESS_FROM and _accepts_gzip(exchange.scope):
            body = gzip.compress(body, 5, mtime=0)
            headers += ((b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding"))
        if not decision.damages:
            return Plan(reply.status, headers, ((decision.delay_ms, body),))
        return damaged(reply.status, headers, body, decision.damages, decision.delay_ms)

    def _preflight(self, exchange: Exchange) -> HeaderLines:
        """The answer to a browser that asks before it calls (Fetch, CORS protocol)."""
        if not self._settings.cors:
            return ()
        asked = next((v for k, v in exchange.scope["headers"] if k == b"access-control-request-headers"), b"*")
        methods = ", ".join(exchange.sandbox.engine.methods(exchange.path)).encode()
        return (
            (b"Access-Control-Allow-Methods", methods),
            (b"Access-Control-Allow-Headers", asked),
            (b"Access-Control-Max-Age", b"600"),
        )

    def _journal(self, exchange: Exchange, reply: Reply | None, delivered: Delivered, concurrent: int) -> None:
        """Write down what happened, in the journal and in the log."""
        sandbox, match = exchange.sandbox, exchange.match
        now_ms = sandbox.now_ms()
        sandbox.space.note(_event(exchange, reply, now_ms, delivered, concurrent))
        self._log.add(
            Line(
                now_ms,
                exchange.request_id,
                sandbox.id,
                match.target.operation.name if match else None,
                exchange.method,
                exchange.path[:PATH_LOGGED_MAX],
                reply.status if reply else 0,
                delivered.ended_us - exchange.wire_us,
                "; ".join(filter(None, (delivered.closed, _remark(exchange) if reply else None))) or None,
            )
        )


def _remark(exchange: Exchange) -> str | None:
    """The kind of refusal, and what was probably not meant: curl's -d without a header sends JSON as a form."""
    error = exchange.decision.error if exchange.decision else None
    if not exchange.body.startswith(b"{"):
        return error
    kind = next((value for name, value in exchange.scope["headers"] if name == b"content-type"), b"")
    hint = "the form looks like JSON; Content-Type: application/json is missing"
    return "; ".join(filter(None, (error, hint))) if kind.startswith(FORM) else error


def _event(exchange: Exchange, reply: Reply | None, at_ms: int, delivered: Delivered, concurrent: int) -> ExchangeEnded:
    """The exchange as the journal keeps it."""
    match, decision, scope = exchange.match, exchange.decision or NO_DECISION, exchange.scope
    peer = scope.get("client") or ("", 0)
    status, reply_headers, reply_body = reply or NO_DECISION.reply
    event = ExchangeEnded(
        at_ms=at_ms,
        wire_us=exchange.wire_us,
        digest=match.target.service.digest if match else "",
        request_id=exchange.request_id,
        peer=f"{peer[0]}:{peer[1]}",
        connection=exchange.arrival.connection,
        turn=exchange.arrival.turn,
        body_us=exchange.body_us,
        reply_us=delivered.begun_us,
        ended_us=delivered.ended_us,
        method=exchange.method,
        target=_target(scope),
        headers=scope["headers"],
        body=exchange.body[:BODY_BYTES_KEPT],
        body_length=len(exchange.body),
        operation=match.target.operation.name if match else None,
        client=None,
        ordinal=decision.ordinal,
        concurrent=concurrent,
        status=status,
        reply_headers=reply_headers,
        reply_body=reply_body[:BODY_BYTES_KEPT],
        reply_length=len(reply_body),
        committed=bool(decision.changes.puts),
        records=tuple((record.kind, record.id, record.version) for record in decision.changes.puts),
        cursor=decision.cursor,
        next_cursor=decision.next_cursor,
        items=decision.items,
        closed=delivered.closed,
        error=decision.error,
        nearest=exchange.nearest,
        places=exchange.sandbox.engine.places,
        intimate=match is not None and match.target.operation.endpoint is not None,
    )
    if delivered.handed != delivered.planned:
        event = event._replace(handed=delivered.handed)
    if decision.delay_ms:
        event = event._replace(delay_ms=decision.delay_ms)
    return event._replace(**decision.facts) if decision.facts else event


def _no_operation(exchange: Exchange, request: Request, now_ms: int, look: View) -> tuple[Decision, list[str]]:
    return exchange.sandbox.engine.no_operation(exchange.method, exchange.path, request, look, now_ms)


def _changes(decision: Decision) -> Changes:
    changes = decision.changes
    return changes._replace(adds=changes.adds + COUNT_EXCHANGE)


async def _read_all(receive: Receive, most: int) -> bytes:
    """The body, as long as it stays within its bound."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGone
    if not message.get("more_body"):
        if len(body) > most:
            raise Refused("too_large", f"The body is larger than {most} bytes.")
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise Refused("too_large", f"The body is larger than {most} bytes.")
    return b"".join(parts)


def _target(scope: Scope) -> str:
    """The request's target as it was sent, cut where it is absurd."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + b"?" + query if query else raw)[:TARGET_KEPT_MAX].decode("latin-1")


def _server(scope: Scope) -> str:
    host, port = scope.get("server") or ("localhost", None)
    return f"{scope['scheme']}://{host}" + (f":{port}" if port else "")


def _accepts_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and GZIP.search(value) for name, value in scope["headers"])
