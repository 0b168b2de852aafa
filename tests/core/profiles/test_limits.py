"""Each named dialect of limits as its vendor shows it, on an answer that was admitted and on one that was not."""

from __future__ import annotations

from typing import Any

import http_sf
import pytest

from simulator.core.profiles.limits import DIALECTS
from tests.core.world import START_MS, Answer, World

EPOCH_S = START_MS // 1000
OURS = ("content-type",)
Pairs = list[tuple[str, str]]


def asked(dialect: str, envelope: str = "problem", times: int = 3, **limit: Any) -> list[Answer]:
    """The answers to so many requests under a limit of two in a minute, on which it is 15 s past the hour."""
    given = {"name": "core", "window": "2/m", "announce": dialect, **limit}
    operations = {"POST /jobs": {"reply": {"body": 1}}}
    world = World({"errors": {"envelope": envelope}, "limits": [given], "operations": operations})
    world.move(15_000)
    return [world.begin("POST", "/jobs", {"n": 7}, id=f"req_{n}") for n in range(times)]


def told(answer: Answer) -> Pairs:
    """All header fields of the reply but its content type."""
    pairs = [(name.decode(), value.decode()) for name, value in answer.decision.reply.headers]
    return [(name, value) for name, value in pairs if name.lower() not in OURS]


def first(dialect: str, **limit: Any) -> Pairs:
    return told(asked(dialect, times=1, **limit)[0])


def refused(dialect: str, envelope: str = "problem", **limit: Any) -> Answer:
    return asked(dialect, envelope, **limit)[-1]


def test_none_tells_nothing_but_how_long_to_wait() -> None:
    assert first("none") == []
    assert told(refused("none")) == [("Retry-After", "45")]


def test_the_ietfs_newest() -> None:
    assert first("ietf") == [("RateLimit-Policy", '"core";q=2;w=60'), ("RateLimit", '"core";r=1;t=45')]
    assert told(refused("ietf"))[1:] == [("RateLimit-Policy", '"core";q=2;w=60'), ("RateLimit", '"core";r=0;t=45')]
    assert dict(first("ietf", count="bytes"))["RateLimit-Policy"] == '"core";q=2;w=60;qu="content-bytes"'


def test_the_ietfs_for_concurrency_has_no_window_and_no_time() -> None:
    fields = dict(first("ietf", window=None, concurrency=8))
    assert fields == {"RateLimit-Policy": '"core";q=8;qu="concurrent-requests"', "RateLimit": '"core";r=7'}


def test_the_ietfs_older_three() -> None:
    expected = {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "1",
        "RateLimit-Reset": "45",
        "RateLimit-Policy": "2;w=60",
    }
    assert dict(first("ietf-06")) == expected


def test_the_ietfs_between() -> None:
    fields = dict(first("ietf-07"))
    assert fields == {"RateLimit": "limit=2, remaining=1, reset=45", "RateLimit-Policy": "2;w=60"}
    standing: Any = http_sf.parse(fields["RateLimit"].encode(), tltype="dictionary")
    assert standing == {"limit": (2, {}), "remaining": (1, {}), "reset": (45, {})}
    assert http_sf.parse(fields["RateLimit-Policy"].encode(), tltype="list") == [(2, {"w": 60})]
    assert dict(first("ietf-07", window=None, concurrency=8))["RateLimit"] == "limit=8, remaining=7"


def test_the_legacy_three_by_seconds_and_by_epoch() -> None:
    three = [("X-RateLimit-Limit", "2"), ("X-RateLimit-Remaining", "1")]
    assert first("x-ratelimit") == [*three, ("X-RateLimit-Reset", "45")]
    assert first("x-ratelimit-epoch") == [*three, ("X-RateLimit-Reset", str(EPOCH_S + 60))]


def test_githubs_primary_is_a_403_without_retry_after() -> None:
    answer = refused("github", "github")
    assert answer.status == 403
    assert told(answer) == [
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", str(EPOCH_S + 60)),
        ("x-ratelimit-used", "2"),
        ("x-ratelimit-resource", "core"),
    ]
    assert answer.json["message"] == "API rate limit exceeded for 192.0.2.1."
    assert answer.json["documentation_url"].startswith("https://docs.github.com/rest/")


def test_githubs_secondary_is_known_by_its_sentence() -> None:
    answer = refused("github-secondary", "github")
    assert (answer.status, told(answer)) == (403, [("Retry-After", "45")])
    assert "secondary rate" in answer.json["message"]
    assert answer.json["status"] == "403"


def test_openais_are_durations_under_the_limits_name() -> None:
    answer = refused("openai", "openai", name="requests")
    assert told(answer) == [
        ("retry-after", "45"),
        ("retry-after-ms", "45000"),
        ("x-ratelimit-limit-requests", "2"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "45s"),
    ]
    error = answer.json["error"]
    assert (answer.status, error["code"], error["type"]) == (429, "rate_limit_exceeded", "requests")
    assert error["message"] == (
        "Rate limit reached on requests: Limit 2, Used 2, Requested 1. Please try again in 45s."
    )
    assert first("openai", quota="2/h", window=None)[-1] == ("x-ratelimit-reset-core", "59m45s")


