"""What a piece of a scenario is said to give, it gives; and what it reads of a request is found."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simulator.core.helpers import as_json
from simulator.core.omit import OMIT
from simulator.core.resources import RowModel
from simulator.errors import TemplateError
from simulator.scenario.openapi_shapes import (
    ANY,
    EVERYWHERE,
    INSTANT,
    NOTHING,
    TEXT,
    Shape,
    either,
    literal,
    object_of,
    reads,
    shape,
)
from tests.core.compiled import JSON, complaints, play

EXPRESSIONS = [
    "plain",
    "{{ body.a }}",
    "{{ body['a'] }}",
    "{{ body }}",
    "{{ body.a }} and more",
    "{{ body.a }}{{ body.b }}",
    "{# nothing #}{{ body.a }}",
    "{{ omit }}",
    "{{ now }}",
    "{{ now.iso }}",
    "{{ now.date }}",
    "{{ now.http }}",
    "{{ now.epoch }}",
    "{{ now.epoch_ms }}",
    "{{ base_url }}/x",
    "{{ base_url }}",
    "{{ 1 }}",
    "{{ 1.5 }}",
    "{{ none }}",
    "{{ 'a' ~ body.a }}",
    "{{ body.a or 'b' }}",
    "{{ body.a and 'b' }}",
    "{{ omit or 3 }}",
    "{{ 'x' if body.a else 'y' }}",
    "{{ 'x' if body.a }}",
    "{{ body.a | default(1) }}",
    "{{ body.a | default }}",
    "{{ body.a | default('x', true) }}",
    "{{ body.a | d(omit) }}",
    "{{ body.a | int }}",
    "{{ body.a | float }}",
    "{{ 'nan' | float }}",
    "{{ body.a | string | upper }}",
    "{{ body.a | trim }}",
    "{{ body.a | list | length }}",
    "{{ body | items }}",
    "{{ body.a | list | sum }}",
    "{{ [body.a, 1, omit] }}",
    "{{ {'k': body.a} }}",
    "{{ {'a': 1, 'b': 'two'}[body.a | string] }}",
    "{{ [1, 2][body.a | int] }}",
    "{{ body.a == 1 }}",
    "{{ not body.a }}",
    "{{ body.a is defined }}",
    "{{ 1 + 2 }}",
    "{{ -(body.a | int) }}",
    "{{ (body.a | int) % 3 }}",
    "{{ chance.hex(4) }}",
    "{{ chance.integer(1, 6) }}",
    "{{ chance.choice([1, 'a']) }}",
    "{{ hash(body.a) }}",
    "{{ range(3) }}",
    "{{ max(1, 2) }}",
    "{{ body.a.lower() }}",
    "{{ 'abc'[0:2] }}",
    "{{ body.a | first }}",
]
LEAVES = st.sampled_from(EXPRESSIONS) | st.none() | st.booleans() | st.integers(-5, 5) | st.just(1.5)
PIECES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["k", "l", "{{ body.a }}"]), inner, max_size=3)
        | st.fixed_dictionaries({"if": st.just("{{ body.a }}"), "then": inner}, optional={"else": inner})
        | st.fixed_dictionaries({"for": st.just("each"), "in": st.just("{{ body.a | list }}"), "do": inner})
    ),
    max_leaves=8,
)


def keeps(told: Shape, value: Any) -> bool:
    """Whether a value is what was told of it."""
    if value is OMIT:
        return told.omits
    return jsonschema_rs.Draft202012Validator(told.schema, validate_formats=True).is_valid(orjson.loads(as_json(value)))


@given(PIECES, JSON)
def test_whatever_is_given_is_what_was_told(piece: Any, body: Any) -> None:
    assume(not complaints(piece))  # such as of a repetition inside another with the same name
    try:
        value = play(piece, body=body)
    except TemplateError:
        return
    assert keeps(shape(piece), value), (piece, value, shape(piece))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_each_expression_gives_what_was_told_of_it(text: str) -> None:
    bodies: list[Any] = [{"a": 1}, {"a": "x", "b": None}, {"a": [1, "x"]}, {"a": True}, {}, [], 7]
    for body in bodies:
        try:
            value = play(text, body=body)
        except TemplateError:
            continue
        assert keeps(shape(text), value), (body, value, shape(text))


@pytest.mark.parametrize(
    ("piece", "schema", "omits"),
    [
        ("OPEN", {"const": "OPEN"}, False),
        (None, {"const": None}, False),
        (2**70, {"type": "integer"}, False),
        ("{{ body.a }}", {}, True),
        ("{{ body.a }}-", {"type": "string"}, False),
        ("{{ omit }}", {"not": {}}, True),
        ("{{ now.iso }}", {"type": "string", "format": "date-time"}, False),
        ("{{ now.nothing }}", {"not": {}}, True),
        ("{{ 'a' if body.x else 'b' }}", {"enum": ["a", "b"]}, False),
        ("{{ body.x or 'b' }}", {}, False),
        ("{{ omit or 'b' }}", {"const": "b"}, False),
        ("{{ {1: 'a', 2: 'b'}[body.x] }}", {"enum": ["a", "b"]}, True),
        ("{{ body.a | length }}", {"type": "integer"}, False),
        ("{{ 1 + 1 }}", {}, False),
        ("{{ body.a | default(value=1) }}", {}, True),
        ([], {"type": "array", "maxItems": 0}, False),
        ([1, "{{ 2 }}", True], {"type": "array", "items": {"enum": [1, 2, True]}}, False),
        ({"{{ body.a }}": 1}, {"type": "object"}, False),
        ({"if": "{{ body.a }}", "then": 1}, {"const": 1}, True),
        ({"if": "{{ body.a }}", "then": 1, "else": "x"}, {"enum": [1, "x"]}, False),
        ({"for": "each", "in": "{{ body.a }}", "do": "x"}, {"type": "array", "items": {"const": "x"}}, False),
        (
            {"a": 1, "b": "{{ body.b }}", "c": "{{ omit }}"},
            {"type": "object", "properties": {"a": {"const": 1}, "b": {}}, "required": ["a"]},
            False,
        ),
    ],
)
def test_shapes_are_told_as_far_as_they_can_be(piece: Any, schema: Any, omits: bool) -> None:
    assert shape(piece) == Shape(schema, omits)


def test_names_that_are_known_are_told() -> None:
    known = {**EVERYWHERE, "id": TEXT, "record.created_at": INSTANT}
    told = shape({"id": "{{ id }}", "at": "{{ record.created_at.epoch }}", "x": "{{ record.x }}"}, known)
    assert told.schema["properties"] == {"id": {"type": "string"}, "at": {"type": "integer"}, "x": {}}
    assert told.schema["required"] == ["id", "at"]


def test_one_of_several_is_told_once_and_no_wider_than_they_are() -> None:
    assert either() == NOTHING
    assert either(NOTHING, literal(1)) == Shape({"const": 1}, True)
    assert either(literal(1), literal(True), literal(1)) == Shape({"enum": [1, True]})
    assert either(literal("a"), TEXT) == TEXT
    assert either(literal(1), TEXT) == Shape({"anyOf": [{"const": 1}, {"type": "string"}]})
    assert either(TEXT, ANY) == ANY


def test_what_is_always_omitted_is_no_member() -> None:
    assert object_of({"a": NOTHING}) == Shape({"type": "object", "properties": {}})


def test_what_is_read_of_a_request_is_found_wherever_it_stands() -> None:
    row = RowModel(to="X", signal="go", when="{{ query.from_row }}")
    found = reads(
        {"{{ body.key }}": ["{{ query.page or query['size'] }}", {"x": "{{ headers['X-Tenant'] }}"}]},
        row,
        "{{ request.query.sort }} {{ request.body.a.b }} {{ headers.x_trace }} {{ text }} {{ query }}",
        "{{ body.a.lower().b }}",
        None,
        7,
    )
    assert found.query == ("page", "size", "from_row", "sort")
    assert found.headers == ("X-Tenant", "x_trace")
    assert found.body == ("key", "a")
    assert found.bodies == ("body",)


@pytest.mark.parametrize("form", ["form", "files", "text", "raw"])
def test_a_form_of_the_body_is_one_only_of_the_request(form: str) -> None:
    assert reads(f"{{{{ request.{form} }}}}").bodies == (form,)
    assert reads(f"{{{{ {form} }}}}").bodies == ()
