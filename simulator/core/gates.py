"""What a request passes before anything is done: credentials, limits, the contract, and a look at its idempotency key.

Rules: the order of the last three is the scenario's (`idempotency: {look_up: …}`); credentials come first, for they
say whose limits and keys it is about; whoever is refused at a gate has not met those behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from simulator.core.accepts import check
from simulator.core.auth import Auth
from simulator.core.bodies import BadBody
from simulator.core.costs import Budget
from simulator.core.idempotency import Call, Idempotency, LookUp
from simulator.core.limits import Limit, take
from simulator.core.operations import Operation, Variant
from simulator.core.refusals import Refused
from simulator.core.replies import Reply
from simulator.core.requests import Request
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn


class Rules(Protocol):
    """What a service says of who may ask, how often, and what."""

    @property
    def auth(self) -> Auth | None: ...
    @property
    def limits(self) -> tuple[Limit, ...]: ...
    @property
    def idempotency(self) -> Idempotency: ...
    @property
    def budget(self) -> Budget | None: ...


class Passage(NamedTuple):
    """A request on its way to what it asks for."""

    rules: Rules
    turn: Turn
    scope: LiveScope
    operation: Operation
    variant: Variant
    call: Call | None
    refused: Refused | None  # by the credentials, or for its key; a fault at arrival comes before that


def variant_of(operation: Operation, scope: LiveScope) -> Variant:
    """The first variant whose `when` holds. A body that cannot be read is refused behind the credentials."""
    for variant in operation.variants:
        try:
            if variant.step.when is None or variant.step.when.of(scope):
                return variant
        except BadBody:
            return variant
    raise Refused("invalid", f"No variant of {operation.name} fits this request.")


def known(rules: Rules, turn: Turn, scope: LiveScope, operation: Operation, variant: Variant) -> Passage:
    """The request with its client and its call, as far as they can be told."""
    call = refused = None
    try:
        if rules.auth is not None:
            rules.auth.admit(turn, scope, variant.auth, variant.scopes)
        demand = rules.idempotency.demand(operation.method, variant.idempotency)
        call = rules.idempotency.identify(turn, scope, operation.name, demand)
    except Refused as error:
        refused = error
    if call is not None and call.key is not None:  # what a call draws depends on no other call
        turn.name = f"{operation.name}/request/{call.entry}"
        scope["chance"] = turn.draws(turn.name)
    return Passage(rules, turn, scope, operation, variant, call, refused)


def passed(passage: Passage) -> Reply | None:
    """None where every gate lets the request through; a reply where it was answered before. Raises Refused, Held."""
    if passage.refused is not None:
        raise passage.refused
    if passage.call is not None:
        passage.rules.idempotency.waiting(passage.turn, passage.call)
    for gate in ORDERS[passage.rules.idempotency.look_up_at]:
        reply = gate(passage)
        if reply is not None:
            return reply
    return None


def _limits(passage: Passage) -> None:
    if passage.rules.limits:
        turn = passage.turn
        turn.taken = take(passage.rules.limits, turn, passage.scope, passage.operation.name, False)


def _contract(passage: Passage) -> None:
    request: Request | None = passage.turn.request
    if request is None:
        return
    if request.raw:
        request.parsed  # noqa: B018 - a body that cannot be understood is refused before anything happens
    if passage.variant.accepts is not None:
        check(passage.variant.accepts, request)


def _look_up(passage: Passage) -> Reply | None:
    if passage.call is None:
        return None
    reply = passage.rules.idempotency.look_up(passage.turn, passage.scope, passage.call)
    if reply is None and passage.call.key is not None:
        passage.turn.call = passage.call  # its answer is to be kept
    return reply


Gate = Callable[[Passage], Reply | None]
ORDERS: dict[LookUp, tuple[Gate, ...]] = {
    "after_contract": (_limits, _contract, _look_up),
    "before_contract": (_limits, _look_up, _contract),
    "before_limits": (_look_up, _limits, _contract),
}
