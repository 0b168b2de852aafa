"""`accepts:` what clients may send."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.accepts import typed
from tests.core.world import World, complaints

BODY = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer", "minimum": 1}, "on": {"type": "boolean"}, "a/b": {"type": "string"}},
    "additionalProperties": False,
}
FORM = "application/x-www-form-urlencoded"


def world(accepts: Any, **more: Any) -> World:
    operations = {"POST /jobs": {"create": "job", "accepts": accepts}, "GET /jobs": {"list": "job"}}
    record = {"n": "{{ body.n }}", "on": "{{ body.on }}"}
    return World({"resources": {"job": {"record": record}}, "operations": operations, **more})


def errors_of(play: World, body: Any = None, **more: Any) -> Any:
    answer = play.send("POST", "/jobs", body, **more)
    assert answer.status == 422, answer.body
    assert answer.json["code"] == "contract"
    return answer.json["errors"]


def test_what_the_schema_says_is_taken() -> None:
    assert world(BODY).send("POST", "/jobs", {"n": 1}).status == 201


def test_every_violation_is_listed_with_its_pointer_and_nothing_is_created() -> None:
    play = world(BODY)
    found = errors_of(play, {"n": 0, "a/b": 1, "x": 1})
    assert {each["pointer"] for each in found} == {"#/n", "#/a~1b", "#"}
    assert any("minimum" in each["detail"] for each in found)
    assert play.stored() == []


def test_the_status_is_the_scenarios() -> None:
    play = world(BODY, errors={"contract": {"status": 400, "code": "BAD"}})
    answer = play.send("POST", "/jobs", {})
    assert (answer.status, answer.json["code"]) == (400, "BAD")


def test_a_body_that_is_missing_is_said_so() -> None:
    assert errors_of(world(BODY)) == [{"detail": "a body is required", "pointer": "#"}]


def test_a_hostile_number_of_violations_is_cut() -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    assert len(errors_of(world(schema), list(range(1000)))) == 50


@pytest.mark.parametrize("media", ["text/csv", "application/xml", "image/png"])
def test_what_cannot_be_read_is_a_415(media: str) -> None:
    answer = world(BODY).send("POST", "/jobs", raw=b"n", headers={"Content-Type": media})
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
    assert media in answer.json["detail"]


def test_only_the_media_types_that_are_named_are_taken() -> None:
    play = world({"body": BODY, "content_type": "application/json"})
    assert play.send("POST", "/jobs", {"n": 1}).status == 201
    assert play.send("POST", "/jobs", raw=b"n=1", headers={"Content-Type": FORM}).status == 415


def test_a_forms_texts_become_what_the_schema_asks_for() -> None:
    play = world(BODY)
    assert play.send("POST", "/jobs", raw=b"n=4&on=true", headers={"Content-Type": FORM}).status == 201
    assert play.stored()[0].fields == {"n": 4, "on": True}
    assert play.send("POST", "/jobs", raw=b"n=four", headers={"Content-Type": FORM}).status == 422


def test_json_is_judged_as_it_is() -> None:
    assert errors_of(world(BODY), {"n": "4"})[0]["pointer"] == "#/n"


def test_query_and_headers_have_schemas_of_their_own() -> None:
    query = {"properties": {"dry": {"type": "boolean"}, "limit": {"type": "integer", "maximum": 5}}}
    play = world({"query": query, "headers": {"required": ["x-tenant"], "properties": {"x-age": {"type": "integer"}}}})
    assert play.send("POST", "/jobs?dry=true&limit=5", headers={"X-Tenant": "a", "X-Age": "7"}).status == 201
    found = play.send("POST", "/jobs?dry=maybe&limit=9", headers={"X-Age": "old"}).json["errors"]
    assert {each.get("parameter") or each.get("header") for each in found} == {"dry", "limit", "x-age", None}


def test_a_contract_comes_before_the_services_own_refusals() -> None:
    rules = [{"when": "{{ true }}", "error": {"status": 410}}]
    play = World({"operations": {"POST /a": {"accepts": BODY, "refuse": rules, "reply": {"text": "ok"}}}})
    assert [play.send("POST", "/a", body).status for body in ({}, {"n": 1})] == [422, 410]


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "objekt"}, "this is no JSON Schema"),
        ({"properties": {"a": {"minimum": "x"}}, "type": "object"}, "this is no JSON Schema"),
        ({"$ref": "http://example.com/a.json"}, "this is no JSON Schema"),
        ({"$ref": "file:///etc/passwd"}, "this is no JSON Schema"),
    ],
)
def test_a_schema_that_is_none_or_reaches_outside_is_complained_of(schema: Any, complaint: str) -> None:
    document = {"operations": {"POST /a": {"accepts": schema, "reply": {"text": "ok"}}}}
    assert any(complaint in each for each in complaints(document))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("4", "integer", 4),
        ("-4", ["integer", "null"], -4),
        ("4.5", "integer", "4.5"),
        ("4.5", "number", 4.5),
        ("1e3", "number", 1000.0),
        ("true", "boolean", True),
        ("yes", "boolean", "yes"),
        ("4", ["string", "integer"], "4"),
        ("9" * 30, "integer", "9" * 30),
    ],
)
def test_a_text_is_read_as_its_schema_asks(text: str, kind: Any, value: Any) -> None:
    assert typed({"a": [text]}, {"properties": {"a": {"items": {"type": kind}}}}) == {"a": [value]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_body_is_taken_or_refused(body: Any) -> None:
    answer = world(BODY).send("POST", "/jobs", raw=orjson.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status in (201, 422)
    fits = isinstance(body, dict) and set(body) <= {"n", "on", "a/b"} and type(body.get("n")) is int and body["n"] > 0
    assert fits or answer.status == 422
