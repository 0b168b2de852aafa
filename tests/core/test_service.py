"""A compiled scenario: what its stores must index, what must be unique, and the same with another seed."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.turns import Turn
from tests.core.world import START_MS, World, compiled

SHOP: dict[str, Any] = {
    "summary": "A shop.",
    "seed": 3,
    "clock": {"mode": "manual"},
    "resources": {
        "user": {
            "record": {"team": "{{ body.team }}", "name": "{{ body.name }}", "boss": "{{ chief.id }}"},
            "view": {"id": "{{ id }}", "tasks": "{{ records('task', owner=id) | length }}"},
        },
        "task": {
            "record": {"owner": "{{ user.id }}"},
            "states": {
                "A": [{"to": "B", "signal": "go", "when": "{{ records('task', late=true) | length < 3 }}"}],
                "B": {"set": {"peers": "{{ records('task', first=true) | length }}"}},
            },
        },
        "chief": {"record": {"of": "{{ body.of }}"}},
    },
    "operations": {
        "POST /users": {
            "create": "user",
            "unique": ["name", ["team", "name"]],
            "find": {"chief": "{{ (records('chief', of=body.team) | first).id }}"},
        },
        "POST /people": {"create": "user", "unique": ["name"], "find": {"chief": "{{ body.chief }}"}},
        "POST /chiefs": {"create": "chief"},
        "GET /users": {
            "list": "user",
            "where": {"team": "{{ query.team }}", "ordinal": "{{ query.number }}"},
            "order": {"by": "{{ query.sort or 'name' }}", "fields": ["name", "created_at"]},
        },
        "GET /tasks": {"list": "task", "where": {"state": "A", "id": "{{ query.id }}"}},
        "POST /tasks/{id}/go": {
            "signal": "task.go",
            "also": [{"update": "task", "id": "{{ (records('task', replied=1) | last).id }}", "set": {"x": 1}}],
            "reply": {"body": "{{ records('user', boss='me') | length }}"},
        },
    },
}


def test_a_store_is_told_every_field_that_some_scan_asks_for() -> None:
    assert compiled(SHOP).scanned() == {
        "shop.user": ("boss", "name", "ordinal", "team"),
        "shop.task": ("first", "late", "owner", "replied"),
        "shop.chief": ("of",),
    }


@pytest.mark.parametrize("query", ["", "?team=a", "?number=1", "?sort=name", "?sort=-created_at"])
def test_every_scan_asks_only_for_what_was_declared(query: str) -> None:
    world = World(SHOP)
    assert world.send("POST", "/chiefs", {"of": "a"}).status == 201
    assert world.send("POST", "/users", {"team": "a", "name": "n"}).status == 201
    assert len(world.send("GET", f"/users{query}").json) == 1


def test_unique_groups_are_gathered_from_all_operations_each_once() -> None:
    assert compiled(SHOP).unique == {"user": (("name",), ("team", "name"))}


def test_a_service_knows_its_resources_by_kind() -> None:
    service = compiled(SHOP)
    assert service.resource_of("shop.task") is service.resources["task"]
    assert service.resource_of("task") is service.resource_of("other.task") is None


def test_another_seed_draws_otherwise_and_changes_nothing_else() -> None:
    service = compiled(SHOP, seed=3)
    other = service.seeded(4)
    assert (service.seed, other.seed, other.chance.seed) == (3, 4, 4)
    assert other.chance.digest("x") != service.chance.digest("x")
    assert other.key != service.key
    assert service.seeded(3).key == service.key
    for name in ("name", "summary", "digest", "prefix", "clock", "resources", "operations", "refusals", "unique"):
        assert getattr(other, name) == getattr(service, name)


def test_services_of_the_same_seed_draw_otherwise_by_their_names() -> None:
    one, two = compiled({"scenario": "one"}), compiled({"scenario": "two"})
    assert one.chance.digest("x") != two.chance.digest("x")
    assert one.key != two.key


@pytest.mark.parametrize(("base_path", "mount", "prefix"), [("", "/", ""), ("/v3", "/", "/v3"), ("/v3", "/m", "/m/v3")])
def test_a_prefix_is_mount_and_base_path(base_path: str, mount: str, prefix: str) -> None:
    assert compiled({"base_path": base_path}, mount=mount).prefix == prefix
    assert compiled({"base_path": base_path, "mount": "/own"}, mount=mount).prefix == f"/own{base_path}"


def test_moves_look_around_where_a_table_asks_for_other_records() -> None:
    assert compiled(SHOP).looks_around
    assert not compiled({"resources": {"user": SHOP["resources"]["chief"]}}).looks_around


def test_settling_brings_a_record_up_to_date() -> None:
    table = {"A": [{"to": "B", "after": "1s"}], "B": []}
    world = World({"resources": {"job": {"states": table}}, "operations": {"POST /jobs": {"create": "job"}}})
    world.send("POST", "/jobs")
    service = world.services[0]
    turn = Turn(service, world.look, START_MS + 1000, 0, "", "")
    assert service.settle(turn, service.resources["job"], world.stored()[0]).state == "B"
