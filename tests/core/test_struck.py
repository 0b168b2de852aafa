"""What faults do before a request is heard, and after it is done."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.damage import SILENT
from tests.core.world import Answer, World

KEY = {"Idempotency-Key": "k"}
SERVICE: dict[str, Any] = {
    "idempotency": "ietf",
    "resources": {"order": {"id": "o_{{ ordinal }}"}},
    "operations": {"POST /orders": {"create": "order"}, "GET /orders": {"list": "order", "page": {"size": 2}}},
}


def world(*faults: dict[str, Any], **more: Any) -> World:
    return World({**SERVICE, "faults": [{"name": f"f{i}", **fault} for i, fault in enumerate(faults)], **more})


def post(world: World) -> Answer:
    return world.send("POST", "/orders", {}, headers=KEY)


def test_at_arrival_nothing_happens() -> None:
    here = world({"error": {"status": 503}, "when": {"requests": 1}})
    assert (post(here).status, here.stored()) == (503, [])
    assert (post(here).status, len(here.stored())) == (201, 1)


@pytest.mark.parametrize("effect", [{"error": {"status": 503}}, {"connection": "reset"}, {"body": "malformed"}])
def test_at_the_reply_all_has_happened_and_the_true_reply_is_remembered(effect: dict[str, Any]) -> None:
    here = world({**effect, "at": "reply", "when": {"requests": 1}})
    lost = post(here)
    assert (lost.body != b'{"id":"o_1"}', len(here.stored())) == (True, 1)
    again = post(here)
    assert (again.status, again.json, again.header("Idempotent-Replayed")) == (201, {"id": "o_1"}, "true")


def test_a_connection_that_ends_has_no_reply() -> None:
    decision = world({"connection": "close"}).decide("POST", "/orders", {})
    assert (decision.reply, [damage.kind for damage in decision.damages]) == (SILENT, ["close"])


def test_faults_come_before_credentials_and_a_token_that_expires_stays_expired() -> None:
    oauth = {"oauth2": {"clients": {"demo": {"secret": "s"}}}}
    here = world({"operation": "POST /orders", "tokens": "expire", "when": {"requests": 2}}, auth={"o": oauth})
    form = b"grant_type=client_credentials&client_id=demo&client_secret=s"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = here.send("POST", "/oauth/token", raw=form, headers=kind).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answers = [here.send("POST", "/orders", {}, headers=headers) for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 401, 401]
    assert 'error="invalid_token"' in (answers[1].header("WWW-Authenticate") or "")
    refused = world({"error": {"status": 503}}, auth={"o": oauth})
    assert refused.send("POST", "/orders", {}).status == 503


def test_a_jump_of_the_clock_is_the_shells() -> None:
    assert world({"clock": {"jump": "-5m"}}).decide("POST", "/orders", {}).jump_ms == -300_000


def test_a_page_suffers_and_no_record_is_lost() -> None:
    here = world({"operation": "GET /orders", "pages": "missing", "when": {"requests": 1}})
    for _ in range(2):
        here.send("POST", "/orders", {})
    pages = [here.send("GET", "/orders").json["items"] for _ in range(2)]
    assert [len(page) for page in pages] == [1, 2]


def test_an_endpoint_of_the_schemes_can_be_struck_too() -> None:
    oauth = {"oauth2": {"clients": {"demo": {"secret": "s"}}}}
    here = world({"operation": "POST /oauth/token", "error": {"status": 500}}, auth={"o": oauth})
    assert here.send("POST", "/oauth/token", raw=b"grant_type=client_credentials").status == 500


def test_a_token_is_taken_back_even_where_the_connection_ends() -> None:
    oauth = {"oauth2": {"clients": {"demo": {"secret": "s"}}}}
    fault = {"operation": "POST /orders", "tokens": "revoke", "connection": "reset", "when": {"requests": 1}}
    here = world(fault, auth={"o": oauth})
    form = b"grant_type=client_credentials&client_id=demo&client_secret=s"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = here.send("POST", "/oauth/token", raw=form, headers=kind).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert [here.send("POST", "/orders", {}, headers=headers).status for _ in range(2)] == [0, 401]


def test_a_token_is_taken_back_behind_the_reply() -> None:
    oauth = {"oauth2": {"clients": {"demo": {"secret": "s"}}}}
    fault = {"operation": "POST /orders", "at": "reply", "tokens": "expire", "when": {"requests": 1}}
    here = world(fault, auth={"o": oauth})
    form = b"grant_type=client_credentials&client_id=demo&client_secret=s"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = here.send("POST", "/oauth/token", raw=form, headers=kind).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert [here.send("POST", "/orders", {}, headers=headers).status for _ in range(2)] == [201, 401]
