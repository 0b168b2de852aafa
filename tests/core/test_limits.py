"""`limits:` nobody gets more than the definition, and whoever waits what it was told gets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.core.clock import EPOCH
from simulator.core.limits import LimitModel, Taken, compile_limits, give_back, take
from simulator.core.places import nowhere
from simulator.core.records import LOOSE
from simulator.core.refusals import Refused
from simulator.core.requests import Request
from simulator.core.resources import request_names
from simulator.core.turns import Turn
from tests.core.world import BASE, JSON, START_MS, World

OPERATIONS = {
    "GET /jobs": {"reply": {"body": []}},
    "POST /jobs": {"reply": {"status": 201, "body": {}}},
    "GET /users/{id}": {"read": "user"},
}
LIMITS: list[dict[str, Any]] = [
    {"rate": "3/s", "burst": 4},
    {"rate": "40/m"},
    {"window": "5/2s"},
    {"window": "6/7s", "style": "sliding"},
    {"quota": "9/h"},
    {"rate": "1/s", "weights": {"POST *": 3}, "burst": 3},
    {"window": "4/s", "charge_rejected": True},
    {"rate": "2/s", "burst": 2, "charge_rejected": True},
]
CHOSEN = st.lists(st.sampled_from(LIMITS), min_size=1, max_size=3, unique_by=repr)
GAPS = st.lists(st.tuples(st.integers(0, 2500) | st.just(0), st.sampled_from(["GET", "POST"])), max_size=25)
WAIT_MS: dict[str, Callable[[Any, int], int]] = {
    "seconds": lambda text, _: int(text) * 1000,
    "float": lambda text, _: round(float(text) * 1000),
    "ms": lambda text, _: int(text),
    "date": lambda text, now_ms: (parsedate_to_datetime(text) - EPOCH) // timedelta(milliseconds=1) - now_ms,
}


def world(*limits: Mapping[str, Any], shy: bool = False, **more: Any) -> World:
    return World({"resources": {"user": {}}, "operations": OPERATIONS, "limits": [*limits], **more}, shy=shy)


def ask(there: World, times: int = 1, url: str = "/jobs", **more: Any) -> list[int]:
    """The statuses of so many requests at once."""
    return [there.send("GET", url, **more).status for _ in range(times)]


def turn_of(there: World, client: str = "", address: str = "192.0.2.1", raw: bytes = b"") -> Turn:
    request = Request("POST", "/jobs", b"", [JSON], raw, BASE, "req_1", {}, address)
    turn = Turn(there.services[0], there.look, there.now_ms, 0, "test", BASE, request)
    turn.client = client
    return turn


def taken(there: World, **more: Any) -> Turn:
    """The turn of a request that all limits admit."""
    turn = turn_of(there, **more)
    take(there.services[0].limits, turn, turn.scope(), "POST /jobs", False)
    there.look.commit(turn.changes())
    return turn


def entries(there: World) -> dict[str, Any]:
    return {key: value for key, value in there.look.entries.items() if "limit/" in key}


@settings(max_examples=60)
@given(CHOSEN, GAPS, st.sampled_from([*WAIT_MS]))
def test_a_client_that_waits_what_it_was_told_is_admitted(
    limits: list[dict[str, Any]], gaps: list[tuple[int, str]], form: str
) -> None:
    there = world(*({**limit, "retry_after": {"as": form, "header": "Retry-After"}} for limit in limits))
    for gap_ms, method in gaps:
        there.move(gap_ms)
        answer = there.send(method, "/jobs")
        if answer.status == 429:
            told_ms = WAIT_MS[form](answer.header("Retry-After"), there.now_ms)
            assert told_ms > 0
            assert answer.decision.facts["retry_after_ms"] == told_ms
            there.move(told_ms)
            assert there.send(method, "/jobs").status < 300


@settings(max_examples=60)
@given(CHOSEN, GAPS)
def test_nobody_is_told_to_wait_longer_than_needed(limits: list[dict[str, Any]], gaps: list[tuple[int, str]]) -> None:
    there = world(*({**limit, "retry_after": "ms"} for limit in limits))
    for gap_ms, method in gaps:
        there.move(gap_ms)
        answer = there.send(method, "/jobs")
        if answer.status == 429:
            there.move(int(answer.header("retry-after-ms") or "") - 1)
            assert there.decide(method, "/jobs").reply.status == 429


@settings(max_examples=60)
@given(CHOSEN, GAPS)
def test_the_same_arrivals_get_the_same_answers_in_every_process(
    limits: list[dict[str, Any]], gaps: list[tuple[int, str]]
) -> None:
    one, other = (world(*({**limit, "announce": ["ietf", "x-ratelimit"]} for limit in limits)) for _ in range(2))
    for gap_ms, method in gaps:
        for there in (one, other):
            there.move(gap_ms)
        first, second = (there.send(method, "/jobs").decision for there in (one, other))
        assert (first.reply, first.facts, first.changes) == (second.reply, second.facts, second.changes)
    assert one.look.entries == other.look.entries


@settings(max_examples=60)
@given(CHOSEN, GAPS)
def test_a_refusal_takes_nothing_but_where_refusals_cost(
    limits: list[dict[str, Any]], gaps: list[tuple[int, str]]
) -> None:
    named = [{**limit, "name": f"limit-{index}"} for index, limit in enumerate(limits)]
    there = world(*named)
    costs = [limit["name"] for limit in named if limit.get("charge_rejected")]
    for gap_ms, method in gaps:
        there.move(gap_ms)
        before = entries(there)
        if there.send(method, "/jobs").status == 429:
            changed = [key.split("/")[2] for key, value in entries(there).items() if before.get(key) != value]
            assert set(changed) <= set(costs)


@settings(max_examples=60)
@given(CHOSEN, GAPS, st.integers(0, 10**6))
def test_an_entry_whose_time_has_come_is_as_good_as_none(
    limits: list[dict[str, Any]], gaps: list[tuple[int, str]], later_ms: int
) -> None:
    there, expires_ms = world(*limits), START_MS
    for gap_ms, method in gaps:
        there.move(gap_ms)
        decision = there.send(method, "/jobs").decision
        expires_ms = max([expires_ms, *(entry.expires_ms or 0 for entry in decision.changes.entries)])
    there.now_ms = max(there.now_ms, expires_ms) + later_ms
    left = there.decide("GET", "/jobs")
    there.look.entries.clear()
    assert there.decide("GET", "/jobs") == left


def test_what_is_above_the_limit_gets_429_until_there_is_room() -> None:
    there = world({"name": "burst", "rate": "1/s", "burst": 2})
    assert ask(there, 3) == [200, 200, 429]
    answer = there.send("GET", "/jobs")
    assert answer.header("Retry-After") == "1"
    assert answer.json == {
        "type": answer.json["type"],
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The limit burst (1/s) is reached. Try again in 1 s.",
        "code": "rate_limited",
        "violated-policies": ["burst"],
    }
    assert answer.decision.error == "rate_limited"
    there.move(999)
    assert ask(there) == [429]
    there.move(1)
    assert ask(there, 2) == [200, 429]


def test_the_strictest_answers() -> None:
    there = world(
        {"name": "second", "window": "2/s"},
        {"name": "minute", "window": "2/m", "retry_after": "ms"},
        {"name": "hour", "quota": "9/h"},
    )
    assert ask(there, 2) == [200, 200]
    answer = there.send("GET", "/jobs")
    assert (answer.header("retry-after-ms"), answer.header("Retry-After")) == ("60000", None)
    assert answer.json["violated-policies"] == ["second", "minute"]
    facts = answer.decision.facts
    assert (facts["limit"], facts["limit_remaining"], facts["limit_reset_ms"]) == ("minute", 0, 60_000)
    assert (facts["retry_after"], facts["retry_after_ms"]) == ("60000", 60_000)


def test_the_journal_is_told_of_the_limit_with_the_least_share_left() -> None:
    there = world({"name": "many", "window": "100/s"}, {"name": "few", "window": "4/m", "per": "service"})
    facts = there.send("GET", "/jobs").decision.facts
    assert {key: facts[key] for key in facts if "limit" in key} == {
        "limit": "few",
        "limit_scope": "",
        "limit_remaining": 3,
        "limit_reset_ms": 60_000,
    }
    assert "retry_after" not in facts


def test_headers_go_with_every_reply_errors_included() -> None:
    there = world({"rate": "1/s", "burst": 2, "announce": "x-ratelimit"})
    answers = [there.send("GET", "/users/none"), there.send("GET", "/jobs"), there.send("GET", "/jobs")]
    assert [answer.status for answer in answers] == [404, 200, 429]
    assert [answer.header("X-RateLimit-Remaining") for answer in answers] == ["1", "0", "0"]


def test_each_client_has_its_own_and_without_credentials_each_address() -> None:
    there = world({"window": "1/h"})
    taken(there, client="a")
    taken(there, client="b")
    taken(there, address="192.0.2.1")
    taken(there, address="192.0.2.2")
    for more in ({"client": "a"}, {"client": "b", "address": "192.0.2.9"}, {"address": "192.0.2.1"}):
        with pytest.raises(Refused):
            taken(there, **more)
    scopes = [key.split("/")[-1] for key in entries(there)]
    assert scopes == ["a", "b", "@192.0.2.1", "@192.0.2.2"]
    assert all(key.startswith(f"{LOOSE}limit/shop/window-1/") for key in entries(there))


def test_a_limit_may_be_per_anything() -> None:
    there = world({"window": "1/h", "per": ["{{ headers.x_tenant }}", "operation"]})
    one: dict[str, Any] = {"headers": {"X-Tenant": "one"}}
    other: dict[str, Any] = {"headers": {"X-Tenant": "other"}}
    assert ask(there, 2, **one) + ask(there, 2, **other) == [200, 429, 200, 429]
    assert there.send("POST", "/jobs", **one).status == 201
    assert there.send("POST", "/jobs", **one).decision.facts["limit_scope"] == "one/POST %2Fjobs"


def test_a_limit_may_be_of_some_operations_or_requests_only() -> None:
    posts = world({"window": "1/h", "operations": "POST *"})
    assert ask(posts, 3) == [200] * 3
    assert [posts.send("POST", "/jobs").status for _ in range(2)] == [201, 429]
    some = world({"window": "1/h", "when": "{{ query.n == '1' }}"})
    assert ask(some, 2) + ask(some, 2, "/jobs?n=1") == [200, 200, 200, 429]


def test_operations_of_auth_fall_under_limits_that_name_them_only() -> None:
    given = [{"window": "1/h", "name": "all"}, {"window": "1/h", "name": "token", "operations": "* /oauth/*"}]
    models = [LimitModel.model_validate(each) for each in given]
    limits = compile_limits(models, nowhere(), request_names(), ["POST /oauth/token", "POST /jobs"])
    for operation, special, name in (("POST /oauth/token", True, "token"), ("POST /jobs", False, "all")):
        turn = turn_of(world())
        take(limits, turn, turn.scope(), operation, special)
        assert [entry.key.split("/")[2] for entry in turn.lasting] == [name]
    assert take(limits[:1], turn, turn.scope(), "POST /oauth/token", True) is None


def test_a_request_weighs_what_it_counts_times_its_operation() -> None:
    limits: list[dict[str, Any]] = [
        {"name": "points", "window": "10/m", "weights": {"POST /jobs": 4, "* *": 0}},
        {"name": "tokens", "window": "100/m", "count": "{{ body.tokens | default(1) }}"},
        {"name": "bytes", "rate": "1kB/m", "burst": "1kB", "count": "bytes"},
    ]
    there = world(*limits)
    ask(there, 20)
    there.send("POST", "/jobs", {"tokens": 60})
    states = {key.split("/")[2]: state for key, state in entries(there).items()}
    assert states["points"] == [START_MS, 4]
    assert states["tokens"] == [START_MS, 80]
    assert states["bytes"] == [START_MS + len(b'{"tokens":60}') * 60, 0]
    answer = there.send("POST", "/jobs", {"tokens": 21})
    assert (answer.status, answer.json["violated-policies"]) == (429, ["tokens"])


def test_a_body_that_cannot_be_read_escapes_no_limit() -> None:
    there = world({"window": "2/m", "when": "{{ body.n > 0 }}", "count": "{{ body.n + 1 }}", "per": "{{ body.who }}"})
    statuses = [there.send("POST", "/jobs", raw=b"{").status for _ in range(3)]
    assert statuses == [400, 400, 429]


def test_refusals_cost_where_the_limit_says_so() -> None:
    there = world({"window": "2/m", "style": "sliding", "charge_rejected": True})
    assert ask(there, 2) == [200, 200]
    for _ in range(20):
        there.move(10_000)
        assert ask(there) == [429]
    there.move(61_000)
    assert ask(there) == [200]


def test_a_limit_may_charge_for_what_another_refuses() -> None:
    there = world({"name": "strict", "window": "1/s"}, {"name": "wide", "window": "5/m", "charge_rejected": True})
    assert ask(there, 5) == [200, 429, 429, 429, 429]
    answer = there.send("GET", "/jobs")
    assert answer.json["violated-policies"] == ["strict", "wide"]
    assert answer.header("Retry-After") == "60"


def test_what_costs_nothing_is_always_admitted() -> None:
    there = world({"window": "1/m", "weights": {"GET *": 0}, "charge_rejected": True})
    assert ask(there, 3) == [200] * 3
    assert entries(there) == {}


def test_a_throttle_lets_them_go_one_by_one() -> None:
    there = world({"rate": "10/s", "burst": 1, "over": "delay", "delay_most": "250ms"})
    answers = [there.send("GET", "/jobs") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.decision.delay_ms for answer in answers] == [0, 100, 200, 0]
    assert answers[3].decision.facts["retry_after_ms"] == 1000
    there.move(50)
    assert there.send("GET", "/jobs").decision.delay_ms == 250


def test_a_throttle_makes_wait_five_seconds_at_most_unless_it_says() -> None:
    there = world({"window": "1/4s", "over": "delay"})
    assert [there.send("GET", "/jobs").decision.delay_ms for _ in range(2)] == [0, 4000]
    assert ask(there) == [429]


def test_of_several_throttles_the_longest_wait_counts() -> None:
    slow, fast = {"rate": "1/s", "over": "delay"}, {"rate": "10/s", "burst": 1, "over": "delay"}
    there = world(slow, fast)
    assert [there.send("GET", "/jobs").decision.delay_ms for _ in range(3)] == [0, 1000, 2000]


def test_as_many_at_the_same_time_as_there_are_slots() -> None:
    there = world({"name": "parallel", "concurrency": 2, "announce": "x-ratelimit"})
    first, second = there.begin("GET", "/jobs", id="r1"), there.begin("GET", "/jobs", id="r2")
    assert [answer.header("X-RateLimit-Remaining") for answer in (first, second)] == ["1", "0"]
    refused = there.begin("GET", "/jobs", id="r3")
    assert (refused.status, refused.decision.changes.leases) == (429, ())
    assert refused.json["detail"] == "The limit parallel (2) is reached."
    assert refused.header("Retry-After") is None
    assert (refused.decision.facts["limit_reset_ms"], refused.decision.facts["retry_after"]) == (None, "")
    there.look.release(first.decision.changes.leases)
    assert there.begin("GET", "/jobs", id="r4").status == 200
    assert entries(there) == {}


def test_a_slot_is_taken_only_where_all_admit_and_says_what_it_is_told_to() -> None:
    there = world({"concurrency": 1, "retry_after": {"value": "2s"}}, {"window": "1/m", "operations": "POST *"})
    open_ = there.begin("POST", "/jobs", id="r1")
    assert there.begin("GET", "/jobs", id="r2").header("Retry-After") == "2"
    assert there.begin("POST", "/jobs", id="r3").header("Retry-After") == "60"
    there.look.release(open_.decision.changes.leases)
    assert there.begin("POST", "/jobs", id="r4").decision.changes.leases == ()
    assert there.begin("GET", "/jobs", id="r5").status == 200


def test_a_turn_without_a_request_holds_its_slot_for_nobody() -> None:
    there = world({"concurrency": 1})
    turn = Turn(there.services[0], there.look, START_MS, 0, "test", BASE)
    take(there.services[0].limits, turn, turn.scope(), "GET /jobs", False)
    assert [lease.holder for lease in turn.leases] == [""]


FREE = {"name": "core", "window": "10/h", "free": 304, "announce": "github"}


def test_replies_that_are_free_give_back_what_they_took() -> None:
    there = world(FREE, {"name": "all", "window": "9/h", "announce": "ietf"})
    turn = turn_of(there)
    turn.headers = ((b"X-Other", b"1"),)
    what = take(there.services[0].limits, turn, turn.scope(), "GET /jobs", False)
    assert (b"x-ratelimit-remaining", b"9") in turn.headers
    give_back(turn, what, 304)
    assert turn.headers[0] == (b"X-Other", b"1")
    assert [value for name, value in turn.headers if name == b"x-ratelimit-remaining"] == [b"10"]
    assert [value for name, value in turn.headers if name == b"RateLimit"] == [b'"all";r=8;t=3600']
    assert turn.facts["limit"] == "all"
    assert [entry.key.split("/")[2] for entry in turn.changes().entries] == ["all"]


def test_other_replies_keep_what_they_took() -> None:
    there = world(FREE)
    turn = turn_of(there)
    what: Taken | None = take(there.services[0].limits, turn, turn.scope(), "GET /jobs", False)
    before = (turn.headers, turn.changes())
    give_back(turn, what, 200)
    give_back(turn, None, 304)
    assert (turn.headers, turn.changes()) == before


def test_a_dialect_that_fails_on_what_was_given_back_says_what_it_said() -> None:
    same = {"GET /same": {"reply": {"status": 304}}}
    left = {"headers": {"X-Share": "{{ limit.limit / limit.used }}"}}
    there = World({"operations": same, "limits": [{"window": "4/m", "free": 304, "announce": left}]})
    answers = [there.send("GET", "/same") for _ in range(9)]
    assert [(answer.status, answer.header("X-Share")) for answer in answers] == [(304, "4.0")] * 9
    assert entries(there) == {}


def test_everything_that_is_missing_is_asked_for_at_once() -> None:
    there = world({"window": "2/m"}, {"rate": "1/s"}, {"concurrency": 1}, shy=True)
    assert there.decide("GET", "/jobs").reply.status == 200
    assert [len(needs) for needs in there.rounds] == [2]


def test_a_reload_with_the_same_measure_goes_on_and_with_another_begins_anew() -> None:
    there = world({"name": "a", "window": "5/m"})
    ask(there, 5)
    for limit, status in (({"window": "6/m"}, 200), ({"window": "5/m"}, 429), ({"window": "5/h"}, 200)):
        after = world({"name": "a", **limit})
        after.look.entries = dict(there.look.entries)
        assert ask(after) == [status]
