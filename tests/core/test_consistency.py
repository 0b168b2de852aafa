"""Reads that see the past: for how long, of what, and never where it matters to the service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.world import World

STATES = {"OPEN": [{"to": "DONE", "after": "10s"}, {"to": "SHUT", "signal": "shut"}], "DONE": [], "SHUT": []}
OPERATIONS = {
    "POST /jobs": {"create": "job"},
    "GET /jobs/{id}": {"read": "job"},
    "GET /jobs": {"list": "job"},
    "PATCH /jobs/{id}": {"update": "job"},
    "POST /jobs/{id}/shut": {"signal": "job.shut"},
}


def world(consistency: Any = None, **more: Any) -> World:
    job = {"id": "j_{{ ordinal }}", "record": {"n": "{{ body.n }}"}, "states": STATES}
    return World(
        {
            "resources": {"job": {**job, **({"consistency": consistency} if consistency else {})}},
            "operations": OPERATIONS,
            **more,
        }
    )


def listed(world: World) -> list[Any]:
    return [each["n"] for each in world.send("GET", "/jobs").json]


def test_a_new_record_is_not_there_until_the_lag_is_over() -> None:
    here = world({"lag": "2s"})
    assert here.send("POST", "/jobs", {"n": 1}).status == 201
    assert (here.send("GET", "/jobs/j_1").status, listed(here)) == (404, [])
    here.move(1_999)
    assert here.send("GET", "/jobs/j_1").status == 404
    here.move(1)
    assert (here.send("GET", "/jobs/j_1").status, listed(here)) == (200, [1])


def test_a_change_is_seen_late() -> None:
    here = world({"lag": "2s", "before": "stale"})
    here.send("POST", "/jobs", {"n": 1})
    assert here.send("GET", "/jobs/j_1").json["n"] == 1
    assert here.send("PATCH", "/jobs/j_1", {"n": 2}).json["n"] == 2
    assert (here.send("GET", "/jobs/j_1").json["n"], listed(here)) == (1, [1])
    here.move(2_000)
    assert (here.send("GET", "/jobs/j_1").json["n"], listed(here)) == (2, [2])


def test_lists_may_be_further_behind_than_reads() -> None:
    here = world({"lag": "1s", "lists": "5s"})
    here.send("POST", "/jobs", {"n": 1})
    here.move(1_000)
    assert (here.send("GET", "/jobs/j_1").status, listed(here)) == (200, [])
    here.move(4_000)
    assert listed(here) == [1]


def test_a_move_of_its_own_is_seen_late_counted_from_when_it_happened() -> None:
    here = world({"lag": "3s"})
    here.send("POST", "/jobs", {"n": 1})
    here.advance(12_000)
    assert here.send("GET", "/jobs/j_1").json["state"] == "OPEN"
    here.move(1_000)
    assert here.send("GET", "/jobs/j_1").json["state"] == "DONE"


def test_the_service_itself_is_never_behind() -> None:
    here = world({"lag": "1h"})
    here.send("POST", "/jobs", {"n": 1})
    assert here.send("POST", "/jobs/j_1/shut").json["state"] == "SHUT"
    assert here.send("POST", "/jobs/j_1/shut").status == 409


@pytest.mark.parametrize("path", ["/jobs/j_1", "/jobs"])
def test_a_stale_fault_shows_what_there_was_before_the_last_change(path: str) -> None:
    operation = f"GET {path.replace('j_1', '{id}')}"
    here = world(faults=[{"name": "late", "operation": operation, "when": {"requests": [2]}, "stale": True}])
    here.send("POST", "/jobs", {"n": 1})
    here.send("PATCH", "/jobs/j_1", {"n": 2})
    here.move(5_000)
    answers = [here.send("GET", path).json for _ in range(3)]
    assert [(each[0] if isinstance(each, list) else each)["n"] for each in answers] == [2, 1, 2]


def test_without_consistency_nothing_of_the_past_is_kept() -> None:
    here = world()
    here.send("POST", "/jobs", {"n": 1})
    here.send("PATCH", "/jobs/j_1", {"n": 2})
    assert here.look.entries == {}


def test_a_new_record_stays_hidden_whatever_happens_to_it_meanwhile() -> None:
    here = world({"lag": "1m"})
    here.send("POST", "/jobs", {"n": 1})
    here.advance(20_000)
    assert here.record("shop.job", "j_1").state == "DONE"
    assert here.send("GET", "/jobs/j_1").status == 404


def test_the_past_of_a_record_that_is_gone_is_not_that_of_another() -> None:
    fault = {"name": "late", "operation": "GET /jobs/{id}", "stale": True}
    fixed = {"POST /jobs": {"create": "job", "id": "same"}, "DELETE /jobs/{id}": {"delete": "job"}}
    here = world(faults=[fault], operations={**OPERATIONS, **fixed})
    for n, path in ((1, "PATCH"), (2, "DELETE")):
        if n == 1:
            here.send("POST", "/jobs", {"n": "first"})
        here.send(path, "/jobs/same", {"n": "secret"})
    past = dict(here.look.entries)
    here.move(1_000)
    here.send("POST", "/jobs", {"n": "second"})
    here.look.entries = past
    assert here.send("GET", "/jobs/same").json["n"] == "second"
