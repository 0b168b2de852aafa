"""The engine: one request, or one due moment, in; one Decision out.

Rules: it is pure, so deciding twice gives the same; it sees the world through a Look and changes it through the
Changes of its Decision; counters advance even when the answer is no; a refusal writes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from simulator.core.auth import Endpoint
from simulator.core.behaviour import behave
from simulator.core.bodies import BadBody
from simulator.core.costs import Charge, charge, price
from simulator.core.damage import Damage
from simulator.core.events import RecordChanged, RecordRemoved
from simulator.core.faults import Fault, damage_of
from simulator.core.gates import known, passed, variant_of
from simulator.core.latency import latency_ms
from simulator.core.limits import give_back, take
from simulator.core.operations import Operation, Variant
from simulator.core.places import nowhere
from simulator.core.records import Changes, Look, Record
from simulator.core.refusals import ErrorsModel, Refused, compile_errors
from simulator.core.replies import Reply
from simulator.core.requests import Request
from simulator.core.resources import Resource
from simulator.core.routes import Match, Routes
from simulator.core.service import Service
from simulator.core.skew import RIGHT, Skew
from simulator.core.states import enter, signalled
from simulator.core.struck import arrive, leave
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn
from simulator.core.verbs import Done, claim
from simulator.errors import OperatorError, TemplateError

NOTHING_DONE = Done()
NO_FACTS: Mapping[str, Any] = {}
PLAIN = compile_errors(ErrorsModel(), nowhere("errors"))  # for envelopes that fail themselves


class Target(NamedTuple):
    """What a path and method lead to."""

    service: Service
    operation: Operation


class Decision(NamedTuple):
    """What to write and what to answer."""

    reply: Reply
    changes: Changes
    ordinal: int = 0
    error: str | None = None
    cursor: str | None = None
    next_cursor: str | None = None
    items: tuple[str, ...] = ()
    template_error: TemplateError | None = None
    facts: Mapping[str, Any] = NO_FACTS  # fields of the exchange's event
    delay_ms: int = 0  # of wire time, before the reply leaves
    damages: tuple[Damage, ...] = ()  # to the connection
    jump_ms: int = 0  # of the clock that clients see


class Outcome(NamedTuple):
    """What came of a request."""

    reply: Reply
    done: Done = NOTHING_DONE
    error: str | None = None
    failed: TemplateError | None = None
    done_it: bool = True  # what the turn wrote stands


class Engine:
    """The services of one sandbox."""

    def __init__(self, services: Iterable[Service], skew: Skew = RIGHT) -> None:
        self.skew = skew  # how wrong the clock is that clients see
        self.faults: dict[str, tuple[Fault, ...]] = {}  # in place of the scenarios' own, by service
        self.services: dict[str, Service] = {service.name: service for service in services}
        self.places = tuple(place for each in self.services.values() if each.auth for place in each.auth.places)
        self._routes: Routes[Target] = Routes()
        for service in self.services.values():
            for operation in service.operations:
                prefix = "" if operation.absolute else service.prefix
                self._routes.add(operation.method, prefix + operation.path, Target(service, operation))

    def _turn(
        self,
        service: Service,
        look: Look,
        now_ms: int,
        wire_us: int,
        name: str,
        origin: str,
        request: Request | None = None,
    ) -> Turn:
        return Turn(service, look, now_ms, wire_us, name, origin, request, self.skew)

    def match(self, method: str, path: str) -> Match[Target] | None:
        """The operation that a request means; a HEAD means the GET."""
        found = self._routes.match(method, path)
        return self._routes.match("GET", path) if found is None and method == "HEAD" else found

    def methods(self, path: str) -> list[str]:
        """The methods that this path knows."""
        return self._routes.methods(path)

    def answer(self, target: Target, request: Request, look: Look, now_ms: int, wire_us: int) -> Decision:
        """Decide one request. Raises NotLoaded, and Behind where the due loop has to catch up first."""
        service, operation = target
        counter = f"requests/{service.name}/{operation.name}"
        ordinal = look.count(counter) + 1
        origin = request.base + service.prefix
        turn = self._turn(service, look, now_ms, wire_us, f"{operation.name}/request/{ordinal}", origin, request)
        outcome = self._outcome(turn, operation, ordinal)
        if turn.call is not None:
            record = outcome.done.record
            service.idempotency.remember(turn, turn.call, outcome.reply, turn.begun, record.id if record else None)
        give_back(turn, turn.taken, outcome.reply.status)
        turn.delay_ms += latency_ms(service.latency, operation.latency, turn, operation.name, ordinal)
        if turn.strikes:
            outcome = _leaving(service, turn, outcome)
        changes = turn.changes() if outcome.done_it else turn.kept()
        return _decision(turn, outcome, changes._replace(adds=(*changes.adds, (counter, 1))), ordinal)

    def _outcome(self, turn: Turn, operation: Operation, ordinal: int) -> Outcome:
        """What comes of the request, a refusal or not."""
        service, scope = self.services[turn.service.name], turn.scope()
        try:
            faults = self.faults.get(service.name, service.faults)
            if operation.endpoint is not None:
                struck = arrive(faults, None, turn, scope, operation.name, self.skew.began_ms) if faults else None
                if struck is not None:
                    return Outcome(struck)
                return _at_endpoint(service, turn, scope, operation, operation.endpoint)
            variant = variant_of(operation, scope)
            passage = known(service, turn, scope, operation, variant)
            answered = (
                arrive(faults, service.auth, turn, scope, operation.name, self.skew.began_ms) if faults else None
            ) or passed(passage)
            if answered is not None:
                return Outcome(answered)
            cost = _cost(service, turn, scope, operation, variant)
            turn.begun = True
            reply, done = behave(turn, variant, scope, ordinal)
        except (Refused, BadBody, TemplateError) as error:
            refused = _refused(error)
            reply, worse = _no(service, turn, refused)
            failed = error if isinstance(error, TemplateError) else worse
            return Outcome(reply, Done(), refused.kind, failed, done_it=False)
        if cost is not None and reply.status < 400:
            charge(turn, cost)
        return Outcome(reply, done)

    def no_operation(
        self, method: str, path: str, request: Request, look: Look, now_ms: int
    ) -> tuple[Decision, list[str]]:
        """The answer to a request that no operation fits, and what it may have meant."""
        methods = self._routes.methods(path)
        near = self._routes.nearest(method, path)
        nearest = [f"{name} ({differs})" if differs else name for name, differs in near]
        kind = "method_not_allowed" if methods else "no_operation"
        words = f"{method} {path[:200]} is no operation of this service."
        detail = f"{words} Nearest: {'; '.join(nearest)}." if nearest else words
        headers = ((b"Allow", ", ".join([*methods, "OPTIONS"]).encode()),) if methods else ()
        service = self._service_at(path)
        turn = self._turn(service, look, now_ms, 0, "no_operation", request.base + service.prefix, request)
        refused = Refused(kind, detail, {"nearest": nearest}, headers)
        reply, failed = _no(service, turn, refused)
        return Decision(reply, Changes(), 0, kind, template_error=failed), nearest

    def _service_at(self, path: str) -> Service:
        """The service whose prefix this path has; else the first."""
        fit = [s for s in self.services.values() if path == s.prefix or path.startswith(s.prefix.rstrip("/") + "/")]
        return max(fit, key=lambda service: len(service.prefix), default=next(iter(self.services.values())))

    def refuse(self, target: Target, refused: Refused, request: Request, look: Look, now_ms: int) -> Reply:
        """A refusal that the shell finds, in the service's envelope."""
        turn = self._turn(target.service, look, now_ms, 0, "refused", request.base + target.service.prefix, request)
        return _no(target.service, turn, refused)[0]

    def wake(self, record: Record, look: Look, now_ms: int, wire_us: int) -> Changes:
        """Run the overdue moves of one record, each at its own instant. Raises NotLoaded."""
        service, resource = self._home(record.kind)
        if service is None or resource is None:
            return Changes(puts=(record._replace(due_ms=None, row=None, version=record.version + 1),))
        turn = self._turn(service, look, now_ms, wire_us, "", record.origin)
        service.settle(turn, resource, record)
        return turn.changes()

    def seed(
        self, kind: str, id_: str, fields: dict[str, Any], state: str | None, look: Look, now_ms: int, origin: str
    ) -> Changes:
        """Put a record from outside: new, or in place of the one there is."""
        service, resource = self._known(kind)
        turn = self._turn(service, look, now_ms, 0, f"seed/{kind}/{id_}", origin)
        there = turn.record(resource, id_)
        state = state or (there.state if there else _first(resource))
        if state not in resource.states:
            raise OperatorError(f"no state {state!r} in {resource.name}; there is {', '.join(resource.states)}")
        if there is not None and state == there.state:
            put = turn.put(there._replace(fields=fields, version=there.version + 1, updated_ms=now_ms))
            _claim(turn, resource, there, put)
            turn.events.append(RecordChanged(now_ms, 0, service.digest, there.kind, id_, there.version + 1, "control"))
            return turn.changes()
        before = there
        if there is None:
            counter = f"records/{resource.kind}"
            there = Record(
                resource.kind, id_, turn.count(counter) + 1, 0, "", {}, now_ms, now_ms, 0, None, None, origin
            )
            turn.adds.append((counter, 1))
        put = enter(turn, resource, there._replace(fields=fields), state, None, "forced", now_ms)
        _claim(turn, resource, before, put)
        return turn.changes()

    def force(self, kind: str, id_: str, to: str | None, signal: str | None, look: Look, now_ms: int) -> Changes:
        """Force a record into a state, or send it a signal, from outside. Raises OperatorError."""
        service, resource = self._known(kind)
        turn = self._turn(service, look, now_ms, 0, f"force/{kind}/{id_}", "")
        record = turn.record(resource, id_)
        if record is None:
            raise OperatorError(f"no {resource.name} {id_!r}", 404)
        turn.origin = record.origin
        if to is not None:
            if to not in resource.states:
                raise OperatorError(f"no state {to!r} in {resource.name}; there is {', '.join(resource.states)}")
            moved: Record | None = enter(turn, resource, record, to, None, "forced", now_ms)
        else:
            moved = signalled(turn, resource, record, signal or "")
        if moved is None:
            raise OperatorError(
                f"{resource.name} {id_!r} is {record.state}, which no row leaves on signal {signal!r}", 409
            )
        _claim(turn, resource, record, moved)
        return turn.changes()

    def remove(self, kind: str, id_: str, look: Look, now_ms: int) -> Changes:
        """Remove a record from outside. Raises OperatorError where there is none."""
        service, resource = self._known(kind)
        record = look.record(resource.kind, id_)
        if record is None:
            raise OperatorError(f"no {resource.name} {id_!r}", 404)
        turn = self._turn(service, look, now_ms, 0, f"remove/{kind}/{id_}", record.origin)
        turn.remove(record)
        _claim(turn, resource, record, None)
        turn.events.append(RecordRemoved(now_ms, 0, service.digest, record.kind, record.id, record.version, "control"))
        return turn.changes()

    def kind_of(self, name: str) -> str:
        """`order` or `orders.order` as a record's kind. Raises OperatorError."""
        kinds = [r.kind for service in self.services.values() for r in service.resources.values()]
        found = [kind for kind in kinds if kind == name or kind.split(".", 1)[1] == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise OperatorError(f"several services have a resource {name!r}; say which: {', '.join(found)}")
        raise OperatorError(f"no resource {name!r}; there is {', '.join(kinds) or 'none'}", 404)

    def _home(self, kind: str) -> tuple[Service | None, Resource | None]:
        service = self.services.get(kind.split(".", 1)[0])
        return service, service.resource_of(kind) if service else None

    def _known(self, kind: str) -> tuple[Service, Resource]:
        service, resource = self._home(kind)
        if service is None or resource is None:
            raise OperatorError(f"no resource {kind!r}", 404)
        return service, resource


def _no(service: Service, turn: Turn, refused: Refused) -> tuple[Reply, TemplateError | None]:
    """A refusal in its service's envelope; in a plain problem, where the envelope itself fails."""
    request_id = turn.request.request_id if turn.request else ""
    try:
        return service.refusals.reply(refused, turn.scope(), request_id), None
    except TemplateError as error:
        return PLAIN.reply(_refused(error), turn.scope(), request_id), error


def _first(resource: Resource) -> str:
    """The state that a record from outside begins in unless told otherwise."""
    first = resource.initial.of({}) if resource.initial.constant else None
    return first if first in resource.states else next(iter(resource.states))


def _claim(turn: Turn, resource: Resource, before: Record | None, after: Record | None) -> None:
    try:
        claim(turn, resource, before, after)
    except Refused as error:
        raise OperatorError(error.detail, 409) from None


def _cost(service: Service, turn: Turn, scope: LiveScope, operation: Operation, variant: Variant) -> Charge | None:
    if variant.cost is None:
        return None
    return price(turn, scope, operation.name, variant.cost, variant.step.place, service.budget)


def _at_endpoint(service: Service, turn: Turn, scope: LiveScope, operation: Operation, endpoint: Endpoint) -> Outcome:
    """An answer of the service's own, such as a token; its refusals are in its own words, and stand."""
    turn.taken = take(service.limits, turn, scope, operation.name, True)
    reply, error = endpoint.answer(turn, scope)
    return Outcome(reply, NOTHING_DONE, error)


def _leaving(service: Service, turn: Turn, outcome: Outcome) -> Outcome:
    """What the faults make of the reply; what was done stands, and what is remembered."""
    try:
        return outcome._replace(reply=leave(service.auth, turn, turn.scope(), outcome.reply))
    except (Refused, TemplateError) as error:
        refused = _refused(error)
        reply, worse = _no(service, turn, refused)
        failed = error if isinstance(error, TemplateError) else worse
        return outcome._replace(reply=reply, error=refused.kind, failed=failed)


def _decision(turn: Turn, outcome: Outcome, changes: Changes, ordinal: int) -> Decision:
    reply, done = outcome.reply, outcome.done
    page = done.page
    if turn.secrets:
        turn.facts["secrets"] = tuple(turn.secrets)
    return Decision(
        reply._replace(headers=(*reply.headers, *turn.headers)) if turn.headers else reply,
        changes,
        ordinal,
        outcome.error,
        done.cursor,
        page.next_cursor if page else None,
        done.items,
        outcome.failed,
        turn.facts,
        turn.delay_ms,
        damage_of(turn.strikes, turn) if turn.strikes else (),
        turn.jump_ms,
    )


def _refused(error: Refused | BadBody | TemplateError) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, BadBody):
        return Refused(error.kind, str(error))
    return Refused("scenario_failed", f"{error.where}: {error.what}", {"where": error.where})
