"""What an operation does once its request is let through: its verb, what else it does, and the reply.

Rules: the main verb first, then `also` in order, each seeing what those before it wrote; a reply shows the record as
it became; whoever raises Refused on the way has done nothing.
"""

from __future__ import annotations

from simulator.core.operations import Variant
from simulator.core.replies import CompiledReply, Reply
from simulator.core.requests import Request
from simulator.core.resources import Resource
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn
from simulator.core.verbs import Done, do, etag, matches


def behave(turn: Turn, variant: Variant, scope: LiveScope, ordinal: int) -> tuple[Reply, Done]:
    """Do it, and say what came of it. Raises Refused, TemplateError, NotLoaded."""
    request = turn.request
    done = do(turn, variant, variant.step, scope)
    _also(turn, variant, scope)
    if variant.also and done.record is not None and variant.step.resource is not None:
        done = _looked_at_again(turn, variant.step.resource, done, scope)
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


def _also(turn: Turn, variant: Variant, scope: LiveScope) -> None:
    """The further steps; each binds its record under its resource's name."""
    for index, step in enumerate(variant.also):
        inner = LiveScope(dict(scope), scope.makers, scope.owner)
        inner["chance"] = turn.draws(f"{turn.name}/also/{index}")
        if step.when is not None and not step.when.of(inner):
            continue
        done = do(turn, variant, step, inner)
        if step.resource is not None and "record" in inner and done.record is not None:
            scope[step.resource.name] = inner["record"]


def _looked_at_again(turn: Turn, resource: Resource, done: Done, scope: LiveScope) -> Done:
    """What the main record became by the further steps."""
    record = turn.record(resource, done.record.id) if done.record else None
    if record is None or record == done.record:
        return done
    scope.update(turn.scope_of(record))
    scope["view"] = turn.view(record)
    return done._replace(record=record, shown=scope["view"])


def _pick(variant: Variant, ordinal: int) -> CompiledReply:
    """The reply whose turn it is."""
    count = len(variant.replies)
    if count == 1:
        return variant.replies[0]
    return variant.replies[(ordinal - 1) % count if variant.again else min(ordinal, count) - 1]


def _unchanged(request: Request, tag: bytes) -> bool:
    wanted = request.headers.get("if-none-match")
    return wanted is not None and matches(wanted, tag, weak=True)
