"""Bodies of any kind and any malice become a value, or a BadBody with a sentence for the client."""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.bodies import (
    DEPTH_MAX,
    FORM_DEPTH_MAX,
    FORM_FIELDS_MAX,
    BadBody,
    Body,
    inflate,
    parse_body,
    parse_form,
    parse_json,
)
from simulator.core.omit import OMIT
from tests.core.compiled import JSON

FORM = "application/x-www-form-urlencoded"


def tried(call: Callable[[], Any]) -> Any:
    """What a call gives, or the BadBody it raises; anything else fails the test."""
    try:
        return call()
    except BadBody as refused:
        return refused


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(JSON)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert parse_body("application/json; charset=utf-8", orjson.dumps(value)).data == value
    assert parse_body("application/merge-patch+json", json.dumps(value).encode()).data == value


@given(st.binary(max_size=100) | st.text('[]{}",:0123456789.eE+-\\u tfnalsr', max_size=30).map(str.encode))
def test_any_bytes_are_json_or_a_bad_body(raw: bytes) -> None:
    value = tried(lambda: parse_json(raw))
    if isinstance(value, BadBody):
        assert re.fullmatch(r"The body is not JSON: .+ at line \d+, column \d+\.", str(value))
        assert value.kind == "invalid"
    else:
        assert orjson.loads(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    "raw",
    [
        *[
            b"",
            b" ",
            b"{",
            b"[1,]",
            b"{'a':1}",
            b"NaN",
            b"Infinity",
            b"1e400",
            b"01",
            b"+1",
            b".5",
            b'"\xff"',
            b"\xff\xfe",
        ],
        *[
            b'"\\ud800"',
            b'"\\udc00\\ud800"',
            b'"\xed\xa0\x80"',
            b'"\x00"',
            b"\x00",
            b"\xef\xbb\xbf{}",
            b"{}{}",
            b'"\\x41"',
        ],
        *[b"[" * 10**6, b'{"a":' * 10**6, b"[" * 2000 + b"]" * 2000, b"9" * 10**5],
    ],
)
def test_hostile_json_is_a_bad_body(raw: bytes) -> None:
    with pytest.raises(BadBody, match="The body is not JSON"):
        parse_json(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        *[(b'{"a":1,"a":2}', {"a": 2}), (b"-0", 0), (b'"\\u0000"', "\0")],
        (b"123456789012345678901234567890", 123456789012345678901234567890.0),
    ],
)
def test_odd_json_is_read_as_most_readers_do(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value


@given(st.integers(1, DEPTH_MAX), st.booleans())
def test_json_as_deep_as_is_allowed_can_be_written_back(depth: int, mappings: bool) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth if mappings else b"[" * depth + b"]" * depth
    assert orjson.dumps(parse_json(raw)) == raw


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 500, 1000])
def test_json_that_is_deeper_is_a_bad_body(depth: int) -> None:
    for raw in (b"[" * depth + b"]" * depth, b'[{"a":' * depth + b"1" + b"}]" * depth):
        with pytest.raises(BadBody, match=r"nested deeper|not JSON"):
            parse_json(raw)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(parse_json(b"[" + b"[],{}," * 500 + b"1]")) == 1001
    assert parse_json(b'"' + b"[" * 500 + b'"') == "[" * 500


@pytest.mark.parametrize(
    ("content_type", "raw", "data"),
    [
        *[("", b'{"a":1}', {"a": 1}), ("", b"plain", OMIT), ("", b"", OMIT), ("application/json", b"", OMIT)],
        *[("text/plain", b"1", OMIT)],
        *[("image/png", b"\xff", OMIT), (FORM.upper(), b"a=1", {"a": "1"}), (FORM, b"", OMIT)],
        *[(" Application/JSON ;a=b", b"1", 1), (";", b"1", 1), ("\xff", b"1", OMIT)],
    ],
)
def test_the_type_says_how_a_body_is_read(content_type: str, raw: bytes, data: object) -> None:
    assert parse_body(content_type, raw).data == data


@given(st.text(max_size=50), st.binary(max_size=100))
def test_any_type_and_bytes_give_a_body_or_a_bad_body(content_type: str, raw: bytes) -> None:
    for media in (content_type, f"multipart/form-data; boundary={content_type}", FORM):
        assert isinstance(tried(partial(parse_body, media, raw)), Body | BadBody)


