"""The journal's alphabet: frozen facts, named in the past tense.

Rules: an event holds what happened, never what to think of it; `at_ms` is service time, `wire_us` the process's
monotonic time in microseconds. Number, boot and sandbox belong to the batch an event is kept in. Credentials are
kept as keyed digests: equality can be seen, the value cannot. A new field goes to the end and has a default, so
that an old journal can still be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import orjson

from simulator.core.redaction import hidden_body, hidden_query

HeaderList = Iterable[tuple[bytes, bytes]]

SECRET_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key", b"api-key", b"apikey"}
)
SECRET_MIN = 4  # characters; a shorter one is no secret, and stands in everything by chance
BODY_BYTES_KEPT = 4096  # of each body; enough to recognise it, little enough for a million exchanges


class ExchangeEnded(NamedTuple):
    """A request and its reply, as they went over the wire."""

    at_ms: int
    wire_us: int  # first byte of the request
    digest: str  # of the scenario that answered
    request_id: str
    peer: str  # host:port
    connection: int  # which connection of this process, 0 where the server cannot tell
    turn: int  # the how-manieth exchange on it
    body_us: int  # end of the request's body
    reply_us: int  # just before the reply was handed over
    ended_us: int  # last byte handed over, or the client gone
    method: str
    target: str  # as sent
    headers: HeaderList
    body: bytes
    body_length: int
    operation: str | None  # None where no operation matched
    client: str | None
    ordinal: int  # the how-manieth exchange of this operation
    concurrent: int  # exchanges open in the sandbox when this one began, itself included
    status: int
    reply_headers: HeaderList
    reply_body: bytes
    reply_length: int
    committed: bool
    records: tuple[tuple[str, str, int], ...]  # kind, id and version of what was written
    cursor: str | None  # the page token used
    next_cursor: str | None  # the page token issued
    items: tuple[str, ...]  # ids on the page
    closed: str  # "" normal, or how it ended: client_gone
    error: str | None  # the kind of refusal
    nearest: tuple[str, ...] = ()  # what an unmatched request may have meant
    scheme: str | None = None  # by which the client was known
    credential: str | None = None  # kept as a digest
    signed_ms: int | None = None  # when the client says that it signed
    nonce: str | None = None
    key: str | None = None  # of idempotency
    idempotency: str | None = None  # first | replayed | mismatch | in_flight | missing
    limit: str | None = None  # the strictest: the one that refused, else the one with the least share left
    limit_scope: str | None = None
    limit_remaining: int | None = None
    limit_reset_ms: int | None = None
    retry_after: str | None = None  # as sent
    retry_after_ms: int | None = None
    cost: int = 0  # in millionths
    fault: str | None = None  # names of those that struck
    fault_draw: float | None = None
    delay_ms: int = 0  # asked for, of wire time
    handed: int | None = None  # bytes of the reply's body that left, where not all of them did
    secrets: tuple[str, ...] = ()  # that came or went; nothing of them is kept
    places: tuple[str, ...] = ()  # names of headers, parameters and cookies that hold secrets
    intimate: bool = False  # the bodies are OAuth's


class TransitionApplied(NamedTuple):
    """A record entered a state."""

    at_ms: int  # the instant it happened at, which may be before it was looked at
    wire_us: int
    digest: str
    record_kind: str
    id: str
    version: int
    from_state: str | None  # None when created
    to_state: str
    cause: str  # created | after | signal:<name> | forced
    due_ms: int | None  # when it was due, for the timed ones


class TransitionFailed(NamedTuple):
    """An expression of a timed transition failed; the record stays where it is and waits for no further one."""

    at_ms: int
    wire_us: int
    digest: str
    record_kind: str
    id: str
    version: int
    from_state: str
    to_state: str
    where: str  # file:line:column of the expression
    what: str


class RecordRemoved(NamedTuple):
    """A record is gone."""

    at_ms: int
    wire_us: int
    digest: str
    record_kind: str
    id: str
    version: int
    cause: str  # deleted | control


class RecordChanged(NamedTuple):
    """A record's fields changed without a change of state."""

    at_ms: int
    wire_us: int
    digest: str
    record_kind: str
    id: str
    version: int
    cause: str  # updated | control


class EventEmitted(NamedTuple):
    """The service has something to tell the world."""

    at_ms: int
    wire_us: int
    digest: str
    event_id: str
    type: str
    record_kind: str
    id: str
    version: int
    sequence: int  # orders the emissions of one record


class TokenChanged(NamedTuple):
    """An access or refresh token was given out, replaced, or taken back."""

    at_ms: int
    wire_us: int
    digest: str
    what: str  # issued | refreshed | superseded | revoked | reused
    kind: str  # access | refresh
    family: str  # all tokens that come from one grant
    generation: int  # the how-manieth refresh of it
    token: str  # kept as a digest
    client: str


class FaultFired(NamedTuple):
    """An injected misbehaviour struck."""

    at_ms: int
    wire_us: int
    digest: str
    fault: str
    operation: str
    point: str  # arrival | reply
    effect: str
    draw: float | None
    ordinal: int  # of the request within the scope of the fault's counter
    request_id: str


class ClockMoved(NamedTuple):
    """The sandbox's clock was set, advanced, leapt or changed its pace."""

    at_ms: int  # after the move
    wire_us: int
    from_ms: int
    mode: str
    rate: float
    cause: str  # started | control | jump


