"""A service whose requests may be struck: its faults, what is stored, and a clock that a test moves by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from simulator.core.events import FaultFired
from simulator.core.faults import Fault, FaultModel, Strikes, compile_faults, fallen
from simulator.core.places import nowhere
from simulator.core.requests import Request
from simulator.core.resources import request_names
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn
from tests.core.world import JSON, START_MS, Look, compiled

OPERATIONS = ("POST /jobs", "GET /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}")
NAMES = request_names()
DOCUMENT = {"operations": {name: {"reply": {"status": 204}} for name in OPERATIONS}}


class Struck(NamedTuple):
    """One request and the faults that struck it."""

    strikes: Strikes
    turn: Turn
    scope: LiveScope

    @property
    def names(self) -> list[str]:
        """The faults that struck."""
        return [strike.fault.name for strike in self.strikes.all]


class Sick:
    """A service with faults. Each request is decided and what stays of it is written."""

    def __init__(self, *faults: Mapping[str, Any], seed: int = 7, shy: bool = False) -> None:
        self.service = compiled(DOCUMENT, seed)
        self.look = Look(shy=shy)
        self.now_ms = START_MS
        self.events: list[FaultFired] = []
        self.faults = compile_(*faults)

    def send(self, operation: str = "POST /jobs", **more: Any) -> Struck:
        """One request: `client`, `key`, `body`, `path`, `query`, `raw`, `headers`, `address`."""
        struck = self.decide(operation, **more)
        changes = struck.turn.kept()
        self.look.commit(changes)
        self.events += [event for event in changes.events if isinstance(event, FaultFired)]
        return struck

    def decide(self, operation: str = "POST /jobs", **more: Any) -> Struck:
        """The same, and nothing is written."""
        turn = turn_of(self, operation, **more)
        scope = turn.scope()
        return Struck(fallen(self.faults, turn, scope, operation, START_MS), turn, scope)

    def struck(self, count: int, operation: str = "POST /jobs", **more: Any) -> list[int]:
        """Which of so many requests are struck, from 1."""
        return [n for n in range(1, count + 1) if self.send(operation, **more).names]


def turn_of(sick: Sick, operation: str, **more: Any) -> Turn:
    """A turn of the service, whose client and key are known."""
    method, path = operation.split(" ")
    raw = more.get("raw", b"" if "body" not in more else orjson.dumps(more["body"]))
    headers = [JSON, *((name.encode(), value.encode()) for name, value in more.get("headers", {}).items())]
    path, query, address = more.get("path", path), more.get("query", b""), more.get("address", "192.0.2.1")
    request = Request(method, path, query, headers, raw, "http://api.test", "req_1", {}, address)
    turn = Turn(sick.service, sick.look, sick.now_ms, 5, f"{operation}/request/1", "http://api.test", request)
    turn.client = more.get("client", "")
    turn.facts["key"] = more.get("key")
    return turn


def compile_(*faults: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Faults, which must be legal."""
    place = nowhere()
    made = compile_faults(models(*faults), place, NAMES, OPERATIONS)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    return made


def complaints(*faults: Mapping[str, Any], operations: Sequence[str] = OPERATIONS) -> list[str]:
    """What is said of faults whose shape is right."""
    place = nowhere("faults")
    compile_faults(models(*faults), place, NAMES, operations)
    return [complaint.what for complaint in place.complaints]


def models(*faults: Mapping[str, Any]) -> list[FaultModel]:
    """Faults as models; each has a name and an effect unless it says so."""
    defaults = {"name": "sick"}
    return [
        FaultModel.model_validate({**defaults, **({} if _effect(fault) else {"error": {}}), **fault})
        for fault in faults
    ]


def _effect(fault: Mapping[str, Any]) -> bool:
    return any(key not in ("name", "operation", "when", "at", "enabled") for key in fault)


def when(**conditions: Any) -> Sick:
    """A service with one fault, `sick`, under these conditions; `if_` is `if`."""
    return Sick({"when": {key.rstrip("_"): value for key, value in conditions.items()}})
