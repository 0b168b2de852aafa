"""Records changed: update, delete, signal, conditions by ETag, and `also`."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.verbs import etag, matches
from tests.core.world import USERS, World, made, one

# update


def test_patch_changes_what_the_body_says_and_nothing_else() -> None:
    world = World(USERS)
    user = world.send("POST", "/users", {"email": "ann", "name": "Ann", "vip": True}).json
    world.advance(5000)
    assert world.send("PATCH", f"/users/{user['id']}", {"name": "Amy"}).json == {**user, "name": "Amy"}
    assert world.send("PATCH", f"/users/{user['id']}", {"vip": False, "name": None}).json == {
        **user,
        "vip": False,
        "name": None,
    }
    assert world.send("PATCH", f"/users/{user['id']}").json["email"] == "ann"


def test_patch_sets_again_what_reads_the_body_as_a_whole() -> None:
    world = one({"record": {"all": "{{ body }}", "n": "{{ body | length }}"}}, PATCH_one={"update": "job"})
    url = made(world, a=1)
    assert world.send("PATCH", url, {"b": 2, "c": 3}).json == {"id": url[6:], "all": {"b": 2, "c": 3}, "n": 2}
    assert world.send("PATCH", url, [1, 2, 3]).json == {"id": url[6:], "all": [1, 2, 3], "n": 3}


def test_patch_takes_nothing_away_that_the_body_does_not_say() -> None:
    world = one({"record": {"city": "{{ body.address.city }}"}}, PATCH_one={"update": "job"}, PUT_one={"update": "job"})
    url = made(world, address={"city": "Ulm"})
    assert world.send("PATCH", url, {"address": {"street": "x"}}).json["city"] == "Ulm"
    assert "city" not in world.send("PUT", url, {"address": {"street": "x"}}).json


def test_put_replaces_what_the_body_could_say() -> None:
    world = World(USERS)
    user = world.send("POST", "/users", {"email": "ann", "name": "Ann", "vip": True}).json
    world.advance(5000)
    replaced = world.send("PUT", f"/users/{user['id']}", {"email": "amy"}).json
    assert replaced == {"id": user["id"], "email": "amy", "vip": False, "made": user["made"]}


def test_set_changes_the_fields_it_names() -> None:
    world = World(USERS)
    user = world.send("POST", "/users", {"email": "ann", "name": "Ann"}).json
    changed = world.send("POST", f"/users/{user['id']}/promote", {"email": "ignored"}).json
    assert changed == {**user, "vip": True, "name": "Ann!"}
    record = world.stored()[0]
    assert (record.version, record.state, record.entries) == (2, "present", 1)


def test_an_update_does_not_disturb_the_drawn_move() -> None:
    world = one({"states": {"A": [{"to": "B", "after": "10s"}], "B": []}}, PATCH_one={"update": "job"})
    url = made(world)
    due_ms = world.stored()[0].due_ms
    world.advance(4000)
    world.send("PATCH", url, {})
    assert (world.stored()[0].due_ms, world.stored()[0].updated_ms) == (due_ms, world.now_ms)


def test_with_updated_rows_only_their_states_allow_updates() -> None:
    resource = {
        "record": {"name": "{{ body.name }}"},
        "states": {
            "OPEN": [
                {"to": "OPEN", "signal": "updated", "when": "{{ record.name != 'bad' }}", "emit": "job.changed"},
                {"to": "SHUT", "signal": "go"},
            ],
            "SHUT": [],
        },
    }
    world = one(resource, PATCH_one={"update": "job"}, POST_go={"signal": "job.go"})
    url = made(world, name="a")
    assert world.send("PATCH", url, {"name": "b"}).json["name"] == "b"
    assert [event.type for event in world.emissions()] == ["job.changed"]
    assert world.send("PATCH", url, {"name": "bad"}).status == 409
    world.send("POST", f"{url}/go")
    answer = world.send("PATCH", url, {"name": "c"})
    assert (answer.status, answer.json["state"]) == (409, "SHUT")
    assert answer.json["detail"] == f"job '{url[6:]}' is SHUT; updated is possible in OPEN."
    assert world.stored()[0].fields == {"name": "b"}


def test_an_update_shows_where_instant_rows_led() -> None:
    states = {"A": [{"to": "B", "signal": "updated"}], "B": [{"to": "C"}], "C": []}
    world = one({"states": states}, PATCH_one={"update": "job"})
    assert world.send("PATCH", made(world), {}).json["state"] == "C"


# delete


def test_a_deleted_record_is_gone() -> None:
    world = one({}, GET_one={"read": "job"}, DELETE_one={"delete": "job"})
    url = made(world)
    answer = world.send("DELETE", url)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (204, b"", None)
    assert world.events[-1][3:] == ("shop.job", url[6:], 1, "deleted")
    assert [world.send(method, url).status for method in ("GET", "DELETE")] == [404, 404]


def test_with_deleted_rows_deleting_is_a_move() -> None:
    states = {"A": [{"to": "GONE", "signal": "deleted"}], "GONE": []}
    show = {"status": 200, "body": {"state": "{{ state }}", "view": "{{ view }}"}}
    world = one({"states": states}, GET_one={"read": "job"}, DELETE_one={"delete": "job", "reply": show})
    url = made(world)
    gone = {"id": url[6:], "state": "GONE"}
    assert world.send("DELETE", url).json == {"state": "GONE", "view": gone}
    assert world.send("GET", url).json == gone
    answer = world.send("DELETE", url)
    assert (answer.status, answer.json["code"], answer.json["state"]) == (409, "wrong_state", "GONE")


# signal


def test_a_signal_that_no_row_answers_says_the_state_and_where_it_is_possible() -> None:
    states = {"A": [{"to": "C", "signal": "go"}], "B": [{"to": "C", "signal": "go"}], "C": []}
    world = one({"states": states}, POST_go={"signal": "job.go"})
    url = made(world)
    assert world.send("POST", f"{url}/go").json == {"id": url[6:], "state": "C"}
    answer = world.send("POST", f"{url}/go")
    assert (answer.status, answer.json["code"], answer.json["state"]) == (409, "wrong_state", "C")
    assert answer.json["detail"] == f"job '{url[6:]}' is C; go is possible in A or B."
    assert world.send("POST", "/jobs/none/go").status == 404


def test_a_signal_shows_where_instant_rows_led() -> None:
    world = one(
        {"states": {"A": [{"to": "B", "signal": "go"}], "B": [{"to": "C"}], "C": []}}, POST_go={"signal": "job.go"}
    )
    assert world.send("POST", f"{made(world)}/go").json["state"] == "C"


def test_a_signal_can_set_fields_which_its_rows_see() -> None:
    rows = [{"to": "B", "signal": "go", "when": "{{ record.key == 'k' }}"}]
    world = one({"states": {"A": rows, "B": []}}, POST_go={"signal": "job.go", "set": {"key": "{{ body.key }}"}})
    url = made(world)
    assert world.send("POST", f"{url}/go", {"key": "x"}).status == 409
    assert world.stored()[0].fields == {}
    assert world.send("POST", f"{url}/go", {"key": "k"}).json["state"] == "B"
    assert (world.stored()[0].fields, world.stored()[0].version) == ({"key": "k"}, 2)


# ETag and its conditions


def tagged(needs: bool | str = True, **more: Any) -> tuple[World, str, str]:
    """A record with an ETag: the world, its path, and the tag."""
    with_tag = {"etag": needs}
    world = one(
        {"record": {"n": "{{ body.n }}"}, "states": {"A": [{"to": "A", "signal": "go"}]}},
        GET_one={"read": "job", "etag": True},
        PATCH_one={"update": "job", **with_tag},
        DELETE_one={"delete": "job", **with_tag},
        POST_go={"signal": "job.go", **with_tag},
        **more,
    )
    url = made(world, n=1)
    return world, url, world.send("GET", url).header("ETag") or ""


def test_each_version_has_another_tag() -> None:
    world, url, tag = tagged()
    assert tag.encode() == etag(world.stored()[0])
    assert world.send("GET", url).header("ETag") == tag
    changed = world.send("PATCH", url, {"n": 2}).header("ETag")
    assert changed != tag
    assert world.send("GET", url).header("ETag") == changed


def test_what_is_unchanged_is_not_sent_again() -> None:
    world, url, tag = tagged()
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = world.send("GET", url, headers={"If-None-Match": condition})
        assert (answer.status, answer.body, answer.header("ETag")) == (304, b"", tag)
    assert world.send("GET", url, headers={"If-None-Match": '"x"'}).json["n"] == 1


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("POST", "/go")])
def test_a_write_happens_only_where_its_condition_holds(method: str, path: str) -> None:
    world, url, tag = tagged()
    refused = [{"If-Match": '"x"'}, {"If-Match": f"W/{tag}"}, {"If-None-Match": "*"}, {"If-None-Match": f"W/{tag}"}]
    for headers in refused:
        answer = world.send(method, url + path, {"n": 2}, headers=headers)
        assert (answer.status, answer.json["code"], answer.header("ETag")) == (412, "precondition_failed", tag)
    assert world.stored()[0].version == 1
    assert world.send(method, url + path, {"n": 2}, headers={"If-Match": f'"x", {tag}'}).status in (200, 204)


def test_a_demanded_condition_must_be_there() -> None:
    world, url, tag = tagged("required")
    answer = world.send("DELETE", url)
    assert (answer.status, answer.json["code"]) == (428, "precondition_required")
    answer = world.send("DELETE", url, headers={"If-Match": tag})
    assert (answer.status, answer.header("ETag")) == (204, None)


def test_without_etag_conditions_are_not_looked_at() -> None:
    world, url, _ = tagged(False)
    assert world.send("PATCH", url, {"n": 2}, headers={"If-Match": '"x"'}).status == 200


def test_a_tag_is_compared_as_a_whole() -> None:
    assert matches(' "a" , "b"', b'"b"', weak=False)
    assert not matches('"ab"', b'"b"', weak=True)
    assert not matches("", b'"b"', weak=True)


# also

SHOP: dict[str, Any] = {
    "resources": {
        "order": {
            "id": "{{ body.id or chance.hex(8) }}",
            "record": {"total": 0},
            "states": {"OPEN": [{"to": "PAID", "signal": "pay"}], "PAID": []},
        },
        "item": {"id": "{{ ordinal }}", "record": {"order": "{{ order.id }}", "code": "{{ chance.hex(8) }}"}},
    },
    "operations": {
        "POST /orders": {
            "create": "order",
            "also": [
                {"create": "item", "find": {"order": "{{ id }}"}},
                {"create": "item", "find": {"order": "{{ id }}"}, "when": "{{ body.two }}"},
                {"update": "order", "id": "{{ id }}", "set": {"total": 2}, "when": "{{ body.two }}"},
            ],
            "reply": {"body": {"order": "{{ view }}", "item": "{{ item.view }}", "total": "{{ record.total }}"}},
        },
        "POST /orders/{id}/items": {
            "create": "item",
            "find": {"order": "{{ params.id }}"},
            "also": [{"signal": "order.pay", "id": "{{ order.id }}"}],
            "reply": {"body": "{{ order.state }}"},
        },
        "DELETE /orders/{id}": {"delete": "order", "also": [{"delete": "item", "id": "{{ query.item }}"}]},
        "GET /orders/{id}": {"read": "order", "also": [{"delete": "order", "id": "{{ id }}"}]},
    },
}


def test_also_does_more_and_binds_what_it_made() -> None:
    world = World(SHOP)
    answer = world.send("POST", "/orders", {"two": True}).json
    kinds = [(record.kind, record.id, record.version) for record in world.stored()]
    assert kinds == [("shop.item", "1", 1), ("shop.item", "2", 1), ("shop.order", answer["order"]["id"], 2)]
    assert (answer["item"]["id"], answer["total"]) == ("2", 2)
    assert answer["order"] == {"id": answer["order"]["id"], "state": "OPEN", "total": 2}


def test_each_step_of_also_has_its_own_draws() -> None:
    world = World(SHOP)
    world.send("POST", "/orders", {"two": True})
    codes = [record.fields["code"] for record in world.stored() if record.kind == "shop.item"]
    assert len(set(codes)) == 2


def test_a_step_whose_when_does_not_hold_is_left_out() -> None:
    world = World(SHOP)
    assert world.send("POST", "/orders", {}).json["total"] == 0
    assert [record.kind for record in world.stored()] == ["shop.item", "shop.order"]


def test_also_is_all_or_nothing() -> None:
    world = World(SHOP)
    order = world.send("POST", "/orders", {}).json["order"]["id"]
    assert world.send("POST", f"/orders/{order}/items").json == "PAID"
    before = (world.stored(), list(world.events))
    answer = world.send("POST", f"/orders/{order}/items")
    assert (answer.status, answer.json["code"]) == (409, "wrong_state")
    assert world.send("DELETE", f"/orders/{order}?item=99").status == 404
    assert (world.stored(), world.events) == before


def test_also_may_remove_the_very_record_that_is_shown() -> None:
    world = World(SHOP)
    order = world.send("POST", "/orders", {}).json["order"]["id"]
    assert world.send("GET", f"/orders/{order}").json["id"] == order
    assert world.send("GET", f"/orders/{order}").status == 404
