"""A refusal is RFC 9457 unless the scenario has its own envelope, and then it is that."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.places import nowhere
from simulator.core.refusals import ERROR_FIELDS, KINDS, TYPES, ErrorsModel, Refusals, Refused, compile_errors
from simulator.core.replies import Reply
from simulator.core.requests import Request
from simulator.errors import TemplateError
from tests.core.compiled import scope


def compiled(written: dict[str, Any]) -> Refusals:
    place = nowhere()
    made = compile_errors(ErrorsModel.model_validate(written), place)
    assert not place.complaints, place.complaints
    return made


def refused(written: dict[str, Any], kind: str = "not_found", members: dict[str, Any] | None = None) -> Reply:
    request = Request("GET", "/a", b"", [(b"x-a", b"b")], b"", "http://a.test", "req_1")
    return compiled(written).reply(Refused(kind, "No such job.", members), scope(request=request), "req_1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_problem_by_default(kind: str) -> None:
    reply = refused({}, kind)
    body = json.loads(reply.body)
    assert reply.headers == ((b"Content-Type", b"application/problem+json"),)
    assert body["type"] == TYPES.get(kind, "about:blank")
    assert body["status"] == reply.status == KINDS[kind].status
    assert body["title"] == HTTPStatus(reply.status).phrase
    assert (body["detail"], body["code"]) == ("No such job.", kind)


def test_every_kind_can_be_changed_and_has_a_plain_status() -> None:
    assert set(KINDS) == set(ErrorsModel.model_fields) - {"envelope", "content_type"}
    assert all(400 <= kind.status <= 599 and kind.title for kind in KINDS.values())


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(sorted(KINDS)))
def test_any_sentence_can_be_told(detail: str, kind: str) -> None:
    body = json.loads(compiled({}).reply(Refused(kind, detail), {}).body)
    assert body["detail"] == detail


def test_a_problem_carries_what_the_refusal_brings() -> None:
    reply = compiled({}).reply(
        Refused("invalid", "No.", {"errors": [{"field": "a"}]}, ((b"Allow", b"GET"),)), {}, "req_1"
    )
    assert json.loads(reply.body)["errors"] == [{"field": "a"}]
    assert (b"Allow", b"GET") in reply.headers


def test_status_code_message_headers_and_details_can_be_changed() -> None:
    changed = {
        "status": 410,
        "code": 4711,
        "message": "Gone: {{ error.detail }}",
        "headers": {"X-Code": "{{ error.code }}", "Retry-After": 5},
        "details": {"doc_url": "{{ base_url }}/errors/{{ error.code }}", "gone": "{{ omit }}"},
    }
    reply = refused({"not_found": changed})
    assert json.loads(reply.body) == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "Gone: No such job.",
        "code": 4711,
        "doc_url": "http://a.test/errors/4711",
    }
    assert reply.status == 410
    assert reply.headers[1:] == ((b"X-Code", b"4711"), (b"Retry-After", b"5"))


def test_a_status_that_http_does_not_know_has_the_kinds_title() -> None:
    assert json.loads(refused({"not_found": {"status": 499}}).body)["title"] == KINDS["not_found"].title


def test_a_details_type_is_the_problems_type() -> None:
    written = {"not_found": {"details": {"type": "https://a.test/not-found"}}}
    assert json.loads(refused(written).body)["type"] == "https://a.test/not-found"


def test_an_envelope_of_its_own_replaces_the_problem() -> None:
    written = {
        "envelope": {
            "error": {"code": "{{ error.code }}", "message": "{{ error.message }}", "param": "{{ error.param }}"}
        },
        "not_found": {"code": "NOT_FOUND"},
        "invalid": {"details": {"param": "a"}},
    }
    reply = refused(written)
    assert json.loads(reply.body) == {"error": {"code": "NOT_FOUND", "message": "No such job."}}
    assert reply.headers == ((b"Content-Type", b"application/json"),)
    assert json.loads(refused(written, "invalid").body)["error"]["param"] == "a"


def test_an_envelope_may_use_what_is_everywhere_and_the_request() -> None:
    envelope = {
        "id": "{{ error.request_id }}",
        "at": "{{ now.epoch }}",
        "url": "{{ base_url }}{{ request.path }}",
        "trace": "{{ chance.hex(8) }}",
        "header": "{{ request.headers.x_a }}",
        "near": "{{ error.nearest or omit }}",
    }
    body = json.loads(refused({"envelope": envelope}).body)
    trace = body.pop("trace")
    assert len(trace) == 8
    assert body == {"id": "req_1", "at": 1_767_225_600, "url": "http://a.test/a", "header": "b"}


def test_an_envelope_can_branch_and_repeat() -> None:
    envelope = {
        "messages": {"for": "near", "in": "{{ error.nearest }}", "do": {"text": "{{ near }}", "n": "{{ loop.index }}"}},
        "retry": {"if": "{{ error.status >= 500 }}", "then": True},
    }
    reply = refused({"envelope": envelope}, "no_operation", {"nearest": ["GET /a", "GET /b"]})
    assert json.loads(reply.body) == {"messages": [{"text": "GET /a", "n": 1}, {"text": "GET /b", "n": 2}]}


def test_an_envelope_that_is_a_list_or_one_expression_is_a_body_too() -> None:
    assert json.loads(refused({"envelope": [{"code": "{{ error.code }}"}]}).body) == [{"code": "not_found"}]
    assert json.loads(refused({"envelope": "{{ error.message }}"}).body) == "No such job."


@pytest.mark.parametrize("written", [{}, {"envelope": {"a": 1}}])
def test_the_content_type_can_be_chosen(written: dict[str, Any]) -> None:
    reply = refused({**written, "content_type": "application/vnd.a+json\r\nX: y"})
    assert reply.headers == ((b"Content-Type", b"application/vnd.a+json  X: y"),)


@pytest.mark.parametrize("field", ERROR_FIELDS)
def test_an_envelope_can_name_every_field_of_an_error(field: str) -> None:
    compiled({"envelope": {"a": f"{{{{ error.{field} }}}}"}})


@pytest.mark.parametrize(
    "written",
    [
        {"envelope": {"a": "{{ 1 / 0 }}"}},
        {"not_found": {"message": "{{ 1 / 0 }}"}},
        {"not_found": {"headers": {"A": "{{ 1 / 0 }}"}}},
        {"not_found": {"details": {"a": "{{ 1 / 0 }}"}}},
        {"envelope": {"a": 2**70}},
        {"not_found": {"message": "{{ error.nearest }}"}},
    ],
)
def test_an_envelope_that_fails_says_where(written: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=r"division by zero|has no form"):
        refused(written, members={"nearest": object()})


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"envelope": "strype"}, "no envelope 'strype'; did you mean 'stripe'?"),
        ({"envelope": "problm"}, "did you mean 'problem'?"),
        ({"envelope": {"a": "{{ error.cod }}"}}, "no field of error: 'cod'; did you mean 'code'?"),
        ({"envelope": {"a": "{{ body.a }}"}}, "no name 'body'"),
        ({"not_found": {"message": "{{ eror.code }}"}}, "no name 'eror'; did you mean 'error'?"),
        ({"not_found": {"headers": {"a b": "c"}}}, "is no header name"),
        ({"not_found": {"headers": {"Date": "c"}}}, "written by the server itself"),
        ({"not_found": {"details": {"a": "{{ error.cod }}"}}}, "no field of error: 'cod'"),
    ],
)
def test_a_wrong_envelope_is_complained_of_when_it_is_loaded(written: dict[str, Any], complaint: str) -> None:
    place = nowhere()
    compile_errors(ErrorsModel.model_validate(written), place)
    assert any(complaint in said.what for said in place.complaints), place.complaints


@pytest.mark.parametrize("written", [{"not_fond": {}}, {"not_found": {"status": 200}}, {"not_found": {"status": 600}}])
def test_errors_that_cannot_be_are_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ErrorsModel.model_validate(written)


def test_a_refusal_is_its_sentence() -> None:
    assert str(Refused("invalid", "No.")) == "No."


RFC_9457 = {  # its appendix A, the JSON Schema of problem details; `required` is what we promise
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 100, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
    },
    "required": ["type", "title", "status", "detail"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_problem_is_one_by_the_schema_of_its_rfc(kind: str) -> None:
    problems = jsonschema_rs.Draft202012Validator(RFC_9457, validate_formats=True)
    reply = refused({}, kind)
    problems.validate(json.loads(reply.body))
    assert json.loads(reply.body)["status"] == reply.status
