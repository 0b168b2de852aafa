"""One turn of the engine: what it has seen and written so far, and the scopes of its expressions.

Rules: a turn sees its own writes; a record it looks at is first brought up to date; nothing leaves a turn but the
Changes it ends with, so a turn that fails has done nothing but what it was told to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from simulator.core.chance import Chance, Draws
from simulator.core.clock import Instant
from simulator.core.consistency import past_of
from simulator.core.events import Event
from simulator.core.omit import OMIT
from simulator.core.records import BUILT_IN, Behind, Changes, Entry, Lease, Look, Record, Scan, field_of, text_of
from simulator.core.replies import HeaderLines
from simulator.core.requests import Request
from simulator.core.resources import Resource
from simulator.core.skew import RIGHT, Skew
from simulator.core.templates import LiveScope

RECORDS_MAX = 1000  # that one records() call gives


class Home(Protocol):
    """What a turn asks of its service."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def chance(self) -> Chance: ...
    @property
    def key(self) -> bytes: ...
    @property
    def resources(self) -> Mapping[str, Resource]: ...
    @property
    def looks_around(self) -> bool: ...
    @property
    def unique(self) -> Mapping[str, tuple[tuple[str, ...], ...]]: ...

    def past_ms(self, kind: str) -> int:
        """How long the version before a record's last change is kept; 0 where nobody looks back."""

    def resource_of(self, kind: str) -> Resource | None:
        """The resource of a record's kind."""

    def settle(self, turn: Turn, resource: Resource, record: Record) -> Record:
        """Run the record's overdue moves."""


