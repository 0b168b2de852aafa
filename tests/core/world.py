"""A small world for the centre's tests: a dict-backed Look that keeps the version rule, and a World that plays a
scenario on it by hand: requests, time, and the due loop, without a socket, a clock or a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import orjson

from simulator.core.clock import ClockSettings
from simulator.core.engine import Decision, Engine
from simulator.core.events import EventEmitted, TransitionApplied
from simulator.core.records import (
    Behind,
    Changes,
    Found,
    Json,
    Lease,
    Need,
    NotLoaded,
    Record,
    RecordKey,
    Scan,
    field_of,
    sort_of,
    text_of,
)
from simulator.core.requests import Request
from simulator.core.service import Service
from simulator.errors import ScenarioError
from simulator.scenario.parse import parse_data, parse_text, service_of

T = TypeVar("T")
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
BASE = "http://api.test"
JSON = (b"content-type", b"application/json")


class ConflictError(Exception):
    """Changes that do not fit what is stored."""


class Look:
    """What is stored, as dicts. With `shy`, it has everything only after it was asked for it once."""

    def __init__(self, *, shy: bool = False) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.entries: dict[str, Json] = {}
        self.counters: dict[str, int] = {}
        self.leases: list[Lease] = []
        self.shy = shy
        self.declared: dict[str, tuple[str, ...]] | None = None  # what scans may filter and order by; None: anything
        self.loaded: set[Need] = set()

    def record(self, kind: str, id: str) -> Record | None:
        self._demand(RecordKey(kind, id))
        return self.records.get((kind, id))

    def scan(self, scan: Scan) -> Found:
        self._demand(scan)
        legal = None if self.declared is None else {"", "id", "state", *self.declared[scan.kind]}
        assert legal is None or legal >= {scan.by, *(name for name, _ in scan.where)}, f"{scan} by what is not declared"
        fit = [r for r in self.of(scan.kind) if all(text_of(field_of(r, n)) == text for n, text in scan.where)]
        ordered = sorted(fit, key=lambda record: _place(record, scan.by), reverse=scan.descending)
        if scan.after is not None:
            last = _sortable(scan.after[0] if scan.by else 0.0, scan.after[1])
            ordered = [r for r in ordered if (_place(r, scan.by) < last) == scan.descending and r.ordinal != last[3]]
        part = ordered[scan.offset : scan.offset + scan.most]
        return Found(tuple(part), len(ordered) > scan.offset + scan.most, len(fit) if scan.total else None)

    def entry(self, key: str) -> Json:
        self._demand(key)
        return self.entries.get(key)

    def count(self, name: str) -> int:
        return self.counters.get(name, 0)

    def holders(self, name: str) -> tuple[str, ...]:
        return tuple(lease.holder for lease in self.leases if lease.name == name)

    def release(self, leases: Iterable[Lease]) -> None:
        """The exchange that held these has ended."""
        self.leases = [lease for lease in self.leases if lease not in leases]

    def of(self, kind: str) -> list[Record]:
        """The records of one kind, oldest first."""
        return sorted((r for r in self.records.values() if r.kind == kind), key=lambda record: record.ordinal)

    def commit(self, changes: Changes) -> None:
        """Write all of it, or nothing: a put of version n demands n-1, a remove the very version it names."""
        after = dict(self.records)
        for put in changes.puts:
            there = after.get((put.kind, put.id))
            if (there.version if there else 0) != put.version - 1:
                raise ConflictError(f"{put} does not follow {there}")
            after[put.kind, put.id] = put
        for gone in changes.removes:
            there = after.pop((gone.kind, gone.id), None)
            if there is None or there.version != gone.version:
                raise ConflictError(f"{gone} is not {there}")
        self.records = after
        for key, value, _ in changes.entries:
            self._enter(key, value)
        for name, amount in changes.adds:
            self.counters[name] = self.counters.get(name, 0) + amount
        self.leases += changes.leases

    def _enter(self, key: str, value: Json) -> None:
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value

    def _demand(self, need: Need) -> None:
        if self.shy and need not in self.loaded:
            raise NotLoaded(need)


class Answer(NamedTuple):
    """A reply, as a test wants to see it."""

    status: int
    body: bytes
    decision: Decision

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def header(self, name: str) -> str | None:
        """The header field's value; of repeated ones the first."""
        values = [value for key, value in self.decision.reply.headers if key.decode().lower() == name.lower()]
        return values[0].decode("latin-1") if values else None


