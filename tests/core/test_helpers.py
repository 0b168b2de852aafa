"""What expressions can call does what its name says, and nothing it makes can grow without end."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.helpers import (
    DIGITS_MAX,
    FILTERS,
    FUNCTIONS,
    ITEMS_MAX,
    MAPPING_METHODS,
    NUMBER_BITS_MAX,
    TESTS,
    TEXT_MAX,
    TEXT_METHODS,
    as_json,
    bounded,
    dotted,
    hashed,
    joined,
    mapped,
    numbers,
    padded,
    plain,
    replaced,
    rounded,
    shown,
    summed,
    unique,
    weight,
)
from simulator.core.omit import OMIT
from simulator.core.records import NotLoaded
from tests.core.compiled import JSON, play

CARTS = [{"sku": "b", "n": 2, "at": {"x": 1}}, {"sku": "a", "n": 3}, {"n": 0}]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *[("-3 | abs", 3), ("'w6Q=' | b64decode", "ä"), ("'ä' | b64encode", "w6Q="), ("'ab cd' | capitalize", "Ab cd")],
        *[("[1, 2] | count", 2), ("'abc' | length", 3), ("x.gone | d('-')", "-"), ("x | default(1)", CARTS)],
        *[("'' | default('-')", ""), ("'' | default('-', true)", "-"), ("x.gone | default", "")],
        *[("[3, 1] | first", 3), ("[] | first", OMIT), ("[3, 1] | last", 1)],
        *[("[] | last", OMIT), ("'abc' | last", "c")],
        *[("'1.5' | float", 1.5), ("'a' | float(2)", 2.0), ("none | float", 0.0), ("{} | float", 0.0)],
        *[("'7' | int", 7), ("'7.9' | int", 7), ("'a' | int", 0), ("'a' | int(3)", 3), ("1e400 | int(4)", 4)],
        *[("{'a': 1} | items", [["a", 1]]), ("5 | items", []), ("{'a': 1} | keys", ["a"]), ("5 | keys", [])],
        *[("{'a': 1} | values", [1]), ("5 | values", []), ("'ab' | list", ["a", "b"]), ("{'a': 1} | list", ["a"])],
        *[("[1, 'a', none] | join('-')", "1-a-")],
        *[("x | join(',', attribute='sku')", "b,a"), ("'abc' | join('.')", "a.b.c")],
        *[("'AbC' | lower", "abc"), ("'AbC' | upper", "ABC"), ("'a bc' | title", "A Bc"), ("' a ' | trim", "a")],
        *[("x | map('n')", [2, 3, 0]), ("x | map('sku')", ["b", "a"])],
        *[("x | map('sku', default='?')", ["b", "a", "?"])],
        *[("x | map('at.x')", [1]), ("[[1, 2], [3]] | map('1')", [2]), ("[{'0': 5}] | map('0')", [5])],
        *[("[1, 3, 2] | max", 3), ("[1, 3, 2] | min", 1), ("[] | max", OMIT), ("[] | min", OMIT)],
        *[("x | selectattr('n') | map('sku')", ["b", "a"]), ("x | select('n', 3) | map('sku')", ["a"])],
        *[("x | rejectattr('n') | length", 1), ("x | reject('sku', 'a') | map('n')", [2, 0])],
        *[("'a-b-c' | replace('-', '+')", "a+b+c"), ("'abc' | reverse", "cba"), ("[1, 2] | reverse", [2, 1])],
        *[("2.567 | round(1)", 2.6), ("2.5 | round", 2), ("1234 | round(-2)", 1200)],
        *[("[3, 1, 2] | sort", [1, 2, 3]), ("[3, 1] | sort(reverse=true)", [3, 1]), ("[1, 2] | sort(true)", [2, 1])],
        *[("x[:2] | sort(attribute='n') | map('sku')", ["b", "a"])],
        *[("x[:2] | sort(attribute='sku') | map('n')", [3, 2])],
        *[("'a b  c' | split", ["a", "b", "c"]), ("'a,b' | split(',')", ["a", "b"]), ("5 | string", "5")],
        *[("[1, 2.5] | sum", 3.5), ("x | sum('n')", 5), ("x | sum('n', 10)", 15), ("x | sum(attribute='gone')", 0)],
        *[("{'a': [1, none]} | tojson", '{"a":[1,null]}'), ("'\"' | tojson", '"\\""')],
        *[("now | tojson", '"2026-01-01T00:00:00.123Z"')],
        *[("[1, 1.0, 'a', 'a', {'a': 1, 'b': 2}, {'b': 2, 'a': 1}] | unique", [1, "a", {"a": 1, "b": 2}])],
        *[("'a/b c' | urlencode", "a%2Fb%20c"), ("'' | hash('md5')", "d41d8cd98f00b204e9800998ecf8427e")],
    ],
)  # fmt: skip
def test_a_filter_does_what_its_name_says(expression: str, value: object) -> None:
    found = play(f"{{{{ {expression} }}}}", x=CARTS)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *[("hash('a', 'sha256', 'base64')", base64.b64encode(hashlib.sha256(b"a").digest()).decode())],
        *[("join(['a', 1], '/')", "a/1"), ("map(x, 'n')", [2, 3, 0])],
        *[("max([1, 2])", 2), ("max(1, 2)", 2), ("min(1, 2)", 1)],
        *[("range(3)", [0, 1, 2]), ("range(1, 7, 3)", [1, 4]), ("sum([1, 2])", 3), ("sum(x, 'n')", 5)],
    ],
)  # fmt: skip
def test_a_function_does_what_its_name_says(expression: str, value: object) -> None:
    assert play(f"{{{{ {expression} }}}}", x=CARTS) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *[("'aXa'.count('a')", 2), ("'abc'.endswith('bc')", True), ("'abc'.find('c')", 2), ("'12'.isdigit()", True)],
        *[("'AB'.lower()", "ab"), ("'  a'.lstrip()", "a")],
        *[("'ab'.removeprefix('a')", "b"), ("'ab'.removesuffix('b')", "a")],
        *[("'aa'.replace('a', 'b')", "bb"), ("'a  '.rstrip()", "a")],
        *[("'a b'.split()", ["a", "b"]), ("'a,b'.split(',', 1)", ["a", "b"])],
        *[("'a\\nb'.splitlines()", ["a", "b"]), ("'abc'.startswith('a')", True)],
        *[("' a '.strip()", "a"), ("'a'.title()", "A")],
        *[("'a'.upper()", "A"), ("'7'.zfill(3)", "007"), ("{'a': 1}.get('a')", 1)],
        *[("{'a': 1}.get('b')", OMIT), ("{}.get('b', 2)", 2)],
        *[("{'a': 1}.items()", [["a", 1]]), ("{'a': 1}.keys()", ["a"])],
        *[("{'a': 1}.values()", [1]), ("x.gone.lower()", OMIT)],
    ],
)  # fmt: skip
def test_a_method_does_what_its_name_says(expression: str, value: object) -> None:
    assert play(f"{{{{ {expression} }}}}", x=CARTS) == value


@pytest.mark.parametrize(
    ("name", "holds", "fails"),
    [
        *[
            ("defined", 1, OMIT),
            ("undefined", OMIT, None),
            ("omitted", OMIT, 0),
            ("none", None, OMIT),
            ("null", None, 0),
        ],
        *[("string", "", 1), ("number", 1.5, True), ("integer", 1, 1.0), ("float", 1.0, 1), ("boolean", False, 0)],
        *[("mapping", {}, []), ("sequence", [], "a"), ("iterable", "a", 1), ("true", True, 1), ("false", False, 0)],
        *[
            ("even", 2, 1),
            ("odd", 1, 2),
            ("divisibleby(3)", 9, 8),
            ("in([1, 2])", 1, 3),
            ("eq(1)", 1, 2),
            ("ne(1)", 2, 1),
        ],
    ],
)
def test_a_test_tells_what_is_from_what_is_not(name: str, holds: object, fails: object) -> None:
    assert play(f"{{{{ x is {name} }}}}", x=holds) is True
    assert play(f"{{{{ x is {name} }}}}", x=fails) is False


def test_every_helper_is_tried_above() -> None:
    here = " ".join(
        str(mark.args)
        for tried in (
            test_a_filter_does_what_its_name_says,
            test_a_function_does_what_its_name_says,
            test_a_method_does_what_its_name_says,
            test_a_test_tells_what_is_from_what_is_not,
        )
        for mark in getattr(tried, "pytestmark", [])
    )
    untried = {
        name
        for table in (FILTERS, FUNCTIONS, TEXT_METHODS, MAPPING_METHODS, TESTS)
        for name in table
        if name not in here
    }
    assert not untried


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ä", "ä"),
        (None, ""),
        (OMIT, ""),
        (True, "true"),
        (1.5, "1.5"),
        ([1, "a"], '[1,"a"]'),
        ({"a": OMIT}, '{"a":null}'),
    ],
)
def test_a_value_inside_a_text_is_itself_or_json(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_has_no_form_in_json_says_its_type() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        shown([object()])
    with pytest.raises(TypeError, match="object has no form in JSON"):
        plain(object())


class Viewed:
    """A record whose view asks for what is not at hand."""

    def template_json(self) -> Any:
        raise NotLoaded("entry")


@pytest.mark.parametrize("look", [shown, as_json, lambda value: unique([[value]]), FILTERS["tojson"]])
def test_a_view_that_needs_more_while_it_is_written_says_so(look: Any) -> None:
    with pytest.raises(NotLoaded):
        look(Viewed())


@pytest.mark.parametrize(
    ("algorithm", "encoding", "complaint"),
    [("crc32", "hex", "no algorithm 'crc32'"), ("md5", "hexa", "no encoding 'hexa'")],
)
def test_an_unknown_digest_is_answered_with_those_there_are(algorithm: str, encoding: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        hashed("a", algorithm, encoding)


@given(JSON)
def test_b64_and_json_can_be_read_back(value: object) -> None:
    assert FILTERS["b64decode"](FILTERS["b64encode"](value)) == shown(value)


@given(st.lists(JSON, max_size=30))
def test_unique_keeps_the_first_of_equal_elements(values: list[Any]) -> None:
    kept: list[Any] = []
    kept.extend(value for value in values if not any(_same(value, other) for other in kept))
    assert unique(values) == kept


def _same(one: object, other: object) -> bool:
    """Equal; inside lists and mappings, where they are compared as JSON, also of one type."""
    return as_json(one, 32) == as_json(other, 32) if isinstance(one, list | dict) else one == other


@given(JSON)
def test_the_elements_selected_and_rejected_are_all(value: object) -> None:
    values = [value, {"a": value}, {"a": 1}]
    for arguments in (("a",), ("a", 1)):
        both = FILTERS["select"](values, *arguments) + FILTERS["reject"](values, *arguments)
        assert len(both) == len(values)


def test_a_dotted_path_goes_through_mappings_and_lists() -> None:
    assert dotted({"a": [{"b": 1}]}, "a.0.b") == 1
    assert dotted({"a": [{"b": 1}]}, "a.1.b") is OMIT
    assert dotted({"a": [{"b": 1}]}, "__class__.a") is OMIT


HEAVY = "a" * (TEXT_MAX // 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounded("a" * (TEXT_MAX + 1)),
        lambda: bounded([0] * (ITEMS_MAX + 1)),
        lambda: bounded(1 << NUMBER_BITS_MAX),
        lambda: joined([HEAVY] * ITEMS_MAX),
        lambda: joined(["a"] * ITEMS_MAX, HEAVY),
        lambda: replaced("a" * 1000, "a", HEAVY),
        lambda: replaced("a" * 1000, "", HEAVY),
        lambda: padded("7", 10**9),
        lambda: numbers(10**9),
        lambda: mapped(range(ITEMS_MAX), "gone", HEAVY),
        lambda: mapped(range(ITEMS_MAX), "gone", [[HEAVY]]),
        lambda: rounded(5, -(10**9)),
        lambda: rounded(1.5, DIGITS_MAX + 1),
    ],
)
def test_what_would_grow_too_large_is_refused_before_it_does(call: Any) -> None:
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=f"(?:{TEXT_MAX}|{ITEMS_MAX}|{NUMBER_BITS_MAX}|{DIGITS_MAX}) is the most"):
        call()
    assert time.perf_counter() - begin < 0.5


def test_what_is_at_the_limit_is_let_be() -> None:
    assert bounded("a" * TEXT_MAX) == "a" * TEXT_MAX
    assert len(numbers(ITEMS_MAX)) == ITEMS_MAX
    assert bounded(-(1 << NUMBER_BITS_MAX) + 1)
    assert rounded(10, -DIGITS_MAX) == 0


def test_only_numbers_are_summed() -> None:
    with pytest.raises(TypeError, match="sum adds numbers"):
        summed([[1]], start=[])


@pytest.mark.parametrize("name", ["even", "odd", "divisibleby(2)"])
def test_a_text_asked_whether_it_divides_is_never_formatted(name: str) -> None:
    with pytest.raises(Exception, match="remainder of numbers"):
        play(f"{{{{ x is {name} }}}}", x="%1000000000d")


def test_ten_thousand_elements_are_made_unique_at_once() -> None:
    begin = time.perf_counter()
    assert len(unique([{"n": n} for n in range(ITEMS_MAX)])) == ITEMS_MAX
    assert time.perf_counter() - begin < 1


@given(JSON, st.integers(0, 3))
def test_weight_counts_shared_elements_each_time(value: object, times: int) -> None:
    assert weight([value] * times) == times + times * weight(value)


def test_weight_stops_counting_where_it_is_too_much_anyway() -> None:
    begin = time.perf_counter()
    nested: Any = [HEAVY]
    for _ in range(5):
        nested = [nested] * ITEMS_MAX
    assert TEXT_MAX < weight(nested) < 10 * TEXT_MAX
    assert time.perf_counter() - begin < 0.5
