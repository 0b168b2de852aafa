"""The one shape of the control plane's errors, and of its answers."""

from __future__ import annotations

import json

from simulator.server.problems import answer, problem


def test_a_problem_has_what_rfc_9457_names() -> None:
    made = problem(404, "no such thing")
    assert made.status_code == 404
    assert made.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(made.body)) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such thing",
    }


def test_a_problem_may_say_more() -> None:
    assert json.loads(bytes(problem(422, "two", errors=[1, 2]).body))["errors"] == [1, 2]


def test_an_answer_is_json_that_people_can_read() -> None:
    made = answer({"a": [1], "é": None}, 201)
    assert (made.status_code, made.headers["content-type"]) == (201, "application/json")
    assert bytes(made.body).decode() == '{\n  "a": [\n    1\n  ],\n  "é": null\n}\n'