@given(st.dictionaries(TEXTS.filter(lambda name: name and "[" not in name), TEXTS))
def test_a_plain_form_is_read_as_it_was_written(form: dict[str, str]) -> None:
    assert parse_form(urlencode(form).encode()) == form


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("items[0][price]=5&items[0][n]=1&items[1][price]=6", {"items": [{"price": "5", "n": "1"}, {"price": "6"}]}),
        ("tags[]=a&tags[]=b", {"tags": ["a", "b"]}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("items[999999999]=x", {"items": {"999999999": "x"}}),
        ("items[-1]=x&items[01]=y", {"items": {"-1": "x", "01": "y"}}),
        ("a[1]=x&a[2]=y", {"a": {"1": "x", "2": "y"}}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        *[("a[b=1", {"a[b": "1"}), ("[b]=1", {"[b]": "1"}), ("a]b[=1", {"a]b[": "1"}), ("a[b]x=1", {"a": {"b": "1"}})],
        *[("a", {"a": ""}), ("&&", {}), ("a=1&a=2", {"a": "2"}), ("a=%FF", {"a": "�"}), ("a=+%2B", {"a": " +"})],
        ("a[__proto__]=1&__class__=2", {"a": {"__proto__": "1"}, "__class__": "2"}),
    ],
)
def test_brackets_in_a_form_nest(raw: str, form: dict[str, Any]) -> None:
    assert parse_form(raw.encode()) == form


@pytest.mark.parametrize(
    "raw", ["a=1&a[b]=2", "a[b]=2&a=1", "a[b]=1&a[b][c]=2", "a[b][c]=1&a[b]=2", "a[0]=1&a[0][b]=2"]
)
def test_a_field_that_is_both_value_and_group_is_a_bad_body(raw: str) -> None:
    with pytest.raises(BadBody, match="once a value and once a group"):
        parse_form(raw.encode())


@pytest.mark.parametrize("depth", [FORM_DEPTH_MAX, 1000, 100_000])
def test_a_form_nested_too_deep_is_a_bad_body(depth: int) -> None:
    assert parse_form(b"a" + b"[b]" * (FORM_DEPTH_MAX - 1) + b"=1")
    with pytest.raises(BadBody, match="nested deeper"):
        parse_form(b"a" + b"[b]" * depth + b"=1")


def test_a_form_with_too_many_fields_is_a_bad_body() -> None:
    assert len(parse_form(b"&".join(b"a%d=1" % n for n in range(FORM_FIELDS_MAX)))) == FORM_FIELDS_MAX
    for raw in (b"&".join(b"a%d=1" % n for n in range(10_000)), b"a[]=1&" * 10_000, b"&" * 10**6):
        with pytest.raises(BadBody, match="more than 1000 fields"):
            parse_form(raw)


@given(st.text("ab[]0=&%5B]", max_size=60))
def test_any_form_is_read_or_a_bad_body(raw: str) -> None:
    form = tried(lambda: parse_form(raw.encode()))
    assert "form's field" in str(form) if isinstance(form, BadBody) else orjson.dumps(form)


def test_an_endless_bracket_costs_no_time() -> None:
    begin = time.perf_counter()
    for raw in (b"a" + b"[" * 10**6, b"a[" + b"b" * 10**6, b"[]" * 10**6):
        parse_form(raw)
    assert time.perf_counter() - begin < 1


