"""One turn: it sees its own writes and brings up to date what it looks at; and the names its expressions have."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.clock import Instant
from simulator.core.omit import OMIT
from simulator.core.records import Changes, Entry, Record
from simulator.core.turns import RECORDS_MAX, Item, Turn, draw_name
from tests.core.world import START_MS, World

KIND = "shop.job"
SHOP: dict[str, Any] = {
    "resources": {
        "job": {
            "id": "{{ ordinal }}",
            "record": {"n": "{{ body.n }}", "part": {"of": "x"}},
            "view": {"me": "{{ id }}", "n": "{{ record.n }}"},
            "states": {"A": [{"to": "B", "after": "1s"}], "B": []},
        }
    },
    "operations": {"POST /jobs": {"create": "job"}, "GET /jobs/{id}": {"read": "job"}},
}


def begun(*values: Any, at_ms: int = START_MS) -> tuple[World, Turn]:
    """A world with some jobs, and a turn in it."""
    world = World(SHOP)
    world.look.declared = None
    for value in values:
        world.send("POST", "/jobs", {"n": value})
    request = world.request("POST", "/jobs?q=1", {"n": 5})
    return world, Turn(world.services[0], world.look, at_ms, 3, "POST /jobs/request/9", "http://x", request)


def test_a_record_is_brought_up_to_date_when_it_is_looked_at() -> None:
    world, turn = begun(1, at_ms=START_MS + 5000)
    record = turn.record(world.services[0].resources["job"], "1")
    assert record is not None
    assert (record.state, record.updated_ms) == ("B", START_MS + 1000)
    assert turn.changes().puts == (record,)
    assert turn.record(world.services[0].resources["job"], 1) is record
    assert len(turn.puts) == 1


@pytest.mark.parametrize("id_", [OMIT, None, "", "9", ["1"]])
def test_what_is_no_id_finds_no_record(id_: Any) -> None:
    world, turn = begun(1)
    assert turn.record(world.services[0].resources["job"], id_) is None


def test_a_turn_sees_its_own_writes() -> None:
    world, turn = begun(1, 2)
    job = world.services[0].resources["job"]
    one, two = world.stored()
    changed = turn.put(one._replace(version=2, fields={"n": 7}))
    turn.remove(two)
    new = turn.put(one._replace(id="3", ordinal=3, version=1))
    assert turn.record(job, "1") is changed
    assert turn.record(job, "2") is None
    assert [item.record for item in turn.items("job")] == [changed, new]
    assert [item.record.id for item in turn.items("job", n=7)] == ["1"]
    assert turn.changes() == Changes(puts=(changed, new), removes=(two,))
    assert world.stored() == [one, two]


def test_entries_and_counters_include_what_the_turn_wrote() -> None:
    world, turn = begun()
    world.commit(Changes(entries=(Entry("k", 1),), adds=(("c", 2),)))
    assert (turn.entry("k"), turn.entry("none"), turn.count("c")) == (1, None, 2)
    turn.entries += [Entry("k", 2), Entry("k", 3), Entry("other", None)]
    turn.adds += [("c", 1), ("d", 5), ("c", 1)]
    assert (turn.entry("k"), turn.entry("other"), turn.count("c"), turn.count("d")) == (3, None, 4, 5)


def test_records_are_found_by_their_fields_the_oldest_first() -> None:
    world, turn = begun(1, 2, 1)
    assert [item.record.id for item in turn.items("job", n=1)] == ["1", "3"]
    assert [item.record.id for item in turn.items("job", n="1", state="A")] == ["1", "3"]
    assert [item.record.id for item in turn.items("job", id=Item(world.stored()[1], turn))] == ["2"]
    assert turn.items("job", n=None) == turn.items("job", n=OMIT) == turn.items("job", n=[1]) == []
    assert len(turn.items("job")) == 3
    assert RECORDS_MAX == 1000


def test_an_item_shows_its_fields_and_what_is_built_in() -> None:
    world, turn = begun(4)
    record = world.stored()[0]._replace(updated_ms=START_MS + 7)
    item = Item(record, turn)
    shown = {name: item.template_field(name) for name in ("n", "id", "state", "ordinal", "version", "part", "none")}
    assert shown == {"n": 4, "id": "1", "state": "A", "ordinal": 1, "version": 1, "part": {"of": "x"}, "none": OMIT}
    assert item.template_field("created_at") == Instant(START_MS)
    assert item.template_field("updated_at") == Instant(START_MS + 7)
    assert item.template_field("view") == item.template_json() == {"me": "1", "n": 4}
    own = Item(record._replace(fields={"state": "mine"}), turn)
    assert own.template_field("state") == "mine"


def test_items_of_the_same_record_are_equal() -> None:
    world, turn = begun(1)
    record = world.stored()[0]
    assert Item(record, turn) == Item(record, turn)
    assert Item(record, turn) != Item(record._replace(version=2), turn)
    assert Item(record, turn) != record
    assert len({Item(record, turn), Item(record, turn)}) == 1


def test_a_record_of_a_kind_that_is_gone_is_shown_by_its_fields() -> None:
    world, turn = begun(1)
    assert turn.view(world.stored()[0]._replace(kind="shop.other")) == {"n": 1, "part": {"of": "x"}}


def test_the_names_of_a_request_are_there_while_one_is_answered() -> None:
    world, turn = begun()
    scope = turn.scope({"more": 1})
    assert (scope["now"], scope["base_url"], scope["more"]) == (Instant(START_MS), "http://x", 1)
    assert (scope["query"], scope["body"], scope["params"]) == ({"q": "1"}, {"n": 5}, {})
    assert scope["request"].method == "POST"
    assert scope["headers"].template_field("content_type") == "application/json"
    assert (scope["view"], scope["client"]) == (OMIT, OMIT)
    timed = Turn(world.services[0], world.look, START_MS, 0, "", "").scope()
    assert [timed[name] for name in ("request", "params", "query", "headers", "body")] == [OMIT] * 5


def test_the_names_of_a_record_are_there_where_one_is_at_hand() -> None:
    world, turn = begun(4)
    record = world.stored()[0]
    scope = turn.scope_of(record, {"more": 1})
    assert [scope[name] for name in ("id", "state", "ordinal", "more")] == ["1", "A", 1, 1]
    assert scope["view"] == {"me": "1", "n": 4}
    assert scope["record"] == Item(record, turn)


def test_draws_are_named_by_the_turn_or_by_the_stay_of_the_record() -> None:
    world, turn = begun(1, 2)
    one, two = world.stored()
    chance = world.services[0].chance
    assert turn.scope()["chance"]("a.b#1").hex(8) == chance.digest("POST /jobs/request/9/a.b#1/1").hex()[:8]
    assert turn.scope_of(one)["chance"]("x").hex(8) == chance.digest(f"{KIND}/1/1/x/1").hex()[:8]
    names = {draw_name(record) for record in (one, two, one._replace(entries=2))}
    assert names == {f"{KIND}/1/1", f"{KIND}/2/1", f"{KIND}/1/2"}
    assert draw_name(one._replace(version=9, fields={})) == draw_name(one)


def test_a_view_may_hold_the_views_of_others() -> None:
    view = {
        "id": "{{ id }}",
        "users": "{{ records('user', team=id) | map('view') }}",
        "again": {"for": "user", "in": "{{ records('user', team=id) }}", "do": "{{ user }}"},
    }
    world = World(
        {
            "resources": {
                "team": {"view": view},
                "user": {"id": "{{ ordinal }}", "record": {"team": "{{ body.team }}"}},
            },
            "operations": {
                "POST /teams": {"create": "team"},
                "POST /users": {"create": "user"},
                "GET /teams/{id}": {"read": "team"},
            },
        }
    )
    id_ = world.send("POST", "/teams").json["id"]
    users = [world.send("POST", "/users", {"team": id_}).json for _ in range(2)]
    assert world.send("GET", f"/teams/{id_}").json == {"id": id_, "users": users, "again": users}
    assert isinstance(world.stored()[0], Record)
