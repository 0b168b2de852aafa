"""The verb, what else is done, and the reply that shows what came of both."""

from __future__ import annotations

from tests.core.world import World

RESOURCES = {
    "cart": {"record": {"total": 0}, "view": {"id": "{{ id }}", "total": "{{ record.total }}"}},
    "line": {"record": {"n": "{{ body.n }}"}},
}


def test_the_reply_shows_the_record_as_the_further_steps_left_it() -> None:
    also = [{"update": "cart", "id": "{{ id }}", "set": {"total": 5}}]
    here = World({"resources": RESOURCES, "operations": {"POST /carts": {"create": "cart", "also": also}}})
    assert here.send("POST", "/carts").json["total"] == 5


def test_a_further_step_sees_what_those_before_it_made() -> None:
    also = [
        {"create": "line"},
        {"create": "cart", "set": {"total": "{{ line.n }}"}},
        {"create": "line", "when": "{{ false }}"},
    ]
    here = World({"resources": RESOURCES, "operations": {"POST /carts": {"create": "cart", "also": also}}})
    here.send("POST", "/carts", {"n": 7})
    assert [record.kind for record in here.stored()] == ["shop.cart", "shop.cart", "shop.line"]
    assert here.stored()[1].fields["total"] == 7


def test_what_fails_on_the_way_has_done_nothing() -> None:
    also = [{"update": "cart", "id": "nobody", "set": {"total": 5}}]
    here = World({"resources": RESOURCES, "operations": {"POST /carts": {"create": "cart", "also": also}}})
    assert here.send("POST", "/carts").status == 404
    assert here.stored() == []


def test_replies_come_in_turn() -> None:
    replies = [{"status": 503}, {"status": 200}]
    for after, wanted in (("last", [503, 200, 200]), ("again", [503, 200, 503])):
        here = World({"operations": {"GET /x": {"replies": replies, "after_last": after}}})
        assert [here.send("GET", "/x").status for _ in range(3)] == wanted


def test_who_has_the_newest_version_gets_no_body() -> None:
    operations = {"POST /carts": {"create": "cart"}, "GET /carts/{id}": {"read": "cart", "etag": True}}
    here = World({"resources": RESOURCES, "operations": operations})
    path = f"/carts/{here.send('POST', '/carts').json['id']}"
    tag = here.send("GET", path).header("ETag") or ""
    answer = here.send("GET", path, headers={"If-None-Match": tag})
    assert (answer.status, answer.body, answer.header("ETag")) == (304, b"", tag)
