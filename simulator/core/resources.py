"""`resources:` the kinds of things the service keeps, and their tables of states.

Rules: a state without rows is final; rows with `signal` wait for it, the others are drawn by `weight` among those
whose `when` holds and then take `after`; the signals `read`, `updated` and `deleted` come from the verbs.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from simulator.core.consistency import Consistency, ConsistencyModel, compile_consistency
from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.templates import (
    EVERYWHERE,
    RECORD,
    REQUEST,
    REQUEST_FIELDS,
    Value,
    compile_condition,
    compile_value,
)
from simulator.core.values import DrawnDuration, Span, wrong_at


def _named(what: str, pattern: str, legal: str) -> Any:
    """Text of one form: a wrong one is told in words, and the JSON Schema has the pattern."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"{text[:60]!r} is no {what}; {legal}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


WORD = "letters, digits, '_' and '-', and begins with a letter or '_'"
Name = Annotated[str, *_named("name", "[A-Za-z_][A-Za-z0-9_-]*", f"a name has {WORD}")]
StateName = Annotated[str, *_named("name of a state", "[A-Za-z_][A-Za-z0-9_.-]*", f"one has {WORD}; '.' may follow")]
EventName = Annotated[
    str,
    *_named("name of an event", "[A-Za-z0-9_][A-Za-z0-9_.:/-]*", "one has letters, digits and '_', then also . : / -"),
]
VERB_SIGNALS = ("read", "updated", "deleted")
BUILT_IN_FIELDS = ("id", "state", "ordinal", "version", "created_at", "updated_at", "view")
ONLY_STATE = "present"  # of a resource without a table
FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Events = Annotated[list[EventName], BeforeValidator(_as_list, json_schema_input_type=EventName | list[EventName])]


class RowModel(BaseModel):
    """One way out of a state."""

    model_config = ConfigDict(extra="forbid")

    to: StateName = Field(description="The state this leads to")
    after: DrawnDuration | None = Field(None, description="How long after entering; a duration or a distribution")
    signal: Name | None = Field(None, description="Waits for this signal instead of for time", examples=["cancel"])
    when: Any = Field(None, description="Only where this expression holds")
    weight: float = Field(1, ge=0, le=1e9, description="How likely, against the other rows")
    set: dict[Name, Any] = Field({}, description="Fields of the record to set on the way")
    emit: Events = Field([], description="Events to tell the world")

    @model_validator(mode="after")
    def _time_or_signal(self) -> RowModel:
        if self.signal is not None and self.after is not None:
            raise wrong_at(
                "after", f"a row waits for its signal {self.signal!r} or for time; take out one of signal and after"
            )
        return self


def _as_state(value: Any) -> Any:
    return {"rows": value or []} if value is None or isinstance(value, list) else value


class StateModel(BaseModel):
    """A state: the ways out of it, and what entering it does."""

    model_config = ConfigDict(extra="forbid")

    rows: list[RowModel] = Field([], description="The ways out")
    set: dict[Name, Any] = Field({}, description="Fields to set on entering")
    emit: Events = Field([], description="Events to tell on entering")


Rows = list[RowModel]
States = dict[
    StateName, Annotated[StateModel, BeforeValidator(_as_state, json_schema_input_type=StateModel | Rows | None)]
]


class ResourceModel(BaseModel):
    """A kind of thing the service keeps."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(
        "{{ chance.base62(16) }}", description="The id of a new record", examples=["job_{{ chance.hex(12) }}"]
    )
    record: dict[Name, Any] = Field({}, description="The fields kept when one is created")
    view: Any = Field(None, description="What clients see; by default the id, the state and every field")
    initial: str | None = Field(
        None, description="The first state (may be an expression); by default the first in the table"
    )
    states: States = Field({}, description="The table of states: for each, the rows that lead out of it")
    consistency: ConsistencyModel | None = Field(None, description="How long reads see the past after a write")

    @model_validator(mode="after")
    def _an_initial_needs_states(self) -> ResourceModel:
        if self.initial is not None and not self.states:
            raise wrong_at("initial", "initial names a state, and there are no states; write some, or take it out")
        return self


class Row(NamedTuple):
    """A compiled way out of a state."""

    number: int  # its place among the state's rows
    to: str
    after: Span | None
    signal: str | None
    when: Value | None
    weight: float
    set: tuple[tuple[str, Value], ...]
    emit: tuple[str, ...]


class State(NamedTuple):
    """A compiled state."""

    name: str
    rows: tuple[Row, ...]
    timed: tuple[Row, ...]
    set: tuple[tuple[str, Value], ...]
    emit: tuple[str, ...]

    @property
    def final(self) -> bool:
        """Whether nothing leads out of it."""
        return not self.rows


class Resource(NamedTuple):
    """A compiled resource."""

    name: str
    kind: str  # scenario.resource
    place: str  # where it stands, for what goes wrong later
    id: Value
    fields: tuple[tuple[str, Value], ...]
    body_fields: tuple[tuple[str, Value], ...]  # those that read the body: what an update without `set` sets again
    view: Value
    initial: Value
    states: dict[str, State]
    signals: frozenset[str]
    known: tuple[str, ...]  # every field a record may have
    consistency: Consistency | None


def known_fields(model: ResourceModel, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The fields that records of this resource can have, and the built-in ones."""
    rows = [row for state in model.states.values() for row in state.rows]
    named = [*model.record, *(key for state in model.states.values() for key in state.set)]
    return tuple(dict.fromkeys([*BUILT_IN_FIELDS, *named, *(key for row in rows for key in row.set), *more]))


