"""What an operation takes: parameters, bodies, and schemas that are true where they stand."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from simulator.core.pages import OFFSET_MAX
from tests.scenario.described import Described, Json, valid

ITEM: Json = {"record": {"name": "{{ body.name }}", "size": "{{ body.size | int }}"}}


def takes(**operation: Any) -> Described:
    """A service whose `POST /items` does this."""
    return Described({"resources": {"item": ITEM}, "operations": {"POST /items": operation}})


def names(world: Described, where: str, method: str = "POST", path: str = "/items") -> list[str]:
    told = world.operation(method, path).get("parameters", [])
    return [each["name"] for each in told if each["in"] == where]


def body(world: Described, media: str = "application/json") -> Any:
    return world.operation("POST", "/items")["requestBody"]["content"][media]["schema"]


def test_the_contract_is_told_as_it_stands() -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 2}}}
    query = {"properties": {"dry": {"type": "boolean", "description": "Only try"}}, "required": ["dry"]}
    headers = {"properties": {"x-tenant": {"type": "string"}, "accept": {"type": "string"}}}
    world = takes(create="item", accepts={"body": schema, "query": query, "headers": headers})
    assert body(world) == schema
    assert world.operation("POST", "/items")["requestBody"]["required"] is True
    assert world.parameter("POST", "/items", "dry") == {
        "name": "dry",
        "in": "query",
        "description": "Only try",
        "required": True,
        "schema": {"type": "boolean", "description": "Only try"},
    }
    assert names(world, "header") == ["x-tenant"]  # Accept is not for parameters (OpenAPI 3.1, Parameter Object)


@pytest.mark.parametrize(
    ("accepts", "content", "required"),
    [
        ({"body": True}, {"application/json": {"schema": True}}, True),
        ({"content_type": ["text/csv", "Text/XML"]}, {"text/csv": {"schema": {}}, "text/xml": {"schema": {}}}, False),
        ({"body": {}, "content_type": "multipart/form-data"}, {"multipart/form-data": {"schema": {}}}, True),
    ],
)
def test_the_types_of_a_body_are_those_of_the_contract(accepts: Json, content: Json, required: bool) -> None:
    told = takes(create="item", accepts=accepts).operation("POST", "/items")["requestBody"]
    assert (told["content"], told.get("required", False)) == (content, required)


def test_without_a_contract_the_fields_that_are_read_are_told_and_nothing_is_demanded() -> None:
    world = takes(create="item", set={"name": "{{ body.title }}"})
    assert body(world) == {"properties": {"title": {}, "name": {}, "size": {}}}
    assert "required" not in world.operation("POST", "/items")["requestBody"]
    bodies: list[Any] = [None, [], {}, "x", {"name": [1]}]
    for sent in bodies:
        assert world.ask("POST", "/items", sent).status == 201


@pytest.mark.parametrize(
    ("expression", "media"),
    [
        ("{{ request.form }}", "application/x-www-form-urlencoded"),
        ("{{ request.files.a }}", "multipart/form-data"),
        ("{{ request.text }}", "text/plain"),
        ("{{ request.raw }}", "text/plain"),
    ],
)
def test_other_forms_of_a_body_are_told_by_what_reads_them(expression: str, media: str) -> None:
    assert body(takes(reply={"body": expression}), media) == {}


def test_where_nobody_looks_at_a_body_none_is_told() -> None:
    assert "requestBody" not in takes(reply={"body": "{{ query.q }}"}).operation("POST", "/items")


def test_whatever_is_evaluated_counts_as_read() -> None:
    states = {
        "A": [{"to": "B", "signal": "go", "when": "{{ query.row }}", "set": {"x": "{{ headers.x_row }}"}}],
        "B": [],
    }
    resource = {"id": "{{ query.id }}", "record": {"r": "{{ query.record }}"}, "states": states}
    signal = {"signal": "item.go", "find": {"item": "{{ query.find }}"}, "where": {"r": "{{ query.where }}"}}
    refuse = [{"when": "{{ query.refuse }}", "error": {"message": "{{ query.message }}"}}]
    world = Described(
        {
            "resources": {"item": resource},
            "operations": {
                "POST /items": {"create": "item", "also": [{"create": "item", "id": "{{ query.also }}"}]},
                "POST /items/{id}/go": {**signal, "refuse": refuse, "reply": {"body": "{{ query.reply }}"}},
                "PATCH /items/{id}": {"update": "item"},
                "POST /items/{id}": {"update": "item", "set": {"r": 1}},
                "GET /items/{id}": {"read": "item"},
            },
        }
    )
    assert names(world, "query") == ["also", "id", "record"]
    assert names(world, "query", "POST", "/items/{id}/go") == ["find", "where", "refuse", "message", "reply", "row"]
    assert names(world, "header", "POST", "/items/{id}/go") == ["x-row"]
    assert names(world, "query", "PATCH", "/items/{id}") == ["record", "row"]
    assert names(world, "query", "POST", "/items/{id}") == ["row"]
    assert names(world, "query", "GET", "/items/{id}") == ["row"]


def listing(**more: Any) -> Described:
    return Described({"resources": {"item": ITEM}, "operations": {"GET /items": {"list": "item", **more}}})


@pytest.mark.parametrize(
    ("page", "name", "schema"),
    [
        ({}, "cursor", {"type": "string"}),
        ({"cursor": "id", "parameter": "starting_after"}, "starting_after", {"type": "string"}),
        ({"style": "offset"}, "offset", {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0}),
        ({"style": "number"}, "page", {"type": "integer", "minimum": 1, "maximum": OFFSET_MAX, "default": 1}),
        (
            {"style": "number", "first": 0},
            "page",
            {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0},
        ),
    ],
)
def test_the_parameters_of_pages_are_told_with_their_bounds(page: Json, name: str, schema: Json) -> None:
    world = listing(page={**page, "size": 5, "max": 7, "size_parameter": "per_page"})
    size = world.parameter("GET", "/items", "per_page")
    assert (size["schema"]["default"], size["schema"]["minimum"], size["allowEmptyValue"]) == (5, 1, True)
    assert "7" in size["description"]
    assert world.parameter("GET", "/items", name)["schema"] == schema
    for value in ("1", str(OFFSET_MAX), ""):
        assert world.ask("GET", f"/items?per_page={value}").status == 200
    assert world.ask("GET", f"/items?per_page={OFFSET_MAX + 1}").status == 400


@pytest.mark.parametrize(
    ("by", "default"),
    [
        ("{{ query.sort }}", None),
        ("{{ query.sort or '-size' }}", "-size"),
        ("{{ query['sort'] | default('name') }}", "name"),
        ("{{ query.sort or 'unknown' }}", None),
    ],
)
def test_an_order_that_clients_choose_is_told_with_what_they_may_choose(by: str, default: str | None) -> None:
    world = listing(order={"by": by, "fields": ["name", "size"]})
    schema = world.parameter("GET", "/items", "sort")["schema"]
    assert schema["enum"] == ["name", "size", "ordinal", "-name", "-size", "-ordinal"]
    assert schema.get("default") == default
    for choice in schema["enum"]:
        assert world.ask("GET", f"/items?sort={choice}").status == 200
    assert world.ask("GET", "/items?sort=other").status == 400


@pytest.mark.parametrize(
    "by", ["{{ query.sort | lower }}", "{{ query.sort }}{{ query.way }}", "{{ body.sort }}", "name"]
)
def test_any_other_order_promises_nothing(by: str) -> None:
    told = listing(order={"by": by, "fields": ["name"]}).operation("GET", "/items").get("parameters", [])
    assert [each["schema"] for each in told] == [{"type": "string"}] * len(told)


def test_conditional_requests_are_told() -> None:
    world = Described(
        {
            "resources": {"item": ITEM},
            "operations": {
                "GET /items/{id}": {"read": "item", "etag": True},
                "PATCH /items/{id}": {"update": "item", "etag": True},
                "DELETE /items/{id}": {"delete": "item", "etag": "required"},
            },
        }
    )
    assert names(world, "header", "GET", "/items/{id}") == ["If-None-Match"]
    assert "required" not in world.parameter("PATCH", "/items/{id}", "If-Match")
    assert world.parameter("DELETE", "/items/{id}", "If-Match")["required"] is True


def test_variants_are_told_together_and_demand_only_what_all_demand() -> None:
    def variant(name: str, schema: Json, *more: str) -> Json:
        query = {"properties": {name: {}, "both": schema}, "required": [name, "both", *more]}
        return {"accepts": {"query": query, "body": schema}, "reply": {"body": 1}}

    first = {**variant("a", {"type": "string"}), "when": "{{ query.a }}"}
    second = {**variant("b", {"type": "integer"}), "when": "{{ query.b }}"}
    world = Described({"operations": {"POST /items": [first, second, {"reply": {"text": "x"}}]}})
    told = {each["name"]: each.get("required", False) for each in world.operation("POST", "/items")["parameters"]}
    assert told == {"a": False, "both": False, "b": False}
    assert body(world) == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert "required" not in world.operation("POST", "/items")["requestBody"]
    both = Described({"operations": {"POST /items": [first, second]}})
    assert both.parameter("POST", "/items", "both")["required"] is True
    assert both.operation("POST", "/items")["requestBody"]["required"] is True


TREE: Json = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "default": {"$ref": "#/$defs/node"},
                "many": {"items": [{"$ref": "#"}]},
                "n": {"type": "integer"},
            },
            "default": {"$ref": "#/left/alone"},
        }
    },
}


def test_a_schema_that_refers_to_itself_is_true_where_it_stands() -> None:
    tree = {**TREE, "$defs": {"node": {**TREE["$defs"]["node"]}}}
    tree["$defs"]["node"]["properties"] = {**TREE["$defs"]["node"]["properties"], "many": {"items": {"$ref": "#"}}}
    query = {"properties": {"q": {"$ref": "#/$defs/q"}}, "$defs": {"q": {"enum": ["a"]}}}
    world = takes(create="item", accepts={"body": tree, "query": query})
    assert body(world) == {"$ref": "#/components/schemas/post_items_body"}
    moved = world.document["components"]["schemas"]["post_items_body"]
    assert moved["$defs"]["node"]["default"] == {"$ref": "#/left/alone"}
    told = world.parameter("POST", "/items", "q")["schema"]
    own = jsonschema_rs.Draft202012Validator(tree)
    for value in ({}, {"default": {"n": 1}}, {"many": [{"n": "x"}]}, {"default": {"default": 1}}, 3):
        assert valid(world.document, body(world), value) == own.is_valid(value)
    assert [valid(world.document, told, value) for value in ("a", "b")] == [True, False]


def test_schemas_that_refer_to_themselves_do_not_stand_in_each_others_place() -> None:
    def variant(value: int) -> Json:
        return {"accepts": {"$ref": "#/$defs/x", "$defs": {"x": {"const": value}}}, "reply": {"body": value}}

    resources = {"post_items_body": ITEM}
    operations = {"POST /items": [{**variant(1), "when": "{{ body == 1 }}"}, variant(2)]}
    world = Described({"resources": resources, "operations": operations})
    told = body(world)
    assert [valid(world.document, told, value) for value in (1, 2, 3)] == [True, True, False]
    assert len(world.document["components"]["schemas"]) == 3


def test_a_schema_with_an_address_of_its_own_is_left_as_it_is() -> None:
    schema = {"$id": "https://e.test/s", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"const": 1}}}
    assert body(takes(create="item", accepts=schema)) == schema
