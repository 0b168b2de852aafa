"""What is legal in a scenario and probably not meant: states nobody reaches, or nobody leaves; operations nobody
meets. Warnings only; a scenario with warnings starts.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator

from simulator.core.places import Place, listed
from simulator.core.resources import Resource
from simulator.core.routes import Routes
from simulator.core.service import Service
from simulator.core.steps import Step


def lint(service: Service, place: Place) -> None:
    """Warn at the places of whatever is probably not meant."""
    sent = _signals_sent(service)
    for name, resource in service.resources.items():
        spot = place / "resources" / name / "states"
        _unreachable(resource, spot)
        _stuck(resource, sent.get(name, frozenset()), spot)
        _instant_rings(resource, spot)
    _shadows(service, place / "operations")
    if not service.operations:
        place.warn("no operations: this service answers nothing")


def _signals_sent(service: Service) -> dict[str, frozenset[str]]:
    """The signals that some operation sends, by resource."""
    sent: dict[str, set[str]] = {}
    for step in _steps(service):
        if step.resource is not None:
            by_verb = {"read": "read", "update": "updated", "delete": "deleted"}.get(step.verb or "")
            sent.setdefault(step.resource.name, set()).add(by_verb or step.signal)
    return {name: frozenset(signals) for name, signals in sent.items()}


def _steps(service: Service) -> Iterator[Step]:
    for operation in service.operations:
        for variant in operation.variants:
            yield from (variant.step, *variant.also)


def _unreachable(resource: Resource, place: Place) -> None:
    if not resource.initial.constant:
        return
    seen: list[str] = [resource.initial.of({})]
    for name in seen:
        state = resource.states.get(name)
        seen.extend(row.to for row in (state.rows if state else ()) if row.to not in seen and row.weight > 0)
    for name in resource.states:
        if name not in seen:
            (place / name).warn(f"no row leads to state {name!r}, and it is not the initial one", at_key=True)


def _stuck(resource: Resource, sent: frozenset[str], place: Place) -> None:
    """States that have rows and still are never left."""
    for name, state in resource.states.items():
        ways = [row for row in state.rows if row.to != name and row.weight > 0]
        if state.rows and not ways:
            (place / name).warn(f"nothing leaves state {name!r}; a final state has no rows", at_key=True)
        elif ways and all(row.signal is not None and row.signal not in sent for row in ways):
            signals = listed(dict.fromkeys(repr(row.signal) for row in ways))
            what = "the signal" if len(ways) == 1 else "the signals"
            (place / name).warn(
                f"state {name!r} is left only by {what} {signals}, which no operation sends", at_key=True
            )


def _instant_rings(resource: Resource, place: Place) -> None:
    """Rows without `after` that lead round in a circle: such a record never rests."""
    graph = {
        name: [
            row.to
            for row in state.timed
            if row.when is None and row.weight and not (row.after and row.after.fixed_ms != 0)
        ]
        for name, state in resource.states.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        ring = list(reversed(error.args[1]))
        (place / ring[0]).warn(f"{' → '.join(ring)} goes round in no time; give one row an `after`", at_key=True)


def _shadows(service: Service, place: Place) -> None:
    routes: Routes[str] = Routes()
    for operation in service.operations:
        there = routes.add(operation.method, operation.path, operation.name)
        if there is not None:
            (place / operation.name).warn(f"never reached: {there!r} answers the same requests", at_key=True)