class ControlChanged(NamedTuple):
    """Somebody changed the sandbox from outside the simulated service."""

    at_ms: int
    wire_us: int
    what: str  # reset | scenario_loaded | record_put | record_moved | …
    detail: str


class BootStarted(NamedTuple):
    """A process began to play this sandbox. Wire times of different boots are not comparable."""

    at_ms: int
    wire_us: int
    boot: str
    seed: int
    digest: str


Event = (
    ExchangeEnded
    | TransitionApplied
    | TransitionFailed
    | RecordRemoved
    | RecordChanged
    | EventEmitted
    | TokenChanged
    | FaultFired
    | ClockMoved
    | ControlChanged
    | BootStarted
)

KINDS: dict[str, type[Event]] = {
    "exchange": ExchangeEnded,
    "transition": TransitionApplied,
    "failure": TransitionFailed,
    "removal": RecordRemoved,
    "change": RecordChanged,
    "emission": EventEmitted,
    "token": TokenChanged,
    "fault": FaultFired,
    "clock": ClockMoved,
    "control": ControlChanged,
    "boot": BootStarted,
}
PLAIN_FIELDS = ExchangeEnded._fields.index("scheme")  # what follows is told by few services
MOSTLY = tuple(ExchangeEnded._field_defaults[name] for name in ExchangeEnded._fields[PLAIN_FIELDS:])
NAMES = {made: name for name, made in KINDS.items()}


def encode(events: Iterable[Event], key: bytes) -> bytes:
    """Events as one JSON array of `[kind, field, …]`. `key` hides credentials (see `digest_of`)."""
    return orjson.dumps([_row(event, key) for event in events])


def decode(blob: bytes) -> list[Event]:
    """What `encode` wrote, as events; headers come back as text pairs, bodies as text."""
    return [KINDS[kind](*fields) for kind, *fields in orjson.loads(blob)]


def as_dict(number: int, event: Event) -> dict[str, Any]:
    """An event for people and tools, with its number in the journal and its kind."""
    return {"number": number, "kind": NAMES[type(event)], **event._asdict()}


def digest_of(value: bytes, key: bytes) -> str:
    """A stand-in for a secret: the same for the same value and key, and no way back."""
    return "digest:" + hashlib.blake2b(value, digest_size=12, key=key).hexdigest()


def _row(event: Event, key: bytes) -> list[Any]:
    if type(event) is ExchangeEnded:
        row = event._replace(
            target=hidden_query(event.target, event.places, _digests(key)) if event.places else event.target,
            headers=_headers(event.headers, key, event.places),  # type: ignore[arg-type]
            reply_headers=_headers(event.reply_headers, key),  # type: ignore[arg-type]
            body=_text(event.body),  # type: ignore[arg-type]
            reply_body=_text(event.reply_body),  # type: ignore[arg-type]
        )
        if event.intimate:
            sent, told = (hidden_body(str(text), _digests(key)) for text in (row.body, row.reply_body))
            row = row._replace(body=sent, reply_body=told)  # type: ignore[arg-type]
        row = row._replace(places=(), intimate=False)
        event = _hidden(row, key) if event.secrets or event.credential else row
        untold = event[PLAIN_FIELDS:] == MOSTLY
        return ["exchange", *(event[:PLAIN_FIELDS] if untold else event)]
    if type(event) is TokenChanged:
        event = event._replace(token=digest_of(event.token.encode(), key))
    return [NAMES[type(event)], *event]


def _hidden(event: ExchangeEnded, key: bytes) -> ExchangeEnded:
    """The exchange with digests in place of the secrets that came or went with it."""
    secrets = [secret for secret in event.secrets if len(secret) >= SECRET_MIN]
    forms = {form: digest_of(secret.encode(), key) for secret in secrets for form in _forms(secret)}
    longest_first = sorted(forms, key=len, reverse=True)  # a secret may be part of another

    def hide(text: str) -> str:
        for form in longest_first:
            text = text.replace(form, forms[form])
        return text

    return event._replace(
        target=hide(event.target),
        headers=[(name, hide(value)) for name, value in event.headers],  # type: ignore[misc, arg-type]
        reply_headers=[(name, hide(value)) for name, value in event.reply_headers],  # type: ignore[misc, arg-type]
        body=hide(event.body),  # type: ignore[arg-type]
        reply_body=hide(event.reply_body),  # type: ignore[arg-type]
        client=hide(event.client) if event.client else event.client,
        limit_scope=hide(event.limit_scope) if event.limit_scope else event.limit_scope,
        credential=digest_of(event.credential.encode(), key) if event.credential else None,
        secrets=(),
    )


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret may be written: as it is, in a URL, in a form, in JSON."""
    return secret, quote(secret, safe=""), quote_plus(secret), orjson.dumps(secret).decode()[1:-1]


def _headers(headers: HeaderList, key: bytes, places: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [
        (
            name.decode("latin-1"),
            digest_of(value, key)
            if name.lower() in SECRET_HEADERS or (places and name.decode("latin-1").lower() in places)
            else value.decode("latin-1"),
        )
        for name, value in headers
    ]


def _digests(key: bytes) -> Callable[[str], str]:
    return lambda secret: digest_of(secret.encode("utf-8", "replace"), key)


def _text(body: bytes) -> str:
    return body[:BODY_BYTES_KEPT].decode("utf-8", "replace")
