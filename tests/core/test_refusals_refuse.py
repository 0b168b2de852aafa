"""`refuse:` the service's own refusals, in order, before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.world import World

ENVELOPE = {"code": "{{ error.code }}", "says": "{{ error.message }}", "param": "{{ error.param }}"}
STATES = {"OPEN": [{"to": "OPEN", "signal": "updated"}, {"to": "DONE", "signal": "go"}], "DONE": []}


def world(**operations: Any) -> World:
    job = {"record": {"n": "{{ body.n }}"}, "states": STATES}
    named = {name.replace("_", " ", 1): operation for name, operation in operations.items()}
    return World({"errors": {"envelope": ENVELOPE}, "resources": {"job": job, "user": {}}, "operations": named})


def rule(when: str, **error: Any) -> dict[str, Any]:
    return {"when": f"{{{{ {when} }}}}", "error": error}


def test_the_first_rule_that_holds_refuses_and_nothing_is_created() -> None:
    rules = [rule("body.n > 5", status=402, code="MUCH"), rule("body.n > 2", status=422, code="MORE")]
    play = world(**{"POST_/jobs": {"create": "job", "refuse": rules}})
    assert [play.send("POST", "/jobs", {"n": n}).status for n in (9, 3, 1)] == [402, 422, 201]
    assert len(play.look.records) == 1


def test_the_sentence_may_use_the_requests_names_and_details_reach_the_envelope() -> None:
    told = rule("body.n == 7", message="{{ body.n }} is {{ query.why }}", details={"param": "n"})
    play = world(**{"POST_/jobs": {"create": "job", "refuse": [told]}})
    answer = play.send("POST", "/jobs?why=odd", {"n": 7})
    assert (answer.status, answer.json) == (422, {"code": "refused", "says": "7 is odd", "param": "n"})


def test_a_name_of_a_kind_answers_as_errors_says_for_it() -> None:
    play = world(**{"POST_/jobs": {"create": "job", "refuse": [{"when": "{{ true }}", "error": "conflict"}]}})
    assert (play.send("POST", "/jobs").status, play.send("POST", "/jobs").json["code"]) == (409, "conflict")


@pytest.mark.parametrize("verb", [{"read": "job"}, {"update": "job"}, {"delete": "job"}, {"signal": "job.go"}])
def test_where_a_record_is_at_hand_its_state_and_fields_are_too(verb: dict[str, Any]) -> None:
    told = rule("state == 'OPEN' and record.n == 1", status=410, message="{{ id }} has {{ record.n }}")
    play = world(**{"POST_/jobs": {"create": "job"}, "POST_/jobs/{id}": {**verb, "refuse": [told]}})
    one, two = (play.send("POST", "/jobs", {"n": n}).json["id"] for n in (1, 2))
    answer = play.send("POST", f"/jobs/{one}")
    assert (answer.status, answer.json["says"]) == (410, f"{one} has 1")
    assert [record.version for record in play.stored() if record.id == one] == [1]
    assert play.send("POST", f"/jobs/{two}").status in (200, 204)


def test_a_record_that_is_not_there_is_not_found_before_any_rule() -> None:
    play = world(**{"GET_/jobs/{id}": {"read": "job", "refuse": [rule("true", status=410)]}})
    assert play.send("GET", "/jobs/x").status == 404


def test_what_find_binds_can_decide() -> None:
    find = {"user": "{{ params.uid }}"}
    told = rule("user.id == 'x'", status=403)
    users = {"create": "user", "id": "{{ body.id }}"}
    play = world(**{"POST_/users": users, "GET_/users/{uid}/jobs": {"list": "job", "find": find, "refuse": [told]}})
    for id_ in ("x", "y"):
        play.send("POST", "/users", {"id": id_})
    assert [play.send("GET", f"/users/{id_}/jobs").status for id_ in "xy"] == [403, 200]


def test_a_plain_reply_can_be_refused() -> None:
    play = world(**{"GET_/a": {"reply": {"text": "ok"}, "refuse": [rule("query.no", status=503)]}})
    assert [play.send("GET", path).status for path in ("/a", "/a?no=1")] == [200, 503]


def test_one_of_the_further_steps_refuses_the_whole() -> None:
    also = [{"signal": "job.go", "id": "{{ body.job }}", "refuse": [rule("record.n == 1", status=409)]}]
    play = world(**{"POST_/jobs": {"create": "job"}, "POST_/users": {"create": "user", "also": also}})
    id_ = play.send("POST", "/jobs", {"n": 1}).json["id"]
    assert play.send("POST", "/users", {"job": id_}).status == 409
    assert len(play.look.records) == 1
