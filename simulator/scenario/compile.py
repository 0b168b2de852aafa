"""A scenario's model as a running service: names checked across its parts, expressions turned into closures."""

from __future__ import annotations

import graphlib

from simulator.core.auth import Endpoint, compile_auth, error_details
from simulator.core.costs import compile_budget
from simulator.core.faults import compile_faults, details_of
from simulator.core.idempotency import AnswerModel, compile_idempotency
from simulator.core.limits import compile_limits
from simulator.core.operations import Operation, compile_operation
from simulator.core.places import Place, listed
from simulator.core.refusals import compile_errors
from simulator.core.resources import Resource, compile_resource, request_names
from simulator.core.service import Service
from simulator.core.steps import VerbModel, verb_of
from simulator.scenario.document import Scenario


def compile_scenario(scenario: Scenario, place: Place, digest: str, seed: int, mount: str = "/") -> Service:
    """The service; complaints go to the place, and with any of them the service is not to be used."""
    kinds = tuple(scenario.resources)
    more = _fields_set(scenario)
    resources = {
        name: compile_resource(name, model, scenario.scenario, place / "resources" / name, kinds, more.get(name, ()))
        for name, model in scenario.resources.items()
    }
    _no_view_rings(resources, place / "resources")
    prefix = (scenario.mount or mount).rstrip("/") + scenario.base_path.rstrip("/")
    auth = compile_auth(scenario.auth, place / "auth", request_names(), scenario.scenario, prefix)
    operations: list[Operation] = [] if auth is None else [_endpoint(each) for each in auth.endpoints()]
    for name, variants in scenario.operations.items():
        made = compile_operation(name, variants, place / "operations" / name, resources)
        operations.extend([made] if made else [])
    _unique_fields(scenario, resources, place)
    _scheme_names(scenario, place)
    names = request_names()
    return Service(
        name=scenario.scenario,
        summary=scenario.summary,
        digest=digest,
        seed=seed,
        prefix=prefix,
        clock=scenario.clock,
        resources=resources,
        operations=tuple(operations),
        refusals=compile_errors(scenario.errors, place / "errors", _details(scenario)),
        auth=auth,
        limits=compile_limits(scenario.limits, place / "limits", names, [each.name for each in operations]),
        idempotency=compile_idempotency(scenario.idempotency, place / "idempotency", names),
        latency=scenario.latency,
        faults=compile_faults(scenario.faults, place / "faults", names, [each.name for each in operations]),
        budget=compile_budget(scenario.budget, place / "budget", names),
    )


def _endpoint(endpoint: Endpoint) -> Operation:
    return Operation(endpoint.name, endpoint.method, endpoint.path, (), (), endpoint=endpoint)


def _scheme_names(scenario: Scenario, place: Place) -> None:
    given = _granted(scenario)
    for name, variants in scenario.operations.items():
        for index, variant in enumerate(variants):
            spot = place / "operations" / name / index
            for number, scheme in enumerate(variant.auth or ()):
                if scheme not in scenario.auth:
                    (spot / "auth" / number).unknown("scheme", scheme, ["none", *scenario.auth])
            if variant.scopes and (not scenario.auth or variant.auth == []):
                why = "this operation is public" if scenario.auth else "the scenario has no `auth`"
                (spot / "scopes").complain(f"scopes belong to credentials, and {why}; take them out", at_key=True)
            elif given is not None:
                for number, scope in enumerate(variant.scopes):
                    if scope not in given:
                        (spot / "scopes" / number).warn(
                            f"no credential has the scope {scope!r}, so this is refused for ever; there is "
                            f"{listed(given) or 'none'}"
                        )


def _granted(scenario: Scenario) -> list[str] | None:
    """All scopes that some credential has; None where one has them all."""
    given: list[str] = []
    for scheme in scenario.auth.values():
        kinds = (scheme.api_key and scheme.api_key.keys, scheme.basic and scheme.basic.users)
        more = (scheme.bearer and scheme.bearer.tokens, scheme.oauth2 and scheme.oauth2.clients)
        for credentials in (*kinds, *more, scheme.hmac and scheme.hmac.keys):
            for credential in (credentials or {}).values():
                if credential.scopes is None:
                    return None
                given.extend(credential.scopes)
    return list(dict.fromkeys(given))


def _steps(scenario: Scenario) -> list[VerbModel]:
    variants = [variant for variants in scenario.operations.values() for variant in variants]
    return [step for variant in variants for step in (variant, *variant.also)]


def _details(scenario: Scenario) -> list[str]:
    """Members of errors that `refuse` gives, for the envelope."""
    errors = [rule.error for step in _steps(scenario) for rule in step.refuse]
    named = [name for error in errors if not isinstance(error, str) for name in error.details]
    return [*named, *error_details(scenario.auth), *_own_details(scenario), *details_of(scenario.faults)]


def _own_details(scenario: Scenario) -> list[str]:
    """Members that the errors of limits, of the budget and of idempotency give."""
    way = scenario.idempotency
    answers = [] if way is None else [way.mismatch, way.in_flight]
    errors = [answer.error for answer in answers if isinstance(answer, AnswerModel)]
    errors += [limit.error for limit in scenario.limits if limit.error is not None]
    if scenario.budget is not None and scenario.budget.error is not None:
        errors.append(scenario.budget.error)
    if way is not None and way.replay.error is not None:
        errors.append(way.replay.error)
    return [name for error in errors for name in error.details]


def _fields_set(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Fields that operations set on records, by resource."""
    fields: dict[str, list[str]] = {}
    for step in _steps(scenario):
        target = verb_of(step)[1]
        if target is not None:
            fields.setdefault(target, []).extend(step.set)
    return {name: tuple(names) for name, names in fields.items()}


def _no_view_rings(resources: dict[str, Resource], place: Place) -> None:
    graph = {
        name: [kind for kind, _ in resource.view.scans] if resource.view.views else []
        for name, resource in resources.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        ring = list(reversed(error.args[1]))
        (place / ring[0] / "view").complain(
            f"views contain each other in a ring: {' → '.join(ring)}; show an id in one of them"
        )


def _unique_fields(scenario: Scenario, resources: dict[str, Resource], place: Place) -> None:
    for name, variants in scenario.operations.items():
        for index, variant in enumerate(variants):
            resource = resources.get(variant.create or "")
            for group, fields in enumerate(variant.unique if resource else ()):
                for number, field in enumerate(fields):
                    if resource is not None and field not in resource.known:
                        spot = place / "operations" / name / index / "unique" / group / number
                        spot.unknown(f"field of {resource.name}:", field, resource.known)