class World:
    """A scenario (or several) at play. Time stands still until a test moves it."""

    def __init__(
        self, *documents: str | Mapping[str, Any], seed: int = 7, shy: bool = False, now_ms: int = START_MS
    ) -> None:
        mounts = ["/"] if len(documents) == 1 else [None] * len(documents)
        self.services = [compiled(each, seed, mount) for each, mount in zip(documents, mounts, strict=True)]
        settings = next((each.clock for each in self.services if each.clock is not None), ClockSettings())
        self.engine = Engine(self.services, settings.skew(now_ms))
        self.look = Look(shy=shy)
        self.look.declared = {kind: names for each in self.services for kind, names in each.scanned().items()}
        self.now_ms = now_ms
        self.events: list[Any] = []
        self.puts: list[Record] = []  # every version of every record, as it was written
        self.rounds: list[tuple[Need, ...]] = []  # what the last decision asked for, time after time

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        base: str = BASE,
        id: str = "req_1",
        address: str = "192.0.2.1",
    ) -> Request:
        """A request as the shell would hand it over."""
        path, _, query = url.partition("?")
        sent = b"" if body is None else orjson.dumps(body)
        lines = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        if "Content-Type" not in (headers or {}):
            lines.insert(0, JSON)
        match = self.engine.match(method, path)
        params = match.params if match else {}
        return Request(method, path, query.encode(), lines, sent if raw is None else raw, base, id, params, address)

    def decide(self, method: str, url: str, body: Any = None, **more: Any) -> Decision:
        """Decide one request, and write nothing."""
        request = self.request(method, url, body, **more)
        match = self.engine.match(method, request.path)
        if match is None:
            return self.engine.no_operation(method, request.path, request, self.look, self.now_ms)[0]
        return self.seen(lambda: self.engine.answer(match.target, request, self.look, self.now_ms, 0))

    def send(self, method: str, url: str, body: Any = None, **more: Any) -> Answer:
        """Decide one request and write what was decided."""
        answer = self.begin(method, url, body, **more)
        self.look.release(answer.decision.changes.leases)
        return answer

    def begin(self, method: str, url: str, body: Any = None, **more: Any) -> Answer:
        """The same, and the exchange has not ended yet."""
        decision = self.decide(method, url, body, **more)
        self.commit(decision.changes)
        return Answer(decision.reply.status, decision.reply.body, decision)

    def seen(self, decide: Callable[[], T]) -> T:
        """What the shell does: fetch what is missing, let the due loop catch up, decide again."""
        self.rounds = []
        self.look.loaded = set()
        while True:
            try:
                return decide()
            except NotLoaded as missing:
                self.rounds.append(missing.needs)
                self.look.loaded.update(missing.needs)
            except Behind:
                self.wake()

    def commit(self, changes: Changes) -> None:
        """Write, and keep what was written and told."""
        self.look.commit(changes)
        self.puts.extend(changes.puts)
        self.events.extend(changes.events)

    def move(self, ms: int) -> None:
        """Let time pass; nobody looks."""
        self.now_ms += ms

    def wake(self) -> None:
        """The due loop: every moment that is due, one by one in the order of time, each at its own instant."""
        loaded = self.look.loaded
        while (record := self._due()) is not None and record.due_ms is not None and record.due_ms <= self.now_ms:
            self.wake_one(record, record.due_ms)
        self.look.loaded = loaded

    def wake_one(self, record: Record, now_ms: int) -> None:
        """Run one record's moment."""
        self.look.shy, shy = False, self.look.shy
        self.commit(self.engine.wake(record, self.look, now_ms, 0))
        self.look.shy = shy

    def advance(self, ms: int) -> None:
        """Let time pass, and run what is due."""
        self.move(ms)
        self.wake()

    def record(self, kind: str, id: str) -> Record:
        """One stored record, as it was last written."""
        return self.look.records[kind, id]

    def stored(self) -> list[Record]:
        """Every stored record, the kinds by name and each kind's oldest first."""
        return sorted(self.look.records.values(), key=lambda record: (record.kind, record.ordinal))

    def transitions(self, id: str | None = None) -> list[TransitionApplied]:
        """The moves that were made, of one record or of all, in the order they were written."""
        return [e for e in self.events if isinstance(e, TransitionApplied) and id in (None, e.id)]

    def emissions(self) -> list[EventEmitted]:
        """What the service told the world."""
        return [event for event in self.events if isinstance(event, EventEmitted)]

    def _due(self) -> Record | None:
        waiting = [r for r in self.look.records.values() if r.due_ms is not None]
        return min(waiting, key=lambda r: (r.due_ms or 0, r.kind, r.ordinal), default=None)


