"""What a signature adds lands where it was meant to, and leaves the rest of the request alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.additions import Additions, Outgoing, sent, with_fields, with_query
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.templates import EVERYWHERE, compile_value
from tests.core.compiled import scope

NAMES = EVERYWHERE.plus("x", "y", "payload", "url", "signature")
URL = "https://a.test/hook?a=1#rc=2"


def additions(**kinds: dict[str, Any]) -> Additions:
    place = nowhere()
    made = {
        kind: tuple((key, compile_value(value, place, NAMES)) for key, value in values.items())
        for kind, values in kinds.items()
    }
    assert not place.complaints
    return Additions(**made)


def outgoing(body: bytes = b"{}", *, odd: bool = False) -> Outgoing:
    return Outgoing(URL, "POST", [(b"X-Own", b"1")], body, odd)


def test_each_kind_sees_what_was_put_in_before_it() -> None:
    out = outgoing()
    kinds = additions(fields={"a": "{{ x }}"}, query={"p": "{{ payload }}"}, headers={"X-Url": "{{ url }}"})
    kinds.put(out, scope(x=1), "here")
    assert out.body == b'{"a":1}'
    assert out.url == "https://a.test/hook?a=1&p=%7B%22a%22%3A1%7D#rc=2"
    assert out.added == [(b"X-Url", b"https://a.test/hook?a=1&p=%7B%22a%22%3A1%7D")]


def test_the_message_is_what_is_sent_with_what_was_added() -> None:
    out = outgoing(b"text")
    additions(headers={"X-New": "2"}).put(out, scope(), "here")
    assert out.message() == ("POST", "https://a.test/hook?a=1", ((b"X-Own", b"1"), (b"X-New", b"2")), b"text")


def test_the_webhooks_own_header_stands_and_no_line_comes_twice() -> None:
    out = outgoing()
    for value in ("2", "2", "3"):
        additions(headers={"x-own": "9", "X-New": value}).put(out, scope(), "here")
    assert out.added == [(b"X-New", b"2"), (b"X-New", b"3")]


def test_omitted_values_add_nothing() -> None:
    out = outgoing()
    kinds = {kind: {"a": "{{ x }}"} for kind in ("fields", "query", "headers")}
    additions(**kinds).put(out, scope(x=OMIT), "here")
    assert (out.body, out.url, out.added) == (b"{}", URL, [])


def test_what_shows_the_signature_comes_in_a_turn_of_its_own() -> None:
    both = additions(headers={"A": "{{ x }}", "B": "s={{ signature }}"}, query={"q": "{{ signature }}"})
    before, after = both.split(frozenset({"signature"}))
    assert [[name for name, _ in kind] for kind in before] == [[], [], ["A"]]
    assert [[name for name, _ in kind] for kind in after] == [[], ["q"], ["B"]]
    assert [sorted(each.used()) for each in (before, after, Additions())] == [["x"], ["signature"], []]


def test_an_odd_body_stays_odd_when_fields_are_set() -> None:
    out = outgoing(b'{"a":1}', odd=True)
    assert out.body != b'{"a":1}'
    additions(fields={"b": "{{ x }}"}).put(out, scope(x="é"), "here")
    assert out.body.isascii()
    assert orjson.loads(out.body) == {"a": 1, "b": "é"}
    assert b" ,\n" in out.body


@given(st.text(min_size=1), st.text(), st.sampled_from(["http://a", "http://a/?", "http://a/b?c=d", "http://a/?x#f"]))
def test_a_parameter_comes_back_from_the_url(name: str, value: str, url: str) -> None:
    made = with_query(url, name, value)
    assert parse_qsl(urlsplit(made).query, keep_blank_values=True, errors="strict")[-1] == (name, value)
    assert made.startswith(sent(url))
    assert urlsplit(made).fragment == urlsplit(url).fragment


@pytest.mark.parametrize(
    ("body", "fields", "made"),
    [
        (b'{"b":1,"a":2}', [("a", 3)], {"b": 1, "a": 3}),
        (b"{}", [("s.t", "1"), ("s.u.v", "2")], {"s": {"t": "1", "u": {"v": "2"}}}),
        (b'{"s":{"k":1}}', [("s.t", 2)], {"s": {"k": 1, "t": 2}}),
        (b'{"s":"text"}', [("s.t", 2)], {"s": {"t": 2}}),
        (b"{}", [("s.t", OMIT)], {}),
    ],
)
def test_fields_are_set_by_dotted_path(body: bytes, fields: list[tuple[str, Any]], made: Any) -> None:
    assert with_fields(body, fields) == orjson.dumps(made)


@pytest.mark.parametrize("body", [b"", b"a=1", b"[]", b"1", b"\xff"])
def test_a_body_that_is_no_object_holds_no_fields(body: bytes) -> None:
    with pytest.raises(ValueError, match="body_fields stand in a JSON object, and the webhook's body is none"):
        with_fields(body, [("a", 1)])
