"""What stands before behaviour, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.gates import ORDERS
from tests.core.world import World

ACCEPTS = {"type": "object", "required": ["n"]}


def world(**changes: Any) -> World:
    operation = {"accepts": ACCEPTS, "idempotency": "required", "reply": {"body": {"n": "{{ body.n }}"}}}
    auth = {"key": {"api_key": {"header": "X-Key", "keys": {"good": {}}}}}
    limits = [{"name": "one", "window": "1/h", "per": "service", "style": "fixed"}]
    return World({"operations": {"POST /x": operation}, "auth": auth, "limits": limits, **changes})


def kinds(world: World) -> list[str]:
    """What is refused, with one thing after another put right."""
    good, key = {"X-Key": "good"}, {"Idempotency-Key": "k"}
    tries: list[tuple[Any, dict[str, str]]] = [({}, {}), ({}, good), ({}, {**good, **key}), ({"n": 1}, {**good, **key})]
    return [world.send("POST", "/x", body, headers=headers).decision.error or "done" for body, headers in tries]


@pytest.mark.parametrize(
    ("look_up", "wanted"),
    [
        ("after_contract", ["unauthorized", "contract", "rate_limited", "rate_limited"]),
        ("before_contract", ["unauthorized", "idempotency_key_missing", "rate_limited", "rate_limited"]),
        ("before_limits", ["unauthorized", "idempotency_key_missing", "contract", "rate_limited"]),
    ],
)
def test_credentials_come_first_and_the_rest_in_the_order_of_the_scenario(look_up: str, wanted: list[str]) -> None:
    assert kinds(world(idempotency={"look_up": look_up})) == wanted


def test_a_replay_before_the_limits_costs_nothing_of_them() -> None:
    for look_up, status in (("before_limits", 200), ("before_contract", 429)):
        here = world(idempotency={"look_up": look_up})
        headers = {"X-Key": "good", "Idempotency-Key": "k"}
        assert here.send("POST", "/x", {"n": 1}, headers=headers).status == 200
        assert here.send("POST", "/x", {"n": 1}, headers=headers).status == status


def test_there_is_an_order_for_each_word() -> None:
    assert all(len({*order}) == 3 for order in ORDERS.values())


def test_a_body_that_cannot_be_read_is_refused_behind_the_credentials() -> None:
    operations = {"POST /x": [{"when": "{{ body.a == 1 }}", "reply": {"body": 1}}, {"reply": {"body": 2}}]}
    here = world(operations=operations, limits=[])
    assert here.send("POST", "/x", raw=b"{").status == 401
    assert here.send("POST", "/x", raw=b"{", headers={"X-Key": "good"}).status == 400


def test_without_a_variant_that_fits_the_request_is_not_valid() -> None:
    here = World({"operations": {"POST /x": [{"when": "{{ body.a == 1 }}", "reply": {"body": 1}}]}})
    assert here.send("POST", "/x", {"a": 2}).decision.error == "invalid"
