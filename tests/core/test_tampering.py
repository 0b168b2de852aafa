"""A tampered body never says the same, a respaced one always does, and JSON stays JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.tampering import respaced, tamper
from tests.core.compiled import JSON
from tests.core.signatures import BODY

UNITS = st.floats(0, 1, exclude_min=True, exclude_max=True)


def differences(left: Any, right: Any) -> int:
    """In how many places two JSON values differ."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return sum(differences(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return sum(map(differences, left, right))
    return int(orjson.dumps(left) != orjson.dumps(right))


@given(JSON, UNITS)
def test_tampered_json_is_json_with_one_value_changed(value: Any, unit: float) -> None:
    body = orjson.dumps(value)
    tampered = tamper(body, unit)
    assert differences(orjson.loads(body), orjson.loads(tampered)) == 1
    assert tampered == tamper(body, unit)


@pytest.mark.parametrize(
    ("body", "tampered"),
    [
        (b'{"amount":1000}', b'{"amount":999}'),
        (b"0", b"1"),
        (b"-5", b"-4"),
        (b"1.5", b"-1.5"),
        (b"-0.0", b"1.0"),
        (b'"paid"', b'"pai0"'),
        (b'"a0"', b'"a1"'),
        (b'""', b'"0"'),
        (b"true", b"false"),
        (b"null", b"false"),
        (b"[]", b"[true]"),
        (b'{"a":{}}', b'{"a":{"tampered":true}}'),
    ],
)
def test_each_value_becomes_another_of_its_kind(body: bytes, tampered: bytes) -> None:
    assert tamper(body, 0.5) == tampered


def test_the_unit_says_which_value_changes() -> None:
    body = b'{"a":1,"b":[2,{"c":3}]}'
    assert [tamper(body, unit) for unit in (0.1, 0.5, 0.9)] == [
        b'{"a":0,"b":[2,{"c":3}]}',
        b'{"a":1,"b":[1,{"c":3}]}',
        b'{"a":1,"b":[2,{"c":2}]}',
    ]


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.text("aZ0é &=%+", max_size=5)), min_size=1), UNITS)
def test_a_tampered_form_says_something_else(pairs: list[tuple[str, str]], unit: float) -> None:
    body = urlencode(pairs).encode()
    assert parse_qsl(tamper(body, unit).decode(), keep_blank_values=True) != pairs


@given(st.binary(max_size=40), UNITS)
def test_whatever_is_tampered_with_differs(body: bytes, unit: float) -> None:
    assert tamper(body, unit) != body


@pytest.mark.parametrize(("body", "tampered"), [(b"", b"0"), (b"--", b"--0"), (b"a:", b"b:"), (b"x=0", b"a=0")])
def test_a_text_gets_another_letter_or_digit(body: bytes, tampered: bytes) -> None:
    assert tamper(body, 0.1) == tampered


def test_json_too_deep_to_be_written_again_is_changed_as_text() -> None:
    deep = b"[" * 300 + b"1" + b"]" * 300
    assert tamper(deep, 0.5) == deep.replace(b"1", b"0")


@given(JSON)
def test_respaced_json_has_the_same_value_and_no_byte_beyond_ascii(value: Any) -> None:
    body = orjson.dumps(value)
    odd = respaced(body)
    assert orjson.loads(odd) == json.loads(odd) == value
    assert odd != body
    assert odd.isascii()


@given(JSON, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json_that_is_odd_already_keeps_its_value(value: Any, ascii_: bool, indent: Any) -> None:
    body = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode()
    assert json.loads(respaced(body)) == json.loads(body)


def test_numbers_keep_their_digits_and_escapes_stay() -> None:
    r"""Who reads and writes again makes 1.0 of 1e0; a spelling is changed only where the value cannot suffer."""
    body = b'{"n":1.10e+02,"m":123456789012345678901234567890,"s":"\\u00e9\\n\\"\\/","u":"https://a"}'
    odd = respaced(body)
    for kept in (b"1.10e+02", b"123456789012345678901234567890", b'\\u00e9\\n\\"\\/'):
        assert kept in odd
    assert b"ttps:\\/\\/a" in odd


def test_characters_beyond_the_first_plane_become_two_escapes() -> None:
    assert respaced('"😀"'.encode()) == b' "\\ud83d\\ude00"\n'


def test_the_example_looks_odd() -> None:
    assert respaced(BODY) != BODY
    assert b"af\\u00e9" in respaced(BODY)
    assert b" ,\n" in respaced(BODY)


@pytest.mark.parametrize("body", [b"", b"a=1&b=2", b"{", b"\xff", b'"\\ud800"'])
def test_what_is_no_json_stays_as_it_is(body: bytes) -> None:
    assert respaced(body) == body
