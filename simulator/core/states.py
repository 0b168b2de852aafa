"""How records move through their table of states.

Rules: everything that moves a record stands here; a move happens at the instant it was due, however late anybody
looks; what happens next is drawn on entering a state and named by the record and the how-manieth state it is, so
that polling late, often or never gives the same history.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simulator.core.events import EventEmitted, TransitionApplied, TransitionFailed
from simulator.core.helpers import plain
from simulator.core.omit import OMIT
from simulator.core.records import Behind, Record
from simulator.core.resources import Resource, Row, State
from simulator.core.templates import Value
from simulator.core.turns import Turn, draw_name
from simulator.errors import TemplateError

if TYPE_CHECKING:
    from simulator.core.expressions import Scope

MOVES_MAX = 1000  # in one turn; more than that is caught up by the due loop, in slices
INSTANT_MOVES_MAX = 100  # moves of one record at one instant; a ring of instant rows goes on a millisecond later


def enter(turn: Turn, resource: Resource, record: Record, to: str, row: Row | None, cause: str, at_ms: int) -> Record:
    """Put the record into a state at an instant: fields set, events emitted, the next move drawn."""
    state = resource.states[to]
    was = record.state if record.entries else None
    sets = [*(row.set if row else ()), *state.set]
    moved = record._replace(
        state=to,
        version=record.version + 1,
        entries=record.entries + 1,
        updated_ms=at_ms,
        due_ms=None,
        row=None,
    )
    if sets:
        moved = moved._replace(fields=_with(sets, moved, turn, at_ms, resource))
    moved = turn.put(drawn(turn, state, moved, at_ms))
    due_ms = record.due_ms if cause == "after" else None
    digest = turn.service.digest
    turn.events.append(
        TransitionApplied(at_ms, turn.wire_us, digest, moved.kind, moved.id, moved.version, was, to, cause, due_ms)
    )
    for index, type_ in enumerate((*(row.emit if row else ()), *state.emit)):
        emit(turn, moved, type_, at_ms, index)
    return moved


def drawn(turn: Turn, state: State, record: Record, at_ms: int) -> Record:
    """The record with its next timed move drawn: which row, and when."""
    rows = [row for row in state.timed if row.when is None or row.when.of(turn_at(turn, at_ms).scope_of(record))]
    if not rows or not any(row.weight for row in rows):
        return record._replace(due_ms=None, row=None)
    name, chance = draw_name(record), turn.service.chance
    row = rows[0] if len(rows) == 1 else rows[chance.weighted(f"{name}/row", [row.weight for row in rows])]
    after_ms = row.after.draw_ms(chance.unit(f"{name}/after/{row.number}")) if row.after else 0
    return record._replace(due_ms=at_ms + after_ms, row=row.number)


def settle(turn: Turn, resource: Resource, record: Record) -> Record:
    """Run the record's overdue moves, each at its own instant. Raises Behind where there are too many."""
    instant = 0
    for _ in range(MOVES_MAX):
        due_ms = record.due_ms
        if due_ms is None or due_ms > turn.now_ms:
            return record
        state = resource.states.get(record.state)
        row = state.rows[record.row] if state and record.row is not None and record.row < len(state.rows) else None
        if state is None or row is None or row.to not in resource.states:
            return turn.put(record._replace(due_ms=None, row=None, version=record.version + 1))
        try:
            record = enter(turn_at(turn, due_ms, record.origin), resource, record, row.to, row, "after", due_ms)
        except TemplateError as error:
            return _stays(turn, record, row, due_ms, error)
        instant = instant + 1 if record.due_ms == due_ms else 0
        if instant >= INSTANT_MOVES_MAX:
            record = turn.put(record._replace(due_ms=due_ms + 1, version=record.version + 1))
            instant = 0
    raise Behind


def _stays(turn: Turn, record: Record, row: Row, due_ms: int, error: TemplateError) -> Record:
    """The record after a move whose expression failed: nothing more is due, or it would fail for ever."""
    stuck = turn.put(record._replace(due_ms=None, row=None, version=record.version + 1))
    turn.events.append(
        TransitionFailed(
            at_ms=due_ms,
            wire_us=turn.wire_us,
            digest=turn.service.digest,
            record_kind=record.kind,
            id=record.id,
            version=stuck.version,
            from_state=record.state,
            to_state=row.to,
            where=error.where,
            what=error.what,
        )
    )
    return stuck


def signalled(turn: Turn, resource: Resource, record: Record, signal: str) -> Record | None:
    """The record after a signal; None where no row of its state answers it."""
    state = resource.states.get(record.state)
    if state is None:
        return None
    scope = turn.scope_of(record)
    rows = [row for row in state.rows if row.signal == signal and (row.when is None or row.when.of(scope))]
    rows = [row for row in rows if row.weight]
    if not rows:
        return None
    pick = (
        turn.service.chance.weighted(f"{draw_name(record)}/{signal}", [row.weight for row in rows]) if rows[1:] else 0
    )
    return enter(turn, resource, record, rows[pick].to, rows[pick], f"signal:{signal}", turn.now_ms)


def listening(resource: Resource, signal: str) -> list[str]:
    """The states that answer a signal."""
    return [state.name for state in resource.states.values() if any(row.signal == signal for row in state.rows)]


def emit(turn: Turn, record: Record, type_: str, at_ms: int, index: int) -> None:
    """Tell the world."""
    event_id = "evt_" + turn.draws(draw_name(record))(f"event/{record.version}/{index}").base62(20)
    turn.events.append(
        EventEmitted(
            at_ms,
            turn.wire_us,
            turn.service.digest,
            event_id,
            type_,
            record.kind,
            record.id,
            record.version,
            record.version,
        )
    )


def turn_at(turn: Turn, at_ms: int, origin: str | None = None) -> Turn:
    """The same turn with `now` at the instant of a move, where that lies in the past.

    A timed move also has the `origin` of its record: its links do not depend on who looks first.
    """
    if turn.now_ms == at_ms and origin in (None, turn.origin):
        return turn
    then = object.__new__(Turn)
    then.__dict__.update(turn.__dict__)
    then.now_ms = at_ms
    then.origin = turn.origin if origin is None else origin
    return then


def kept(values: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Fields as they are kept: plain JSON, what is omitted left out. Raises TemplateError."""
    try:
        return {name: _plain(value) for name, value in values if value is not OMIT}
    except TypeError as error:
        raise TemplateError(where, str(error)) from None


def _with(sets: list[tuple[str, Value]], record: Record, turn: Turn, at_ms: int, resource: Resource) -> dict[str, Any]:
    scope: Scope = turn_at(turn, at_ms).scope_of(record)
    fields = dict(record.fields)
    for name, value in sets:
        made = value.of(scope)
        if made is OMIT:
            fields.pop(name, None)
        else:
            fields.update(kept([(name, made)], resource.place))
    return fields


def _plain(value: Any) -> Any:
    """JSON all the way down; what templates made of our own types in their JSON form."""
    if value is None or type(value) in (str, bool, float):
        return value
    if type(value) is int:
        if not -(2**63) <= value < 2**64:
            raise TypeError(f"{value} is beyond the whole numbers that JSON carries safely (64 bits)")
        return value
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if part is not OMIT}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value if part is not OMIT]
    return _plain(plain(value))
