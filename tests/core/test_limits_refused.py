"""How a limit refuses is the scenario's to say, and a limit that cannot be is told why when the scenario is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.limits import LimitModel
from tests.core.world import Answer, World, complaints

OPERATIONS: dict[str, Any] = {"GET /jobs": {"reply": {"body": []}}}


def second(limit: dict[str, Any], **more: Any) -> Answer:
    """The answer to the second of two requests."""
    there = World({"operations": OPERATIONS, "limits": [{"rate": "1/s", **limit}], **more})
    there.send("GET", "/jobs")
    return there.send("GET", "/jobs")


def test_a_refusal_may_say_it_in_the_services_own_words() -> None:
    said = {"status": 403, "code": "SLOW", "message": "{{ limit.name }}: wait {{ limit.retry_s }} s"}
    answer = second({"name": "burst", "error": {**said, "headers": {"X-Left": "{{ limit.remaining }}"}}})
    assert (answer.status, answer.json["detail"], answer.json["code"]) == (403, "burst: wait 1 s", "SLOW")
    assert (answer.header("X-Left"), answer.header("Retry-After")) == ("0", "1")


def test_where_the_limit_says_nothing_the_services_errors_do() -> None:
    answer = second({}, errors={"envelope": "stripe", "rate_limited": {"status": 420, "code": "calm_down"}})
    assert (answer.status, answer.json["error"]["code"]) == (420, "calm_down")
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_what_weighs_more_than_the_limit_is_never_told_to_come_back() -> None:
    tokens = {"name": "tokens", "window": "100/m", "count": "{{ query.n | int }}", "retry_after": {"value": "1s"}}
    there = World({"operations": OPERATIONS, "limits": [tokens, {"name": "year", "quota": "1/y"}]})
    there.send("GET", "/jobs")
    answer = there.send("GET", "/jobs?n=101")
    assert (answer.status, answer.header("Retry-After")) == (429, None)
    assert answer.json["detail"] == "The request counts 101, more than the 100 of the limit tokens (100/m)."
    assert answer.json["violated-policies"] == ["tokens", "year"]
    assert (answer.decision.facts["retry_after"], answer.decision.facts["retry_after_ms"]) == ("", None)


def test_a_refusal_may_be_a_whole_reply() -> None:
    whole = {"status": 200, "body": {"ok": False, "left": "{{ limit.remaining }}"}, "headers": {"X-A": "b"}}
    answer = second({"reply": whole}, errors={"envelope": "stripe"})
    assert (answer.status, answer.json) == (200, {"ok": False, "left": 0})
    assert (answer.header("X-A"), answer.header("Retry-After"), answer.decision.error) == ("b", "1", "rate_limited")
    assert second({"reply": {"text": "slow down"}}).status == 429


def test_what_the_limit_says_goes_before_what_its_dialect_does() -> None:
    assert second({"announce": "slack"}).json == {"ok": False, "error": "ratelimited"}
    assert second({"announce": "slack", "error": {"status": 420}}).status == 420
    assert second({"announce": "github-secondary", "reply": {"body": 1}}).json == 1
    assert second({"announce": "stripe"}).header("Retry-After") is None
    assert second({"announce": "stripe", "retry_after": "seconds"}).header("Retry-After") == "1"


def test_of_several_dialects_the_first_that_says_something_is_heard() -> None:
    assert second({"announce": ["x-ratelimit", "stripe", "slack"]}).header("Retry-After") is None
    assert second({"announce": ["github", "twilio"]}).status == 403
    assert second({"announce": ["github", "slack"]}).json == {"ok": False, "error": "ratelimited"}  # a whole reply


def test_a_dialect_of_the_scenarios_own_stands_beside_the_named() -> None:
    answer = second({"announce": [{"headers": {"X-Left": "{{ limit.remaining }}"}}, "x-ratelimit"]})
    assert (answer.header("X-Left"), answer.header("X-RateLimit-Remaining")) == ("0", "0")


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ({}, "limits.0: a limit is one of rate, window, quota or concurrency, such as rate: 10/s"),
        ({"rate": "1/s", "quota": "1/d"}, "limits.0.quota: a limit is one of rate, window, quota or concurrency; make"),
        ({"rate": "10"}, "limits.0.rate: '10' is no rate; write how many, a slash, and a time"),
        ({"window": "1/s", "burst": 2}, "limits.0.burst: burst goes with rate, not with window; take it out"),
        ({"rate": "1/s", "style": "sliding"}, "limits.0.style: style goes with window, not with rate; take it out"),
        ({"concurrency": 1, "free": 304}, "limits.0.free: free goes with rate, window or quota, not with concurrency"),
        ({"rate": "1/s", "delay_most": "5s"}, "limits.0.delay_most: delay_most goes with `over: delay`"),
        ({"rate": "1/s", "error": {}, "reply": {}}, "limits.0.reply: error or reply, not both; take out one of them"),
        ({"rate": "1MB/s"}, "limits.0.rate: 1MB/s counts bytes; add `count: bytes`"),
        ({"rate": "1/d", "burst": 9000}, "limits.0.burst: a burst of 9000 at 1/d takes more than ten years"),
        ({"rate": "1/s", "operations": "PUT *"}, "limits.0.operations.0: no operation 'PUT *'"),
        ({"rate": "1/s", "weights": {"GET /job": 2}}, "did you mean 'GET /jobs'?"),
        ({"rate": "1/s", "per": "clients"}, "limits.0.per.0: no `per` 'clients'; did you mean 'client'?"),
        ({"rate": "1/s", "count": "byte"}, "limits.0.count: no count 'byte'; did you mean 'bytes'?"),
        ({"rate": "1/s", "when": "often"}, "limits.0.when: 'often' is no condition"),
        ({"rate": "1/s", "announce": "itf"}, "limits.0.announce.0: no dialect 'itf'; did you mean 'ietf'?"),
        ({"rate": "1/s", "retry_after": "s"}, "limits.0.retry_after: expected 'seconds', 'float', 'date', 'ms' or"),
        (
            {"rate": "1/s", "error": {"message": "{{ limit.left }}"}},
            "limits.0.error.message: no field of limit: 'left'",
        ),
        ({"rate": "1/s", "reply": {"body": "{{ limit.left }}"}}, "limits.0.reply.body: no field of limit: 'left'"),
    ],
)
def test_a_limit_that_cannot_be_is_complained_of(limit: dict[str, Any], what: str) -> None:
    (said,) = complaints({"limits": [limit], "operations": OPERATIONS})
    assert what in said


def test_two_limits_have_two_names() -> None:
    limits = [{"name": "a", "rate": "1/s"}, {"rate": "1/s"}, {"name": "a", "quota": "1/d"}]
    (said,) = complaints({"limits": limits, "operations": OPERATIONS})
    assert said == "limits.2.name: there is a limit 'a' already; give this one another name"


def test_the_word_for_a_form_is_as_in_the_json_schema_too() -> None:
    schema = LimitModel.model_json_schema()
    assert set(schema["$defs"]["RetryAfterModel"]["properties"]) == {"as", "header", "value", "most"}
