"""Which of several faults strike together, what they do to the answer, and what the journal learns of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simulator.core.chance import Chance
from simulator.core.damage import SILENT, Damage
from simulator.core.events import FaultFired, decode, encode
from simulator.core.faults import (
    FAULTS_MAX,
    NO_STRIKES,
    FaultModel,
    Faults,
    answer,
    compile_fault,
    damage_of,
    details_of,
    fallen,
    pages_of,
    spoil,
)
from simulator.core.places import nowhere
from simulator.core.refusals import Refused
from simulator.core.replies import Reply
from tests.core.faulted import NAMES, OPERATIONS, Sick, complaints, models, turn_of
from tests.core.world import START_MS

TEXT = (b"Content-Type", b"application/json")
EXAMPLES: list[dict[str, Any]] = [
    {
        "name": "flaky-create",
        "operation": "POST /jobs",
        "when": {"probability": 0.02},
        "error": {"status": 503, "retry_after": "2s"},
    },
    {
        "name": "lost-reply",
        "operation": "POST /jobs",
        "when": {"requests": [3], "per": "client"},
        "at": "reply",
        "connection": "reset",
    },
    {"name": "twice", "operation": ["POST *"], "when": {"attempts": [1, 2]}, "error": {"status": 500}},
    {"name": "one-client", "when": {"client": "r503*", "requests": [1], "per": "client"}, "error": "unavailable"},
    {"name": "outage", "when": {"between": ["30s", "50s"]}, "reply": {"status": 502, "text": "<h1>"}},
    {"name": "brown-out", "when": {"between": [["60s", "90s"]]}, "delay": {"pareto": {"min": "500ms", "shape": 1.2}}},
    {"name": "asked", "when": {"if": "{{ body.x }}", "most": 5, "every": 2}, "delay": 0, "enabled": False},
    {"name": "late", "error": {"kind": "unavailable", "retry_after": {"value": "2s", "as": "date"}}},
    {"name": "odd", "body": {"drift": {"add": {"a.b": [None]}, "drop": ["c"], "rename": {"d": "e"}}}},
    {"name": "cut", "connection": {"truncate": 0.5, "drip": "100/s", "then": "reset"}, "body": "html"},
    {"name": "gone", "redirect": {"to": "https://other.test"}, "tokens": "revoke", "clock": {"jump": "-5m"}},
    {"name": "old", "stale": True, "pages": "repeat", "when": {"after": "odd"}},
]


def shop(*faults: dict[str, Any]) -> Sick:
    """Faults without names: they are called a, b, c, …"""
    return Sick(*({"name": name, **fault} for name, fault in zip("abcdef", faults, strict=False)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_a_fault_is_dumped_as_it_was_written(example: dict[str, Any]) -> None:
    model = FaultModel.model_validate(example)
    assert model.model_dump(exclude_unset=True) == example
    assert json.loads(model.model_dump_json(exclude_unset=True)) == example
    assert FaultModel.model_validate(model.model_dump(exclude_unset=True)) == model


def test_every_example_compiles() -> None:
    assert complaints(*EXAMPLES) == []


def test_the_schema_has_the_names_of_the_language() -> None:
    schema = FaultModel.model_json_schema()
    when = schema["$defs"]["WhenModel"]["properties"]
    assert ("if" in when, "condition" in when) == (True, False)
    described = [*schema["properties"].values(), *when.values()]
    assert all("description" in each for each in described)


@pytest.mark.parametrize(
    ("fault", "point", "effect"),
    [
        ({"error": {"status": 503}}, "arrival", "error 503"),
        ({"error": {}}, "arrival", "error 503"),
        ({"error": "rate_limited"}, "arrival", "error rate_limited"),
        ({"error": {"kind": "not_found"}}, "arrival", "error not_found"),
        ({"error": {}, "at": "reply"}, "reply", "error 503"),
        ({"reply": {"status": 200}}, "arrival", "reply"),
        ({"redirect": {"to": "/"}}, "arrival", "redirect 307"),
        ({"connection": "hang"}, "arrival", "connection hang"),
        ({"connection": "reset", "at": "reply"}, "reply", "connection reset"),
        ({"connection": {"drip": "1/s", "truncate": 0}}, "reply", "connection truncate drip"),
        ({"delay": "1s"}, "reply", "delay"),
        ({"body": "html"}, "reply", "body html"),
        ({"body": {"drift": {"drop": ["a"]}}}, "reply", "body drift"),
        ({"stale": True}, "reply", "stale"),
        ({"pages": "empty", "at": "reply"}, "reply", "pages empty"),
        ({"tokens": "expire"}, "arrival", "tokens expire"),
        ({"tokens": "revoke", "at": "reply"}, "reply", "tokens revoke"),
        ({"clock": {"jump": "5m"}}, "arrival", "clock"),
        ({"error": {}, "delay": "1s", "body": "malformed"}, "arrival", "error 503, delay, body malformed"),
        ({"error": {}, "body": "malformed", "at": "arrival"}, "arrival", "error 503, body malformed"),
    ],
)
def test_each_effect_has_its_point_and_its_words(fault: dict[str, Any], point: str, effect: str) -> None:
    sick = shop(fault)
    sick.send()
    assert [(event.point, event.effect) for event in sick.events] == [(point, effect)]


def test_a_strike_is_a_fact_of_the_journal() -> None:
    sick = Sick({"name": "flaky", "when": {"probability": 0.99}})
    struck = sick.send("GET /jobs")
    draw = Chance(7, "shop").unit("faults/flaky/request/1")
    event = FaultFired(START_MS, 5, sick.service.digest, "flaky", "GET /jobs", "arrival", "error 503", draw, 1, "req_1")
    assert struck.turn.lasting_events == [event]
    assert decode(encode([event], b"k")) == [event]
    assert (struck.turn.facts["fault"], struck.turn.facts["fault_draw"]) == ("flaky", draw)


def test_a_turn_without_a_request_has_none_to_name() -> None:
    sick = shop({"delay": "1s"})
    turn = turn_of(sick, "POST /jobs")
    turn.request = None
    fallen(sick.faults, turn, turn.scope(), "POST /jobs", START_MS)
    assert [event.request_id for event in turn.lasting_events if isinstance(event, FaultFired)] == [""]


def test_without_a_strike_nothing_is_said() -> None:
    struck = shop({"delay": "1s", "when": {"requests": [2]}}).send()
    assert struck.strikes is NO_STRIKES
    assert "fault" not in struck.turn.facts
    assert struck.turn.lasting_events == []


def test_several_faults_are_named_together() -> None:
    chance = Chance(7, "shop")
    sick = shop({"delay": "1s"}, {"body": "html", "when": {"probability": 1}}, {"delay": "1s"})
    facts = sick.send().turn.facts
    assert (facts["fault"], facts["fault_draw"]) == ("a,b,c", chance.unit("faults/b/request/1"))


def test_a_fault_that_is_switched_off_neither_strikes_nor_counts() -> None:
    sick = shop({"delay": "1s", "enabled": False, "when": {"requests": [1]}})
    on = Sick({"name": "a", "delay": "1s", "when": {"requests": [1]}}).faults
    assert sick.struck(2) == []
    sick.faults = on
    assert sick.struck(2) == [1]


def test_the_first_that_answers_is_the_only_one() -> None:
    sick = shop({"error": {}}, {"reply": {"body": 1}}, {"connection": "reset"}, {"redirect": {"to": "/"}})
    assert sick.send().names == ["a"]


def test_the_first_in_the_files_order_wins_wherever_it_strikes() -> None:
    sick = shop({"error": {}, "at": "reply"}, {"error": {}})
    struck = sick.send()
    assert [strike.fault.name for strike in struck.strikes.reply] == ["a"]
    assert struck.strikes.arrival == ()


def test_counters_advance_even_where_another_fault_answers() -> None:
    sick = shop({"error": {}, "when": {"requests": [1, 2]}}, {"connection": "hang", "when": {"requests": [3]}})
    assert [sick.send().names for _ in range(4)] == [["a"], ["a"], ["b"], []]


def test_who_is_not_heard_spends_nothing_of_his_budget() -> None:
    sick = shop({"error": {}, "when": {"requests": [1, 2]}}, {"error": {}, "when": {"most": 1}})
    assert [sick.send().names for _ in range(4)] == [["a"], ["a"], ["b"], []]


def test_delays_add_up_and_those_of_others_too() -> None:
    sick = shop({"delay": "1s"}, {"error": {}, "delay": "500ms"}, {"delay": "250ms"}, {"error": {}, "delay": "9s"})
    struck = sick.send()
    assert (struck.turn.delay_ms, struck.names) == (1750, ["b", "a", "c"])


def test_a_delay_is_drawn_by_name() -> None:
    sick = shop({"delay": {"uniform": ["0s", "10s"]}})
    chance = Chance(7, "shop")
    drawn = [sick.send().turn.delay_ms for _ in range(3)]
    assert drawn == [int(10_000 * chance.unit(f"faults/a/request/{n}/delay")) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ({"error": {}}, ["a", "body", "cut", "delay", "tokens", "mixed"]),
        ({"reply": {"body": 1}, "at": "reply"}, ["a", "body", "cut", "delay", "tokens", "mixed"]),
        ({"connection": "reset"}, ["a", "delay", "tokens", "mixed"]),
        ({"connection": "garbage", "at": "reply"}, ["a", "delay", "tokens", "mixed"]),
        ({"delay": "1s"}, ["a", "body", "cut", "delay", "tokens", "mixed", "stale", "pages"]),
    ],
)
def test_a_fault_of_which_nothing_would_be_seen_does_not_strike(first: dict[str, Any], others: list[str]) -> None:
    sick = Sick(
        {"name": "body", "body": "html"},
        {"name": "stale", "stale": True},
        {"name": "a", **first},
        {"name": "pages", "pages": "empty", "stale": True},
        {"name": "cut", "connection": {"drip": "1/s"}},
        {"name": "delay", "delay": "1s"},
        {"name": "tokens", "tokens": "revoke"},
        {"name": "mixed", "pages": "empty", "delay": "1s"},
    )
    assert sorted(sick.send().names) == sorted(others)


def replied(sick: Sick) -> Reply | None:
    struck = sick.send(body={"a": 1})
    return answer(struck.strikes.all, struck.turn, struck.scope)


def test_an_error_is_raised_in_the_services_envelope() -> None:
    with pytest.raises(Refused) as caught:
        replied(shop({"error": {"status": 503, "code": "DOWN", "retry_after": "2s"}}))
    assert caught.value.error is not None
    assert (caught.value.kind, caught.value.error.code) == ("unavailable", "DOWN")
    assert caught.value.headers == ((b"Retry-After", b"2"),)


def test_a_reply_a_redirect_and_a_silence_are_answers() -> None:
    assert replied(shop({"reply": {"status": 502, "body": "{{ body.a }}"}})) == Reply(502, (TEXT,), b"1")
    assert replied(shop({"redirect": {"to": "/b", "status": 301}})) == Reply(301, ((b"Location", b"/b"),), b"")
    assert replied(shop({"connection": "reset"})) is SILENT


def test_what_only_damages_answers_nothing() -> None:
    assert replied(shop({"delay": "1s"}, {"body": "html"}, {"connection": {"drip": "1/s"}})) is None
    assert answer((), shop().send().turn, shop().send().scope) is None


def test_bodies_are_spoilt_one_after_the_other() -> None:
    struck = shop({"body": {"drift": {"drop": ["a"]}}}, {"delay": "1s"}, {"body": "malformed"}).send()
    reply = Reply(200, (TEXT,), b'{"a":1,"b":2}')
    assert spoil(struck.strikes, reply, struck.scope).body == b'{"b":2'


def test_a_reply_that_nothing_spoils_is_the_same_reply() -> None:
    struck, reply = shop({"delay": "1s"}).send(), Reply(200, (TEXT,), b"{}")
    assert spoil(struck.strikes, reply, struck.scope) is reply


def test_damages_of_the_connection_come_in_order() -> None:
    struck = shop({"connection": {"drip": "100/s"}}, {"delay": "1s"}, {"connection": {"truncate": 0.5}}).send()
    assert damage_of(struck.strikes, struck.turn) == (
        Damage("drip", bytes_per_s=100),
        Damage("truncate", share=0.5),
    )


def test_garbage_is_drawn_by_name() -> None:
    sick = shop({"connection": "garbage"})
    first, second = sick.send(), sick.send()
    assert damage_of(first.strikes, first.turn) == damage_of(first.strikes, second.turn)
    assert damage_of(first.strikes, first.turn) != damage_of(second.strikes, second.turn)


def test_pages_come_with_a_draw() -> None:
    struck = shop({"pages": "missing"}, {"stale": True}, {"pages": "repeat"}).send("GET /jobs")
    chance = Chance(7, "shop")
    assert pages_of(struck.strikes, struck.turn) == (
        ("missing", chance.unit("faults/a/request/1/page")),
        ("repeat", chance.unit("faults/c/request/1/page")),
    )
    assert struck.strikes.stale
    assert not shop({"pages": "missing"}).send().strikes.stale


def test_what_is_read_is_damaged_wherever_its_fault_strikes() -> None:
    struck = shop({"tokens": "revoke", "stale": True, "pages": "empty"}).send("GET /jobs")
    assert struck.strikes.reply == ()
    assert struck.strikes.stale
    assert [kind for kind, _ in pages_of(struck.strikes, struck.turn)] == ["empty"]


def test_tokens_and_the_clock_are_told_to_whoever_has_them() -> None:
    fault = shop({"tokens": "expire", "clock": {"jump": "-5m"}}).faults[0]
    assert (fault.tokens, fault.jump_ms) == ("expire", -300_000)


@given(st.permutations(["a", "b", "c"]), st.lists(st.sampled_from(["x", "y"]), max_size=12))
def test_a_fault_strikes_the_same_requests_in_whatever_company(order: list[str], sent: list[str]) -> None:
    """Its own counter and its own draws: what other faults there are changes neither."""
    faults = {name: {"name": name, "delay": "1s", "when": {"probability": 0.5, "per": "client"}} for name in "abc"}
    alone, together = Sick(faults["b"]), Sick(*(faults[name] for name in order))
    for client in sent:
        assert ("b" in alone.send(client=client).names) == ("b" in together.send(client=client).names)


@pytest.mark.parametrize(
    ("fault", "key", "why"),
    [
        ({}, None, "a fault has an effect: one or more of error"),
        ({"stale": False}, None, "a fault has an effect"),
        ({"error": {}, "reply": {}}, "reply", "a request is answered once, by error or by reply"),
        ({"redirect": {"to": "/"}, "connection": "hang"}, "connection", "by redirect or by connection"),
        ({"error": {}, "pages": "empty"}, "pages", "error answers before there is anything to read"),
        ({"connection": "reset", "stale": True}, "stale", "connection answers before"),
        ({"connection": "reset", "body": "html"}, "body", "after connection: reset there is no body"),
        ({"delay": "1s", "at": "arrival"}, "at", "delay comes with the reply; take out `at`"),
        ({"body": "html", "stale": True, "at": "arrival"}, "at", "body or stale comes with the reply"),
    ],
)
def test_effects_that_exclude_each_other_are_told(fault: dict[str, Any], key: str | None, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FaultModel.model_validate({"name": "sick", **fault})
    (error,) = caught.value.errors()
    assert error["loc"] == (() if key is None else (key,))
    assert why in error["msg"]


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "a,b"},
        {"stale": "yes, please"},
        {"at": "somewhere"},
        {"delay": "soon"},
        {"delay": {"uniform": [1]}},
        {"clock": {"jump": "x"}},
        {"redirect": {"to": "/", "status": 200}},
        {"pages": "twice"},
        {"tokens": "lose"},
        {"unknown": 1},
        {"operation": []},
    ],
)
def test_what_no_fault_has_is_no_model(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultModel.model_validate({"name": "sick", "error": {}, **fault})


def test_there_is_an_end_to_how_many_faults_there_are() -> None:
    faults = [{"name": f"f{n}", "error": {}} for n in range(FAULTS_MAX + 1)]
    with pytest.raises(ValidationError):
        TypeAdapter(Faults).validate_python(faults)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"operation": "POST /job"}, "0.operation: no operation 'POST /job'; did you mean 'POST /jobs'?"),
        ({"operation": ["GET *", "PUT *"]}, "0.operation.1: no operation 'PUT *'"),
        ({"error": "unavailabel"}, "0.error: no kind of error 'unavailabel'"),
        ({"error": {"message": "{{ nobody }}"}}, "0.error.message: no name 'nobody'"),
        ({"reply": {"body": "{{ nobody }}"}}, "0.reply.body: no name 'nobody'"),
        ({"redirect": {"to": "{{ nobody }}"}}, "0.redirect.to: no name 'nobody'"),
        ({"body": {"drift": {"add": {"a": "{{ nobody }}"}}}}, "0.body.drift.add.a: no name 'nobody'"),
        ({"error": {}, "when": {"after": "nobody"}}, "0.when.after: no fault 'nobody'; there is none"),
    ],
)
def test_a_name_that_does_not_exist_is_told(fault: dict[str, Any], why: str) -> None:
    told = complaints(fault)
    assert len(told) == 1
    assert told[0].startswith(why)


def test_two_faults_have_two_names() -> None:
    assert complaints({}, {}, {"name": "other"}) == [
        "1.name: there is a fault 'sick' already; give this one another name"
    ]


def test_a_service_without_operations_has_nothing_to_misname() -> None:
    assert complaints({}, operations=()) == []


def test_a_fault_may_be_added_at_run_time_and_wait_for_those_there_are() -> None:
    place, (first, then) = nowhere(), models({"name": "first"}, {"name": "then", "when": {"after": "first"}})
    fault = compile_fault(then, place, NAMES, OPERATIONS, [first])
    assert place.complaints == []
    assert fault.model is then
    compile_fault(then, place, NAMES, OPERATIONS)
    assert "no fault 'first'" in place.complaints[0].what


def test_the_envelope_learns_which_details_faults_give() -> None:
    faults = models({"error": {"details": {"hint": 1, "more": 2}}}, {"error": "conflict"}, {"delay": "1s"})
    assert details_of(faults) == ["hint", "more"]
