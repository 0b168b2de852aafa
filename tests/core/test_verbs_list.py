"""Lists: filters, orders, pages, and what happens to a page while records come and go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.core.records import RecordKey, Scan
from simulator.core.turns import Turn
from simulator.core.verbs import VERBS
from tests.core.world import START_MS, World, made, one

FIELDS = {"record": {"n": "{{ body.n }}", "name": "{{ body.name }}", "paid": "{{ body.paid }}"}}


def listing(**operation: Any) -> World:
    """`GET /jobs` as given, and records that can be made and deleted."""
    return one(FIELDS, GET_all={"list": "job", **operation}, DELETE_one={"delete": "job"})


def ns(world: World, query: str = "") -> list[Any]:
    """The field `n` of what a list shows."""
    answer = world.send("GET", f"/jobs{query}")
    assert answer.status == 200, answer.body
    items = answer.json if isinstance(answer.json, list) else answer.json["items"]
    return [item["n"] for item in items]


def filled(world: World, *values: Any) -> list[str]:
    return [made(world, n=value) for value in values]


def test_a_list_without_a_page_shows_all_the_newest_first() -> None:
    world = listing()
    assert world.send("GET", "/jobs").json == []
    filled(world, 1, 2, 3)
    assert ns(world) == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1]),  # a filter that is omitted filters nothing
        ("?paid=true", [3, 1]),
        ("?paid=false", [2]),
        ("?paid=", []),
        ("?n=3", [3]),
        ("?n=3&paid=false", []),
    ],
)
def test_filters_compare_as_text_what_the_query_says(query: str, found: list[int]) -> None:
    world = listing(where={"paid": "{{ query.paid }}", "n": "{{ query.n }}"})
    for n, paid in ((1, True), (2, False), (3, True)):
        made(world, n=n, paid=paid)
    made(world, n=4)
    assert ns(world, query) == found


def test_a_filter_can_be_a_bound_record_or_the_state() -> None:
    world = World(
        {
            "resources": {"team": {"id": "{{ ordinal }}"}, "user": {"record": {"team": "{{ team.id }}"}}},
            "operations": {
                "POST /teams": {"create": "team"},
                "POST /teams/{tid}/users": {"create": "user", "find": {"team": "{{ params.tid }}"}},
                "GET /teams/{tid}/users": {
                    "list": "user",
                    "find": {"team": "{{ params.tid }}"},
                    "where": {"team": "{{ team }}", "state": "present"},
                },
            },
        }
    )
    for path in ("/teams", "/teams", "/teams/1/users", "/teams/1/users", "/teams/2/users"):
        world.send("POST", path)
    assert [len(world.send("GET", f"/teams/{n}/users").json) for n in (1, 2)] == [2, 1]
    assert world.send("GET", "/teams/3/users").status == 404


@pytest.mark.parametrize("style", ["cursor", "offset", "number"])
def test_a_filter_that_nothing_can_meet_finds_nothing(style: str) -> None:
    world = listing(where={"n": "{{ none if query.none else omit }}"}, page={"style": style, "size": 2})
    filled(world, 1, 2, 3)
    page = world.send("GET", "/jobs?none=1").json
    assert (page["items"], page.get("total", 0), page.get("has_more", False)) == ([], 0, False)
    assert len(ns(world)) == 2


def test_the_client_may_choose_an_order_that_is_offered() -> None:
    world = listing(order={"by": "{{ query.sort or '-n' }}", "fields": ["n", "name", "created_at"]})
    for n, name in ((2, "b"), (10, "a"), (1, "c")):
        made(world, n=n, name=name)
    assert ns(world) == [10, 2, 1]
    assert ns(world, "?sort=n") == [1, 2, 10]
    assert ns(world, "?sort=-name") == [1, 2, 10]
    assert ns(world, "?sort=created_at") == [2, 10, 1]
    answer = world.send("GET", "/jobs?sort=-paid")
    assert (answer.status, answer.json["code"]) == (400, "invalid")
    assert answer.json["detail"] == "This list cannot be ordered by 'paid'; it can by created_at, n or name."


@pytest.mark.parametrize(("order", "found"), [("oldest", [2, 9, 1]), ("newest", [1, 9, 2]), ("-n", [9, 2, 1])])
def test_the_scenario_may_fix_the_order(order: str, found: list[int]) -> None:
    world = listing(order=order)
    filled(world, 2, 9, 1)
    assert ns(world) == found


def test_equal_values_keep_the_order_of_creation_from_page_to_page() -> None:
    world = listing(order="paid", page={"size": 2})
    for n in range(5):
        made(world, n=n, paid=True)
    first = world.send("GET", "/jobs").json
    assert [item["n"] for item in first["items"]] == [0, 1]
    assert ns(world, f"?cursor={first['next_cursor']}") == [2, 3]


def test_a_cursor_leads_from_page_to_page_and_only_through_its_own_list() -> None:
    world = listing(page={"style": "cursor", "size": 2, "link": True}, where={"paid": "{{ query.paid }}"})
    filled(world, *range(5))
    seen, url, answers = [], "/jobs", []
    while url:
        answers.append(answer := world.send("GET", url))
        seen += [item["n"] for item in answer.json["items"]]
        url = f"/jobs?cursor={answer.json['next_cursor']}" if answer.json["has_more"] else ""
    assert seen == [4, 3, 2, 1, 0]
    first, second, last = answers
    assert first.decision.next_cursor == first.json["next_cursor"] == second.decision.cursor
    assert (last.decision.next_cursor, "next_cursor" in last.json) == (None, False)
    assert first.decision.items == tuple(item["id"] for item in first.json["items"])
    assert first.header("Link") == f'<http://api.test/jobs?cursor={first.json["next_cursor"]}>; rel="next"'
    for query in (f"?paid=true&cursor={first.json['next_cursor']}", "?cursor=x", f"?cursor=A{second.decision.cursor}"):
        assert world.send("GET", f"/jobs{query}").json["code"] == "invalid"


def test_offsets_and_page_numbers_count_and_say_how_many_there_are() -> None:
    world = listing(page={"style": "offset", "size": 2, "max": 3, "link": True})
    filled(world, *range(5))
    page = world.send("GET", "/jobs?offset=2")
    assert page.json == {"items": page.json["items"], "total": 5, "offset": 2, "size": 2}
    assert [item["n"] for item in page.json["items"]] == [2, 1]
    assert 'offset=4>; rel="next"' in (page.header("Link") or "")
    assert ns(world, "?limit=99") == [4, 3, 2]
    numbered = listing(page={"style": "number", "size": 2})
    filled(numbered, *range(5))
    assert numbered.send("GET", "/jobs?page=3").json["items"][0]["n"] == 0
    for query in ("?page=0", "?page=x", "?limit=0"):
        assert numbered.send("GET", f"/jobs{query}").status == 400


def test_the_reply_may_shape_the_page() -> None:
    reply = {"status": 206, "body": {"data": "{{ page.items }}", "of": "{{ page.total }}"}}
    world = listing(page={"size": 1}, reply=reply)
    filled(world, 1, 2)
    answer = world.send("GET", "/jobs")
    assert (answer.status, answer.json["of"], len(answer.json["data"])) == (206, 2, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(("newest", "oldest", "n", "-n")),
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=12),
    st.integers(1, 4),
)
def test_what_comes_and_goes_while_paging_neither_repeats_nor_hides_the_others(
    order: str, values: list[int], changes: list[tuple[bool, int]], size: int
) -> None:
    world = listing(order=order, page={"size": size})
    before = [path[6:] for path in filled(world, *values)]
    gone: set[str] = set()
    seen: list[str] = []
    url, left = "/jobs", list(changes)
    while url:
        page = world.send("GET", url).json
        seen += [item["id"] for item in page["items"]]
        url = f"/jobs?cursor={page['next_cursor']}" if page["has_more"] else ""
        for removes, which in left[:2]:
            if removes:
                id_ = before[which % len(before)]
                gone |= {id_} if world.send("DELETE", f"/jobs/{id_}").status == 204 else set()
            else:
                made(world, n=which % 5)
        left = left[2:]
    assert len(seen) == len(set(seen))
    assert {id_ for id_ in before if id_ not in gone} <= set(seen)


def test_a_page_asks_for_all_that_its_views_miss_at_once() -> None:
    team = {"id": "{{ ordinal }}", "view": {"id": "{{ id }}", "users": "{{ records('user', team=id) | length }}"}}
    world = World(
        {
            "resources": {"team": team, "user": {"record": {"team": "{{ body.team }}"}}},
            "operations": {
                "POST /teams": {"create": "team"},
                "POST /users": {"create": "user"},
                "GET /teams": {"list": "team", "order": "oldest"},
            },
        },
        shy=True,
    )
    for _ in range(3):
        world.send("POST", "/teams")
    for number in ("1", "1", "3"):
        world.send("POST", "/users", {"team": number})
    assert [item["users"] for item in world.send("GET", "/teams").json] == [2, 0, 1]
    assert len(world.rounds) == 2
    assert [need.where for need in world.rounds[1] if isinstance(need, Scan)] == [
        (("team", "1"),),
        (("team", "2"),),
        (("team", "3"),),
    ]


def test_a_shy_look_is_asked_for_one_thing_after_the_other() -> None:
    world = World(
        {
            "resources": {"job": {"id": "{{ body.id }}", "record": {"key": "{{ body.key }}"}}},
            "operations": {"POST /jobs": {"create": "job", "unique": ["key"]}},
        },
        shy=True,
    )
    assert world.send("POST", "/jobs", {"id": "a", "key": "k"}).status == 201
    assert world.rounds[0] == (RecordKey("shop.job", "a"),)
    assert str(world.rounds[1][0]).startswith("unique/shop.job/key/")


def test_a_list_belongs_to_a_request() -> None:
    world = listing()
    variant = world.services[0].operations[1].variants[0]
    turn = Turn(world.services[0], world.look, START_MS, 0, "", "")
    assert variant.step.resource is not None
    assert VERBS["list"](turn, variant, variant.step, variant.step.resource, turn.scope()).page is None