def record_names(known: tuple[str, ...], kinds: tuple[str, ...]) -> Names:
    """The names that are legal where a record is at hand."""
    fields = {"record": known, "records()": kinds}
    return Names(EVERYWHERE.legal | {*RECORD, "records"}, {**EVERYWHERE.fields, **fields})


def request_names(params: tuple[str, ...] | None = None) -> Names:
    """The names that are legal while a request is answered; params None stands for any path's."""
    fields: dict[str, tuple[str, ...]] = {"request": REQUEST_FIELDS}
    if params is not None:
        fields["params"] = params
    return EVERYWHERE.plus(*REQUEST, **fields)


def joined_names(*names: Names) -> Names:
    """The names of several places together."""
    return Names(
        frozenset().union(*(each.legal for each in names)),
        {name: fields for each in names for name, fields in each.fields.items()},
    )


def compile_resource(
    name: str, model: ResourceModel, scenario: str, place: Place, kinds: tuple[str, ...], more: tuple[str, ...] = ()
) -> Resource:
    """A resource's expressions as closures; complaints go to the place. `kinds` are all resources' names."""
    known = known_fields(model, more)
    at_rest = record_names(known, kinds)
    asked = joined_names(request_names(), EVERYWHERE.plus("ordinal", "records", **{"records()": kinds}))
    bound = Names(asked.legal | set(kinds), asked.fields)
    made = Names(bound.legal | {"id"}, bound.fields)
    fields = tuple((key, compile_value(value, place / "record" / key, made)) for key, value in model.record.items())
    states = model.states or {ONLY_STATE: StateModel()}
    return Resource(
        name=name,
        kind=f"{scenario}.{name}",
        place=str(place),
        id=compile_value(model.id, place / "id", bound),
        fields=fields,
        body_fields=tuple(pair for pair in fields if pair[1].used & {"body", "request"}),
        view=compile_value(_view(model), place / "view", _without_view(at_rest)),
        initial=_initial(model, place, joined_names(made, at_rest)),
        states={key: _state(key, states, place / "states" / key, at_rest) for key in states},
        signals=frozenset(row.signal for state in states.values() for row in state.rows if row.signal),
        known=known,
        consistency=compile_consistency(model.consistency),
    )


def _without_view(names: Names) -> Names:
    """What a view may name: all but itself."""
    record = tuple(name for name in names.fields["record"] if name != "view")
    return Names(names.legal - {"view"}, {**names.fields, "record": record})


def _view(model: ResourceModel) -> Any:
    if "view" in model.model_fields_set:
        return model.view
    state = {"state": "{{ state }}"} if model.states else {}
    return {"id": "{{ id }}", **state, **{key: f"{{{{ record.{key} }}}}" for key in model.record}}


def _initial(model: ResourceModel, place: Place, names: Names) -> Value:
    first = next(iter(model.states), ONLY_STATE)
    value = compile_value(first if model.initial is None else model.initial, place / "initial", names)
    if value.constant and model.states and value.of({}) not in model.states:
        (place / "initial").unknown("state", str(model.initial), model.states)
    return value


def _state(name: str, states: States, place: Place, names: Names) -> State:
    model = states[name]
    rows = tuple(_row(index, row, states, place / "rows" / index, names) for index, row in enumerate(model.rows))
    timed = tuple(row for row in rows if row.signal is None)
    if timed and not any(row.weight for row in timed):
        place.complain(f"every weight of {name} is 0, so nothing could be drawn; give one row a weight")
    return State(name, rows, timed, _set(model.set, place / "set", names), tuple(model.emit))


def _row(index: int, model: RowModel, states: States, place: Place, names: Names) -> Row:
    if model.to not in states:
        (place / "to").unknown("state", model.to, states)
    inner = joined_names(names, request_names()) if model.signal else names
    return Row(
        number=index,
        to=model.to,
        after=model.after,
        signal=model.signal,
        when=None if model.when is None else compile_condition(model.when, place / "when", inner),
        weight=model.weight,
        set=_set(model.set, place / "set", inner),
        emit=tuple(model.emit),
    )


def _set(fields: dict[str, Any], place: Place, names: Names) -> tuple[tuple[str, Value], ...]:
    return tuple((key, compile_value(value, place / key, names)) for key, value in fields.items())