def multipart(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + end


FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
FILE = b'Content-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\nhello'


def test_a_multipart_body_has_fields_and_files() -> None:
    raw = multipart(FIELD, FIELD.replace(b'"a"', b'"c[d]"'), FILE)
    body = parse_body('Multipart/Form-Data; boundary="b"', raw)
    assert body.form == {"a": "1", "c": {"d": "1"}}
    assert body.files == {"f": {"filename": "x.txt", "content_type": "text/plain", "size": 5, "text": "hello"}}
    assert body.data == {**body.form, **body.files}


def test_a_file_without_a_type_is_bytes() -> None:
    raw = multipart(b"content-disposition: form-data; name=f; filename=x\r\n\r\n\xff")
    assert parse_body("multipart/form-data; boundary=b", raw).files["f"] == {
        "filename": "x",
        "content_type": "application/octet-stream",
        "size": 1,
        "text": "�",
    }


@pytest.mark.parametrize("boundary", ["a" * 70, "a b", "'()+_,-./:=?", "b--"])
def test_an_odd_boundary_is_a_boundary(boundary: str) -> None:
    raw = multipart(FIELD, boundary=boundary.encode())
    assert parse_body(f'multipart/form-data; boundary="{boundary}"', raw).form == {"a": "1"}


WHOLE = multipart(FIELD, FILE)


@pytest.mark.parametrize("length", range(1, len(WHOLE) - 4))
def test_a_truncated_multipart_body_is_a_bad_body(length: int) -> None:
    with pytest.raises(BadBody):
        parse_body("multipart/form-data; boundary=b", WHOLE[:length])


@pytest.mark.parametrize(
    ("content_type", "raw", "complaint"),
    [
        ("multipart/form-data", WHOLE, "no boundary"),
        ("multipart/form-data; boundary=c", WHOLE, "cannot be read"),
        ("multipart/form-data; boundary=b", b"hello", "cannot be read"),
        ("multipart/form-data; boundary=b", b"--b\r\nno colon\r\n\r\n", "cannot be read"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"a: b\r\n" * 10**5, "cannot be read"),
        ("multipart/form-data; boundary=b", multipart(FIELD, end=b"\r\n"), "ends before"),
        ("multipart/form-data; boundary=b", multipart(*[FIELD] * (FORM_FIELDS_MAX + 1)), "more than 1000 fields"),
        ("multipart/form-data; boundary=b", multipart(*[FILE] * (FORM_FIELDS_MAX + 1)), "more than 1000 fields"),
        ("multipart/form-data; boundary=b", multipart(FIELD, FIELD.replace(b'"a"', b'"a[b]"')), "once a value"),
    ],
)
def test_a_wrong_multipart_body_is_a_bad_body(content_type: str, raw: bytes, complaint: str) -> None:
    with pytest.raises(BadBody, match=complaint):
        parse_body(content_type, raw)


@given(
    st.binary(max_size=1000),
    st.sampled_from(["gzip", "x-gzip", "GZIP", "identity, gzip", "deflate", "gzip, gzip", "identity", ""]),
)
def test_an_encoded_body_comes_out_as_it_went_in(raw: bytes, encoding: str) -> None:
    packed = raw
    for coding in encoding.lower().split(", "):
        packed = (
            gzip.compress(packed)
            if coding.endswith("gzip")
            else zlib.compress(packed)
            if coding == "deflate"
            else packed
        )
    assert inflate(encoding, packed, 2000) == raw


@given(st.binary(max_size=100), st.text(max_size=20) | st.sampled_from(["gzip", "deflate", "gzip,deflate"]))
def test_any_encoding_and_bytes_come_out_or_are_a_bad_body(raw: bytes, encoding: str) -> None:
    found = tried(lambda: inflate(encoding, raw, 1000))
    assert isinstance(found, BadBody) or len(found) <= 1000


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_bomb_is_refused_before_it_is_unpacked(encoding: str) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    for _ in encoding.split(",")[1:]:
        bomb = gzip.compress(bomb)
    begin = time.perf_counter()
    with pytest.raises(BadBody, match="larger than 100000 bytes when unpacked") as refused:
        inflate(encoding, bomb, 100_000)
    assert refused.value.kind == "too_large"
    assert time.perf_counter() - begin < 0.5


@pytest.mark.parametrize(
    ("encoding", "raw", "complaint", "kind"),
    [
        ("gzip", b"hello", "not what its Content-Encoding says", "invalid"),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-1], "ends too early", "invalid"),
        ("gzip", b"", "ends too early", "invalid"),
        ("br", b"hello", "'br' is not supported", "unsupported_media_type"),
        ("gzip, br", b"hello", "'br' is not supported", "unsupported_media_type"),
    ],
)
def test_a_wrong_encoding_says_what_is_wrong(encoding: str, raw: bytes, complaint: str, kind: str) -> None:
    with pytest.raises(BadBody, match=complaint) as refused:
        inflate(encoding, raw, 1000)
    assert refused.value.kind == kind


def test_a_body_exactly_as_large_as_is_allowed_is_let_in() -> None:
    assert len(inflate("gzip", gzip.compress(bytes(1000)), 1000)) == 1000
