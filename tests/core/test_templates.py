"""Pieces of a document: what stays as it is, what is made anew, what is left out, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.bodies import BadBody
from simulator.core.helpers import ITEMS_MAX, TEXT_MAX
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.records import NotLoaded
from simulator.core.templates import (
    DEPTH_MAX,
    LiveScope,
    compile_condition,
    compile_text,
    compile_value,
    constant,
    static,
)
from simulator.errors import TemplateError
from tests.core.compiled import JSON, NAMES, complaints, play, scope

PLAIN = JSON.filter(
    lambda value: "{" not in str(value) and not (isinstance(value, dict) and {"if", "for"} & set(value))
)


@given(PLAIN)
def test_what_holds_no_expression_is_itself_from_load_time_on(data: Any) -> None:
    place = nowhere()
    value = compile_value(data, place, NAMES)
    assert value.constant
    assert value.of({}) is data
    assert (place.complaints, value.used) == ([], frozenset())


@given(JSON)
def test_a_text_that_is_one_expression_keeps_the_type(x: Any) -> None:
    for text in ("{{ x }}", "{{x}}", "{{ x if true }}", "{{ body.x }}"):
        found = play(text, x=x, body={"x": x})
        assert (found, type(found)) == (x, type(x))


@given(JSON)
def test_a_text_around_an_expression_makes_a_text(x: Any) -> None:
    assert isinstance(play("a{{ x }}", x=x), str)
    assert play("{{ x }}{{ y }}", x="10.00", y=None) == "10.00"
    assert play("a {{ x }}\n", x=1) == "a 1\n"


def test_a_text_of_digits_is_never_read_as_a_number() -> None:
    assert play("{{ body.price }}", body={"price": "10.00"}) == "10.00"


def test_an_absent_field_of_the_body_removes_the_key_that_holds_it() -> None:
    data = {"a": "{{ body.gone }}", "b": {"c": "{{ body.gone.deeper }}"}, "d": "{{ body.null }}"}
    assert play(data, body={"null": None}) == {"b": {}, "d": None}


def test_an_absent_field_removes_the_element_that_holds_it() -> None:
    assert play(["{{ body.gone }}", 1, "x{{ body.gone }}"], body={}) == [1, "x"]


def test_keys_can_be_expressions() -> None:
    assert play({"{{ x }}": 1, "b{{ y }}": 2}, x="a", y=3) == {"a": 1, "b3": 2}
    assert play({"{{ x }}": "{{ body.gone }}"}, x="a", body={}) == {}


@pytest.mark.parametrize(("x", "value"), [(1, {"a": "yes"}), (0, {"a": "no"}), (OMIT, {"a": "no"})])
def test_if_branches(x: object, value: object) -> None:
    assert play({"a": {"if": "{{ x }}", "then": "yes", "else": "no"}}, x=x) == value


@pytest.mark.parametrize(
    "data", [{"if": 1}, {"then": 1}, {"for": "a"}, {"in": [1]}, {"do": 1, "if": 2}, {"for": 1, "then": 2}]
)
def test_half_a_branch_or_repetition_is_a_mapping_like_any_other(data: Any) -> None:
    assert play(data) == data


def test_if_without_else_leaves_out() -> None:
    assert play({"a": {"if": "{{ x }}", "then": 1}}, x=0) == {}
    assert play({"if": True, "then": "{{ x }}"}, x=5) == 5


def test_for_repeats_and_leaves_out_what_is_omitted() -> None:
    data = {"for": "item", "in": "{{ body.items }}", "do": {"sku": "{{ item.sku }}", "at": "{{ loop.index }}"}}
    assert play(data, body={"items": [{"sku": "a"}, {}]}) == [{"sku": "a", "at": 1}, {"at": 2}]
    only = {"for": "item", "in": "{{ x }}", "do": {"if": "{{ item > 1 }}", "then": "{{ item }}"}}
    assert play(only, x=[1, 2, 3]) == [2, 3]


@pytest.mark.parametrize(("x", "value"), [(OMIT, []), (None, []), ("ab", []), (5, []), ({"k": 1}, ["k"]), ([], [])])
def test_for_goes_through_lists_and_keys_only(x: object, value: object) -> None:
    assert play({"for": "item", "in": "{{ x }}", "do": "{{ item }}"}, x=x) == value


def test_for_within_for_sees_both_names() -> None:
    data = {"for": "a", "in": [1, 2], "do": {"for": "b", "in": "{{ x }}", "do": "{{ a }}{{ b }}{{ loop.index0 }}"}}
    assert play(data, x=["x", "y"]) == [["1x0", "1y1"], ["2x0", "2y1"]]


def test_every_turn_of_a_repetition_draws_for_itself() -> None:
    data = {"for": "a", "in": [1, 2], "do": {"for": "b", "in": [1, 2], "do": "{{ chance.hex(8) }}"}}
    drawn = [draw for row in play(data) for draw in row]
    assert len(set(drawn)) == 4
    assert drawn == [draw for row in play(data) for draw in row]


def test_a_repetition_has_an_end() -> None:
    assert len(play({"for": "a", "in": "{{ x }}", "do": 1}, x=[0] * (ITEMS_MAX + 5))) == ITEMS_MAX


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"if": "{{ x }}", "then": 1, "els": 2}, "no key 'els'; did you mean 'else'?"),
        ({"if": "yes", "then": 1}, "'yes' is no condition"),
        ({"if": 1, "then": 1}, "1 is no condition"),
        ({"if": "{{ x }} == 1", "then": 1}, "is no condition"),
        ({"for": "a", "in": [], "do": 1, "if": 2}, "no key 'if'"),
        ({"for": "a", "in": []}, "a repetition is"),
        ({"for": "a b", "in": [], "do": 1}, "a repetition is"),
        ({"for": 1, "in": [], "do": 1}, "a repetition is"),
        ({"for": "body", "in": [], "do": 1}, "the name 'body' is taken here"),
        ({"for": "a", "in": "{{ a }}", "do": 1}, "no name 'a'"),
        ([{"for": "a", "in": [], "do": 1}, "{{ a }}"], "no name 'a'"),
        ({"for": "a", "in": [], "do": "{{ loop.idx }}"}, "no field of loop: 'idx'; did you mean 'index'?"),
        ({"{{ bdy }}": 1}, "no name 'bdy'"),
        ({"a": ["{{ bdy }}"]}, "a.0: no name 'bdy'"),
        ("{% if x %}a{% endif %}", "is not part of the language; branch with"),
        ("{% raw %", "is no expression"),
        ("{{ x", "is no expression"),
        ("{{ x }} {{ }}", "is no expression"),
        ("{{ " + "(" * 3000 + " }}", "nested too deeply"),
        ("{{ " + "9" * 5000 + " }}", "is no expression: Exceeds the limit"),
    ],
)
def test_a_mistake_is_found_when_it_is_loaded(data: Any, complaint: str) -> None:
    assert any(complaint in said for said in complaints(data)), complaints(data)


def test_a_structure_too_deep_is_refused() -> None:
    deep: Any = "{{ x }}"
    for _ in range(DEPTH_MAX):
        deep = [deep]
    assert complaints(deep) == []
    assert complaints([[[deep]]])[0].endswith(f"nested deeper than {DEPTH_MAX}")


@pytest.mark.parametrize(
    ("data", "x", "holds"),
    [
        *[("{{ x == 1 }}", 1, True), ("{{ x == 1 }}", 2, False), ("{{ x == 1 }}\n", 2, False), (" {{ x }} ", 0, False)],
        *[(True, 0, True), (False, 1, False), ("{{ x }}", OMIT, False), ("{{ x is defined }}", OMIT, False)],
    ],
)
def test_a_condition_holds_or_not(data: object, x: object, holds: bool) -> None:
    place = nowhere()
    value = compile_condition(data, place, NAMES)
    assert not place.complaints
    assert bool(value.of(scope(x=x))) is holds


@pytest.mark.parametrize(
    "data", ["", "true", "x == 1", 0, 1, None, [], {}, "{{ x }} == 1", "{{ x }}{{ y }}", "not {{ x }}", "# {{ x }}"]
)
def test_what_would_always_hold_is_no_condition(data: object) -> None:
    place = nowhere()
    compile_condition(data, place, NAMES)
    assert "is no condition; write an expression" in place.complaints[0].what


@pytest.mark.parametrize("text", ["{{ x + }}", "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}"])
def test_a_condition_that_cannot_be_read_is_complained_of_once(text: str) -> None:
    place = nowhere()
    compile_condition(text, place, NAMES)
    assert len(place.complaints) == 1


def test_a_failure_names_the_place_the_expression_and_the_reason() -> None:
    place = nowhere("shop.yaml") / "resources" / "job" / "view"
    value = compile_text("{{ 1 / x }}", place, NAMES)
    with pytest.raises(TemplateError) as failed:
        value.of(scope(x=0))
    assert failed.value.where == "shop.yaml: resources.job.view"
    assert failed.value.what == "{{ 1 / x }} failed: division by zero"


@pytest.mark.parametrize(
    "error", [NotLoaded("entry"), TemplateError("there", "already told"), KeyError(), BadBody("no JSON")]
)
def test_what_is_no_failure_of_the_expression_passes_through(error: Exception) -> None:
    def body(_: Any) -> Any:
        raise error

    value = compile_text("{{ body }}", nowhere(), NAMES)
    lazy = LiveScope({}, {"body": body}, None)
    with pytest.raises(type(error)):
        value.of(lazy)


@pytest.mark.parametrize("error", [NotLoaded("entry"), TemplateError("there", "already told")])
def test_a_question_of_the_engine_passes_through_any_expression(error: Exception) -> None:
    def body(_: Any) -> Any:
        raise error

    value = compile_text("a {{ body | upper }}", nowhere(), NAMES)
    with pytest.raises(type(error)) as passed:
        value.of(LiveScope({}, {"body": body}, None))
    assert passed.value is error


def test_a_failure_without_words_names_its_kind() -> None:
    def body(_: Any) -> Any:
        raise AssertionError

    with pytest.raises(TemplateError, match="failed: AssertionError"):
        compile_text("{{ body | upper }}", nowhere(), NAMES).of(LiveScope({}, {"body": body}, None))


def test_a_text_made_of_parts_is_bounded() -> None:
    with pytest.raises(TemplateError, match=f"{TEXT_MAX} is the most"):
        play("{{ x }}{{ x }}", x="a" * TEXT_MAX)


def test_a_whole_knows_what_its_parts_use() -> None:
    names = NAMES.plus("record", **{"records()": ("order",)})
    data = {"a": ["{{ x }}", {"if": "{{ y }}", "then": "{{ record.view }}"}], "b": "{{ records('order', a=1) }}"}
    value = compile_value(data, nowhere(), names)
    assert value.used == {"x", "y", "record", "records"}
    assert compile_value(["{{ body.a }}", {"b": "{{ body.b.c ~ body.a }}"}], nowhere(), names).inputs == ("a", "b", "a")
    assert value.scans == (("order", ("a",)),)
    assert value.views
    assert not value.constant


def test_a_scope_makes_a_value_once_and_only_when_asked() -> None:
    made: list[str] = []

    def maker(live: Any) -> str:
        made.append(live.owner)
        return "made"

    live = LiveScope({"x": 1}, {"body": maker}, "owner")
    assert (made, live["x"]) == ([], 1)
    assert (live["body"], live["body"], made) == ("made", "made", ["owner"])
    assert live["nobody's"] is OMIT


@given(st.text())
def test_static_tells_what_needs_no_scope(text: str) -> None:
    assert static(text) == ("{{" not in text)
    assert constant(text).of({}) == text
