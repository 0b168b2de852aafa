"""What operations do to records: create, read, list, update, delete, signal.

Rules: a verb either finishes or raises Refused, and then nothing of the turn is kept; `read`, `updated` and
`deleted` are signals too: where a table names `updated` or `deleted` anywhere, only the states with such a row
allow them; where it names `read`, reading moves what has such a row and shows what was there before.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson

from simulator.core.consistency import Consistency, past_key, seen
from simulator.core.damage import spoil_asked, spoil_page
from simulator.core.events import RecordChanged, RecordRemoved
from simulator.core.helpers import shown
from simulator.core.omit import OMIT
from simulator.core.operations import Variant
from simulator.core.pages import Page, asked, page_of
from simulator.core.places import listed
from simulator.core.records import Entry, Found, Need, NotLoaded, Record, Scan, field_of, text_of
from simulator.core.refusals import Refused, check_refusals
from simulator.core.resources import Resource
from simulator.core.states import enter, kept, listening, signalled
from simulator.core.steps import Step
from simulator.core.templates import LiveScope, Value
from simulator.core.turns import Item, Turn, held

ID_MAX = 512  # characters; longer ones would not fit into a path
NEVER_LATE = Consistency(0, False, 0)
REDRAWS_MAX = 8  # of an id that exists already, before it is a conflict


class Done(NamedTuple):
    """What a verb found or made."""

    record: Record | None = None
    shown: Any = OMIT  # the body unless the scenario says another
    page: Page | None = None
    cursor: str | None = None
    items: tuple[str, ...] = ()


def do(turn: Turn, variant: Variant, step: Step, scope: LiveScope) -> Done:
    """Do one step. The scope gets the names that it binds. Raises Refused."""
    for name, resource, id_ in step.find:
        found = turn.record(resource, id_.of(scope))
        if found is None:
            raise Refused("not_found", f"There is no {resource.name} {_short(id_.of(scope))}.")
        scope[name] = Item(found, turn)
    if step.verb in (None, "create", "list"):  # the others look at their record first
        check_refusals(step.refuse, scope)
    if step.resource is None:
        return Done()
    return VERBS[step.verb or ""](turn, variant, step, step.resource, scope)


def create(turn: Turn, _: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """A new record, in its first state."""
    ordinal = turn.count(f"records/{resource.kind}") + 1
    scope["ordinal"] = ordinal
    id_ = _new_id(turn, step, resource, scope)
    scope["id"] = id_
    turn.adds.append((f"records/{resource.kind}", 1))
    fields = kept(((name, value.of(scope)) for name, value in resource.fields), resource.place)
    now = turn.now_ms
    record = Record(resource.kind, id_, ordinal, 0, "", fields, now, now, 0, None, None, turn.origin)
    scope.update(held(record, turn))
    if step.set:
        record = record._replace(fields=_set(fields, step, scope))
        scope.update(held(record, turn))
    first = shown(resource.initial.of(scope))
    if first not in resource.states:
        raise Refused("invalid", f"A new {resource.name} cannot begin in state {_short(first)}.")
    record = enter(turn, resource, record, first, None, "created", now)
    claim(turn, resource, None, record)
    record = turn.record(resource, id_) or record
    return _done(turn, record, scope)


def read(turn: Turn, _: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """One record."""
    record = _the(turn, step, resource, scope)
    shown_ = _as_seen(turn, resource, record)
    if shown_ is None:
        raise Refused("not_found", f"There is no {resource.name} {_short(record.id)}.")
    done = _done(turn, shown_, scope)
    if "read" in resource.signals and (moved := signalled(turn, resource, record, "read")):
        claim(turn, resource, record, moved, refuse=False)
        record = moved
    if step.set:
        _change(turn, resource, record, _set(record.fields, step, scope))
    return done


def update(turn: Turn, variant: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """Fields changed: those that the operation sets, else those of the record that read the body."""
    record = _the(turn, step, resource, scope)
    _precondition(turn, variant, record)
    scope.update(held(record, turn))
    fields = _set(record.fields, step, scope) if step.set else _reread(record, resource, scope, turn)
    if "updated" in resource.signals:
        record = _signal(turn, resource, record._replace(fields=fields), "updated")
    else:
        record = _change(turn, resource, record, fields)
    return _done(turn, turn.record(resource, record.id) or record, scope)


def delete(turn: Turn, variant: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """The record gone, or where the table has `deleted` rows, in the state that they lead to."""
    record = _the(turn, step, resource, scope)
    _precondition(turn, variant, record)
    scope.update(held(record, turn))
    if "deleted" in resource.signals:
        record = _signal(turn, resource, record, "deleted")
        scope.update(held(record, turn))
        return Done(record)
    turn.remove(record)
    claim(turn, resource, record, None)
    turn.events.append(
        RecordRemoved(turn.now_ms, turn.wire_us, turn.service.digest, record.kind, record.id, record.version, "deleted")
    )
    return Done(record)


def signal(turn: Turn, variant: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """A signal to one record; wrong_state where no row of its state answers it."""
    record = _the(turn, step, resource, scope)
    _precondition(turn, variant, record)
    scope.update(held(record, turn))
    if step.set:
        record = record._replace(fields=_set(record.fields, step, scope))
    record = _signal(turn, resource, record, step.signal)
    return _done(turn, turn.record(resource, record.id) or record, scope)


def list_(turn: Turn, variant: Variant, step: Step, resource: Resource, scope: LiveScope) -> Done:
    """Many records, page by page. A filter that is omitted filters nothing."""
    request = turn.request
    if request is None:
        return Done()
    where = []
    for name, value in step.where:
        want = value.of(scope)
        if want is not OMIT:
            where.append((name, text_of(want.record.id if isinstance(want, Item) else want)))
    by, descending = _order(variant, scope)
    scan = Scan(resource.kind, tuple((n, t) for n, t in where if t is not None), by, descending, total=variant.counts)
    want = asked(variant.page, scan, request.query, turn.service.key, lambda id_: turn.record(resource, id_))
    none = any(text is None for _, text in where)
    asked_for = spoil_asked([kind for kind, _ in turn.pages], want) if turn.pages else want
    found = Found((), False, 0 if variant.counts else None) if none else turn.look.scan(asked_for.scan)
    by_cursor = variant.page is not None and variant.page.style == "cursor"
    shown_ = spoil_page(turn.pages, want, found, by_cursor)
    if turn.service.past_ms(resource.kind):
        late = [_as_seen(turn, resource, record, listed_=True) for record in shown_.records]
        shown_ = shown_._replace(records=tuple(record for record in late if record is not None))
    items = _views(turn, shown_.records)
    url = request.base + request.path
    page = page_of(
        variant.page, asked_for, shown_.found, items, url, request.query_string, turn.service.key, shown_.stays
    )
    scope["page"] = page.fields
    return Done(None, OMIT, page, want.cursor, tuple(record.id for record in shown_.records))


VERBS = {"create": create, "read": read, "list": list_, "update": update, "delete": delete, "signal": signal}


def etag(record: Record) -> bytes:
    """A strong validator (RFC 9110 section 8.8.3): another for each version of a record."""
    name = f"{record.kind}/{record.id}/{record.created_ms}/{record.version}"
    return b'"' + hashlib.blake2b(name.encode(), digest_size=9).hexdigest().encode() + b'"'


def matches(header: str, tag: bytes, *, weak: bool) -> bool:
    """Whether a field of If-Match or If-None-Match names this tag (RFC 9110 section 13.1)."""
    wanted = tag.decode()
    for part in header.split(","):
        candidate = part.strip()
        if candidate == "*" or candidate == wanted or (weak and candidate.removeprefix("W/") == wanted):
            return True
    return False


def _done(turn: Turn, record: Record, scope: LiveScope) -> Done:
    scope.update(held(record, turn))
    scope.pop("view", None)
    shown_ = turn.view(record)
    scope["view"] = shown_
    return Done(record, shown_)


def _the(turn: Turn, step: Step, resource: Resource, scope: LiveScope) -> Record:
    """The record that the step is about. Raises Refused."""
    id_ = step.id.of(scope) if step.id else OMIT
    record = turn.record(resource, id_)
    if record is None or not _fits(record, step, scope):
        raise Refused("not_found", f"There is no {resource.name} {_short(id_)}.")
    if step.refuse:
        scope.update(held(record, turn))
        check_refusals(step.refuse, scope)
    return record


def _fits(record: Record, step: Step, scope: LiveScope) -> bool:
    for name, value in step.where:
        want = value.of(scope)
        text = text_of(want.record.id if isinstance(want, Item) else want)
        if want is not OMIT and (text is None or text_of(field_of(record, name)) != text):
            return False
    return True


def _new_id(turn: Turn, step: Step, resource: Resource, scope: LiveScope) -> str:
    """An id that no record has. One that is drawn is drawn again, one that the client gave is a conflict."""
    value = step.id or resource.id
    for attempt in range(REDRAWS_MAX):
        if attempt:
            scope["chance"] = turn.draws(f"{turn.name}/again/{attempt}")
        id_ = shown(value.of(scope))
        if not 0 < len(id_) <= ID_MAX:
            raise Refused("invalid", f"The id of a {resource.name} has 1 to {ID_MAX} characters, not {len(id_)}.")
        if turn.record(resource, id_) is None:
            return id_
        if "chance" not in value.used:
            break
    raise Refused("conflict", f"There is a {resource.name} {_short(id_)} already.")


def _reread(record: Record, resource: Resource, scope: LiveScope, turn: Turn) -> dict[str, Any]:
    """PUT replaces what the body could say, PATCH and the rest change what it does say."""
    replace = turn.request is not None and turn.request.method == "PUT"
    told = [(name, value) for name, value in resource.body_fields if replace or _told(value, scope)]
    made = [(name, value.of(scope)) for name, value in told]
    gone = {name for name, value in made if replace and value is OMIT}
    return {name: value for name, value in record.fields.items() if name not in gone} | kept(made, resource.place)


class _Asked(dict[str, Any]):
    """A body that notes what is asked of it: a field that is there, or only ones that are not."""

    there: bool | None = None  # None: no field was asked for

    def template_field(self, name: str) -> Any:
        """The field, as any mapping gives it."""
        value = self.get(name, OMIT)
        self.there = bool(self.there) or value is not OMIT
        return value


def _told(value: Value, scope: LiveScope) -> bool:
    """Whether the body says anything of a field; `{{ body.vip | default(false) }}` alone says nothing of it."""
    body = scope["body"]
    if not isinstance(body, dict) or "body" not in value.used:
        return body is not OMIT or "body" not in value.used
    scope["body"] = asked = _Asked(body)
    value.of(scope)
    scope["body"] = body
    return asked.there is not False


def _set(fields: dict[str, Any], step: Step, scope: LiveScope) -> dict[str, Any]:
    return fields | kept([(name, value.of(scope)) for name, value in step.set], step.place)


def _change(turn: Turn, resource: Resource, record: Record, fields: dict[str, Any]) -> Record:
    """New fields in the same state."""
    changed = turn.put(record._replace(fields=fields, version=record.version + 1, updated_ms=turn.now_ms))
    claim(turn, resource, record, changed)
    turn.events.append(
        RecordChanged(
            turn.now_ms, turn.wire_us, turn.service.digest, changed.kind, changed.id, changed.version, "updated"
        )
    )
    return changed


def _signal(turn: Turn, resource: Resource, record: Record, name: str) -> Record:
    before = turn.record(resource, record.id)
    moved = signalled(turn, resource, record, name)
    if moved is None:
        states = listed(listening(resource, name))
        raise Refused(
            "wrong_state",
            f"{resource.name} {_short(record.id)} is {record.state}; {name} is possible in {states}.",
            {"state": record.state},
        )
    claim(turn, resource, before, moved)
    return moved


def claim(turn: Turn, resource: Resource, before: Record | None, after: Record | None, *, refuse: bool = True) -> None:
    """Keep the values that must be unique in step with the record that has them. Raises Refused.

    With `refuse` false, a value that another record has stays with that one.
    """
    for group in turn.service.unique.get(resource.name, ()):
        old, new = _unique_key(before, group), _unique_key(after, group)
        if old == new:
            continue
        if new is not None and after is not None:
            owner = turn.entry(new)
            if owner in (None, after.id):
                turn.entries.append(Entry(new, after.id))
            elif refuse:
                raise Refused("conflict", f"There is a {resource.name} with this {' and '.join(group)} already.")
        if old is not None and before is not None and turn.entry(old) == before.id:
            turn.entries.append(Entry(old, None))


def _unique_key(record: Record | None, group: tuple[str, ...]) -> str | None:
    """The entry that says who has these values; None where one of them is absent."""
    if record is None:
        return None
    texts = [text_of(field_of(record, name)) for name in group]
    if None in texts:
        return None
    digest = hashlib.blake2b(orjson.dumps(texts), digest_size=16).hexdigest()
    return f"unique/{record.kind}/{','.join(group)}/{digest}"


def _precondition(turn: Turn, variant: Variant, record: Record) -> None:
    """If-Match and If-None-Match on a write (RFC 9110 section 13, RFC 6585 section 3). Raises Refused."""
    if not variant.etag or turn.request is None:
        return
    must, must_not = turn.request.headers.get("if-match"), turn.request.headers.get("if-none-match")
    if must is None and variant.etag == "required":
        raise Refused("precondition_required", "This needs an If-Match header with the ETag that was read.")
    tag = etag(record)
    if (must is not None and not matches(must, tag, weak=False)) or (
        must_not is not None and matches(must_not, tag, weak=True)
    ):
        raise Refused(
            "precondition_failed", "The ETag in the condition is not the current one.", headers=((b"ETag", tag),)
        )


def _as_seen(turn: Turn, resource: Resource, record: Record, listed_: bool = False) -> Record | None:
    """The record as this look sees it, which may be as it was."""
    if not turn.service.past_ms(resource.kind):
        return record
    way = resource.consistency or NEVER_LATE
    lag_ms = way.lists_ms if listed_ else way.lag_ms
    return seen(record, turn.entry(past_key(record)), turn.now_ms, lag_ms, hides=way.hides, stale=turn.stale)


def _views(turn: Turn, records: tuple[Record, ...]) -> list[Any]:
    """The views of a page; what several of them miss is asked for in one go."""
    views: list[Any] = []
    missing: list[Need] = []
    for record in records:
        try:
            views.append(turn.view(record))
        except NotLoaded as more:
            missing.extend(more.needs)
    if missing:
        raise NotLoaded(*dict.fromkeys(missing))
    return views


def _order(variant: Variant, scope: LiveScope) -> tuple[str, bool]:
    """The field to order by, and whether it descends. Raises Refused where the client chose one that is not offered."""
    if variant.order is None:
        return "", True
    by = shown(variant.order.by.of(scope)) or "-ordinal"  # a client that says nothing gets the newest first
    name, descending = by.lstrip("-"), by.startswith("-")
    if name != "ordinal" and name not in variant.order.fields:
        offered = listed(sorted(variant.order.fields))
        raise Refused("invalid", f"This list cannot be ordered by {_short(name)}; it can by {offered}.")
    return "" if name in ("ordinal", "created_at") else name, descending


def _short(value: Any) -> str:
    text = shown(value)
    return repr(text if len(text) <= 80 else text[:79] + "…")
