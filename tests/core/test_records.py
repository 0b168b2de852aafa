"""Records compare, filter and order alike wherever they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.records import BUILT_IN, NotLoaded, Record, RecordKey, Scan, field_of, sort_of, text_of
from tests.core.compiled import JSON

RECORD = Record(
    "shop.order", "o1", 7, 3, "PAID", {"a": {"b": 1}, "state": "mine", "n": None}, 10, 20, 2, None, None, ""
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("id", "o1"), ("ordinal", 7), ("version", 3), ("state", "PAID"), ("created_at", 10), ("updated_at", 20)],
        *[("a", {"b": 1}), ("a.b", 1), ("a.b.c", None), ("a.gone", None), ("gone", None), ("n", None), ("kind", None)],
    ],
)
def test_a_field_is_found_by_its_dotted_name(name: str, value: object) -> None:
    assert field_of(RECORD, name) == value


def test_built_in_names_are_not_hidden_by_fields() -> None:
    assert set(BUILT_IN) == {"id", "state", "ordinal", "version", "created_at", "updated_at"}
    assert field_of(RECORD, "state") == "PAID"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("a", "a"), ("", ""), (True, "true"), (False, "false"), (10, "10"), (-1, "-1"), (10.0, "10"), (1.5, "1.5")],
        *[
            (-0.0, "0"),
            (1e300, str(int(1e300))),
            (float("inf"), "inf"),
            (None, None),
            ([], None),
            ({}, None),
            ([1], None),
        ],
    ],
)
def test_a_scalar_has_the_text_that_a_query_would_write(value: object, text: str | None) -> None:
    assert text_of(value) == text


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_filters_alike_however_it_is_kept(number: int) -> None:
    assert text_of(number) == text_of(float(number)) == text_of(str(number))


@given(st.lists(JSON, max_size=10))
def test_any_values_can_be_ordered_numbers_before_texts(values: list[object]) -> None:
    ordered = sorted(map(sort_of, values), key=lambda value: (isinstance(value, str), value))
    assert all(isinstance(value, float | str) for value in ordered)
    assert [isinstance(value, str) for value in ordered] == sorted(isinstance(value, str) for value in ordered)


@pytest.mark.parametrize(
    ("value", "order"), [(True, 1.0), (2, 2.0), (1.5, 1.5), ("a", "a"), (None, ""), ([], ""), ({}, "")]
)
def test_what_has_no_order_is_the_empty_text(value: object, order: object) -> None:
    assert (sort_of(value), type(sort_of(value))) == (order, type(order))


def test_a_look_that_misses_several_things_names_them_all() -> None:
    needs = (RecordKey("shop.order", "o1"), Scan("shop.item"), "clock")
    missed = NotLoaded(*needs)
    assert missed.needs == needs
    assert missed.need == needs[0]
