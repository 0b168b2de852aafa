"""The engine: one request, or one due moment, in; one Decision out.

Rules: it is pure, so deciding twice gives the same; it sees the world through a Look and changes it through the
Changes of its Decision; counters advance even when the answer is no; a refusal writes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from simulator.core.accepts import check
from simulator.core.bodies import BadBody
from simulator.core.events import RecordChanged, RecordRemoved
from simulator.core.operations import Operation, Variant
from simulator.core.places import nowhere
from simulator.core.records import Changes, Look, Record
from simulator.core.refusals import ErrorsModel, Refused, compile_errors
from simulator.core.replies import Reply
from simulator.core.requests import Request
from simulator.core.resources import Resource
from simulator.core.routes import Match, Routes
from simulator.core.service import Service
from simulator.core.states import enter, signalled
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn
from simulator.core.verbs import Done, claim, do, etag, matches
from simulator.errors import OperatorError, TemplateError

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


class Engine:
    """The services of one sandbox."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = {service.name: service for service in services}
        self._routes: Routes[Target] = Routes()
        for service in self.services.values():
            for operation in service.operations:
                self._routes.add(operation.method, service.prefix + operation.path, Target(service, operation))

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
        turn = Turn(service, look, now_ms, wire_us, f"{operation.name}/request/{ordinal}", origin, request)
        scope = turn.scope()
        try:
            reply, done = self._behave(turn, operation, scope, ordinal)
            turn.adds.append((counter, 1))
            page = done.page
            return Decision(
                reply, turn.changes(), ordinal, None, done.cursor, page.next_cursor if page else None, done.items
            )
        except (Refused, BadBody, TemplateError) as error:
            refused = _refused(error)
            reply, worse = _no(service, turn, refused)
            failed = error if isinstance(error, TemplateError) else worse
            return Decision(reply, Changes(adds=((counter, 1),)), ordinal, refused.kind, template_error=failed)

    def _behave(self, turn: Turn, operation: Operation, scope: LiveScope, ordinal: int) -> tuple[Reply, Done]:
        request = turn.request
        if request is not None and request.raw:
            request.parsed  # noqa: B018 - a body that cannot be understood is refused before anything happens
        variant = _variant(operation, scope)
        if variant.accepts is not None and request is not None:
            check(variant.accepts, request)
        done = do(turn, variant, variant.step, scope)
        self._also(turn, variant, scope)
        if variant.also and done.record is not None and variant.step.resource is not None:
            done = self._looked_at_again(turn, variant.step.resource, done, scope)
        headers = []
        if variant.etag and done.record is not None and variant.step.verb != "delete":
            tag = etag(done.record)
            headers.append((b"ETag", tag))
            if variant.step.verb == "read" and request is not None and _unchanged(request, tag):
                return Reply(304, tuple(headers), b""), done
        if done.page is not None and done.page.link is not None:
            headers.append((b"Link", done.page.link))
        reply = _pick(variant, ordinal).render(scope, variant.status, done.shown)
        return (reply._replace(headers=(*reply.headers, *headers)) if headers else reply), done

    def _also(self, turn: Turn, variant: Variant, scope: LiveScope) -> None:
        """The further steps; each binds its record under its resource's name."""
        for index, step in enumerate(variant.also):
            inner = LiveScope(dict(scope), scope.makers, scope.owner)
            inner["chance"] = turn.draws(f"{turn.name}/also/{index}")
            if step.when is not None and not step.when.of(inner):
                continue
            done = do(turn, variant, step, inner)
            if step.resource is not None and "record" in inner and done.record is not None:
                scope[step.resource.name] = inner["record"]

    def _looked_at_again(self, turn: Turn, resource: Resource, done: Done, scope: LiveScope) -> Done:
        """What the main record became by the further steps."""
        record = turn.record(resource, done.record.id) if done.record else None
        if record is None or record == done.record:
            return done
        scope.update(turn.scope_of(record))
        scope["view"] = turn.view(record)
        return done._replace(record=record, shown=scope["view"])

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
        turn = Turn(service, look, now_ms, 0, "no_operation", request.base + service.prefix, request)
        refused = Refused(kind, detail, {"nearest": nearest}, headers)
        reply, failed = _no(service, turn, refused)
        return Decision(reply, Changes(), 0, kind, template_error=failed), nearest

    def _service_at(self, path: str) -> Service:
        """The service whose prefix this path has; else the first."""
        fit = [s for s in self.services.values() if path == s.prefix or path.startswith(s.prefix.rstrip("/") + "/")]
        return max(fit, key=lambda service: len(service.prefix), default=next(iter(self.services.values())))

    def refuse(self, target: Target, refused: Refused, request: Request, look: Look, now_ms: int) -> Reply:
        """A refusal that the shell finds, in the service's envelope."""
        turn = Turn(target.service, look, now_ms, 0, "refused", request.base + target.service.prefix, request)
        return _no(target.service, turn, refused)[0]

    def wake(self, record: Record, look: Look, now_ms: int, wire_us: int) -> Changes:
        """Run the overdue moves of one record, each at its own instant. Raises NotLoaded."""
        service, resource = self._home(record.kind)
        if service is None or resource is None:
            return Changes(puts=(record._replace(due_ms=None, row=None, version=record.version + 1),))
        turn = Turn(service, look, now_ms, wire_us, "", record.origin)
        service.settle(turn, resource, record)
        return turn.changes()

    def seed(
        self, kind: str, id_: str, fields: dict[str, Any], state: str | None, look: Look, now_ms: int, origin: str
    ) -> Changes:
        """Put a record from outside: new, or in place of the one there is."""
        service, resource = self._known(kind)
        turn = Turn(service, look, now_ms, 0, f"seed/{kind}/{id_}", origin)
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
        turn = Turn(service, look, now_ms, 0, f"force/{kind}/{id_}", "")
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
        turn = Turn(service, look, now_ms, 0, f"remove/{kind}/{id_}", record.origin)
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


def _variant(operation: Operation, scope: LiveScope) -> Variant:
    for variant in operation.variants:
        if variant.step.when is None or variant.step.when.of(scope):
            return variant
    raise Refused("invalid", f"No variant of {operation.name} fits this request.")


def _pick(variant: Variant, ordinal: int) -> Any:
    """The reply whose turn it is."""
    count = len(variant.replies)
    if count == 1:
        return variant.replies[0]
    return variant.replies[(ordinal - 1) % count if variant.again else min(ordinal, count) - 1]


def _unchanged(request: Request, tag: bytes) -> bool:
    wanted = request.headers.get("if-none-match")
    return wanted is not None and matches(wanted, tag, weak=True)


def _refused(error: Refused | BadBody | TemplateError) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, BadBody):
        return Refused(error.kind, str(error))
    return Refused("scenario_failed", f"{error.where}: {error.what}", {"where": error.where})
