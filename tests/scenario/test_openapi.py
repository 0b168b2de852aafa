"""The document as a whole: legal OpenAPI 3.1, the same each time, and true of the shipped scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from simulator.cli.files import read_file
from simulator.core.profiles.envelopes import ENVELOPES
from simulator.scenario.openapi import Played, openapi
from simulator.scenario.parse import parse, service_of
from tests.core.world import BASE, START_MS
from tests.scenario.described import Described, Json

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("scenarios/*.yaml"), ROOT / "tests/documents.yaml"])


def legal(document: Json) -> bool:
    """Whether it keeps OpenAPI 3.1's own schema, every reference leads somewhere and every operationId is one."""
    OpenAPIV31SpecValidator(document).validate()
    return True


def file_of(path: Path) -> Json:
    draft = parse(str(path), read_file)
    return openapi([Played(draft.scenario, service_of(draft, 1))], BASE)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_shipped_scenarios_have_legal_documents(path: Path) -> None:
    document = file_of(path)
    assert legal(document)
    assert orjson.dumps(document) == orjson.dumps(file_of(path))
    assert document["paths"]


@pytest.mark.parametrize("envelope", ["problem", *ENVELOPES])
def test_every_envelope_makes_a_legal_document(envelope: str) -> None:
    world = Described({"errors": {"envelope": envelope}, "operations": {"GET /x": {"reply": {"body": 1}}}})
    assert legal(world.document)


def test_a_service_says_what_it_is_and_where() -> None:
    world = Described({"summary": "A shop.", "base_path": "/v1", "operations": {"GET /x": {"reply": {"body": 1}}}})
    told = world.document
    assert told["openapi"] == "3.1.0"
    assert told["info"] == {"title": "shop", "summary": "A shop.", "version": world.services[0].digest}
    assert told["servers"] == [{"url": BASE}]
    assert list(told["paths"]) == ["/v1/x"]
    assert "tags" not in told


def test_a_service_without_operations_has_a_document_too() -> None:
    document = Described({"scenario": "bare", "resources": {"job": {"record": {}}}}).document
    assert legal(document)
    assert document["paths"] == {}


@pytest.mark.parametrize(
    ("path", "template", "names"),
    [
        ("/jobs/{id}:retry", "/jobs/{id}:retry", ["id"]),
        ("/files/{id}.txt", "/files/{id}.txt", ["id"]),
        ("/a/{from}-{to}/b", "/a/{from}-{to}/b", ["from", "to"]),
        ("/files/{rest:path}", "/files/{rest}", ["rest"]),
    ],
)
def test_paths_are_written_as_openapi_writes_them(path: str, template: str, names: list[str]) -> None:
    document = Described({"operations": {f"GET {path}": {"reply": {"body": 1}}}}).document
    assert legal(document)
    told = document["paths"][template]["get"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in told] == [(name, "path", True) for name in names]
    least = [each["schema"].get("minLength", 0) for each in told]
    assert least == [0 if "rest" in names else 1] * len(names)


def test_paths_that_openapi_cannot_tell_apart_are_one() -> None:
    reply = {"reply": {"body": "{{ params }}"}}
    operations = {
        "GET /a/{x}": reply,
        "POST /a/{y}": reply,
        "GET /a/{rest:path}": {"reply": {"status": 202, "text": "x"}},
    }
    world = Described({"operations": operations})
    assert legal(world.document)
    assert list(world.document["paths"]) == ["/a/{x}"]
    assert [each["name"] for each in world.operation("POST", "/a/{y}")["parameters"]] == ["x"]
    assert [world.ask("GET", url).status for url in ("/a/1", "/a/1/2")] == [200, 202]


