"""Nothing is false, empty, unlike anything, and so is whatever is looked up in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.clock import Instant
from simulator.core.omit import OMIT, Omit, field, item
from tests.core.compiled import JSON, complaints, play


def test_omit_is_false_empty_and_shown_as_nothing() -> None:
    assert not OMIT
    assert (len(OMIT), list(OMIT), str(OMIT), repr(OMIT)) == (0, [], "", "omit")
    assert 1 not in OMIT


def test_whatever_is_looked_up_in_nothing_is_nothing() -> None:
    assert field(OMIT, "a") is OMIT
    assert item(OMIT, "a") is item(OMIT, 0) is OMIT


@given(JSON)
def test_omit_equals_only_itself_and_orders_with_nothing(other: object) -> None:
    assert OMIT == OMIT
    assert other != OMIT
    assert play("{{ omit < x or omit > x or omit <= x or omit >= x }}", x=other) is False


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        ({"a": 1}, "a", 1),
        ({"a": None}, "a", None),
        ({"items": [1]}, "items", [1]),
        ({"__class__": 1}, "__class__", 1),
        (Instant(0), "epoch", 0),
    ],
)
def test_a_field_is_a_key_or_what_a_type_of_ours_shows(value: object, name: str, found: object) -> None:
    assert field(value, name) == found


@given(JSON, st.sampled_from(["__class__", "__dict__", "items", "keys", "append", "format", "real", "_fields", ""]))
def test_no_attribute_of_python_is_a_field(value: object, name: str) -> None:
    assert field(value, name) is OMIT or (isinstance(value, dict) and name in value)
    assert item(value, name) is OMIT or (isinstance(value, dict) and name in value)


@pytest.mark.parametrize(
    ("value", "key", "found"),
    [
        *[([1, 2], 0, 1), ([1, 2], -1, 2), ([1, 2], -2, 1), ((1, 2), 1, 2), ("ab", 1, "b"), ({"0": 1}, "0", 1)],
        *[([1, 2], 2, OMIT), ([1, 2], -3, OMIT), ("", 0, OMIT), ({"0": 1}, 0, OMIT), (5, 0, OMIT), (None, "a", OMIT)],
        *[([1], None, OMIT), ([1], 0.0, OMIT), ([1], [], OMIT), ({"a": 1}, [], OMIT), ([1], OMIT, OMIT)],
    ],
)
def test_an_item_is_a_key_or_an_element_or_omitted(value: object, key: object, found: object) -> None:
    assert item(value, key) == found


def test_a_subclass_of_a_mapping_is_not_looked_into() -> None:
    class Scope(dict[str, object]):
        pass

    assert field(Scope(a=1), "a") is OMIT


def test_there_is_one_omit_and_templates_can_name_it() -> None:
    assert isinstance(OMIT, Omit)
    assert complaints("{{ omit }}") == []
    assert play({"a": "{{ omit }}", "b": "{{ x.y.z }}", "c": 1}) == {"c": 1}
