"""Links lead from a new record to what can be done with it, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.described import Described, Json

STATES = {"A": [{"to": "B", "signal": "go"}], "B": []}
PARENT: Json = {"record": {}, "states": STATES}
CHILD: Json = {"record": {"parent": "{{ parent.id }}"}, "view": {"uid": "{{ id }}"}}


def family(reply: Json | None = None, **operations: Any) -> Described:
    more = {name.replace("_", " ", 1): made for name, made in operations.items()}
    made = {
        "POST /parents": {"create": "parent", **({"reply": reply} if reply else {})},
        "GET /parents/{pid}": {"read": "parent"},
        "POST /parents/{pid}/go": {"signal": "parent.go"},
        "GET /parents": {"list": "parent"},
        "POST /parents/{pid}/children": {"create": "child", "find": {"parent": "{{ params.pid }}"}},
        "GET /parents/{pid}/children/{id}": {"read": "child", "where": {"parent": "{{ params.pid }}"}},
        **more,
    }
    return Described({"resources": {"parent": PARENT, "child": CHILD}, "operations": made})


def links(world: Described, path: str, status: int = 201) -> Json:
    found: Json = world.response("POST", path, status).get("links", {})
    return found


def test_a_new_record_leads_to_whatever_takes_its_id() -> None:
    told = links(family(), "/parents")
    assert list(told) == ["get_parents_pid", "post_parents_pid_go", "post_parents_pid_children"]
    assert told["get_parents_pid"] == {
        "operationId": "get_parents_pid",
        "parameters": {"path.pid": "$response.body#/id"},
    }


def test_what_else_a_path_needs_comes_from_the_request_before() -> None:
    assert links(family(), "/parents/{pid}/children")["get_parents_pid_children_id"]["parameters"] == {
        "path.pid": "$request.path.pid",
        "path.id": "$response.body#/uid",
    }


def test_a_link_can_be_followed() -> None:
    world = family()
    parent = world.ask("POST", "/parents").json["id"]
    child = world.ask("POST", f"/parents/{parent}/children").json["uid"]
    assert world.ask("GET", f"/parents/{parent}/children/{child}").status == 200


@pytest.mark.parametrize(
    "reply",
    [
        {"body": {"new": "{{ id }}"}},
        {"body": "{{ view }}", "status": 202},
        {"status": 200},
    ],
)
def test_the_id_is_taken_from_where_the_reply_shows_it(reply: Json) -> None:
    told = links(family(reply), "/parents", reply.get("status", 201))
    assert told["get_parents_pid"]["parameters"]["path.pid"] in ("$response.body#/new", "$response.body#/id")


@pytest.mark.parametrize(
    "reply",
    [{"body": {"a/b": "{{ id }}"}}, {"body": ["{{ id }}"]}, {"body": {}}, {"text": "{{ id }}"}, {"bytes": "AA=="}],
)
def test_a_reply_without_the_id_leads_nowhere(reply: Json) -> None:
    assert links(family(reply), "/parents") == {}


def test_an_operation_that_asks_for_more_than_the_id_is_no_target() -> None:
    done = {"read": "parent", "where": {"state": "B"}}
    number = {"read": "parent", "where": {"ordinal": 1}}
    named = {"read": "parent", "id": "{{ params.name | lower }}"}
    operations: Json = {"GET_/done/{pid}": done, "GET_/first/{pid}": number, "GET_/named/{name}": named}
    world = family(**operations)
    assert not {"get_done_pid", "get_first_pid", "get_named_name"} & set(links(world, "/parents"))


def test_a_record_found_under_another_name_is_a_target() -> None:
    world = family(**{"POST_/x/{who}": {"reply": {"body": 1}, "find": {"owner": {"parent": "{{ params.who }}"}}}})
    assert links(world, "/parents")["post_x_who"]["parameters"] == {"path.who": "$response.body#/id"}


def test_an_id_that_the_operation_names_is_followed() -> None:
    world = family(**{"GET_/a/{one}/{two}": {"read": "parent", "id": "{{ params.one }}"}})
    assert "get_a_one_two" not in links(world, "/parents")  # nobody knows the other
    world = family(**{"GET_/a/{one}": {"read": "parent", "id": "{{ params.one }}"}})
    assert links(world, "/parents")["get_a_one"]["parameters"] == {"path.one": "$response.body#/id"}


def test_services_do_not_lead_to_each_other() -> None:
    one = {"scenario": "one", "resources": {"parent": PARENT}, "operations": {"POST /p": {"create": "parent"}}}
    two = {"scenario": "two", "resources": {"parent": PARENT}, "operations": {"GET /p/{id}": {"read": "parent"}}}
    assert links(Described(one, two), "/one/p") == {}
