"""The models of `resources:`, what they complain of, and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.resources import known_fields, record_names, request_names
from simulator.scenario.document import Scenario
from tests.core.world import compiled, complaints


def job(**resource: Any) -> Any:
    """A compiled resource."""
    return compiled({"resources": {"job": resource}}).resources["job"]


def test_a_resource_without_a_table_has_one_state() -> None:
    resource = job(record={"a": "{{ body.a }}", "b": 1})
    assert list(resource.states) == ["present"]
    assert resource.states["present"].final
    assert (resource.initial.of({}), resource.signals) == ("present", frozenset())
    assert (resource.name, resource.kind) == ("job", "shop.job")


def test_records_begin_in_the_first_state_of_the_table_unless_told() -> None:
    states: dict[str, Any] = {"A": [], "B": []}
    assert job(states=states).initial.of({}) == "A"
    assert job(states=states, initial="B").initial.of({}) == "B"
    assert not job(states=states, initial="{{ body.state }}").initial.constant


def test_a_state_is_written_as_rows_as_nothing_or_in_full() -> None:
    states = job(states={"A": [{"to": "B"}], "B": None, "C": {"set": {"x": 1}, "emit": "job.c", "rows": []}}).states
    assert [len(state.rows) for state in states.values()] == [1, 0, 0]
    assert [state.final for state in states.values()] == [False, True, True]
    assert [name for name, _ in states["C"].set] == ["x"]
    assert states["C"].emit == ("job.c",)


def test_rows_are_timed_or_wait_for_a_signal() -> None:
    rows = [{"to": "A", "signal": "go"}, {"to": "A", "after": "2s", "weight": 0.5}, {"to": "A", "emit": ["a", "b"]}]
    resource = job(states={"A": rows})
    state = resource.states["A"]
    assert [row.number for row in state.timed] == [1, 2]
    assert [row.number for row in state.rows] == [0, 1, 2]
    assert (state.rows[1].after.fixed_ms, state.rows[1].weight, state.rows[2].emit) == (2000, 0.5, ("a", "b"))
    assert resource.signals == {"go"}


def test_the_fields_that_an_update_sets_again_are_those_that_read_the_request() -> None:
    fields = {"a": "{{ body.a }}", "b": "{{ request.path }}", "c": "{{ now.iso }}", "d": [{"e": "{{ body.d }}"}]}
    assert [name for name, _ in job(record=fields).body_fields] == ["a", "b", "d"]


def test_a_view_shows_the_id_the_state_and_every_field_unless_told() -> None:
    model = {"record": {"a": 1}, "states": {"A": []}}
    assert job(**model).view.used == {"id", "state", "record"}
    assert job(record={"a": 1}).view.used == {"id", "record"}
    assert job(**model, view={"just": "{{ id }}"}).view.used == {"id"}
    assert job(**model, view=None).view.of({}) is None


def test_known_fields_are_those_kept_set_on_the_way_or_set_by_operations() -> None:
    document = {
        "scenario": "shop",
        "resources": {
            "job": {
                "record": {"a": 1},
                "states": {"A": {"set": {"b": 1}, "rows": [{"to": "A", "after": "1s", "set": {"c": 1, "a": 2}}]}},
            }
        },
    }
    model = Scenario.model_validate(document).resources["job"]
    built_in = ("id", "state", "ordinal", "version", "created_at", "updated_at", "view")
    assert known_fields(model, ("d", "a")) == (*built_in, "a", "b", "c", "d")


def test_names_of_a_record_and_of_a_request_are_legal_in_their_places() -> None:
    names = record_names(("id", "a"), ("job",))
    assert {"record", "state", "view", "records", "now", "chance"} <= names.legal
    assert "body" not in names.legal
    assert names.fields["record"] == ("id", "a")
    assert request_names(("id",)).fields["params"] == ("id",)
    assert "params" not in request_names().fields


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ({"initial": "A"}, "initial names a state, and there are no states"),
        ({"initial": "B", "states": {"A": []}}, "no state 'B'"),
        ({"states": {"A": [{"to": "AA"}]}}, "no state 'AA'; did you mean 'A'?"),
        (
            {"states": {"A": [{"to": "A", "signal": "go", "after": "1s"}]}},
            "a row waits for its signal 'go' or for time",
        ),
        ({"states": {"A": [{"to": "A", "weight": 0}]}}, "every weight of A is 0"),
        ({"states": {"A": [{"to": "A", "weight": -1}]}}, "expected a number of at least 0, got -1"),
        ({"states": {"A": [{"to": "A", "after": "soon"}]}}, "'soon' is no duration"),
        ({"states": {"A": [{"to": "A", "when": "yes"}]}}, "'yes' is no condition"),
        ({"states": {"A": [{"to": "A", "when": "{{ body.x }}"}]}}, "no name 'body'"),
        ({"states": {"A": [{"to": "A", "set": {"x": "{{ record.y }}"}}]}}, "no field of record: 'y'"),
        ({"states": {"A": [{"to": "A", "emit": ["not this"]}]}}, "'not this' is no name of an event"),
        ({"states": {"1A": []}}, "'1A' is no name of a state"),
        ({"record": {"1": 1}}, "'1' is no name"),
        ({"view": "{{ view }}"}, "no name 'view'"),
        ({"view": "{{ record.view }}"}, "no field of record: 'view'"),
        ({"view": "{{ records('jbo') }}"}, "no resource 'jbo'; did you mean 'job'?"),
        ({"id": "{{ record.a }}"}, "no name 'record'"),
        ({"record": {"a": "{{ state }}"}}, "no name 'state'"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_resource_is_told_what_is_wrong(resource: dict[str, Any], told: str) -> None:
    assert any(told in what for what in complaints({"resources": {"job": resource}}))


def test_a_row_that_waits_for_a_signal_may_look_at_the_request() -> None:
    states = {"A": [{"to": "B", "signal": "go", "when": "{{ body.x }}"}], "B": []}
    send = {"POST /jobs/{id}/go": {"signal": "job.go"}}
    assert not complaints({"resources": {"job": {"states": states}}, "operations": send})
