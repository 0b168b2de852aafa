"""What requests cost, whose account it goes to, and when it is too much."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.costs import MILLION, accounts, amount_of
from simulator.errors import TemplateError
from tests.core.world import World, complaints

DAY = 86_400_000


def world(cost: Any, **changes: Any) -> World:
    operation = {"cost": cost, "reply": {"status": "{{ query.status or 201 }}"}}
    return World({"operations": {"POST /x": operation, "GET /free": {"reply": {"status": 204}}}, **changes})


def told(world: World) -> list[dict[str, Any]]:
    return accounts(world.look.counters, "shop")


def test_what_is_done_is_charged_to_its_client_and_operation() -> None:
    here = world(0.01)
    for _ in range(3):
        assert here.send("POST", "/x").decision.facts["cost"] == 10_000
    here.send("GET", "/free")
    assert told(here) == [{"client": "", "operation": "POST /x", "requests": 3, "cost": 0.03}]


def test_a_cost_may_depend_on_what_was_asked() -> None:
    here = world("{{ body.pages * 0.25 }}")
    here.send("POST", "/x", {"pages": 3})
    assert told(here)[0]["cost"] == 0.75


@pytest.mark.parametrize("status", [400, 404, 503])
def test_what_was_not_done_costs_nothing(status: int) -> None:
    here = world(1)
    here.send("POST", f"/x?status={status}")
    assert told(here) == []


def test_a_replay_costs_nothing() -> None:
    here = world(1, idempotency="ietf")
    for _ in range(2):
        here.send("POST", "/x", headers={"Idempotency-Key": "k"})
    assert told(here)[0]["requests"] == 1


def test_a_refusal_of_the_service_costs_nothing() -> None:
    here = World(
        {"operations": {"POST /x": {"cost": 1, "refuse": [{"when": True, "error": "conflict"}], "reply": {"body": 1}}}}
    )
    assert here.send("POST", "/x").status == 409
    assert told(here) == []


def test_beyond_the_budget_nothing_is_done() -> None:
    here = world(0.4, budget={"most": 1})
    assert [here.send("POST", "/x").status for _ in range(4)] == [201, 201, 402, 402]
    refused = here.send("POST", "/x")
    assert refused.json["detail"] == "0.8 of 1 is spent, and this would cost 0.4."
    assert refused.json["code"] == "over_budget"


def test_a_budget_has_its_own_words() -> None:
    here = world(2, budget={"most": 1, "error": {"status": 429, "code": "QUOTA"}})
    answer = here.send("POST", "/x")
    assert (answer.status, answer.json["code"]) == (429, "QUOTA")


def test_a_budget_may_begin_anew() -> None:
    here = world(1, budget={"most": 1, "every": "1d"})
    assert [here.send("POST", "/x").status for _ in range(2)] == [201, 402]
    here.move(DAY)
    assert here.send("POST", "/x").status == 201


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(0, 1000))
def test_a_budget_is_never_exceeded_and_never_refuses_what_fits(costs: list[int], most: int) -> None:
    here = world("{{ body.c / 100 }}", budget={"most": most / 100})
    spent = 0
    for cost in costs:
        done = here.send("POST", "/x", {"c": cost}).status == 201
        assert done == (spent + cost <= most)
        spent += cost * done
    assert sum(account["cost"] for account in told(here)) == pytest.approx(spent / 100)


@pytest.mark.parametrize("value", ["1", None, True, -1, 1e10, float("nan")])
def test_what_is_no_cost_is_told(value: Any) -> None:
    with pytest.raises(TemplateError, match="is no cost"):
        amount_of(value, "here")


def test_a_cost_is_exact_to_a_millionth() -> None:
    assert amount_of(0.1, "") * 3 == 3 * MILLION // 10


def test_a_cost_that_cannot_be_is_told_when_the_scenario_is_loaded() -> None:
    assert "is no cost" in complaints({"operations": {"POST /x": {"cost": -1, "reply": {"status": 204}}}})[0]


@pytest.mark.parametrize("body", [{}, {"pages": "many"}, {"pages": -5}, {"pages": 1e300}, [], {"pages": None}])
def test_a_request_whose_cost_cannot_be_told_is_not_valid(body: Any) -> None:
    here = world("{{ body.pages * 0.1 }}")
    assert (here.send("POST", "/x", body).status, told(here)) == (400, [])


def test_a_cost_that_fails_by_itself_is_a_failure_of_the_scenario() -> None:
    assert world("{{ 1 / (now.epoch - now.epoch) }}").send("POST", "/x").status == 500
