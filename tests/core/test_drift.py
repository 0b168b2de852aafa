"""A spoilt body: never JSON where it is malformed, a page where it is html, and a drift that touches what it names."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simulator.core.drift import DRIFTS, Body, BodyModel, DriftModel, compile_body, html, malformed, retyped
from simulator.core.helpers import as_json
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.replies import Reply
from tests.core.compiled import JSON, NAMES, scope
from tests.core.world import World

TYPE = ((b"content-type", b"application/json"), (b"X-Kept", b"1"))
BODY: TypeAdapter[Any] = TypeAdapter(Body)
STEPS = st.sampled_from(["a", "b", "c", "items", "0", "1", "7", "*"])
PATHS = st.lists(STEPS, min_size=1, max_size=3).map(".".join)
NAMED = PATHS.filter(lambda path: not path.endswith("*"))
PLAIN = JSON.filter(lambda value: b"{{" not in as_json(value) and b"{%" not in as_json(value))
DRIFT = st.fixed_dictionaries(
    {},
    optional={
        "drop": st.lists(PATHS, max_size=2),
        "rename": st.dictionaries(NAMED, st.sampled_from(["a", "z"]), max_size=2),
        "null": st.lists(PATHS, max_size=2),
        "retype": st.lists(PATHS, max_size=2),
        "enum": st.dictionaries(PATHS, st.just("NEW"), max_size=2),
        "add": st.dictionaries(PATHS, PLAIN, max_size=2),
    },
).filter(lambda drift: any(drift.values()))
DOCUMENT = {"a": {"b": 1, "c": "x"}, "items": [{"id": 1}, {"id": 2}], "n": None}


def spoilt(body: Any, reply: Reply, **values: Any) -> Reply:
    place = nowhere()
    spoil = compile_body(BODY.validate_python(body), place, NAMES)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    return spoil(reply, scope(**values))


def drifted(document: Any, **drift: Any) -> Any:
    return orjson.loads(spoilt({"drift": drift}, Reply(200, TYPE, as_json(document))).body)


def parses(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


@given(JSON)
def test_malformed_json_never_parses_and_is_nearly_right(document: Any) -> None:
    reply = Reply(200, TYPE, as_json(document))
    body = malformed(reply).body
    assert not parses(body)
    assert abs(len(body) - len(reply.body)) == 1


@given(st.binary(min_size=1, max_size=20) | st.text('{}[]"1,: NaN\n', min_size=1, max_size=12).map(str.encode))
def test_whatever_the_body_was_no_parser_takes_it(body: bytes) -> None:
    assert not parses(malformed(Reply(200, TYPE, body)).body)


def test_what_is_json_without_its_end_is_broken_at_its_beginning_too() -> None:
    assert malformed(Reply(200, (), b"1]")).body == b"{1"


def test_a_malformed_reply_still_claims_to_be_json() -> None:
    reply = spoilt("malformed", Reply(201, TYPE, b'{"a":1}'))
    assert reply == Reply(201, TYPE, b'{"a":1')


def test_html_takes_the_place_of_json_and_says_so() -> None:
    reply = spoilt("html", Reply(502, TYPE, b"{}"))
    assert reply.status == 502
    assert reply.headers == ((b"X-Kept", b"1"), (b"Content-Type", b"text/html; charset=utf-8"))
    assert b"<h1>502 Bad Gateway</h1>" in reply.body


def test_a_status_without_a_name_has_a_page_too() -> None:
    assert b"<title>529 Error</title>" in html(Reply(529, (), b"{}")).body


@pytest.mark.parametrize("body", ["malformed", "html", {"drift": {"drop": ["a"]}}])
@pytest.mark.parametrize("reply", [Reply(204, (), b""), Reply(304, (), b""), Reply(200, (), b"")])
def test_a_reply_without_a_body_has_nothing_to_spoil(body: Any, reply: Reply) -> None:
    assert spoilt(body, reply) is reply


@pytest.mark.parametrize("body", [b"hello", b"<html>", b'{"a":'])
def test_what_is_no_json_does_not_drift(body: bytes) -> None:
    reply = Reply(200, TYPE, body)
    assert spoilt({"drift": {"add": {"a": 1}}}, reply) is reply


@given(JSON, DRIFT)
def test_no_document_and_no_drift_fail_together(document: Any, drift: dict[str, Any]) -> None:
    drifted(document, **drift)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), JSON), DRIFT)
def test_a_drift_changes_only_what_it_names(document: dict[str, Any], drift: dict[str, Any]) -> None:
    paths = [path for part in drift.values() for path in part]
    named = {path.split(".")[0] for path in paths} | {*drift.get("rename", {}).values()}
    after = drifted(document, **drift)
    if "*" not in named:
        assert {k: v for k, v in after.items() if k not in named} == {
            k: v for k, v in document.items() if k not in named
        }


@given(JSON, st.lists(PATHS, min_size=1, max_size=2))
def test_a_path_that_leads_nowhere_changes_nothing(document: Any, paths: list[str]) -> None:
    nowhere_ = [f"nothing.{path}" for path in paths]
    assert drifted(document, drop=nowhere_, null=nowhere_, retype=nowhere_, add=dict.fromkeys(nowhere_, 1)) == (
        orjson.loads(as_json(document))
    )


def test_a_field_is_dropped() -> None:
    assert drifted(DOCUMENT, drop=["a.b", "items.*.id"]) == {"a": {"c": "x"}, "items": [{}, {}], "n": None}


def test_elements_of_a_list_are_dropped() -> None:
    assert drifted([1, 2, 3], drop=["1"]) == [1, 3]
    assert drifted([1, 2, 3], drop=["*"]) == []


@pytest.mark.parametrize("position", ["3", "-1", "9" * 30, "x", "²"])
def test_what_is_no_position_of_a_list_is_nothing(position: str) -> None:
    assert drifted([1, 2, 3], drop=[position]) == [1, 2, 3]


def test_a_renamed_field_keeps_its_place_and_its_value() -> None:
    assert [*drifted({"a": 1, "b": 2, "c": 3}, rename={"b": "z"}).items()] == [("a", 1), ("z", 2), ("c", 3)]


def test_a_field_that_has_the_name_already_gives_way() -> None:
    assert drifted({"a": 1, "b": 2}, rename={"a": "b"}) == {"b": 1}


def test_an_element_has_no_name_to_change() -> None:
    assert drifted([1, 2], rename={"0": "b"}) == [1, 2]


def test_fields_become_null() -> None:
    assert drifted(DOCUMENT, null=["items.0.id", "a"]) == {"a": None, "items": [{"id": None}, {"id": 2}], "n": None}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ("5", 5),
        ("1.5", 1.5),
        ("x", ["x"]),
        ("true", ["true"]),
        ("1e999", ["1e999"]),
        ({"b": 1}, [{"b": 1}]),
        (["x", "y"], {"0": "x", "1": "y"}),
        (None, ""),
    ],
)
def test_a_field_gets_another_type(before: Any, after: Any) -> None:
    assert drifted({"a": before}, retype=["a"]) == {"a": after}


@given(JSON)
def test_the_other_type_is_always_another_one(value: Any) -> None:
    kind = {bool: "boolean", int: "number", float: "number", str: "text", dict: "object", list: "list"}
    assert kind.get(type(retyped(value))) != kind.get(type(value))


def test_a_field_gets_a_value_that_nobody_knows_where_it_is() -> None:
    assert drifted(DOCUMENT, enum={"items.*.id": "PAUSED", "nothing": "PAUSED"})["items"] == [{"id": "PAUSED"}] * 2
    assert "nothing" not in drifted(DOCUMENT, enum={"nothing": "PAUSED"})


def test_fields_are_added_where_there_is_something_to_add_them_to() -> None:
    assert drifted(DOCUMENT, add={"items.*.beta": True, "a.b.c": 1, "new": {"x": []}}) == {
        **DOCUMENT,
        "items": [{"id": 1, "beta": True}, {"id": 2, "beta": True}],
        "new": {"x": []},
    }


def test_elements_are_replaced_and_none_is_added() -> None:
    assert drifted([1, 2], add={"0": 9, "5": 9}) == [9, 2]
    assert drifted({"a": 1, "b": 2}, add={"*": 9}) == {"a": 9, "b": 9}


def test_what_is_added_may_be_an_expression() -> None:
    drift = {"drift": {"add": {"b": "{{ x }}", "c": "{{ y }}"}}}
    assert spoilt(drift, Reply(200, TYPE, b'{"a":1}'), x=[1], y=OMIT).body == b'{"a":1,"b":[1]}'


def test_an_expression_is_checked_when_the_scenario_is_loaded() -> None:
    place = nowhere()
    compile_body(BodyModel(drift=DriftModel(add={"a": "{{ nobody }}"})), place, NAMES)
    assert "no name 'nobody'" in place.complaints[0].what


@pytest.mark.parametrize(
    ("drift", "why"),
    [
        ({}, f"a drift has one of {', '.join(DRIFTS[:-1])} or {DRIFTS[-1]}"),
        ({"drop": []}, "a drift has one of"),
        ({"drop": ["a..b"]}, "'a..b' is no path"),
        ({"null": [""]}, "is no path"),
        ({"add": {".a": 1}}, "is no path"),
        ({"rename": {"a.*": "b"}}, "'a.*' has no name of its own"),
    ],
)
def test_a_drift_that_means_nothing_is_told(drift: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DriftModel.model_validate(drift)
    assert why in str(caught.value)


def test_what_one_request_brought_is_not_in_the_next_reply() -> None:
    drift = {
        "enum": {"meta": {"a": 1}},
        "add": {"meta.who": "{{ query.who }}", "more": {"b": 2}, "more.x": "{{ query.who }}"},
    }
    fault = {"name": "f", "body": {"drift": drift}}
    here = World({"faults": [fault], "operations": {"GET /m": {"reply": {"body": {"meta": {}}}}}})
    assert here.send("GET", "/m?who=alice").json == {"meta": {"a": 1, "who": "alice"}, "more": {"b": 2, "x": "alice"}}
    assert here.send("GET", "/m").json == {"meta": {"a": 1}, "more": {"b": 2}}
