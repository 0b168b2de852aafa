"""A compiled scenario: everything that a request needs, settled at load time.

Rules: it is never changed, a reload makes another; sandboxes with the same scenario and seed share one.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable

from simulator.core.auth import Auth
from simulator.core.chance import Chance
from simulator.core.clock import ClockSettings
from simulator.core.consistency import STALE_KEPT_MS
from simulator.core.costs import Budget
from simulator.core.faults import Fault
from simulator.core.idempotency import Idempotency
from simulator.core.limits import Limit
from simulator.core.operations import Operation
from simulator.core.records import Record
from simulator.core.refusals import Refusals
from simulator.core.resources import Resource
from simulator.core.states import settle
from simulator.core.templates import Value
from simulator.core.turns import Turn
from simulator.core.values import Span
from simulator.core.verbs import claim

ALWAYS_SCANNED = frozenset({"id", "state", ""})  # stores can filter and order by these anyway
BY_CREATION = frozenset({"ordinal", "created_at"})  # orders that are the order of creation


class Service:
    """What one scenario file became."""

    def __init__(
        self,
        name: str,
        summary: str,
        digest: str,
        seed: int,
        prefix: str,
        clock: ClockSettings | None,
        resources: dict[str, Resource],
        operations: tuple[Operation, ...],
        refusals: Refusals,
        auth: Auth | None,
        limits: tuple[Limit, ...],
        idempotency: Idempotency,
        budget: Budget | None,
        latency: Span | None,
        faults: tuple[Fault, ...],
    ) -> None:
        self.name = name
        self.summary = summary
        self.digest = digest
        self.prefix = prefix  # mount and base path
        self.clock = clock
        self.resources = resources
        self.operations = operations
        self.refusals = refusals
        self.auth = auth
        self.limits = limits
        self.idempotency = idempotency
        self.budget = budget
        self.latency = latency
        self.faults = faults
        self._sow(seed)
        self.unique = _unique(operations)
        self._by_kind = {resource.kind: resource for resource in resources.values()}
        self.looks_around = any(value.scans for value in _moving_values(resources.values()))
        self.misbehave(())

    def seeded(self, seed: int) -> Service:
        """The same service with another seed."""
        other = copy.copy(self)
        other._sow(seed)
        return other

    def _sow(self, seed: int) -> None:
        self.seed = seed
        self.chance = Chance(seed, self.name)
        self.key = hashlib.blake2b(f"{seed}/{self.name}/pages".encode(), digest_size=32).digest()

    def past_ms(self, kind: str) -> int:
        """How long the version before a record's last change is kept; 0 where nobody looks back."""
        return self._past_ms.get(kind, 0)

    def misbehave(self, faults: tuple[Fault, ...]) -> None:
        """Be ready for these faults, which are added while it runs."""
        stale = STALE_KEPT_MS if any(fault.stale for fault in (*self.faults, *faults)) else 0
        lags = {
            resource.kind: max(resource.consistency.lag_ms, resource.consistency.lists_ms)
            for resource in self.resources.values()
            if resource.consistency is not None
        }
        self._past_ms = {kind: max(lags.get(kind, 0), stale) for kind in self._by_kind}

    def resource_of(self, kind: str) -> Resource | None:
        """The resource of a record's kind."""
        return self._by_kind.get(kind)

    def settle(self, turn: Turn, resource: Resource, record: Record) -> Record:
        """Run the record's overdue moves. Whoever has a unique value first keeps it."""
        settled = settle(turn, resource, record)
        claim(turn, resource, record, settled, refuse=False)
        return settled

    def scanned(self) -> dict[str, tuple[str, ...]]:
        """For each kind, the fields that some scan filters or orders by: what a store must index."""
        fields: dict[str, set[str]] = {kind: set() for kind in self._by_kind}
        for operation in self.operations:
            for variant in operation.variants:
                if variant.order is not None and variant.step.resource is not None:
                    fields[variant.step.resource.kind].update(
                        variant.order.fields - BY_CREATION, dict(variant.step.where)
                    )
        for value in self._values():
            for name, filters in value.scans:
                if name in self.resources:
                    fields[self.resources[name].kind].update(filters)
        return {kind: tuple(sorted(names - ALWAYS_SCANNED)) for kind, names in fields.items()}

    def _values(self) -> Iterable[Value]:
        for resource in self.resources.values():
            yield from (resource.id, resource.view, resource.initial, *(value for _, value in resource.fields))
        yield from _moving_values(self.resources.values())
        yield from self.auth.values if self.auth is not None else ()
        for operation in self.operations:
            for variant in operation.variants:
                for step in (variant.step, *variant.also):
                    yield from (value for pairs in (step.where, step.set) for _, value in pairs)
                    yield from (value for value in (step.id, step.when) if value is not None)
                    yield from (rule.when for rule in step.refuse)
                    yield from (value for _, _, value in step.find)
                yield from (variant.order.by,) if variant.order is not None else ()
                yield from (value for reply in variant.replies for value in reply.values)


def _moving_values(resources: Iterable[Resource]) -> Iterable[Value]:
    """What is evaluated when records move."""
    for resource in resources:
        for state in resource.states.values():
            yield from (value for _, value in state.set)
            for row in state.rows:
                yield from (value for _, value in row.set)
                yield from ((row.when,) if row.when is not None else ())


def _unique(operations: Iterable[Operation]) -> dict[str, tuple[tuple[str, ...], ...]]:
    groups: dict[str, dict[tuple[str, ...], None]] = {}
    for operation in operations:
        for variant in operation.variants:
            if variant.step.resource is not None:
                groups.setdefault(variant.step.resource.name, {}).update(dict.fromkeys(variant.unique))
    return {name: tuple(found) for name, found in groups.items() if found}
