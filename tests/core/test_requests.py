"""A request as templates see it: parsed when asked, omitting what was not sent."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.bodies import BadBody
from simulator.core.helpers import shown
from simulator.core.omit import OMIT
from simulator.core.requests import QUERY_FIELDS_MAX, Headers, Request, parse_query
from simulator.core.templates import REQUEST_FIELDS


def request(raw: bytes = b"", query: bytes = b"", **headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request("POST", "/jobs/1", query, sent, raw, "http://a.test", "req_1", {"id": "1"})


@pytest.mark.parametrize("name", ["X-Tenant", "x-tenant", "x_tenant", "X_TENANT"])
def test_a_header_is_found_in_any_case_and_with_underscores(name: str) -> None:
    assert Headers([(b"X-Tenant", b"a")]).template_field(name) == "a"


def test_a_header_that_has_underscores_itself_comes_first() -> None:
    assert Headers([(b"x-tenant", b"a"), (b"x_tenant", b"b")]).template_field("x_tenant") == "b"


def test_a_header_not_sent_is_omitted_and_an_empty_one_is_empty() -> None:
    headers = Headers([(b"Empty", b"")])
    assert headers.template_field("gone") is OMIT
    assert headers.template_field("empty") == ""
    assert (headers.get("gone"), headers.get("empty")) == (None, "")


def test_repeated_headers_are_joined_in_their_order() -> None:
    headers = Headers([(b"Accept", b"a"), (b"ACCEPT", b"b"), (b"accept", b"c")])
    assert headers.get("accept") == "a, b, c"
    assert headers.template_json() == {"accept": "a, b, c"}


@given(st.lists(st.tuples(st.binary(min_size=1), st.binary())))
def test_any_bytes_in_headers_can_be_looked_at(raw: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(raw)
    for name, value in raw:
        assert value.decode("latin-1") in str(headers.template_field(name.decode("latin-1")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("method", "POST"), ("path", "/jobs/1"), ("query", {"a": "1"})],
        *[("body", {"b": 2}), ("form", {}), ("files", {})],
        *[("raw", '{"b":2}'), ("text", '{"b":2}'), ("url", "http://a.test/jobs/1?a=1"), ("id", "req_1")],
    ],
)
def test_a_request_shows_its_fields(field: str, value: object) -> None:
    assert request(b'{"b":2}', b"a=1").template_field(field) == value


def test_a_request_shows_the_fields_that_names_are_checked_against() -> None:
    assert {name for name in REQUEST_FIELDS if request().template_field(name) is OMIT} == {"body"}


@pytest.mark.parametrize("name", ["base", "params", "parsed", "raw_headers", "__class__", "template_json", ""])
def test_a_request_shows_nothing_else(name: str) -> None:
    assert request().template_field(name) is OMIT


def test_a_request_shown_whole_is_json_without_a_trace_of_python() -> None:
    whole = json.loads(shown(request(b'{"b":2}', b"a=1", x_a="b")))
    assert whole == {
        "id": "req_1",
        "method": "POST",
        "path": "/jobs/1",
        "query": {"a": "1"},
        "headers": {"x-a": "b"},
        "body": {"b": 2},
    }


def test_a_body_is_read_once_and_only_when_asked() -> None:
    sent = request(b"{", content_type="application/json")
    assert sent.method == "POST"
    with pytest.raises(BadBody):
        sent.body  # noqa: B018 - the look is what is tried
    good = request(b"[1]")
    assert good.body is good.body


def test_a_form_is_both_body_and_form() -> None:
    sent = request(b"a=1&a=2", content_type="application/x-www-form-urlencoded")
    assert sent.template_field("body") == sent.template_field("form") == {"a": "2"}


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are() -> None:
    assert request(b"a\xff", content_type="image/png").template_field("raw") == "a�"


def test_a_request_without_query_has_no_question_mark() -> None:
    assert request().template_field("url") == "http://a.test/jobs/1"
    assert request(query=b"x=\xff").template_field("url") == "http://a.test/jobs/1?x=ÿ"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(st.dictionaries(TEXTS, TEXTS))
def test_a_query_is_read_as_it_was_written(query: dict[str, str]) -> None:
    assert parse_query(urlencode(query).encode()) == query


@given(st.binary(max_size=200))
def test_any_query_can_be_read(raw: bytes) -> None:
    assert orjson.dumps(parse_query(raw))


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        *[(b"a=1&a=2", {"a": "2"}), (b"a", {"a": ""}), (b"a=%ff", {"a": "�"}), (b"a=1;b=2", {"a": "1;b=2"})],
        *[(b"", {}), (b"a=b=c", {"a": "b=c"}), (b"&&", {})],
    ],
)
def test_an_odd_query_is_read_as_well_as_it_can_be(raw: bytes, query: dict[str, str]) -> None:
    assert parse_query(raw) == query


def test_no_more_than_a_thousand_names_of_a_query_are_looked_at() -> None:
    assert len(parse_query(b"&".join(b"a%d=1" % n for n in range(QUERY_FIELDS_MAX + 10)))) == QUERY_FIELDS_MAX
