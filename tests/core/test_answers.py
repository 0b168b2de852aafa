"""What a fault answers itself: in the service's envelope, literally, or by sending the client elsewhere."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from simulator.core.answers import FaultErrorModel, RedirectModel, answer_error, answer_redirect, answer_reply
from simulator.core.clock import http_date
from simulator.core.places import nowhere
from simulator.core.refusals import ErrorsModel, Refused, compile_errors
from simulator.core.replies import Reply, ReplyModel
from simulator.core.turns import Turn
from tests.core.faulted import NAMES, Sick, turn_of
from tests.core.world import START_MS


def turn() -> Turn:
    return turn_of(Sick(), "POST /jobs", body={"a": 1}, path="/jobs", query=b"x=1")


def refused(error: Any, at: Turn | None = None) -> Refused:
    place, here = nowhere(), at or turn()
    given = error if isinstance(error, str) else FaultErrorModel.model_validate(error)
    answer = answer_error(given, place, NAMES)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    with pytest.raises(Refused) as caught:
        answer(here, here.scope())
    return caught.value


def replied(error: Any, **errors: Any) -> Reply:
    refusals = compile_errors(ErrorsModel.model_validate(errors), nowhere())
    return refusals.reply(refused(error), turn().scope(), "req_1")


def test_an_error_has_the_services_envelope() -> None:
    reply = replied({"status": 503, "code": "DOWN"}, envelope={"error": {"code": "{{ error.code }}"}})
    assert (reply.status, reply.body) == (503, b'{"error":{"code":"DOWN"}}')


def test_a_kind_is_answered_as_the_service_answers_it() -> None:
    said = {"status": 529, "code": "overloaded"}
    for error in ("unavailable", {"kind": "unavailable"}, {}, {"retry_after": "2s"}):
        reply = replied(error, unavailable=said)
        assert (reply.status, orjson.loads(reply.body)["code"]) == (529, "overloaded")


@pytest.mark.parametrize(
    ("status", "kind", "code", "detail"),
    [
        (503, "unavailable", "unavailable", "Not available at the moment."),
        (429, "rate_limited", "rate_limited", "Too many requests."),
        (401, "unauthorized", "unauthorized", "Valid credentials are required."),
        (500, "unavailable", "internal_server_error", "Internal Server Error."),
        (502, "unavailable", "bad_gateway", "Bad Gateway."),
        (504, "unavailable", "gateway_timeout", "Gateway Timeout."),
        (599, "unavailable", "unavailable", "Not available at the moment."),
    ],
)
def test_a_status_alone_has_a_code_and_a_sentence(status: int, kind: str, code: str, detail: str) -> None:
    error = refused({"status": status})
    assert error.error is not None
    assert (error.kind, error.error.status, error.error.code, error.detail) == (kind, status, code, detail)


def test_an_error_says_its_own_words() -> None:
    error = {"status": 500, "code": 7, "message": "{{ body.a }} failed", "headers": {"X-A": "{{ query.x }}"}}
    reply = replied({**error, "details": {"hint": "{{ request.method }}"}})
    assert orjson.loads(reply.body) | {"code": 7, "detail": "1 failed", "hint": "POST"} == orjson.loads(reply.body)
    assert (b"X-A", b"1") in reply.headers


@pytest.mark.parametrize(
    ("wait", "line", "ms"),
    [
        ("2s", (b"Retry-After", b"2"), 2000),
        ("1500ms", (b"Retry-After", b"2"), 2000),
        ({"value": "90s"}, (b"Retry-After", b"90"), 90_000),
        ({"value": "1500ms", "as": "float"}, (b"Retry-After", b"1.500"), 1500),
        ({"value": "1500ms", "as": "ms"}, (b"retry-after-ms", b"1500"), 1500),
        ({"value": "2s", "as": "date"}, (b"Retry-After", http_date(START_MS // 1000 + 2).encode()), 2000),
    ],
)
def test_the_wait_is_sent_and_noted_as_it_was_sent(wait: Any, line: tuple[bytes, bytes], ms: int) -> None:
    here = turn()
    assert refused({"status": 503, "retry_after": wait}, here).headers == (line,)
    assert (here.facts["retry_after"], here.facts["retry_after_ms"]) == (line[1].decode(), ms)


@pytest.mark.parametrize("error", [{"status": 503}, {"status": 503, "retry_after": None}])
def test_without_a_wait_nothing_is_said_of_one(error: dict[str, Any]) -> None:
    here = turn()
    assert refused(error, here).headers == ()
    assert "retry_after" not in here.facts


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ({"kind": "unavailable", "status": 503}, "kind takes what `errors` says for 'unavailable'"),
        ({"status": 200}, "greater than or equal to 400"),
        ({"retry_after": "0s"}, "'0s' is no wait"),
        ({"retry_after": "soon"}, "'soon' is no duration"),
        ({"retry_after": 2}, "2 is no duration"),
        ({"retry_after": {"value": "0s"}}, "'0s' is no wait"),
        ({"retry_after": {"as": "date"}}, "value"),
    ],
)
def test_an_error_that_cannot_be_is_told(error: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FaultErrorModel.model_validate(error)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("error", "where"), [("unavailabel", "error"), (FaultErrorModel(kind="unavailabel"), "error.kind")]
)
def test_an_unknown_kind_is_told_with_the_nearest(error: Any, where: str) -> None:
    place = nowhere()
    answer_error(error, place / "error", NAMES)
    assert place.complaints[0].what.startswith(f"{where}: no kind of error 'unavailabel'; did you mean 'unavailable'?")


def test_a_reply_is_literal() -> None:
    model = ReplyModel.model_validate({"status": 502, "text": "<h1>{{ body.a }}</h1>"})
    here = turn()
    reply = answer_reply(model, nowhere(), NAMES)(here, here.scope())
    assert reply == Reply(502, ((b"Content-Type", b"text/plain; charset=utf-8"),), b"<h1>1</h1>")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_anywhere(status: Any) -> None:
    here = turn()
    model = RedirectModel(status=status, to="https://other.test{{ request.path }}?{{ query.x }}")
    reply = answer_redirect(model, nowhere(), NAMES)(here, here.scope())
    assert reply == Reply(status, ((b"Location", b"https://other.test/jobs?1"),), b"")


def test_what_a_client_sent_does_not_break_the_line() -> None:
    here = turn_of(Sick(), "POST /jobs", body={"to": "x\r\nSet-Cookie: a"})
    reply = answer_redirect(RedirectModel(to="/{{ body.to }}"), nowhere(), NAMES)(here, here.scope())
    assert reply.headers == ((b"Location", b"/x  Set-Cookie: a"),)
