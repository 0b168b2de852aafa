"""Records made and found: create, `unique`, read, `where`, `find`. Their changes are in test_verbs_changes.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.world import USERS, World, made, one

# create


def test_a_new_record_has_an_id_its_fields_and_its_first_state() -> None:
    world = one({"id": "job_{{ chance.base62(8) }}", "record": {"n": "{{ ordinal }}", "me": "{{ id }}"}})
    first, second = world.send("POST", "/jobs"), world.send("POST", "/jobs")
    assert first.status == 201
    assert first.json == {"id": first.json["id"], "n": 1, "me": first.json["id"]}
    assert second.json["n"] == 2
    assert first.json["id"].startswith("job_")
    assert len(first.json["id"]) == 12
    record = world.stored()[0]
    assert (record.kind, record.ordinal, record.version, record.state) == ("shop.job", 1, 1, "present")
    assert (record.created_ms, record.updated_ms, record.origin) == (world.now_ms, world.now_ms, "http://api.test")


def test_a_drawn_id_that_exists_is_drawn_again() -> None:
    world = one({"id": "{{ chance.digits(1) }}"})
    ids = [world.send("POST", "/jobs").json["id"] for _ in range(6)]
    assert len(set(ids)) == 6
    statuses = [world.send("POST", "/jobs").status for _ in range(40)]
    assert statuses.count(201) == 4
    assert statuses[-1] == 409


def test_an_id_that_the_client_gave_twice_is_a_conflict() -> None:
    world = one({"id": "{{ body.key }}"})
    assert world.send("POST", "/jobs", {"key": "k"}).json["id"] == "k"
    answer = world.send("POST", "/jobs", {"key": "k"})
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert answer.json["detail"] == "There is a job 'k' already."
    assert world.send("POST", "/jobs", {"key": 5}).json["id"] == "5"


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": "x" * 513}])
def test_an_id_fits_into_a_path(body: dict[str, Any]) -> None:
    answer = one({"id": "{{ body.key }}"}).send("POST", "/jobs", body)
    assert (answer.status, answer.json["code"]) == (400, "invalid")
    assert "1 to 512 characters" in answer.json["detail"]


def test_an_operation_can_say_the_id() -> None:
    world = one({}, PUT_one={"create": "job", "id": "{{ params.id }}"})
    assert world.send("PUT", "/jobs/mine").json == {"id": "mine"}
    assert world.send("PUT", "/jobs/mine").status == 409


def test_the_first_state_may_be_an_expression() -> None:
    world = one({"initial": "{{ body.state }}", "states": {"A": [], "B": []}})
    assert world.send("POST", "/jobs", {"state": "B"}).json["state"] == "B"
    answer = world.send("POST", "/jobs", {"state": "C"})
    assert (answer.status, answer.json["detail"]) == (400, "A new job cannot begin in state 'C'.")
    assert len(world.stored()) == 1


def test_a_creation_can_set_fields_and_the_first_state_sees_them() -> None:
    resource = {"record": {"n": 1}, "initial": "{{ 'B' if record.n == 2 else 'A' }}", "states": {"A": [], "B": []}}
    world = one(resource, POST_all={"create": "job", "set": {"n": "{{ record.n + 1 }}", "x": "{{ id }}"}})
    answer = world.send("POST", "/jobs")
    assert answer.json["state"] == "B"
    assert world.stored()[0].fields == {"n": 2, "x": answer.json["id"]}


# unique


def test_a_unique_value_is_refused_while_somebody_has_it() -> None:
    world = World(USERS)
    assert world.send("POST", "/users", {"email": "A@x.y"}).status == 201
    answer = world.send("POST", "/users", {"email": "a@X.y"})
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert answer.json["detail"] == "There is a user with this email already."
    assert len(world.stored()) == 1


def test_a_unique_value_follows_its_record_through_update_and_delete() -> None:
    world = World(USERS)
    ann = world.send("POST", "/users", {"email": "ann"}).json["id"]
    bob = world.send("POST", "/users", {"email": "bob"}).json["id"]
    assert world.send("PATCH", f"/users/{bob}", {"email": "ann"}).status == 409
    assert world.send("PATCH", f"/users/{ann}", {"email": "amy"}).status == 200
    assert world.send("PATCH", f"/users/{bob}", {"email": "ann"}).status == 200
    assert world.send("POST", "/users", {"email": "amy"}).status == 409
    assert world.send("DELETE", f"/users/{ann}").status == 204
    assert world.send("POST", "/users", {"email": "amy"}).status == 201
    assert world.send("POST", "/users", {"email": "bob"}).status == 201


def test_a_group_is_unique_as_a_whole_and_not_where_a_part_is_absent() -> None:
    create = {"create": "job", "unique": [["team", "name"]]}
    world = one({"record": {"team": "{{ body.team }}", "name": "{{ body.name }}"}}, POST_all=create)
    bodies = [
        {"team": "a", "name": "x"},
        {"team": "b", "name": "x"},
        {"team": "a", "name": "x"},
        {"name": "x"},
        {"name": "x"},
    ]
    assert [world.send("POST", "/jobs", body).status for body in bodies] == [201, 201, 409, 201, 201]


def test_a_unique_value_follows_its_record_through_every_kind_of_move() -> None:
    create = {"create": "job", "unique": ["key"]}
    free = {"key": "{{ omit }}"}
    rows = [
        {"to": "B", "after": "1s", "set": free},
        {"to": "B", "signal": "go", "set": free},
        {"to": "B", "signal": "read", "set": free},
        {"to": "B", "signal": "deleted", "set": free},
    ]
    world = one(
        {"record": {"key": "{{ body.key }}"}, "states": {"A": rows, "B": [{"to": "A", "signal": "read"}]}},
        POST_all=create,
        GET_one={"read": "job"},
        POST_go={"signal": "job.go"},
        DELETE_one={"delete": "job"},
    )
    for method, path, wait_ms in (("POST", "/go", 0), ("DELETE", "", 0), ("GET", "", 0), ("GET", "", 1000)):
        url = made(world, key="k")
        assert world.send("POST", "/jobs", {"key": "k"}).status == 409
        world.move(wait_ms)
        world.send(method, url + path)
    url = made(world, key="k")
    world.advance(1000)
    assert made(world, key="k") != url


def test_a_unique_value_that_a_timed_move_would_take_stays_where_it_is() -> None:
    rows = [{"to": "B", "after": "1s", "set": {"key": "taken"}}]
    world = one(
        {"record": {"key": "{{ body.key }}"}, "states": {"A": rows, "B": []}},
        POST_all={"create": "job", "unique": ["key"]},
        DELETE_one={"delete": "job"},
    )
    made(world, key="first")
    world.advance(1000)
    second = made(world, key="second")
    world.advance(1000)
    assert world.send("POST", "/jobs", {"key": "second"}).status == 201
    world.send("DELETE", second)
    assert world.send("POST", "/jobs", {"key": "taken"}).status == 409


# read


def test_a_record_that_is_not_there_is_not_found() -> None:
    answer = one({}, GET_one={"read": "job"}).send("GET", "/jobs/nobody")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert answer.json["detail"] == "There is no job 'nobody'."


def test_a_long_id_is_shown_cut() -> None:
    answer = one({}, GET_one={"read": "job"}).send("GET", "/jobs/" + "x" * 300)
    assert "x" * 79 + "…" in answer.json["detail"]
    assert "x" * 80 not in answer.json["detail"]


def test_an_id_that_is_omitted_is_not_found() -> None:
    answer = one({}, GET_one={"read": "job", "id": "{{ query.nothing }}"}).send("GET", "/jobs/1")
    assert answer.json["detail"] == "There is no job ''."


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ({"owner": "{{ query.owner }}"}, 404),
        ({"owner": "{{ query.nothing }}"}, 200),  # what is omitted demands nothing
        ({"owner": "{{ none }}"}, 404),
        ({"owner": "ann", "n": "{{ 5 }}"}, 200),
        ({"owner": "ann", "n": 6}, 404),
    ],
)
def test_a_record_that_does_not_fit_where_is_not_found(where: dict[str, Any], status: int) -> None:
    world = one({"record": {"owner": "{{ body.owner }}", "n": 5}}, GET_one={"read": "job", "where": where})
    assert world.send("GET", made(world, owner="ann") + "?owner=bob").status == status


def test_reading_moves_what_listens_and_shows_what_was_there_before() -> None:
    world = one({"states": {"NEW": [{"to": "SEEN", "signal": "read"}], "SEEN": []}}, GET_one={"read": "job"})
    url = made(world)
    assert [world.send("GET", url).json["state"] for _ in range(3)] == ["NEW", "SEEN", "SEEN"]
    assert [move.cause for move in world.transitions()] == ["created", "signal:read"]


def test_reading_can_set_fields_also_of_a_record_that_it_moves() -> None:
    resource = {"record": {"reads": 0}, "states": {"NEW": [{"to": "SEEN", "signal": "read"}], "SEEN": []}}
    world = one(resource, GET_one={"read": "job", "set": {"reads": "{{ record.reads + 1 }}"}})
    url = made(world)
    assert [world.send("GET", url).json for _ in range(3)] == [
        {"id": url[6:], "state": "NEW", "reads": 0},
        {"id": url[6:], "state": "SEEN", "reads": 1},
        {"id": url[6:], "state": "SEEN", "reads": 2},
    ]
    assert world.stored()[0].version == 5


# find


def test_other_records_are_bound_by_name_and_must_exist() -> None:
    world = World(
        {
            "resources": {
                "team": {"record": {"name": "{{ body.name }}"}},
                "user": {
                    "record": {
                        "team": "{{ team.id }}",
                    }
                },
            },
            "operations": {
                "POST /teams": {"create": "team"},
                "POST /teams/{tid}/users": {
                    "create": "user",
                    "find": {"team": "{{ params.tid }}", "own": {"team": "{{ params.tid }}"}},
                    "reply": {"body": {"id": "{{ id }}", "team": "{{ record.team }}", "of": "{{ own.name }}"}},
                },
                "GET /teams/{tid}": {"find": {"team": "{{ params.tid }}"}, "reply": {"body": "{{ team }}"}},
                "GET /teams/{tid}/users/{id}": {
                    "read": "user",
                    "find": {"team": "{{ params.tid }}"},
                    "where": {"team": "{{ team }}"},
                },
            },
        }
    )
    team = world.send("POST", "/teams", {"name": "blue"}).json
    user = world.send("POST", f"/teams/{team['id']}/users").json
    assert user == {"id": user["id"], "team": team["id"], "of": "blue"}
    assert world.send("GET", f"/teams/{team['id']}").json == team
    assert world.send("GET", f"/teams/{team['id']}/users/{user['id']}").status == 200
    answer = world.send("POST", "/teams/red/users")
    assert (answer.status, answer.json["detail"]) == (404, "There is no team 'red'.")