def test_anthropics_are_timestamps_under_the_limits_name() -> None:
    answer = refused("anthropic", "anthropic", name="tokens", window="10/m", count="{{ body.n }}")
    assert told(answer) == [
        ("retry-after", "45"),
        ("anthropic-ratelimit-tokens-limit", "10"),
        ("anthropic-ratelimit-tokens-remaining", "3"),
        ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:01:00Z"),
    ]
    assert answer.json["error"]["type"] == "rate_limit_error"


def test_shopifys_is_used_of_all_and_a_float() -> None:
    answer = refused("shopify", window=None, rate="2/s", burst=2)
    assert (answer.status, answer.json) == (
        429,
        {"errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."},
    )
    assert told(answer) == [("Retry-After", "0.500"), ("X-Shopify-Shop-Api-Call-Limit", "2/2")]


def test_shopifys_graphql_is_a_200_with_what_it_would_cost() -> None:
    answer = refused("shopify-graphql", window=None, rate="2/s", burst=20, count="{{ body.n }}")
    assert (answer.status, told(answer)) == (200, [])
    assert answer.json["errors"] == [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
    assert answer.json["extensions"]["cost"] == {
        "requestedQueryCost": 7,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 20, "currentlyAvailable": 6, "restoreRate": 2},
    }


def test_slacks_is_a_429_though_its_other_errors_are_not() -> None:
    answer = refused("slack", "slack")
    assert (answer.status, answer.json) == (429, {"ok": False, "error": "ratelimited"})
    assert told(answer) == [("Retry-After", "45")]


def test_twilios_has_a_number() -> None:
    answer = refused("twilio", "twilio")
    assert answer.json == {
        "code": 20429,
        "message": "Too Many Requests",
        "more_info": "https://www.twilio.com/docs/errors/20429",
        "status": 429,
    }
    assert (answer.status, told(answer)) == (429, [])


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({}, "global-rate"),
        ({"per": ["client", "operation"]}, "endpoint-rate"),
        ({"window": None, "concurrency": 2}, "global-concurrency"),
        ({"window": None, "concurrency": 2, "per": "operation"}, "endpoint-concurrency"),
    ],
)
def test_stripes_names_its_reason_and_no_time(limit: dict[str, Any], reason: str) -> None:
    answer = refused("stripe", "stripe", **limit)
    assert told(answer) == [("Stripe-Rate-Limited-Reason", reason)]
    error = answer.json["error"]
    assert (answer.status, error["code"], error["type"]) == (429, "rate_limit", "invalid_request_error")


def test_discords_has_fractions_and_a_bucket() -> None:
    answer = refused("discord", per="operation")
    fields = dict(told(answer))
    assert len(fields.pop("X-RateLimit-Bucket")) == 32
    assert fields == {
        "Retry-After": "45",
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": f"{EPOCH_S + 60}.000",
        "X-RateLimit-Reset-After": "45.000",
    }
    assert answer.json == {"message": "You are being rate limited.", "retry_after": 45.0, "global": False}
    everybody = refused("discord")
    assert (everybody.header("X-RateLimit-Global"), everybody.json["global"]) == ("true", True)


def test_replicates_says_it_in_a_sentence() -> None:
    assert refused("replicate").json == {"detail": "Request was throttled. Expected available in 45 seconds."}
    soon = refused("replicate", window=None, rate="1/s", burst=2)
    assert soon.json == {"detail": "Request was throttled. Expected available in 1 second."}


def test_clients_of_azure_and_aws_read_milliseconds() -> None:
    assert told(refused("azure")) == [
        ("Retry-After", "45"), ("retry-after-ms", "45000"), ("x-ms-retry-after-ms", "45000"),
    ]  # fmt: skip
    assert told(refused("aws")) == [("x-amz-retry-after", "45000")]


KINDS: list[dict[str, Any]] = [
    {},
    {"window": None, "rate": "1/s", "burst": 2},
    {"window": "2/m", "style": "sliding"},
    {"window": None, "quota": "2/month"},
    {"window": None, "concurrency": 2},
    {"count": "{{ body.n }}"},  # which is more than the limit ever admits
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("limit", KINDS, ids=repr)
def test_every_dialect_fits_every_limit(dialect: str, limit: dict[str, Any]) -> None:
    *_, last = answers = asked(dialect, **limit)
    assert [answer.decision.template_error for answer in answers] == [None] * len(answers)
    assert last.decision.error == "rate_limited"
    assert last.status in (200, 403, 429)
    assert all(value.strip() and "{" not in value for _, value in told(last))