def test_every_operation_has_an_id_and_a_summary_of_its_own() -> None:
    operations: dict[str, Any] = {
        "GET /a-b": {"reply": {"body": 1}},
        "GET /a_b": {"reply": {"body": 1}, "summary": "Said"},
        "POST /jobs": {"create": "job"},
        "POST /jobs/{id}/go": {"signal": "job.go"},
        "GET /c": [
            {"when": "{{ query.a }}", "reply": {"body": 1}, "summary": "One"},
            {"reply": {"body": 2}, "summary": "Two"},
        ],
    }
    job = {"record": {}, "states": {"A": [{"to": "B", "signal": "go"}], "B": []}}
    document = Described({"resources": {"job": job}, "operations": operations}).document
    told = [operation for item in document["paths"].values() for operation in item.values()]
    assert {each["operationId"]: each["summary"] for each in told} == {
        "get_a_b": "get_a_b",
        "get_a_b_2": "Said",
        "post_jobs": "Create a job",
        "post_jobs_id_go": "Send a job the signal go",
        "get_c": "One; Two",
    }


ONE: Json = {
    "scenario": "one",
    "summary": "First.",
    "errors": {"envelope": {"e": "{{ error.code }}"}},
    "resources": {"job": {"record": {"a": "{{ body.a }}"}}},
    "auth": {"key": {"api_key": {"header": "X-One", "keys": {"k": None}}}},
    "operations": {"POST /jobs": {"create": "job"}, "GET /jobs/{id}": {"read": "job"}},
}
TWO: Json = {
    "scenario": "two",
    "base_path": "/v2",
    "resources": {"job": {"record": {"b": "{{ body.b }}"}}},
    "auth": {"key": {"basic": {"users": {"u": None}}}},
    "operations": {"POST /jobs": {"create": "job"}, "GET /jobs/{id}": {"read": "job", "auth": "none"}},
}


def test_several_services_share_a_document_and_nothing_else() -> None:
    world = Described(ONE, TWO)
    told = world.document
    assert legal(told)
    assert told["info"]["title"] == "one, two"
    assert told["info"]["summary"] == "First."
    assert [tag["name"] for tag in told["tags"]] == ["one", "two"]
    assert list(told["paths"]) == ["/one/jobs", "/one/jobs/{id}", "/two/v2/jobs", "/two/v2/jobs/{id}"]
    assert list(told["components"]["schemas"]) == ["one.job", "two.job"]
    assert told["components"]["securitySchemes"] == {
        "one.key": {"type": "apiKey", "in": "header", "name": "X-One"},
        "two.key": {"type": "http", "scheme": "basic"},
    }
    assert [world.operation("POST", path)["operationId"] for path in ("/one/jobs", "/two/v2/jobs")] == [
        "post_jobs",
        "post_jobs_2",
    ]
    assert world.operation("POST", "/one/jobs")["security"] == [{"one.key": []}]
    assert world.operation("GET", "/two/v2/jobs/{id}")["security"] == []
    assert world.ask("POST", "/one/jobs", {"a": 1}).status == 401
    assert world.ask("POST", "/one/jobs", {"a": 1}, headers={"X-One": "k"}).json["a"] == 1
    assert world.ask("GET", "/two/v2/jobs/none").status == 404


def test_orders_answers_as_described(world: Described) -> None:
    customer = world.ask("POST", "/api/customers", {"email": "A@b.c", "name": "n"}).json["id"]
    assert world.ask("POST", "/api/customers", {"email": "a@b.c"}).status == 409
    assert world.ask("GET", "/api/customers?vip=false&sort=-name&limit=1").status == 200
    assert world.ask("DELETE", f"/api/customers/{customer}").status == 428
    order = world.ask("POST", f"/api/customers/{customer}/orders", {"note": "x"}).json["id"]
    at = f"/api/orders/{order}"
    assert world.ask("POST", f"{at}/place").status == 422
    assert world.ask("POST", f"{at}/items", {"sku": "a", "price": 3}).status == 201
    assert world.ask("POST", f"{at}/place").status == 202
    world.advance(1000)
    assert world.ask("POST", f"{at}/items", {}).status == 409
    assert world.ask("GET", f"/api/customers/{customer}/orders/{order}").json["total"] == 3
    assert world.ask("DELETE", at).status in (204, 409)
    for _ in range(2):
        assert world.ask("GET", "/api/status").status == 200
    assert world.ask("GET", "/api/status", headers={"accept": "text/plain"}).body == b"up\n"


@pytest.fixture
def world() -> Described:
    return Described((ROOT / "scenarios/orders.yaml").read_text(encoding="utf-8"), now_ms=START_MS)
