"""Several scenarios in one sandbox: where each stands, what they share, and what they may not both claim.

Rules: a scenario alone stands at /, of several each under its name, unless it says where; one that is already played
stays where it stands; two clocks, or two answers to the same request, are an error before anything starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.core.clock import ClockSettings
from simulator.core.routes import Routes
from simulator.core.service import Service
from simulator.errors import OperatorError
from simulator.scenario.parse import Draft, service_of


def mounts_of(drafts: list[Draft], there: Mapping[str, str]) -> dict[str, str]:
    """Where each scenario stands in the server. `there` are those that are played already."""
    alone = "/" if len(drafts) == 1 and not there else None
    return {draft.name: there.get(draft.name) or alone or f"/{draft.name}" for draft in drafts}


def services_of(drafts: list[Draft], seed: int | None, spare: int, mounts: Mapping[str, str]) -> list[Service]:
    """The services; `spare` seeds those that say none. Raises OperatorError where two answer the same requests."""
    services = []
    for draft in drafts:
        own = draft.scenario.seed if seed is None else seed
        services.append(service_of(draft, spare if own is None else own, mounts[draft.name]))
    _each_its_own(services)
    return services


def clock_of(drafts: Iterable[Draft]) -> ClockSettings | None:
    """The clock that they say. Raises OperatorError where they do not agree: a sandbox has one."""
    said = {draft.name: draft.scenario.clock for draft in drafts if draft.scenario.clock is not None}
    first, *others = said.items() if said else [("", None)]
    for name, clock in others:
        if clock != first[1]:
            raise OperatorError(f"scenarios {first[0]!r} and {name!r} say different clocks; say one, or use --clock")
    return first[1]


def _each_its_own(services: list[Service]) -> None:
    routes: Routes[Service] = Routes()
    for service in services:
        for operation in service.operations:
            there = routes.add(operation.method, service.prefix + operation.path, service)
            if there is not None and there is not service:
                raise OperatorError(
                    f"the scenarios {there.name!r} and {service.name!r} both answer {operation.method} "
                    f"{service.prefix}{operation.path}; give one of them a mount"
                )
