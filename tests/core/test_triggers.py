"""When a fault strikes: each condition alone, all of them together, and counters that no other request moves."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.chance import Chance
from simulator.core.records import LOOSE, NotLoaded
from simulator.core.triggers import FORGOTTEN_MS, WhenModel, met, windows_ms
from simulator.errors import TemplateError
from tests.core.faulted import Sick, complaints, turn_of, when
from tests.core.world import START_MS

SENT = st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["POST /jobs", "GET /jobs"])), max_size=25)


def test_without_conditions_every_request_is_struck() -> None:
    assert when().struck(3) == [1, 2, 3]


@pytest.mark.parametrize(("requests", "struck"), [(3, [3]), ([1], [1]), ([2, 5], [2, 5]), ([99], [])])
def test_the_nth_requests_are_struck(requests: Any, struck: list[int]) -> None:
    assert when(requests=requests).struck(6) == struck


def test_every_nth_request_is_struck() -> None:
    assert when(every=3).struck(10) == [3, 6, 9]


@pytest.mark.parametrize(("probability", "struck"), [(0, []), (1, [1, 2, 3, 4])])
def test_never_and_always_are_what_they_say(probability: float, struck: list[int]) -> None:
    assert when(probability=probability).struck(4) == struck


def test_a_share_lies_within_four_standard_errors_of_what_it_says() -> None:
    chance, share, count = Chance(7, "shop"), 0.1, 20_000
    struck = sum(chance.unit(f"faults/sick/request/{n}") < share for n in range(1, count + 1))
    assert abs(struck / count - share) <= 4 * math.sqrt(share * (1 - share) / count)


def test_a_request_is_struck_by_the_draw_of_its_ordinal() -> None:
    sick, chance = when(probability=0.3), Chance(7, "shop")
    assert sick.struck(200) == [n for n in range(1, 201) if chance.unit(f"faults/sick/request/{n}") < 0.3]


@given(SENT)
def test_the_same_seed_strikes_the_same_ordinals_whoever_sends_them(sent: list[tuple[str, str]]) -> None:
    sick, plain = when(probability=0.4), when(probability=0.4)
    struck = [n for n, (client, operation) in enumerate(sent, 1) if sick.send(operation, client=client).names]
    assert struck == plain.struck(len(sent))


@given(SENT)
def test_what_one_client_meets_does_not_depend_on_the_others(sent: list[tuple[str, str]]) -> None:
    sick, alone = when(probability=0.4, per="client"), when(probability=0.4, per="client")
    together = [bool(sick.send(operation, client=client).names) for client, operation in sent]
    assert [struck for struck, (client, _) in zip(together, sent, strict=True) if client == "a"] == [
        bool(alone.send(client="a").names) for client, _ in sent if client == "a"
    ]


def test_clients_have_draws_of_their_own() -> None:
    sick = when(probability=0.5, per="client")
    assert sick.struck(40, client="a") != sick.struck(40, client="b")


def test_another_seed_strikes_others() -> None:
    fault = {"when": {"probability": 0.5}}
    assert Sick(fault, seed=1).struck(40) != Sick(fault, seed=2).struck(40)


@pytest.mark.parametrize(
    ("per", "counted"),
    [
        ("service", [1, 2, 3, 4, 5]),
        ("client", [1, 1, 2, 2, 3]),
        ("operation", [1, 2, 1, 2, 3]),
        (["client", "operation"], [1, 1, 1, 1, 2]),
        ("address", [1, 2, 3, 4, 5]),
        ("{{ headers.x_tenant }}", [1, 2, 1, 3, 4]),
    ],
)
def test_a_counter_counts_what_its_scope_says(per: Any, counted: list[int]) -> None:
    sick = when(per=per)
    sent = [
        ("POST /jobs", "a", "t"),
        ("POST /jobs", "b", "t"),
        ("GET /jobs", "a", "u"),
        ("GET /jobs", "b", "t"),
        ("GET /jobs", "a", "t"),
    ]
    for operation, client, tenant in sent:
        sick.send(operation, client=client, headers={"X-Tenant": tenant})
    assert [event.ordinal for event in sick.events] == counted


def test_whoever_has_no_credentials_is_told_by_his_address() -> None:
    sick = when(requests=[1], per="client")
    assert sick.struck(2, address="192.0.2.1") == sick.struck(2, address="192.0.2.2") == [1]


def test_a_fault_counts_the_requests_of_its_operations_only() -> None:
    sick = Sick({"operation": "POST /jobs", "when": {"requests": [2]}})
    assert [sick.send(name).names for name in ("POST /jobs", "GET /jobs", "GET /jobs", "POST /jobs")] == [
        [], [], [], ["sick"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "struck"),
    [
        ("POST /jobs", ["POST /jobs"]),
        ("GET *", ["GET /jobs", "GET /jobs/{id}"]),
        ("* /jobs/{id}", ["GET /jobs/{id}", "DELETE /jobs/{id}"]),
        (["POST *", "DELETE *"], ["POST /jobs", "DELETE /jobs/{id}"]),
        ("*", ["POST /jobs", "GET /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}"]),
    ],
)
def test_operations_are_named_or_matched(operation: Any, struck: list[str]) -> None:
    sick = Sick({"operation": operation})
    names = ("POST /jobs", "GET /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}")
    assert [name for name in names if sick.send(name).names] == struck


@pytest.mark.parametrize(
    ("client", "struck"),
    [("r503*", ["r503", "r503b"]), ("r503", ["r503"]), (["x", "R*"], []), (["x", "r50?"], ["r503"])],
)
def test_clients_are_named_or_matched(client: Any, struck: list[str]) -> None:
    sick = when(client=client)
    assert [name for name in ("r503", "r503b", "ar503", "") if sick.send(client=name).names] == struck


def test_only_requests_for_which_a_condition_holds_are_counted() -> None:
    sick = when(if_="{{ body.pages > 3 }}", requests=[2])
    assert [bool(sick.send(body={"pages": pages}).names) for pages in (9, 1, 1, 9, 9)] == [False] * 3 + [True, False]


def test_a_body_that_cannot_be_read_fulfils_no_condition() -> None:
    sick = when(if_="{{ body.a == 1 or true }}")
    assert sick.send(raw=b"{").names == []
    assert sick.send(body={}).names == ["sick"]


def test_a_condition_that_fails_is_a_failure_of_the_scenario() -> None:
    with pytest.raises(TemplateError):
        when(if_="{{ body.a / 0 }}").send(body={"a": 1})


@pytest.mark.parametrize(
    ("between", "struck"),
    [(["30s", "50s"], [30, 49]), ([["0s", "1s"], ["50s", "1m"]], [0, 50]), ([["30s", "50s"]], [30, 49])],
)
def test_a_window_counts_from_when_the_sandbox_began(between: Any, struck: list[int]) -> None:
    sick, when_met = when(between=between), []
    for second in (0, 29, 30, 49, 50, 60):
        sick.now_ms = START_MS + second * 1000
        when_met += [second] if sick.send().names else []
    assert when_met == struck


def test_requests_outside_the_window_are_not_counted() -> None:
    sick = when(between=["30s", "50s"], requests=[1])
    sick.send()
    sick.now_ms += 30_000
    assert sick.struck(2) == [1]


def test_attempts_count_tries_at_the_same_key() -> None:
    sick = when(attempts=[1, 2])
    assert [bool(sick.send(key=key).names) for key in "ababab"] == [True] * 4 + [False] * 2


@pytest.mark.parametrize(
    "other",
    [
        {"body": {"a": 2}},
        {"body": {"a": 1}, "client": "b"},
        {"body": {"a": 1}, "path": "/others"},
        {"body": {"a": 1}, "query": b"x=1"},
        {"body": {"a": 1}, "operation": "GET /jobs"},
        {"body": {"a": 1}, "key": "k"},
        {"raw": b"{"},
        {},
    ],
)
def test_without_a_key_the_same_call_is_the_same_request_of_the_same_client(other: dict[str, Any]) -> None:
    sick = when(attempts=1)
    assert [bool(sick.send(body={"a": 1}, client="a").names) for _ in range(2)] == [True, False]
    for expected in (True, False):
        assert bool(sick.send(**{"client": "a", **other}).names) is expected


def test_two_ways_to_write_a_body_are_one_call() -> None:
    sick = when(attempts=[1])
    assert [bool(sick.send(raw=raw).names) for raw in (b'{"a":1,"b":2}', b'{ "b": 2, "a": 1 }')] == [True, False]


def test_a_turn_without_a_request_has_no_call_and_is_counted_all_the_same() -> None:
    sick = when(attempts=[1])
    turn = turn_of(sick, "POST /jobs", key="k")
    turn.request = None
    assert met(sick.faults[0].trigger, turn, turn.scope(), "POST /jobs", START_MS) is not None


def test_a_call_is_forgotten_a_day_after_its_last_try() -> None:
    sick = when(attempts=[1], per="{{ query.x }}")
    turn = sick.send(key="k").turn
    assert {entry.expires_ms for entry in turn.lasting} == {START_MS + FORGOTTEN_MS}
    assert all(entry.key.startswith(LOOSE) for entry in turn.lasting)


@pytest.mark.parametrize("per", ["address", "{{ query.x }}", ["client", "{{ query.x }}"]])
def test_scopes_without_a_bound_are_forgotten(per: Any) -> None:
    turn = when(per=per).send(client="a").turn
    assert [entry.key.split("/")[3] for entry in turn.lasting] == ["requests", "fired"]
    assert [name.split("/")[3] for name, _ in turn.lasting_adds] == ["fired"] * 3


def test_scopes_that_are_bounded_are_plain_counters() -> None:
    turn = when(per=["client", "operation"]).send(client="a").turn
    assert turn.lasting == []
    assert ("fault/shop/sick/requests/a/POST %2Fjobs", 1) in turn.lasting_adds


def test_a_fault_strikes_no_more_often_than_its_budget() -> None:
    assert when(most=2).struck(5) == [1, 2]


def test_the_budget_counts_strikes_and_not_requests() -> None:
    assert when(most=2, every=2).struck(9) == [2, 4]


@pytest.mark.parametrize("per", ["client", "{{ headers.x_tenant }}"])
def test_each_scope_has_a_budget_of_its_own(per: str) -> None:
    sick = when(most=1, per=per)
    for name in ("a", "b"):
        assert sick.struck(3, client=name, headers={"X-Tenant": name}) == [1]


def test_all_conditions_must_hold() -> None:
    sick = when(every=2, requests=[2, 3, 4], client="a", if_="{{ body.x }}", attempts=[1, 2, 3, 4])
    assert sick.struck(6, client="a", body={"x": 1}) == [2, 4]


def test_a_fault_waits_for_another_one() -> None:
    sick = Sick({"name": "first", "when": {"requests": [2]}}, {"name": "then", "when": {"after": "first"}})
    assert [sick.send().names for _ in range(4)] == [[], ["first"], ["then"], ["then"]]


def test_requests_before_the_other_fault_has_fired_are_not_counted() -> None:
    sick = Sick(
        {"name": "then", "when": {"after": "first", "requests": [2]}}, {"name": "first", "when": {"requests": [3]}}
    )
    assert [sick.send().names for _ in range(6)] == [[], [], ["first"], [], ["then"], []]


@pytest.mark.parametrize("per", ["client", "operation"])
def test_it_waits_for_the_other_in_its_own_scope(per: str) -> None:
    sick = Sick({"name": "first", "when": {"requests": [1]}}, {"name": "then", "when": {"after": "first", "per": per}})
    sick.send("POST /jobs", client="a")
    assert sick.send("GET /jobs", client="b").names == []
    assert sick.send("POST /jobs", client="a").names == ["then"]


@pytest.mark.parametrize("per", ["{{ headers.x_tenant }}", ["client", "operation"], "address"])
def test_faults_with_the_same_scope_wait_for_each_other_in_it(per: Any) -> None:
    sick = Sick(
        {"name": "first", "when": {"requests": [1], "per": per}},
        {"name": "then", "when": {"after": "first", "per": per}},
    )
    a: dict[str, Any] = {"client": "a", "headers": {"X-Tenant": "t"}, "address": "192.0.2.7"}
    b: dict[str, Any] = {"client": "b", "headers": {"X-Tenant": "u"}, "address": "192.0.2.8"}
    assert [sick.send(**each).names for each in (a, b, a, b)] == [["first"], ["first"], ["then"], ["then"]]


def test_a_fault_that_has_not_fired_because_another_answered_is_not_waited_for() -> None:
    sick = Sick({"name": "wins"}, {"name": "loses"}, {"name": "then", "delay": "1s", "when": {"after": "loses"}})
    assert [sick.send().names for _ in range(3)] == [["wins"]] * 3


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("kl")), max_size=12))
def test_a_look_that_has_to_ask_first_decides_the_same(sent: list[tuple[str, str]]) -> None:
    fault = {"when": {"attempts": [1, 3], "per": "{{ headers.x_tenant }}", "most": 2}}
    shy, plain = Sick(fault, shy=True), Sick(fault)
    for client, key in sent:
        more: dict[str, Any] = {"client": client, "key": key, "headers": {"X-Tenant": key}}
        shy.look.loaded = set()
        while True:
            try:
                names = shy.send(**more).names
                break
            except NotLoaded as missing:
                shy.look.loaded.update(missing.needs)
        assert names == plain.send(**more).names
    assert shy.look.entries == plain.look.entries
    assert shy.look.counters == plain.look.counters


@pytest.mark.parametrize(
    "value",
    ["30s", [], ["30s"], ["30s", "50s", "60s"], [["30s", "50s"], "60s"], ["50s", "30s"], ["30s", "30s"], ["x", "y"]],
)
def test_what_is_no_window_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match=r"is no window|is no duration|ends before it begins"):
        windows_ms(value)


@pytest.mark.parametrize(
    "conditions",
    [
        {"probability": 1.5},
        {"probability": -0.1},
        {"requests": [0]},
        {"requests": []},
        {"every": 0},
        {"most": 0},
        {"between": "30s"},
        {"after": "no name"},
        {"condition": True},
    ],
)
def test_a_condition_that_cannot_be_is_no_model(conditions: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WhenModel.model_validate(conditions)


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ({"if": "{{ nobody }}"}, "faults: 0.when.if: no name 'nobody'"),
        ({"if": "pages > 3"}, "is no condition"),
        ({"per": "clients"}, "0.when.per.0: no `per` 'clients'; did you mean 'client'?"),
        ({"per": ["client", "{{ nobody }}"]}, "0.when.per.1: no name 'nobody'"),
        ({"after": "firts"}, "0.when.after: no fault 'firts'; did you mean 'first'? There is first"),
        ({"after": "sick"}, "none of sick → sick can be the first to fire"),
        ({"after": "first", "per": "address"}, "firings of first are counted per service, client and operation"),
    ],
)
def test_a_name_that_does_not_exist_is_told(conditions: dict[str, Any], why: str) -> None:
    told = complaints({"when": conditions}, {"name": "first"})
    assert len(told) == 1
    assert why in f"faults: {told[0]}"


def test_faults_that_wait_for_each_other_in_a_ring_are_told() -> None:
    ring = [
        {"name": "a", "when": {"after": "b"}},
        {"name": "b", "when": {"after": "c"}},
        {"name": "c", "when": {"after": "a"}},
    ]
    assert [each.split(":")[0] for each in complaints(*ring)] == ["0.when.after", "1.when.after", "2.when.after"]
    assert "none of a → b → c → a can be the first to fire" in complaints(*ring)[0]


def test_who_waits_for_a_ring_is_not_told_of_it_himself() -> None:
    told = complaints(
        {"when": {"after": "a"}}, {"name": "a", "when": {"after": "b"}}, {"name": "b", "when": {"after": "a"}}
    )
    assert [each.split(".")[0] for each in told] == ["1", "2"]


def test_it_may_wait_for_one_that_waits_for_nobody_known() -> None:
    assert len(complaints({"when": {"after": "a"}}, {"name": "a", "when": {"after": "lost"}})) == 1
