"""What a reply will be on the wire, decided before its first byte: head, steps of the body, and how it ends.

Rules: pure data; header names stay as they are written; where the plan names no reason, the standard one stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple

import orjson

from simulator.core.damage import Damage, remains
from simulator.core.replies import BODYLESS

Ending = Literal["normal", "close", "reset", "hang"]
Steps = tuple[tuple[int, bytes], ...]
Headers = Iterable[tuple[bytes, bytes]]

STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
CONNECTION = len(b"connection")
CLOSE_LINE = b"Connection: close\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"
SLICE = 128 * 1024  # bytes given to a transport at once; no reply keeps more of itself waiting for a slow reader
TICK_MS = 100  # between two portions of a drip, where that gives at least a byte


class Plan(NamedTuple):
    """A reply, complete.

    Each step is `(delay_ms, bytes)`: so long after the step before it, so much of the body; the head goes out with the
    first step, in one write. Endings, once the steps are out: `normal`; `close`, a FIN that was not announced; `reset`,
    a RST; `hang`, nothing more until the client leaves or a bound passes. Only `normal` writes the last chunk.
    """

    status: int
    headers: Headers  # without those of framing, which follow from the fields below
    steps: Steps = ()
    ending: Ending = "normal"
    head: bool = True  # False: the steps are all there is, and nothing is put around them
    reason: bytes | None = None  # in place of the standard one
    chunked: bool = False
    declared_length: int | None = None  # the Content-Length that is told, whatever the steps hold

    @property
    def body_bytes(self) -> int:
        """How much the steps hold."""
        return sum(len(data) for _, data in self.steps)

    @property
    def delay_ms(self) -> int:
        """How long the steps take."""
        return sum(delay_ms for delay_ms, _ in self.steps)

    @property
    def whole(self) -> bytes | None:
        """The body, where it only has to be written, in one piece; nearly always."""
        if len(self.steps) == 1 and self.ending == "normal" and self.head and not self.chunked:
            delay_ms, data = self.steps[0]
            if not delay_ms and len(data) <= SLICE and self.status not in BODYLESS:
                return data
        return None

    def cut(self, at: int, ending: Ending) -> Plan:
        """This plan, but it ends so after `at` bytes of the body, of which the head still declares all."""
        kept, rest = [], at
        for delay_ms, data in self.steps:
            kept.append((delay_ms, data[:rest]))
            rest -= len(data)
            if rest <= 0:
                break
        return self._replace(steps=tuple(kept), ending=ending, declared_length=length_told(self, self.body_bytes))


class Delivered(NamedTuple):
    """What became of a plan. Instants are microseconds of the monotonic clock, bytes those of the body."""

    begun_us: int  # just before the first byte was handed over; where none was, as `ended_us`
    ended_us: int  # after the last one, or the client gone
    planned: int
    handed: int  # to the operating system or the transport's own small buffer
    closed: str  # "" normal | fin | rst | client_gone


class Cut(ConnectionError):  # noqa: N818 - what the service does on purpose, no failure
    """A reply that ends otherwise than normally, where there is no connection of ours to do that to.

    `delivered` is what the journal wants to know.
    """

    def __init__(self, plan: Plan, delivered: Delivered) -> None:
        self.delivered = delivered
        what = plan.ending if plan.head else "garbage"
        super().__init__(
            f"the service's reply ends in a {what} here; in process there is no connection to do that to, so ask the "
            "simulator on a real port"
        )


def drip(body: bytes, bytes_per_second: int) -> Steps:
    """The body at this pace of one or more: a first portion at once, each further one when it is due."""
    portion = max(1, bytes_per_second * TICK_MS // 1000)
    steps, gone_ms = [], 0
    for start in range(0, len(body), portion):
        due_ms = start * 1000 // bytes_per_second
        steps.append((due_ms - gone_ms, body[start : start + portion]))
        gone_ms = due_ms
    return tuple(steps)


def damaged(status: int, headers: Headers, body: bytes, damages: Sequence[Damage], delay_ms: int) -> Plan:
    """A reply with what faults leave of it; `delay_ms` before its first byte."""
    left = remains(damages, len(body))
    if left.silent:
        silence: Steps = ((delay_ms, left.raw),) if left.raw or delay_ms else ()
        return Plan(status, headers, silence, left.ending, head=False)
    sent = body[: left.sent]
    (first_ms, first), *rest = drip(sent, left.bytes_per_s) if left.bytes_per_s and sent else ((0, sent),)
    return Plan(status, headers, ((first_ms + delay_ms, first), *rest), left.ending, declared_length=left.declared)


def refusal(status: int, detail: str) -> Plan:
    """The server's own no (RFC 9457), after which the connection ends."""
    title = HTTPStatus(status).phrase
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    return Plan(status, ((b"Content-Type", b"application/problem+json"), (b"Connection", b"close")), ((0, body),))


def status_line(status: int, reason: bytes | None = None) -> bytes:
    """`HTTP/1.1 200 OK` and the end of the line; the space stays where there is no reason (RFC 9112 section 4)."""
    known = STATUS_LINES.get(status) if reason is None else None
    return known or b"HTTP/1.1 %d %s\r\n" % (status, reason or b"")


def head_of(plan: Plan, length: int, *, keep: bool, old: bool = False) -> tuple[bytes, bool]:
    """The head for a body of that length, and whether the connection goes on after it.

    `old` clients, HTTP/1.0, know no chunks; for them the end of the connection ends such a body.
    """
    parts = [status_line(plan.status, plan.reason)]
    if not (keep := add_lines(plan.headers, parts) and keep):
        parts.append(CLOSE_LINE)
    if (told := length_told(plan, length)) is not None:
        parts.append(b"Content-Length: %d\r\n\r\n" % told)
    elif plan.chunked and not old and plan.status not in BODYLESS:
        parts.append(CHUNKED_LINE + b"\r\n")
    else:
        parts.append(b"\r\n")
    return b"".join(parts), keep


def length_told(plan: Plan, length: int) -> int | None:
    """The Content-Length, where the head has one (RFC 9112 section 6.3)."""
    if plan.declared_length is not None:
        return plan.declared_length
    return None if plan.chunked or plan.status in BODYLESS else length


def add_lines(headers: Headers, parts: list[bytes]) -> bool:
    """Append the header lines, names as written; whether the connection goes on. The line that ends it is left out."""
    keep = True
    for name, value in headers:
        if len(name) == CONNECTION and name.lower() == b"connection" and b"close" in value.lower():
            keep = False
            continue
        parts += (name, b": ", value, b"\r\n")
    return keep
