"""Same key, same answer: what is kept, for whom, for how long, and what else a key can lead to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.events import ExchangeEnded
from simulator.core.records import Held
from tests.core.world import Answer, World, complaints

KEY = {"Idempotency-Key": '"k-1"'}
HOUR = 3_600_000
STATES = {"OPEN": [{"to": "PAID", "signal": "pay"}], "PAID": []}
SERVICE: dict[str, Any] = {
    "resources": {
        "order": {"id": "o_{{ chance.base62(12) }}", "record": {"item": "{{ body.item }}"}, "states": STATES}
    },
    "operations": {
        "POST /orders": {
            "create": "order",
            "accepts": {"type": "object", "required": ["item"]},
            "refuse": [{"when": "{{ body.item == 'gone' }}", "error": {"status": 409, "code": "GONE"}}],
            "reply": {"status": 201, "headers": {"Location": "/orders/{{ id }}", "X-Id": "{{ request.id }}"}},
        },
        "POST /orders/{id}/pay": {"signal": "order.pay"},
        "GET /orders": {"list": "order"},
    },
}


def world(idempotency: Any = "ietf", **changes: Any) -> World:
    return World({**SERVICE, **({} if idempotency is None else {"idempotency": idempotency}), **changes})


def post(world: World, item: str = "tea", key: str | None = '"k-1"', **more: Any) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return world.send("POST", "/orders", {"item": item}, headers=headers, **more)


def outcome(answer: Answer) -> Any:
    return answer.decision.facts.get("idempotency")


def test_the_same_key_gets_the_same_bytes_and_nothing_is_done_twice() -> None:
    here = world()
    first, again = post(here), post(here, id="req_2")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.decision.reply.headers == (*first.decision.reply.headers, (b"Idempotent-Replayed", b"true"))
    assert again.header("X-Id") == "req_1"
    assert len(here.look.records) == 1
    assert [outcome(first), outcome(again)] == ["first", "replayed"]


def test_another_key_and_no_key_do_another_thing() -> None:
    here = world()
    ids = {post(here, key=key).json["id"] for key in ('"k-1"', '"k-2"', None, None)}
    assert len(ids) == 4


def test_the_same_key_with_another_body_is_refused() -> None:
    here = world()
    post(here)
    other = post(here, "coffee")
    assert (other.status, other.json["code"], outcome(other)) == (422, "idempotency_mismatch", "mismatch")
    assert post(here).header("Idempotent-Replayed") == "true"


def test_two_ways_to_write_the_same_body_are_one() -> None:
    here = world()
    first = here.send("POST", "/orders", raw=b'{"item": "tea", "n": 1}', headers=KEY)
    again = here.send("POST", "/orders", raw=b'{"n":1,"item":"tea"}', headers=KEY)
    assert again.body == first.body


def test_the_same_key_on_another_path_is_refused() -> None:
    here = world()
    first, second = post(here, key=None).json["id"], post(here, key=None).json["id"]
    assert here.send("POST", f"/orders/{first}/pay", headers=KEY).status == 200
    assert here.send("POST", f"/orders/{second}/pay", headers=KEY).status == 422


def test_while_the_first_runs_the_key_is_in_flight() -> None:
    here = world()
    first = here.begin("POST", "/orders", {"item": "tea"}, headers=KEY)
    busy = post(here)
    assert (busy.status, busy.json["code"], outcome(busy)) == (409, "idempotency_in_flight", "in_flight")
    here.look.release(first.decision.changes.leases)
    assert post(here).body == first.body


def test_a_second_may_wait_for_the_first() -> None:
    here = world({"in_flight": "wait"})
    here.begin("POST", "/orders", {"item": "tea"}, headers=KEY)
    with pytest.raises(Held):
        post(here)


def test_a_key_is_forgotten_after_its_time() -> None:
    here = world({"keep": "1h"})
    first = post(here)
    here.move(HOUR - 1)
    assert post(here).json == first.json
    here.move(1)
    assert post(here).json != first.json
    assert here.look.counters["records/shop.order"] == 2


def test_the_store_may_forget_a_key_after_its_time() -> None:
    here = world({"keep": "1h"})
    (entry,) = post(here).decision.changes.entries
    assert entry.expires_ms == here.now_ms + HOUR


@pytest.mark.parametrize(
    ("store", "refused", "broken"),
    [("executed", "replayed", "first"), ("success", "first", "first"), ("all", "replayed", "replayed")],
)
def test_what_is_kept_can_be_said(store: str, refused: str, broken: str) -> None:
    here = world({"store": store, "look_up": "before_contract"})
    for item, wanted, key in (("gone", refused, '"a"'), (None, broken, '"b"')):
        first = here.send("POST", "/orders", {"item": item} if item else {}, headers={"Idempotency-Key": key})
        again = here.send("POST", "/orders", {"item": item} if item else {}, headers={"Idempotency-Key": key})
        assert (again.status, outcome(again)) == (first.status, wanted if wanted == "replayed" else outcome(first))
    assert outcome(post(here)) == "first"
    assert outcome(post(here)) == "replayed"


def test_a_failure_of_the_scenario_is_kept_as_the_answer() -> None:
    broken = {"POST /x": {"reply": {"body": "{{ 1 / (query.n | int) }}"}}}
    here = World({"operations": broken, "idempotency": "ietf"})
    first = here.send("POST", "/x?n=0", headers=KEY)
    again = here.send("POST", "/x?n=1", headers=KEY)
    assert (first.status, again.status, again.body) == (500, 500, first.body)


def test_a_refusal_before_the_look_up_is_not_kept() -> None:
    here = world()
    assert here.send("POST", "/orders", {}, headers=KEY).status == 422
    assert outcome(post(here)) == "first"


@pytest.mark.parametrize(("look_up", "status"), [("before_contract", 422), ("after_contract", 400)])
def test_what_is_looked_at_first_answers_first(look_up: str, status: int) -> None:
    here = world({"look_up": look_up}, errors={"contract": {"status": 400}})
    post(here)
    assert here.send("POST", "/orders", {}, headers=KEY).status == status


def test_a_key_may_be_required() -> None:
    here = World({**SERVICE, "operations": {"POST /orders": {"create": "order", "idempotency": "required"}}})
    missing = here.send("POST", "/orders", {"item": "tea"})
    assert (missing.status, missing.json["code"], outcome(missing)) == (400, "idempotency_key_missing", "missing")
    assert here.send("POST", "/orders", {"item": "tea"}, headers=KEY).status == 201


def test_without_the_section_only_operations_that_ask_look_at_keys() -> None:
    here = world(None)
    assert post(here).json["id"] != post(here).json["id"]


@pytest.mark.parametrize("demand", ["none", "optional"])
def test_an_operation_may_say_whether_it_looks(demand: str) -> None:
    operation = {**SERVICE["operations"]["POST /orders"], "idempotency": demand}
    here = world(operations={"POST /orders": operation})
    assert (post(here).body == post(here).body) == (demand == "optional")


def test_methods_say_whose_operations_look() -> None:
    here = world({"methods": ["PATCH"]})
    assert post(here).body != post(here).body


@pytest.mark.parametrize(
    ("syntax", "key", "status"),
    [
        ("any", "raw-token", 201),
        ("any", '"quoted"', 201),
        ("quoted", "raw-token", 400),
        ("quoted", '"quoted"', 201),
        ("raw", '"quoted"', 201),
        ("any", '""', 400),
        ("any", "k" * 256, 400),
        ("any", "k" * 255, 201),
        ("any", '"', 201),
    ],
)
def test_keys_have_a_syntax_and_a_bound(syntax: str, key: str, status: int) -> None:
    assert post(world({"syntax": syntax}), key=key).status == status


def test_a_quoted_key_and_the_raw_one_are_the_same_unless_raw_is_meant() -> None:
    for syntax, same in (("any", True), ("raw", False)):
        here = world({"syntax": syntax})
        assert (post(here, key='"k"').body == post(here, key="k").body) is same


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20))
def test_a_quoted_key_is_what_was_quoted(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    here = world({"syntax": "quoted"})
    assert post(here, key=quoted).decision.facts["key"] == key


def test_a_key_may_stand_in_the_body() -> None:
    here = world("square")
    body = {"item": "tea", "idempotency_key": "abc"}
    first, again = (here.send("POST", "/orders", body) for _ in range(2))
    assert (again.body, outcome(again)) == (first.body, "replayed")
    assert here.send("POST", "/orders", {**body, "item": "x"}).status == 422


def test_a_key_in_a_body_that_cannot_be_read_is_no_key() -> None:
    answer = world("square").send("POST", "/orders", raw=b"{")
    assert (answer.status, answer.json["code"]) == (400, "invalid")


def test_stripes_way_names_the_original_and_says_mismatch_in_its_words() -> None:
    here = world("stripe-v1", errors={"envelope": "stripe"})
    post(here)
    again, other = post(here, id="req_2"), post(here, "coffee")
    assert (again.header("Idempotent-Replayed"), again.header("Original-Request")) == ("true", "req_1")
    assert (other.status, other.json["error"]["type"], "code" in other.json["error"]) == (
        400,
        "idempotency_error",
        False,
    )
    assert other.json["error"]["message"].startswith("Keys for idempotent requests can only be used with the same")


def test_svixs_way_compares_no_body_and_keeps_successes() -> None:
    here = world("svix")
    first = post(here)
    assert post(here, "coffee").body == first.body
    assert post(here).header("Idempotent-Replayed") is None


def test_a_profile_can_be_changed_in_part() -> None:
    here = world({"profile": "stripe-v1", "replay": {"headers": {"X-Again": "{{ original.status }}"}}})
    post(here)
    assert post(here).header("X-Again") == "201"


def test_a_repeated_request_may_be_an_error_that_names_the_original() -> None:
    replay = {"error": {"status": 409, "code": "DUP", "message": "done as {{ original.id }} at {{ original.at.iso }}"}}
    here = world({"replay": replay})
    first, again = post(here), post(here)
    assert (again.status, again.json["code"]) == (409, "DUP")
    assert again.json["detail"] == f"done as {first.json['id']} at 2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("scope", "same_path", "other_path"),
    [("client", "replayed", "mismatch"), ("operation", "replayed", "first"), ("global", "replayed", "mismatch")],
)
def test_a_key_belongs_to_its_scope(scope: str, same_path: str, other_path: str) -> None:
    here = world({"scope": scope})
    first = post(here).json["id"]
    assert outcome(post(here)) == same_path
    assert outcome(here.send("POST", f"/orders/{first}/pay", {"item": "tea"}, headers=KEY)) == other_path


@pytest.mark.parametrize(("fingerprint", "wanted"), [(["operation", "query"], 422), (["operation"], 201), ([], 201)])
def test_what_must_be_the_same_can_be_said(fingerprint: list[str], wanted: int) -> None:
    here = world({"fingerprint": fingerprint})
    for url in ("/orders?a=1&b=2", "/orders?b=2&a=1"):
        assert here.send("POST", url, {"item": "tea"}, headers=KEY).status == 201
    assert here.send("POST", "/orders?a=2", {"item": "coffee"}, headers=KEY).status == wanted


def test_bytes_that_are_no_text_are_replayed_too() -> None:
    here = World({"operations": {"POST /x": {"reply": {"bytes": "/wD+"}}}, "idempotency": "ietf"})
    first, again = (here.send("POST", "/x", raw=b"\xff\x00", headers={**KEY, "Content-Type": "a/b"}) for _ in range(2))
    assert (first.body, again.body) == (b"\xff\x00\xfe", b"\xff\x00\xfe")


def test_what_a_call_draws_depends_on_no_other_call() -> None:
    here, there = world(), world()
    post(there, key='"other"')
    post(there, key=None)
    assert post(here).json["id"] == post(there).json["id"]


def test_a_key_that_was_forgotten_makes_something_new() -> None:
    here = world({"keep": "1s"})
    ids = []
    for _ in range(3):
        ids.append(post(here).json["id"])
        here.move(1000)
    assert len({*ids}) == 3


def test_the_journal_knows_the_key_and_what_came_of_it() -> None:
    assert {"key", "idempotency"} <= {*ExchangeEnded._fields}
    assert post(world()).decision.facts["key"] == "k-1"


def test_an_unknown_profile_is_told_with_the_nearest() -> None:
    (said,) = complaints({**SERVICE, "idempotency": "stripe-v2"})
    assert "no profile 'stripe-v2'; did you mean 'stripe-v1'?" in said


def test_a_misspelt_name_in_its_words_is_told() -> None:
    wrong = {"mismatch": {"error": {"message": "{{ kye }}"}}, "replay": {"headers": {"Date": "x"}}}
    said = complaints({**SERVICE, "idempotency": wrong})
    assert len(said) == 2
    assert "'kye'" in said[0] or "'kye'" in said[1]
