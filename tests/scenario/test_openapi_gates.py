"""What stands before an operation is described: credentials, limits, idempotency keys, a budget."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from simulator.core.profiles.idempotency import PROFILES
from simulator.core.profiles.limits import DIALECTS
from tests.core.world import BASE
from tests.scenario.described import Described, Json

OAUTH: Json = {
    "oauth2": {
        "clients": {"demo": {"secret": "s", "scopes": ["read"]}, "other": {"secret": "s", "scopes": []}},
        "revoke_path": "/oauth/revoke",
        "introspect_path": "/oauth/introspect",
        "refresh_token": {},
        "access_token": {"format": "jwt", "algorithm": "EdDSA"},
    }
}
KEY: Json = {"api_key": {"header": "X-Key", "keys": {"k": {"scopes": ["read"]}, "poor": {"scopes": []}}}}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def service(**more: Any) -> Described:
    """A service whose `POST /jobs` makes a job; `operation` says more of it."""
    operation = more.pop("operation", {})
    job = {"id": "job_{{ ordinal }}", "record": {"a": "{{ body.a }}"}}
    operations = {"POST /jobs": {"create": "job", **operation}, "GET /open": {"reply": {"body": 1}, "auth": "none"}}
    if "auth" not in more:
        operations["GET /open"] = {"reply": {"body": 1}}
    return Described({"resources": {"job": job}, "operations": operations, **more})


def test_schemes_are_told_and_what_they_demand() -> None:
    world = service(auth={"login": OAUTH, "key": KEY}, operation={"scopes": ["read"]}, base_path="/v1")
    OpenAPIV31SpecValidator(world.document).validate()
    schemes = world.document["components"]["securitySchemes"]
    assert schemes["login"]["flows"]["clientCredentials"]["tokenUrl"] == f"{BASE}/v1/oauth/token"
    assert schemes["key"] == {"type": "apiKey", "in": "header", "name": "X-Key"}
    told = world.operation("POST", "/v1/jobs")
    assert told["security"] == [{"login": ["read"]}, {"key": []}]
    assert world.operation("GET", "/v1/open")["security"] == []
    assert not {"401", "403"} & set(world.operation("GET", "/v1/open")["responses"])
    assert world.ask("POST", "/v1/jobs", {}).status == 401
    assert world.ask("POST", "/v1/jobs", {}, headers={"X-Key": "no"}).status == 401
    assert world.ask("POST", "/v1/jobs", {}, headers={"X-Key": "poor"}).status == 403
    assert world.ask("POST", "/v1/jobs", {}, headers={"X-Key": "k"}).status == 201
    assert world.response("POST", "/v1/jobs", 401)["headers"]["WWW-Authenticate"]["required"] is True


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ({"api_key": {"query": "key", "keys": {"k": None}}}, {"type": "apiKey", "in": "query", "name": "key"}),
        ({"api_key": {"cookie": "key", "keys": {"k": None}}}, {"type": "apiKey", "in": "cookie", "name": "key"}),
        ({"basic": {"users": {"u": {"password": "p"}}}}, {"type": "http", "scheme": "basic"}),
        ({"bearer": {"tokens": {"t": None}}}, {"type": "http", "scheme": "bearer"}),
        ({"hmac": {"keys": {"k": {"secret": "s"}}}}, {"type": "apiKey", "in": "header", "name": "X-Signature"}),
    ],
)
def test_each_kind_of_scheme_has_its_kind_in_openapi(scheme: Json, told: Json) -> None:
    world = service(auth={"it": scheme})
    OpenAPIV31SpecValidator(world.document).validate()
    assert world.document["components"]["securitySchemes"] == {"it": told}
    assert world.ask("POST", "/jobs", {}).status == 401


def test_where_no_scheme_is_named_nothing_is_said_of_security() -> None:
    world = service()
    assert "security" not in world.operation("POST", "/jobs")
    assert "securitySchemes" not in world.document["components"]


def test_variants_that_differ_in_who_may_ask_admit_both() -> None:
    variants = [{"when": "{{ query.a }}", "auth": "none", "reply": {"body": 1}}, {"reply": {"body": 2}}]
    world = Described({"auth": {"key": KEY}, "operations": {"GET /x": variants}})
    assert world.operation("GET", "/x")["security"] == [{}, {"key": []}]
    assert [world.ask("GET", url).status for url in ("/x?a=1", "/x")] == [200, 401]


def test_signed_requests_are_told_with_what_they_carry() -> None:
    hmac = {
        "header": "X-Sig",
        "key": "{{ headers['X-Key-Id'] }}",
        "timestamp": "{{ query.at }}",
        "nonce": "{{ headers.x_nonce or headers['X-Sig'] }}",
        "keys": {"k": {"secret": "s"}},
        "error": {"status": 403, "code": "TOO_LATE"},
    }
    world = service(auth={"signed": {"hmac": hmac}})
    told = world.operation("POST", "/jobs")
    assert [each["name"] for each in told["parameters"]] == ["X-Key-Id", "x-nonce", "at"]
    assert world.schema("POST", "/jobs", 403)["properties"]["code"] == {"const": "TOO_LATE"}


def test_the_token_endpoints_answer_as_described() -> None:
    world = service(auth={"login": OAUTH})
    OpenAPIV31SpecValidator(world.document).validate()

    def form(path: str, **fields: str) -> Any:
        return world.ask("POST", path, raw=urlencode(fields).encode(), headers=FORM)

    client = {"client_id": "demo", "client_secret": "s"}
    given = form("/oauth/token", grant_type="client_credentials", **client)
    assert given.status == 200
    assert (
        form("/oauth/token", grant_type="refresh_token", refresh_token=given.json["refresh_token"], **client).status
        == 200
    )
    assert form("/oauth/token", grant_type="password", **client).status == 400
    assert form("/oauth/token", grant_type="client_credentials").status == 401
    assert form("/oauth/introspect", token=given.json["access_token"], **client).json["active"] is True
    assert form("/oauth/revoke", token=given.json["access_token"], **client).status == 200
    for path in world.document["paths"]:
        if ".well-known" in path:
            assert world.ask("GET", path).status == 200


LIMITS: dict[str, Json] = {
    "plain": {"rate": "1/m"},
    "told": {"rate": "1/m", "announce": ["ietf", "x-ratelimit"], "retry_after": ["date", "ms"]},
    "silent": {"rate": "1/m", "retry_after": "none"},
    "own field": {"rate": "1/m", "retry_after": {"as": "seconds", "header": "X-Wait"}},
    "own dialect": {"rate": "1/m", "announce": {"headers": {"X-Left": "{{ limit.remaining }}"}}},
    "own error": {"rate": "1/m", "error": {"status": 420, "code": "CALM"}},
    "own reply": {"rate": "1/m", "reply": {"status": 200, "body": {"ok": False}}},
    "text": {"rate": "1/m", "reply": {"text": "slow down"}},
    "no body": {"rate": "1/m", "reply": {"headers": {"X-A": "1"}}},
    **{name: {"rate": "1/m", "announce": name, "name": "core"} for name in DIALECTS},
}


@pytest.mark.parametrize("limit", [pytest.param(each, id=name) for name, each in LIMITS.items()])
def test_limits_answer_as_described(limit: Json) -> None:
    world = service(limits=[limit])
    OpenAPIV31SpecValidator(world.document).validate()
    assert world.ask("POST", "/jobs", {}).status == 201
    for _ in range(3):
        assert world.ask("POST", "/jobs", {}).status != 201


def test_what_a_limit_announces_is_told_of_replies_and_refusals() -> None:
    world = service(limits=[{"rate": "1/m", "announce": "x-ratelimit"}])
    assert "X-RateLimit-Remaining" in world.response("POST", "/jobs", 201)["headers"]
    assert list(world.response("POST", "/jobs", 429)["headers"]) == [
        "Retry-After",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ]


def test_only_operations_under_a_limit_are_told_of_it() -> None:
    world = service(limits=[{"rate": "1/m", "operations": "POST /jobs"}])
    assert "429" in world.operation("POST", "/jobs")["responses"]
    assert "429" not in world.operation("GET", "/open")["responses"]


def test_a_limit_that_names_a_token_endpoint_is_told_there() -> None:
    world = service(auth={"login": OAUTH}, limits=[{"rate": "1/m", "operations": "POST /oauth/*", "per": "service"}])
    sent = [world.ask("POST", "/oauth/token", raw=b"", headers=FORM).status for _ in range(2)]
    assert sent == [401, 429]
    reply = {"rate": "1/m", "operations": "POST /oauth/token", "per": "service", "reply": {"body": {"slow": True}}}
    world = service(auth={"login": OAUTH}, limits=[reply])
    assert [world.ask("POST", "/oauth/token", raw=b"", headers=FORM).status for _ in range(2)][1] == 429


@pytest.mark.parametrize("words", [None, *PROFILES, {"syntax": "quoted"}, {"in_flight": "wait", "fingerprint": []}])
def test_keys_answer_as_described(words: Any) -> None:
    more = {} if words is None else {"idempotency": words}
    world = service(operation={"idempotency": "required"}, **more)
    OpenAPIV31SpecValidator(world.document).validate()
    body_key = {"aip-155": "request_id", "square": "idempotency_key"}.get(words if isinstance(words, str) else "")
    headers = {} if body_key else {"Idempotency-Key": '"key"'}
    named = {body_key: "key"} if body_key else {}
    assert world.ask("POST", "/jobs", {"a": 1}).status == 400
    assert world.ask("POST", "/jobs", {"a": 1, **named}, headers=headers).status == 201
    world.ask("POST", "/jobs", {"a": 1, **named}, headers=headers)
    world.ask("POST", "/jobs", {"a": 2, **named}, headers=headers)
    world.begin(
        "POST",
        "/jobs",
        {"a": 3, **({body_key: "busy"} if body_key else {})},
        headers={**headers, "Idempotency-Key": '"busy"'},
    )
    if words is None:
        assert world.ask("POST", "/jobs", {"a": 3}, headers={"Idempotency-Key": '"busy"'}).status == 409


def test_a_key_is_a_parameter_as_it_is_demanded() -> None:
    asked = service(operation={"idempotency": "required"}).parameter("POST", "/jobs", "Idempotency-Key")
    assert (asked["required"], asked["schema"]) == (True, {"type": "string", "maxLength": 255, "minLength": 1})
    free = service(operation={"idempotency": "optional"}).parameter("POST", "/jobs", "Idempotency-Key")
    assert "required" not in free
    quoted = service(idempotency={"syntax": "quoted", "key_max": 9}).parameter("POST", "/jobs", "Idempotency-Key")
    assert quoted["schema"] == {"type": "string", "pattern": r'^"[^"\\]{1,9}"$'}
    query = service(idempotency={"key": "{{ query.key }}"}, operation={"idempotency": "required"})
    assert query.parameter("POST", "/jobs", "key")["required"] is True
    either = service(idempotency={"key": "{{ headers.x_key or query.key }}"}, operation={"idempotency": "required"})
    assert [each.get("required") for each in either.operation("POST", "/jobs")["parameters"]] == [None, None]


def test_without_keys_nothing_is_said_of_them() -> None:
    told = service(idempotency="ietf", operation={"idempotency": "none"}).operation("POST", "/jobs")
    assert "parameters" not in told
    assert "422" not in told["responses"]


def test_own_words_about_keys_are_described() -> None:
    words = {
        "in_flight": {"error": {"status": 423, "code": "BUSY"}},
        "mismatch": {"error": {"status": 400, "code": "OTHER"}},
        "replay": {"error": {"status": 409, "code": "DONE"}},
    }
    world = service(idempotency=words)
    headers = {"Idempotency-Key": "k"}
    world.begin("POST", "/jobs", {}, headers=headers)
    assert world.ask("POST", "/jobs", {}, headers=headers).status == 423
    world.look.leases = []
    assert world.ask("POST", "/jobs", {}, headers=headers).status == 409
    assert world.ask("POST", "/jobs", {"a": 1}, headers=headers).status == 400


@pytest.mark.parametrize("error", [None, {"status": 429, "code": "SPENT"}])
def test_a_budget_answers_as_described(error: Json | None) -> None:
    budget = {"most": 1, **({"error": error} if error else {})}
    world = service(budget=budget, operation={"cost": 1})
    assert world.ask("POST", "/jobs", {}).status == 201
    assert world.ask("POST", "/jobs", {}).status == (429 if error else 402)
    assert not {"402", "429"} & set(world.operation("GET", "/open")["responses"])