USER = {
    "record": {
        "email": "{{ body.email | lower }}",
        "name": "{{ body.name }}",
        "vip": "{{ body.vip | default(false) }}",
        "made": "{{ now.iso }}",
    }
}
USERS: dict[str, Any] = {
    "resources": {"user": USER},
    "operations": {
        "POST /users": {"create": "user", "unique": ["email"]},
        "GET /users/{id}": {"read": "user"},
        "PATCH /users/{id}": {"update": "user"},
        "PUT /users/{id}": {"update": "user"},
        "POST /users/{id}/promote": {"update": "user", "set": {"vip": True, "name": "{{ record.name ~ '!' }}"}},
        "DELETE /users/{id}": {"delete": "user"},
    },
}


def one(resource: dict[str, Any], **operations: Any) -> World:
    """A service of one resource, `job`; `GET_one` is `GET /jobs/{id}`, `POST_all` is `POST /jobs`."""
    paths = {"all": "/jobs", "one": "/jobs/{id}", "go": "/jobs/{id}/go"}
    named = {f"{name.split('_')[0]} {paths[name.split('_')[1]]}": made for name, made in operations.items()}
    return World({"resources": {"job": resource}, "operations": {"POST /jobs": {"create": "job"}, **named}})


def made(world: World, **body: Any) -> str:
    """The path of a new record."""
    answer = world.send("POST", "/jobs", body)
    assert answer.status == 201, answer.body
    return f"/jobs/{answer.json['id']}"


def compiled(document: str | Mapping[str, Any], seed: int = 7, mount: str | None = "/") -> Service:
    """A scenario, as text or as data, as a service."""
    if isinstance(document, str):
        draft = parse_text(document, "test.yaml")
    else:
        draft = parse_data({"scenario": "shop", **document}, "test.yaml")
    return service_of(draft, seed, f"/{draft.name}" if mount is None else mount)


def complaints(document: Mapping[str, Any]) -> list[str]:
    """All that is said of a scenario, warnings too, without its places."""
    try:
        draft = parse_data({"scenario": "shop", **document}, "test.yaml")
    except ScenarioError as error:
        return [complaint.what for complaint in error.complaints]
    return [complaint.what for complaint in draft.warnings if "no operation" not in complaint.what]


def histories(events: Iterable[Any]) -> dict[str, list[Any]]:
    """What happened to each record: its events in their order, without when they were noticed."""
    told: dict[str, list[Any]] = {}
    for event in events:
        told.setdefault(event.id, []).append(event._replace(wire_us=0))
    return told


def _place(record: Record, by: str) -> tuple[int, float, str, int]:
    return _sortable(sort_of(field_of(record, by)) if by else 0.0, record.ordinal)


def _sortable(sort: float | str, ordinal: int) -> tuple[int, float, str, int]:
    return (1, 0.0, sort, ordinal) if isinstance(sort, str) else (0, sort, "", ordinal)
