"""Each named envelope as its vendor shows it."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.profiles.envelopes import ENVELOPES
from tests.core.world import Answer, World

GUESSES = {"type": "card_error", "param": "amount", "field": "amount", "target": "amount"}
CARD = {"status": 402, "code": "card_declined", "message": "No.", "details": GUESSES}
RULES = [
    {"when": "{{ query.say == 'card' }}", "error": CARD},
    {"when": "{{ query.say == 'down' }}", "error": {"status": 503, "code": 20503, "message": "Later."}},
    {"when": "{{ query.say == 'slow' }}", "error": {"status": 429, "code": "slow_down", "message": "Wait."}},
]
ANTHROPIC = [("slow", "rate_limit_error"), ("down", "api_error"), ("", "not_found_error")]
GOOGLE = [("slow", "RESOURCE_EXHAUSTED"), ("down", "UNAVAILABLE"), ("", "NOT_FOUND"), ("card", "UNKNOWN")]


def ask(envelope: Any, say: str) -> Answer:
    operations = {"GET /a": {"refuse": RULES, "reply": {"body": 1}}, "GET /b/{id}": {"read": "b"}}
    world = World({"errors": {"envelope": envelope}, "resources": {"b": {}}, "operations": operations})
    return world.send("GET", f"/a?say={say}" if say else "/b/x")


def shape(envelope: str, say: str) -> Any:
    return ask(envelope, say).json


def test_stripes_has_type_code_message_and_param() -> None:
    error = {"type": "card_error", "code": "card_declined", "message": "No.", "param": "amount"}
    assert shape("stripe", "card") == {"error": error}
    assert shape("stripe", "down")["error"]["type"] == "api_error"
    assert shape("stripe", "")["error"]["type"] == "invalid_request_error"


def test_openais_names_what_is_absent_null() -> None:
    assert shape("openai", "slow")["error"] == {
        "message": "Wait.",
        "type": "invalid_request_error",
        "param": None,
        "code": "slow_down",
    }


@pytest.mark.parametrize(("say", "type_"), ANTHROPIC)
def test_anthropics_type_follows_the_status(say: str, type_: str) -> None:
    told = shape("anthropic", say)
    assert (told["type"], told["error"]["type"]) == ("error", type_)
    assert "request_id" in told


def test_githubs_status_is_a_text() -> None:
    told = shape("github", "slow")
    assert (told["message"], told["status"]) == ("Wait.", "429")
    assert told["documentation_url"].startswith("https://")


@pytest.mark.parametrize(("say", "status"), GOOGLE)
def test_googles_has_the_status_by_name_and_an_error_info(say: str, status: str) -> None:
    error = shape("google", say)["error"]
    assert error["status"] == status
    assert isinstance(error["code"], int)
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"


def test_azures_code_stands_in_a_header_too() -> None:
    answer = ask("azure", "card")
    assert answer.json["error"] == {"code": "card_declined", "message": "No.", "target": "amount"}
    assert answer.header("x-ms-error-code") == "card_declined"


def test_twilios_is_flat_with_a_number_and_more_info() -> None:
    more = "https://www.twilio.com/docs/errors/20503"
    assert shape("twilio", "down") == {"code": 20503, "message": "Later.", "more_info": more, "status": 503}


def test_squares_is_a_list_with_category_and_field() -> None:
    (error,) = shape("square", "card")["errors"]
    assert error == {"category": "INVALID_REQUEST_ERROR", "code": "CARD_DECLINED", "detail": "No.", "field": "amount"}
    assert shape("square", "slow")["errors"][0]["category"] == "RATE_LIMIT_ERROR"


def test_slacks_is_a_200_that_is_not_ok() -> None:
    answer = ask("slack", "slow")
    assert (answer.status, answer.json) == (200, {"ok": False, "error": "slow_down"})


def test_oauths_is_flat() -> None:
    assert shape("oauth", "card") == {"error": "card_declined", "error_description": "No."}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("say", ["card", "down", "slow", ""])
def test_every_envelope_fits_every_error(envelope: str, say: str) -> None:
    answer = ask(envelope, say)
    assert answer.decision.template_error is None
    assert answer.status in (200, 402, 404, 429, 503)
