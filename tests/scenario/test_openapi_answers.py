"""What a service answers stands in its document: replies, errors, envelopes, headers."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.profiles.envelopes import ENVELOPES
from tests.scenario.described import Described, Json

JOB: Json = {
    "id": "job_{{ ordinal }}",
    "record": {"name": "{{ body.name }}"},
    "states": {
        "OPEN": [{"to": "DONE", "signal": "close", "set": {"name": "{{ body.name or record.name }}"}}],
        "DONE": [],
    },
}


def job(resource: Json | None = None, errors: Json | None = None, **operations: Any) -> Described:
    """A service of jobs; `GET_one` is `GET /jobs/{id}`, `POST_all` is `POST /jobs`."""
    paths = {"all": "/jobs", "one": "/jobs/{id}", "go": "/jobs/{id}/go"}
    named = {f"{name.split('_')[0]} {paths[name.split('_')[1]]}": made for name, made in operations.items()}
    return Described(
        {
            "resources": {"job": JOB if resource is None else resource},
            "operations": {"POST /jobs": {"create": "job"}, **named},
            **({"errors": errors} if errors else {}),
        }
    )


def test_every_verb_answers_as_described() -> None:
    world = job(
        GET_all={"list": "job"},
        GET_one={"read": "job", "etag": True},
        PATCH_one={"update": "job"},
        DELETE_one={"delete": "job"},
        POST_go={"signal": "job.close"},
    )
    made = world.ask("POST", "/jobs", {"name": "n"})
    assert made.status == 201
    assert world.ask("GET", "/jobs").status == 200
    read = world.ask("GET", "/jobs/job_1")
    again = world.ask("GET", "/jobs/job_1", headers={"If-None-Match": read.header("ETag") or ""})
    assert (read.status, again.status) == (200, 304)
    assert world.ask("PATCH", "/jobs/job_1", {"name": "m"}).status == 200
    assert world.ask("POST", "/jobs/job_1/go", {}).status == 200
    assert world.ask("POST", "/jobs/job_1/go", {}).status == 409
    assert world.ask("DELETE", "/jobs/job_1").status == 204
    assert world.ask("GET", "/jobs/job_1").status == 404


def test_a_view_is_told_by_its_shape() -> None:
    world = job(
        {
            **JOB,
            "view": {"id": "{{ id }}", "at": "{{ record.created_at.iso }}", "kind": "job", "n": "{{ record.name }}"},
        }
    )
    assert world.document["components"]["schemas"]["job"] == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "kind": {"const": "job"},
            "n": {},
        },
        "required": ["id", "at", "kind"],
    }
    assert world.schema("POST", "/jobs", 201) == world.document["components"]["schemas"]["job"]
    world.ask("POST", "/jobs", {})


def test_a_view_that_nobody_wrote_is_told_too() -> None:
    properties = job().document["components"]["schemas"]["job"]["properties"]
    assert properties == {"id": {"type": "string"}, "state": {"type": "string", "enum": ["OPEN", "DONE"]}, "name": {}}
    plain = job({"record": {"name": "{{ body.name }}"}}).document["components"]["schemas"]["job"]
    assert list(plain["properties"]) == ["id", "name"]


def test_a_field_of_ones_own_hides_what_is_built_in() -> None:
    view = {"at": "{{ record.created_at }}", "v": "{{ record.version }}", "o": "{{ record.ordinal }}"}
    own = {"record": {"created_at": "{{ body.at }}"}, "view": view}
    world = job(own, PATCH_one={"update": "job", "set": {"version": "{{ body.v }}"}})
    assert world.document["components"]["schemas"]["job"]["properties"] == {"at": {}, "v": {}, "o": {"type": "integer"}}
    assert world.ask("POST", "/jobs", {"at": [1]}).json["at"] == [1]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        (None, ""),
        ({"style": "cursor", "size": 2}, ""),
        ({"style": "cursor", "cursor": "id", "size": 2, "link": True}, ""),
        ({"style": "offset", "size": 2, "link": True}, "?offset=1"),
        ({"style": "number", "size": 2}, "?page=2"),
    ],
)
def test_pages_are_as_described(page: Json | None, query: str) -> None:
    world = job(GET_all={"list": "job", **({"page": page} if page else {})})
    for _ in range(5):
        world.send("POST", "/jobs", {})
    assert world.ask("GET", f"/jobs{query}").status == 200


def test_every_field_of_a_page_is_told() -> None:
    names = ["size", "has_more", "total", "pages", "offset", "number", "next_url", "first_url", "prev_url", "next"]
    body = {name: f"{{{{ page.{name} }}}}" for name in names}
    world = job(GET_all={"list": "job", "page": {"style": "number", "size": 2}, "reply": {"body": body}})
    for _ in range(5):
        world.send("POST", "/jobs", {})
    assert world.ask("GET", "/jobs?page=2").json["next"] == 3
    told = world.schema("GET", "/jobs", 200)
    assert told["required"] == ["size", "has_more", "total", "pages", "offset", "number"]
    assert told["properties"]["next"] == {"type": "integer"}


def test_a_list_of_views_that_may_be_left_out_may_hold_null() -> None:
    world = job({**JOB, "view": "{{ record.name }}"}, GET_all={"list": "job"})
    world.send("POST", "/jobs", {})
    assert world.ask("GET", "/jobs").json == [None]


@pytest.mark.parametrize(
    ("reply", "status", "media"),
    [
        ({"status": 202}, 202, "application/json"),
        ({"status": "202"}, 202, "application/json"),
        ({"status": "{{ 200 if body.quick else 202 }}"}, 202, "application/json"),
        ({"status": "{{ omit }}"}, 201, "application/json"),
        ({"status": 299}, 299, "application/json"),
        ({"body": {"got": "{{ body.name }}"}}, 201, "application/json"),
        ({"text": "hello {{ id }}"}, 201, "text/plain"),
        ({"bytes": "AAEC"}, 201, "application/octet-stream"),
        ({"text": "<a/>", "headers": {"content-type": "application/xml; charset=utf-8"}}, 201, "application/xml"),
    ],
)
def test_replies_are_told_by_status_and_type(reply: Json, status: int, media: str) -> None:
    world = job(POST_all={"create": "job", "reply": reply})
    assert world.ask("POST", "/jobs", {}).status == status
    assert list(world.response("POST", "/jobs", status)["content"]) == [media]


def test_a_status_that_nobody_can_tell_is_any() -> None:
    world = job(POST_all={"create": "job", "reply": {"status": "{{ body.status }}"}})
    assert world.ask("POST", "/jobs", {"status": 207}).status == 207
    assert world.response("POST", "/jobs", "default")["description"] == "As the scenario says."


def test_a_type_that_nobody_can_tell_is_any() -> None:
    world = job(POST_all={"create": "job", "reply": {"text": "x", "headers": {"Content-Type": "{{ body.type }}"}}})
    assert list(world.response("POST", "/jobs", 201)["content"]) == ["*/*"]


def test_names_that_an_operation_binds_are_its_own() -> None:
    found = {"view": {"job": "{{ params.id }}"}, "id": {"job": "{{ params.id }}"}}
    world = job(
        GET_one={"read": "job", "find": found},
        POST_go={"reply": {"body": "{{ id }}"}, "find": found},
    )
    world.ask("POST", "/jobs", {"name": "n"})
    assert world.ask("GET", "/jobs/job_1").json["id"] == "job_1"
    assert world.ask("POST", "/jobs/job_1/go", {}).json["id"] == "job_1"


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_told_without(status: int) -> None:
    world = job(POST_all={"create": "job", "reply": {"status": status, "body": {"a": 1}}})
    assert world.ask("POST", "/jobs", {}).body == b""
    assert "content" not in world.response("POST", "/jobs", status)


def test_replies_in_turn_and_variants_are_told_together() -> None:
    world = Described(
        {
            "operations": {
                "GET /x": [
                    {"when": "{{ query.a }}", "replies": [{"body": 1}, {"status": 202, "text": "x"}]},
                    {"reply": {"body": {"a": "{{ query.b }}"}}},
                ]
            }
        }
    )
    for url in ("/x?a=1", "/x?a=1", "/x", "/x?b=2"):
        world.ask("GET", url)
    assert list(world.operation("GET", "/x")["responses"]) == ["200", "202", "400", "413", "415", "500", "503"]
    assert world.schema("GET", "/x", 200)["anyOf"][0] == {"const": 1}


def test_headers_are_required_where_they_are_sure() -> None:
    fields = {
        "Location": "{{ base_url }}/jobs/{{ id }}",
        "X-Fixed": "1",
        "X-Number": 7,
        "X-Many": ["a", "b"],
        "X-Perhaps": "{{ body.x }}",
        "X-Count": "{{ ordinal }}",
    }
    world = job(POST_all={"create": "job", "reply": {"headers": fields}})
    assert world.ask("POST", "/jobs", {}).status == 201
    told = world.response("POST", "/jobs", 201)["headers"]
    assert {name for name, header in told.items() if header.get("required")} == {"Location", "X-Fixed", "X-Number"}
    assert told["X-Fixed"]["schema"] == {"type": "string", "const": "1"}


ERRORS: dict[str, Json] = {
    "problem": {},
    "own": {
        "envelope": {"error": {"code": "{{ error.code }}", "text": "{{ error.message }}"}, "list": "{{ error.errors }}"}
    },
    "odd": {"envelope": "{{ error.detail }}", "content_type": "application/vnd.odd+json; v=1"},
    "renamed": {"not_found": {"status": 410, "code": 17, "message": "Gone.", "headers": {"X-Why": "{{ error.code }}"}}},
    "detailed": {"not_found": {"details": {"type": "https://e.test/gone", "hint": "{{ error.detail }}"}}},
    "recoded": {"not_found": {"code": "{{ error.status }}"}},
    **{name: {"envelope": name} for name in ENVELOPES},
}


@pytest.mark.parametrize("errors", [pytest.param(each, id=name) for name, each in ERRORS.items()])
def test_every_error_is_as_described_in_every_envelope(errors: Json) -> None:
    refuse = [
        {"when": "{{ body.name == 'no' }}", "error": {"code": "NO", "message": "No, {{ error.kind }}."}},
        {"when": "{{ body.name == 'busy' }}", "error": "unavailable"},
    ]
    accepts = {"type": "object", "properties": {"name": {"type": "string"}}}
    world = job(
        None,
        errors,
        POST_all={"create": "job", "accepts": accepts, "unique": ["name"], "refuse": refuse},
        GET_one={"read": "job"},
        POST_go={"signal": "job.close"},
        DELETE_one={"delete": "job", "etag": "required"},
        GET_all={"list": "job", "page": {}, "reply": {"body": "{{ 1 / (query.n | int) }}"}},
    )
    world.ask("POST", "/jobs", {"name": "a"})
    world.ask("POST", "/jobs", {"name": "a"})
    world.ask("POST", "/jobs", {"name": "no"})
    world.ask("POST", "/jobs", {"name": "busy"})
    world.ask("POST", "/jobs", {"name": 1})
    world.ask("POST", "/jobs", raw=b"{")
    world.ask("POST", "/jobs", raw=b"x", headers={"Content-Type": "image/png"})
    world.ask("GET", "/jobs/none")
    world.ask("POST", "/jobs/job_1/go", {})
    world.ask("POST", "/jobs/job_1/go", {})
    world.ask("DELETE", "/jobs/job_1")
    world.ask("DELETE", "/jobs/job_1", headers={"If-Match": '"other"'})
    world.ask("GET", "/jobs?cursor=x")
    world.ask("GET", "/jobs?n=0")


def test_errors_of_one_status_are_told_together_with_their_codes() -> None:
    world = job(
        POST_all={"create": "job", "accepts": {"type": "object"}, "refuse": [{"when": True, "error": {"code": "NO"}}]}
    )
    told = world.schema("POST", "/jobs", 422)
    assert told["properties"]["code"] == {"enum": ["contract", "NO"]}
    assert "errors" not in told["required"]
    assert world.response("POST", "/jobs", 422)["description"] == "The request is not what accepts says. NO."


def test_an_error_that_several_operations_give_stands_once() -> None:
    world = job(GET_one={"read": "job"}, POST_go={"signal": "job.close"})
    refs = [world.operation(*each)["responses"]["404"] for each in (("GET", "/jobs/{id}"), ("POST", "/jobs/{id}/go"))]
    assert refs == [{"$ref": "#/components/responses/not_found"}] * 2


@pytest.mark.parametrize(
    ("operation", "kinds"),
    [
        ({"read": "job"}, {"404"}),
        ({"update": "job"}, {"404"}),
        ({"update": "job", "etag": True}, {"404", "412"}),
        ({"delete": "job", "etag": "required"}, {"404", "412", "428"}),
        ({"signal": "job.close"}, {"404", "409"}),
        ({"read": "job", "etag": "required"}, {"404"}),
        ({"create": "job"}, {"409"}),
        ({"list": "job"}, set()),
        ({"list": "job", "find": {"job": "{{ params.id }}"}}, {"404"}),
        ({"reply": {"body": 1}}, set()),
        ({"reply": {"body": 1}, "also": [{"signal": "job.close", "id": "{{ params.id }}"}]}, {"404", "409"}),
    ],
)
def test_only_what_an_operation_can_give_is_described(operation: Json, kinds: set[str]) -> None:
    world = job(POST_go=operation)
    always = {"400", "413", "415", "500", "503"}
    told = {status for status in world.operation("POST", "/jobs/{id}/go")["responses"] if status >= "400"}
    assert told == kinds | always


def test_a_table_that_names_a_verb_can_refuse_it() -> None:
    states = {"OPEN": [{"to": "OPEN", "signal": "updated"}, {"to": "GONE", "signal": "deleted"}], "GONE": []}
    world = job({**JOB, "states": states}, PATCH_one={"update": "job"}, DELETE_one={"delete": "job"})
    world.ask("POST", "/jobs", {})
    assert world.ask("DELETE", "/jobs/job_1").status == 204
    assert world.ask("DELETE", "/jobs/job_1").status == 409
    assert world.ask("PATCH", "/jobs/job_1", {}).status == 409


def test_what_must_be_unique_can_conflict_on_every_write() -> None:
    world = job(POST_all={"create": "job", "unique": ["name"]}, PATCH_one={"update": "job"})
    for name in ("a", "b"):
        world.ask("POST", "/jobs", {"name": name})
    assert world.ask("PATCH", "/jobs/job_2", {"name": "a"}).status == 409