class Item:
    """A record in templates: its fields, the built-in ones, and its view."""

    __slots__ = ("record", "turn")

    def __init__(self, record: Record, turn: Turn) -> None:
        self.record = record
        self.turn = turn

    def template_field(self, name: str) -> Any:
        """A field of the record, else `id`, `state`, `created_at`, `view`, …"""
        record = self.record
        if name in record.fields:
            return record.fields[name]
        if name == "view":
            return self.turn.view(record)
        if name == "created_at":
            return Instant(self.turn.shown_ms(record.created_ms))
        if name == "updated_at":
            return Instant(self.turn.shown_ms(record.updated_ms))
        return record[BUILT_IN[name]] if name in BUILT_IN else OMIT

    def template_json(self) -> Any:
        """A record shown whole is its view."""
        return self.turn.view(self.record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self.record == other.record

    def __hash__(self) -> int:
        return hash((self.record.kind, self.record.id))


class Turn:
    """What one request or one due moment is deciding."""

    def __init__(
        self,
        service: Home,
        look: Look,
        now_ms: int,
        wire_us: int,
        name: str,
        origin: str,
        request: Request | None = None,
        skew: Skew = RIGHT,
    ) -> None:
        self.service = service
        self.look = look
        self.now_ms = now_ms
        self.wire_us = wire_us
        self.name = name  # names the draws of this turn
        self.origin = origin  # base URL, for links
        self.request = request
        self.shown_ms = skew.shown_ms  # an instant of the service, as its clients see it
        self.puts: list[Record] = []
        self.removes: list[Record] = []
        self.entries: list[Entry] = []
        self.adds: list[tuple[str, int]] = []
        self.events: list[Event] = []
        self.lasting: list[Entry] = []  # written whatever the answer is
        self.lasting_events: list[Event] = []
        self.lasting_adds: list[tuple[str, int]] = []
        self.leases: list[Lease] = []  # held until the exchange ends
        self.client = ""  # whose credentials came; nobody's where the service asks for none
        self.headers: HeaderLines = ()  # that go with whatever is answered, such as what is left under a limit
        self.delay_ms = 0  # of wire time, before the reply leaves
        self.begun = False  # whether it came to behaviour
        self.strikes: Any = None  # the faults that strike it
        self.stale = False  # reads show the past
        self.pages: tuple[Any, ...] = ()  # what happens to the page of a list
        self.jump_ms = 0  # of the clock that clients see
        self.taken: Any = None  # of the limits, for replies that give it back
        self.call: Any = None  # the call whose answer is to be kept
        self.facts: dict[str, Any] = {}  # fields of the ExchangeEnded event that are known by now
        self.secrets: list[str] = []  # that came or go; the journal shows digests in their place
        self._own: dict[tuple[str, str], Record | None] = {}

    def changes(self) -> Changes:
        """All that the turn wrote."""
        return Changes(
            tuple(self.puts),
            tuple(self.removes),
            (*self.lasting, *self.entries),
            (*self.lasting_adds, *self.adds),
            (*self.lasting_events, *self.events),
            tuple(self.leases),
        )

    def kept(self) -> Changes:
        """What stays of a turn that failed."""
        return Changes(
            entries=tuple(self.lasting),
            adds=tuple(self.lasting_adds),
            events=tuple(self.lasting_events),
            leases=tuple(self.leases),
        )

    def record(self, resource: Resource, id: Any) -> Record | None:
        """The record as it is now: its overdue transitions have happened, each at its own time."""
        if not isinstance(id, str):
            id = text_of(id)  # noqa: A001 - the same id, as text
        if not id:
            return None
        key = (resource.kind, id)
        record = self._own[key] if key in self._own else self.look.record(*key)
        if record is not None and record.due_ms is not None and record.due_ms <= self.now_ms:
            if self.service.looks_around:
                raise Behind  # its moves look at other records, whose own moves may come before them
            record = self.service.settle(self, resource, record)
        return record

    def put(self, record: Record) -> Record:
        """Write a new version."""
        kept_ms = self.service.past_ms(record.kind)
        if kept_ms:
            key = (record.kind, record.id)
            before = self._own[key] if key in self._own else self.look.record(*key)
            self.entries.append(past_of(before, record, kept_ms))
        self.puts.append(record)
        self._own[record.kind, record.id] = record
        return record

    def remove(self, record: Record) -> None:
        """Remove the record."""
        self.removes.append(record)
        self._own[record.kind, record.id] = None

    def entry(self, key: str) -> Any:
        """An entry's value, own writes included."""
        for entry in (*reversed(self.entries), *reversed(self.lasting)):
            if entry.key == key:
                return entry.value
        return self.look.entry(key)

    def keep(self, key: str, value: Any, expires_ms: int | None = None) -> None:
        """Write an entry that stays even where the request is refused."""
        self.lasting.append(Entry(key, value, expires_ms))

    def count(self, name: str) -> int:
        """A counter's value, own adds included."""
        own = (*self.lasting_adds, *self.adds)
        return self.look.count(name) + sum(amount for added, amount in own if added == name)

    def view(self, record: Record) -> Any:
        """What clients see of a record."""
        resource = self.service.resource_of(record.kind)
        return resource.view.of(self.scope_of(record)) if resource else record.fields

    def items(self, kind: str, /, **where: Any) -> list[Item]:
        """`records('order', customer=id)`: the records of a resource, oldest first, this turn's own among them."""
        resource = self.service.resources[kind]
        texts = {name: text_of(value.record.id if isinstance(value, Item) else value) for name, value in where.items()}
        if None in texts.values():
            return []
        scan = Scan(
            resource.kind, tuple((name, text) for name, text in texts.items() if text is not None), most=RECORDS_MAX
        )
        found = {record.id: record for record in self.look.scan(scan).records}
        found.update((name, own) for (of, name), own in self._own.items() if of == resource.kind and own is not None)
        gone = {name for (of, name), own in self._own.items() if of == resource.kind and own is None}
        fit = (
            r
            for r in found.values()
            if r.id not in gone and all(text_of(field_of(r, n)) == t for n, t in texts.items())
        )
        return [Item(record, self) for record in sorted(fit, key=lambda record: record.ordinal)]

    def draws(self, name: str) -> Callable[[str], Draws]:
        """What `chance` is in a scope: given a place, the draws named by the turn and that place."""
        return lambda label: Draws(self.service.chance, f"{name}/{label}", self.shown_ms(self.now_ms))

    def scope(self, values: dict[str, Any] | None = None) -> LiveScope:
        """The names while a request is answered."""
        return LiveScope({"chance": self.draws(self.name), **(values or {})}, MAKERS, self)

    def scope_of(self, record: Record, values: dict[str, Any] | None = None) -> LiveScope:
        """The names where a record is at hand."""
        return LiveScope(
            {"chance": self.draws(draw_name(record)), **held(record, self), **(values or {})}, MAKERS, self
        )


def held(record: Record, turn: Turn) -> dict[str, Any]:
    """The names that a record brings."""
    return {"id": record.id, "state": record.state, "record": Item(record, turn), "ordinal": record.ordinal}


def draw_name(record: Record) -> str:
    """Names the draws of a record's stay in its state, so that no look at it changes them."""
    return f"{record.kind}/{record.id}/{record.entries}"


def _request(name: str) -> Callable[[LiveScope], Any]:
    return lambda scope: OMIT if scope.owner.request is None else getattr(scope.owner.request, name)


MAKERS: dict[str, Callable[[Any], Any]] = {
    "now": lambda scope: Instant(scope.owner.shown_ms(scope.owner.now_ms)),
    "base_url": lambda scope: scope.owner.origin,
    "request": lambda scope: OMIT if scope.owner.request is None else scope.owner.request,
    "params": _request("params"),
    "query": _request("query"),
    "headers": _request("headers"),
    "body": _request("body"),
    "client": lambda scope: scope.owner.client or OMIT,
    "records": lambda scope: scope.owner.items,
    "view": lambda scope: scope.owner.view(scope["record"].record) if "record" in scope else OMIT,
}
