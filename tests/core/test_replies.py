"""Replies say what the scenario says, and nothing that a client sent can break their lines."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.replies import (
    CompiledReply,
    Reply,
    ReplyModel,
    compile_reply,
    header_bytes,
    header_lines,
    json_bytes,
)
from simulator.errors import TemplateError
from tests.core.compiled import JSON, NAMES, scope

JSON_LINE = (b"Content-Type", b"application/json")


def compiled(written: dict[str, Any]) -> CompiledReply:
    place = nowhere()
    made = compile_reply(ReplyModel.model_validate(written), place, NAMES)
    assert not place.complaints, place.complaints
    return made


def rendered(written: dict[str, Any], *defaults: Any, **values: Any) -> Reply:
    return compiled(written).render(scope(**values), *defaults)


def complaints(written: dict[str, Any]) -> list[str]:
    place = nowhere()
    compile_reply(ReplyModel.model_validate(written), place, NAMES)
    return [complaint.what for complaint in place.complaints]


@pytest.mark.parametrize(
    ("written", "reply"),
    [
        ({"body": {"a": "{{ x }}"}}, Reply(200, (JSON_LINE,), b'{"a":5}')),
        ({"status": 202, "body": [1]}, Reply(202, (JSON_LINE,), b"[1]")),
        ({"status": "{{ x + 400 }}", "body": None}, Reply(405, (JSON_LINE,), b"null")),
        ({"status": "{{ y }}", "body": 1}, Reply(404, (JSON_LINE,), b"1")),
        ({"status": "404", "body": 1}, Reply(404, (JSON_LINE,), b"1")),
        ({"text": "a{{ x }}ä"}, Reply(200, ((b"Content-Type", b"text/plain; charset=utf-8"),), "a5ä".encode())),
        ({"text": ""}, Reply(200, ((b"Content-Type", b"text/plain; charset=utf-8"),), b"")),
        ({"bytes": "AAH/"}, Reply(200, ((b"Content-Type", b"application/octet-stream"),), b"\0\1\xff")),
        (
            {"text": "<a/>", "headers": {"content-TYPE": "text/xml"}},
            Reply(200, ((b"content-TYPE", b"text/xml"),), b"<a/>"),
        ),
        ({"body": "{{ body.gone }}"}, Reply(200, (), b"")),
        ({"status": "{{ body.gone }}"}, Reply(200, (), b"")),
        ({"status": 204, "body": {"a": 1}}, Reply(204, (), b"")),
        ({"status": 304, "headers": {"ETag": '"1"'}, "body": 1}, Reply(304, ((b"ETag", b'"1"'),), b"")),
    ],
)
def test_a_reply_is_what_the_scenario_says(written: dict[str, Any], reply: Reply) -> None:
    assert rendered(written, x=5, y="404") == reply


def test_what_the_scenario_does_not_say_is_the_default() -> None:
    assert rendered({}, 201, {"id": 1}) == Reply(201, (JSON_LINE,), b'{"id":1}')
    assert rendered({"status": 202}, 201, {"id": 1}) == Reply(202, (JSON_LINE,), b'{"id":1}')
    assert rendered({}, 204) == Reply(204, (), b"")


@pytest.mark.parametrize("body", [{"ok": True}, {"ok": "{{ x }}"}])
def test_a_constant_body_leaves_the_status_to_the_default(body: Any) -> None:
    assert [rendered({"body": body}, status, x=True).status for status in (200, 201, 204)] == [200, 201, 204]
    assert rendered({"body": body}, 204, x=True).body == b""


def test_a_reply_without_expressions_is_made_once() -> None:
    reply = compiled({"status": 202, "headers": {"A": "b"}, "body": {"a": [1, 2]}})
    assert reply.render({}, 202) is reply.render({}, 201) is reply.fixed
    assert compiled({"status": 202, "body": {"a": "{{ x }}"}}).fixed is None


def test_headers_keep_their_case_and_repeat() -> None:
    headers = {"X-oDD": "{{ x }}", "Set-Cookie": ["a=1", "b={{ x }}", "{{ body.gone }}"], "Retry-After": 5}
    assert rendered({"headers": headers}, x=True).headers == (
        (b"X-oDD", b"true"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=true"),
        (b"Retry-After", b"5"),
    )


@pytest.mark.parametrize("value", [OMIT, None, [], [OMIT]])
def test_a_header_without_a_value_is_not_sent(value: object) -> None:
    assert header_lines(b"A", value, "here") == []


@given(st.text())
def test_no_value_splits_a_header_line(text: str) -> None:
    line = header_bytes(text)
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)
    assert line == line.strip(b" ")


@pytest.mark.parametrize("breaker", ["\r\n", "\r", "\n", "\0", "\x0b", "\x0c", "\x1e", "\x7f"])
def test_what_a_client_sent_cannot_begin_another_header(breaker: str) -> None:
    sent = f"a{breaker}Set-Cookie: admin=1{breaker}{breaker}<html>"
    for written in ({"A": "{{ x }}"}, {"A": "b {{ x }}"}, {"A": ["{{ x }}"]}):
        ((name, value),) = rendered({"headers": written}, x=sent).headers
        assert name == b"A"
        assert value.removeprefix(b"b ").startswith(b"a ")
        assert not set(value) & {0, 10, 11, 12, 13, 30, 127}


@pytest.mark.parametrize(
    ("text", "sent"), [("é", b"\xe9"), ("→", "→".encode()), ("a\tb", b"a\tb"), ("\ud800", b"?"), ("", b"")]
)
def test_a_header_is_latin_1_where_that_is_enough(text: str, sent: bytes) -> None:
    assert header_bytes(text) == sent


@given(JSON)
def test_any_json_is_a_body_and_a_header_and_a_text(x: Any) -> None:
    reply = rendered({"headers": {"A": "{{ x }}"}, "body": {"x": "{{ x }}"}}, x=x)
    assert json.loads(reply.body) == {"x": x}
    assert b"\n" not in b"".join(value for _, value in reply.headers)
    assert isinstance(rendered({"text": "{{ x }}"}, x=x).body, bytes)


@pytest.mark.parametrize(
    "status", [0, 100, 199, 600, -200, 2**70, True, 200.0, "²00", "2000", "9" * 5000, "", "ok", [], {}]
)
def test_a_status_that_no_reply_can_have_fails_at_its_line(status: object) -> None:
    with pytest.raises(TemplateError, match="is no status that a reply can have"):
        rendered({"status": "{{ x }}", "body": 1}, x=status)


@pytest.mark.parametrize("key", ["body", "text", "headers"])
@pytest.mark.parametrize("value", [object(), 2**70, [2**64], {"a": object()}])
def test_what_has_no_form_fails_at_its_line(key: str, value: object) -> None:
    with pytest.raises(TemplateError, match="has no form"):
        rendered({key: {"A": "{{ x }}"} if key == "headers" else "{{ x }}"}, x=value)


def test_json_that_cannot_be_written_fails_at_its_line() -> None:
    with pytest.raises(TemplateError, match="here: this has no form in JSON"):
        json_bytes({"a": "\ud800"}, "here")


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"bytes": "not base64"}, "not base64"),
        ({"bytes": "é"}, "not base64"),
        ({"headers": {"a b": "c"}}, "'a b' is no header name"),
        ({"headers": {"a:": "c"}}, "is no header name"),
        ({"headers": {"": "c"}}, "is no header name"),
        ({"headers": {"a\r\nb": "c"}}, "is no header name"),
        *[
            ({"headers": {name: "1"}}, "written by the server itself")
            for name in ("Content-Length", "DATE", "connection")
        ],
        ({"headers": {"Transfer-Encoding": "chunked"}}, "written by the server itself"),
        ({"headers": {"A": "{{ bdy }}"}}, "no name 'bdy'"),
        ({"status": "{{ bdy }}"}, "no name 'bdy'"),
        ({"body": {"a": 2**70}}, "no form in JSON"),
        ({"text": "{{ bdy }}"}, "no name 'bdy'"),
    ],
)
def test_a_wrong_reply_is_complained_of_when_it_is_loaded(written: dict[str, Any], complaint: str) -> None:
    assert any(complaint in said for said in complaints(written))


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"body": 1, "text": "a"}, "one body, not body and text"),
        ({"bytes": "", "text": "a"}, "one body, not text and bytes"),
        *[({"status": status}, "is no status") for status in (100, 600, "99", "ok")],
        ({"statsu": 200}, "Extra inputs"),
        ({"headers": {"A": None}}, "headers"),
    ],
)
def test_a_reply_that_cannot_be_is_refused(written: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ReplyModel.model_validate(written)


@given(st.binary())
def test_bytes_are_sent_as_they_are(raw: bytes) -> None:
    assert rendered({"bytes": base64.b64encode(raw).decode()}).body == raw


def test_a_reply_lists_its_values() -> None:
    reply = compiled({"status": "{{ x }}", "headers": {"A": "{{ y }}"}, "body": "{{ body }}"})
    assert [sorted(value.used) for value in reply.values] == [["x"], ["y"], ["body"]]
    assert not reply.has_type
