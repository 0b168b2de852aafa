"""Any scheme will do, each says no in its own exact words, and not allowed is told from not known."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.auth import SchemeModel, compile_auth
from simulator.core.places import nowhere
from simulator.core.refusals import Refused
from simulator.core.resources import request_names
from tests.core.asking import BASE, SCHEMES, Asking, basic, bearer, challenges, oauth
from tests.core.world import World

KEY = {"api_key": {"header": "X-Api-Key", "keys": {"demo-*": {"client": "c-{{ key }}", "scopes": ["a"]}}}}
USER = {"basic": {"users": {"alice": {"password": "s3cret", "scopes": ["a"]}, "sk_*": None}}}
STATIC = {"bearer": {"tokens": {"sk_test_*": {"client": "{{ key[8:] }}", "scopes": ["a", "b"]}, "odd:one": None}}}
SIGNED = {"hmac": {"keys": {"id-1": {"secret": "s3cret"}}}}
MANY = {"key": KEY, "user": USER, "static": STATIC, "signed": SIGNED}


def refusal(schemes: dict[str, Any], scopes: tuple[str, ...] = (), **headers: str) -> tuple[str, list[str]]:
    refused = Asking(schemes).refused(scopes=scopes, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return refused.kind, challenges(refused)


def test_without_credentials_each_scheme_has_its_challenge_and_none_an_error_code() -> None:
    refused = Asking({**MANY, **oauth()}).refused()
    assert refused.kind == "unauthorized"
    assert refused.headers == tuple(
        (b"WWW-Authenticate", line)
        for line in (
            b'ApiKey realm="shop"',
            b'Basic realm="shop", charset="UTF-8"',
            b'Bearer realm="shop"',
            b'Signature realm="shop"',
        )
    )
    assert refused.detail == (
        "This needs an API key in the header X-Api-Key or user and password in HTTP Basic or a bearer token or "
        "a signature in the header X-Signature or a bearer token from POST /oauth/token."
    )


def test_credentials_of_another_kind_are_none() -> None:
    assert refusal({"static": STATIC}, Authorization="Basic YTpi") == ("unauthorized", ['Bearer realm="shop"'])
    assert refusal({"user": USER}, Authorization="Bearer x") == (
        "unauthorized",
        ['Basic realm="shop", charset="UTF-8"'],
    )
    assert refusal({"key": KEY}, X_Other="demo-1") == ("unauthorized", ['ApiKey realm="shop"'])


BAD_TOKEN = (
    'Bearer realm="shop", error="invalid_request", error_description="The Authorization field holds no bearer token, '
    'which is 1 to 8192 letters, digits and -._~+/ behind the word Bearer, once."'
)


@pytest.mark.parametrize(
    ("headers", "kind", "challenge"),
    [
        (
            {"Authorization": "Bearer nobody"},
            "unauthorized",
            'Bearer realm="shop", error="invalid_token", error_description="The access token is not known."',
        ),
        ({"Authorization": "Bearer"}, "invalid", BAD_TOKEN),
        ({"Authorization": "Bearer a b"}, "invalid", BAD_TOKEN),
        ({"X-Api-Key": "x"}, "unauthorized", 'ApiKey realm="shop"'),
        ({"X-Api-Key": ""}, "unauthorized", 'ApiKey realm="shop"'),
        (basic("alice", "x"), "unauthorized", 'Basic realm="shop", charset="UTF-8"'),
        (basic("bob", "s3cret"), "unauthorized", 'Basic realm="shop", charset="UTF-8"'),
        ({"Authorization": "Basic ?"}, "unauthorized", 'Basic realm="shop", charset="UTF-8"'),
        ({"X-Signature": "00"}, "unauthorized", 'Signature realm="shop"'),
    ],
    ids=str,
)
def test_wrong_credentials_have_the_challenge_of_their_scheme(
    headers: dict[str, str], kind: str, challenge: str
) -> None:
    refused = Asking(MANY).refused(headers=headers)
    assert (refused.kind, challenges(refused)) == (kind, [challenge])


def test_bearer_tokens_that_lack_a_scope_are_told_which() -> None:
    assert refusal(MANY, ("a", "c", "d"), Authorization="Bearer sk_test_x") == (
        "forbidden",
        [
            'Bearer realm="shop", error="insufficient_scope", '
            'error_description="The credentials lack the scope c and d.", scope="a c d"'
        ],
    )


def test_other_credentials_that_lack_a_scope_have_no_registered_challenge() -> None:
    assert refusal(MANY, ("b",), X_Api_Key="demo-1") == ("forbidden", [])
    assert refusal(MANY, ("b",), **basic("alice", "s3cret")) == ("forbidden", [])


@pytest.mark.parametrize(
    ("headers", "client", "scheme", "credential"),
    [
        ({"X-Api-Key": "demo-1"}, "c-demo-1", "key", "demo-1"),
        (basic("alice", "s3cret"), "alice", "user", "alice:s3cret"),
        (basic("sk_1", ""), "sk_1", "user", "sk_1:"),
        (bearer("sk_test_acme"), "acme", "static", "sk_test_acme"),
        (bearer("odd:one"), "odd:one", "static", "odd:one"),
    ],
)
def test_each_scheme_knows_its_clients(headers: dict[str, str], client: str, scheme: str, credential: str) -> None:
    turn = Asking(MANY).admit(headers=headers)
    assert turn.client == client
    assert turn.facts == {"client": client, "scheme": scheme, "credential": credential}
    assert turn.scope()["client"] == client


def test_what_came_is_kept_secret_whether_it_is_good_or_not() -> None:
    asking = Asking(MANY)
    blob = basic("alice", "s3cret")["Authorization"].split()[1]
    assert asking.admit(headers=basic("alice", "s3cret")).secrets == [blob, "s3cret"]
    assert asking.admit(headers=basic("sk_1", "")).secrets[1:] == ["sk_1"]
    turn = asking.turn(headers={"X-Api-Key": "x", "Authorization": "Bearer y"})
    with pytest.raises(Refused):
        asking.auth.admit(turn, turn.scope(), None, ())
    assert turn.secrets == ["x", "y"]
    assert (turn.client, turn.facts) == ("", {"scheme": "static", "credential": "y"})


def test_a_client_that_was_asked_for_too_early_is_known_afterwards() -> None:
    asking = Asking(MANY)
    turn = asking.turn(headers={"X-Api-Key": "demo-1"})
    scope = turn.scope()
    assert not scope["client"]
    asking.auth.admit(turn, scope, None, ())
    assert scope["client"] == "c-demo-1"


def test_any_scheme_will_do_also_beside_wrong_credentials_of_another() -> None:
    asking = Asking(MANY)
    turn = asking.admit(headers={"X-Api-Key": "wrong", **bearer("sk_test_acme")})
    assert (turn.client, turn.facts["scheme"]) == ("acme", "static")
    assert asking.admit(headers={"X-Api-Key": "demo-1", **bearer("sk_test_acme")}, scopes=("b",)).client == "acme"


def test_known_but_not_allowed_says_more_than_not_known() -> None:
    headers = {"X-Api-Key": "demo-1", **bearer("wrong")}
    assert Asking(MANY).refused(scopes=("b",), headers=headers).kind == "forbidden"
    assert Asking(dict(reversed(MANY.items()))).refused(scopes=("b",), headers=headers).kind == "forbidden"
    assert Asking(MANY).refused(headers={"X-Api-Key": "x", **bearer("y")}).detail == "The API key is not known."


def test_two_schemes_of_bearer_tokens_share_their_challenge_and_either_knows_its_own() -> None:
    asking = Asking({**oauth(), "static": STATIC})
    assert challenges(asking.refused()) == ['Bearer realm="shop"']
    assert asking.with_token("sk_test_x").facts["scheme"] == "static"
    assert asking.with_token(asking.token().json["access_token"]).facts["scheme"] == "oauth"


def test_an_operation_may_name_its_schemes() -> None:
    asking = Asking(MANY)
    assert asking.admit(names=("key", "user"), headers={"X-Api-Key": "demo-1"}).client == "c-demo-1"
    refused = asking.refused(names=("user", "static"), headers={"X-Api-Key": "demo-1"})
    assert challenges(refused) == ['Basic realm="shop", charset="UTF-8"', 'Bearer realm="shop"']


def test_a_public_operation_looks_at_no_credentials() -> None:
    turn = Asking(MANY).admit(names=(), headers={"X-Api-Key": "wrong"})
    assert (turn.client, turn.facts, turn.secrets) == ("", {}, [])


@pytest.mark.parametrize(
    ("place", "request_"),
    [
        ({"header": "X-Key"}, {"headers": {"x-KEY": "k1"}}),
        ({"query": "key"}, {"url": "/jobs?a=1&key=k1"}),
        ({"cookie": "key"}, {"headers": {"Cookie": 'a=1; key="k1"; b'}}),
        ({"cookie": "key"}, {"headers": {"Cookie": "key=k1"}}),
        ({"header": "Authorization", "prefix": "Token "}, {"headers": {"Authorization": "token k1"}}),
    ],
)
def test_a_key_stands_in_a_header_the_query_or_a_cookie(place: dict[str, str], request_: dict[str, Any]) -> None:
    asking = Asking({"key": {"api_key": {**place, "keys": {"k1": None}}}})
    assert asking.admit(**request_).facts["credential"] == "k1"
    assert asking.refused().kind == "unauthorized"


def test_what_stands_behind_another_prefix_is_no_key() -> None:
    asking = Asking({"key": {"api_key": {"header": "X", "prefix": "Key ", "keys": {"k1": None}}}})
    assert "This needs" in asking.refused(headers={"X": "k1"}).detail
    assert asking.refused(headers={"X": "Key k2"}).detail == "The API key is not known."


def test_the_realm_is_the_scenarios_name_or_the_schemes_own() -> None:
    refused = Asking({"key": {**KEY, "realm": "Fort Knox"}, "user": USER}).refused()
    assert challenges(refused) == ['ApiKey realm="Fort Knox"', 'Basic realm="shop", charset="UTF-8"']


def test_keys_may_come_from_the_environment() -> None:
    asking = Asking({"key": {"api_key": {"header": "X", "keys": {"${KEY}": None}}}}, environment={"KEY": "k9"})
    assert asking.admit(headers={"X": "k9"}).client == "k9"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "X-Api-Key", "X-Signature", "Cookie"]),
            st.text(st.characters(max_codepoint=255))
            | st.binary().map(lambda raw: f"Basic {base64.b64encode(raw).decode()}")
            | st.text('abc.=_-"\\ ', max_size=30).map(lambda text: f"Bearer {text}"),
        ),
        max_size=4,
    )
)
def test_hostile_headers_are_refused_and_nothing_else(lines: list[tuple[str, str]]) -> None:
    asking = Asking({**MANY, **oauth(access_token={"format": "jwt"}, refresh_token={})})
    refused = asking.refused(headers=dict(lines))
    assert refused.kind in ("unauthorized", "invalid")
    assert asking.look.entries == {}
    for _, value in refused.headers:
        assert value.isascii()
        assert b"\n" not in value


def test_there_is_no_gate_without_schemes() -> None:
    assert compile_auth({}, nowhere(), request_names(), "shop", "") is None


def complaints(schemes: dict[str, Any]) -> list[str]:
    place = nowhere()
    assert compile_auth(SCHEMES.validate_python(schemes), place, request_names(), "shop", "") is not None
    return [complaint.what for complaint in place.complaints]


def test_misspelt_names_in_expressions_are_complained_of() -> None:
    assert [text.split(";")[0] for text in complaints({
        "key": {"api_key": {"header": "X", "keys": {"k": {"client": "{{ ky }}"}}}},
        "user": {"basic": {"users": {"u": {"client": "{{ request.boddy }}"}}}},
        "static": {"bearer": {"tokens": {"t": {"client": "{{ headerz.x }}"}}}},
        "signed": {"hmac": {"over": "{{ timestmp }}", "keys": {"k": {"secret": "s", "client": "{{ nonce }}"}}}},
    })] == [
        "key.api_key.keys.k.client: no name 'ky'",
        "user.basic.users.u.client: no field of request: 'boddy'",
        "static.bearer.tokens.t.client: no name 'headerz'",
        "signed.hmac.keys.k.client: no name 'nonce'",
        "signed.hmac.over: no name 'timestmp'",
    ]  # fmt: skip


def test_two_endpoints_cannot_answer_the_same_request() -> None:
    one = oauth()["oauth"]
    assert complaints({"one": one, "two": one}) == [
        f"two: {name} is answered by one already; give one of them another path, or the schemes different issuers"
        for name in (
            "POST /oauth/token",
            "GET /.well-known/oauth-authorization-server",
            "GET /.well-known/openid-configuration",
        )
    ]
    other = oauth(token_path="/t", issuer="https://b.test/b")["oauth"]
    assert complaints({"one": one, "two": other}) == []
    assert len(complaints(oauth(revoke_path="/oauth/token"))) == 1


def test_expressions_are_named_to_the_service() -> None:
    auth = Asking({**MANY, **oauth()}).auth
    assert len(auth.values) == 3
    signed_too = Asking(
        {"signed": {"hmac": {"keys": {"k": {"secret": "s", "client": "{{ key }}"}}, "key": "{{ 'k' }}"}}}
    )
    assert len(signed_too.auth.values) == 3


def test_the_schemes_are_described_for_openapi() -> None:
    assert Asking({**MANY, "q": {"api_key": {"query": "key", "keys": {"k": None}}}}).auth.described() == {
        "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "user": {"type": "http", "scheme": "basic"},
        "static": {"type": "http", "scheme": "bearer"},
        "signed": {"type": "apiKey", "in": "header", "name": "X-Signature"},
        "q": {"type": "apiKey", "in": "query", "name": "key"},
    }


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({}, "a scheme is one of api_key, basic, bearer, oauth2 or hmac"),
        ({**KEY, **USER}, "make api_key and basic a scheme each"),
        ({"api_key": {"keys": {"k": None}}}, "where is the key. Write one of header, query or cookie"),
        (
            {"api_key": {"header": "A", "query": "b", "keys": {"k": None}}},
            "a key is in one place, not in header and query",
        ),
        ({"api_key": {"header": "A b", "keys": {"k": None}}}, "is no header name"),
        ({"api_key": {"header": "A", "keys": {}}}, "at least 1 item"),
        ({"basic": {"users": {}}}, "at least 1 item"),
        ({"bearer": {"tokens": {}}}, "at least 1 item"),
        ({**KEY, "realm": ""}, "at least 1 character"),
        ({**KEY, "relm": "x"}, "relm"),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(written: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SchemeModel.model_validate(written)


def test_every_key_of_the_language_has_a_sentence_for_editors() -> None:
    definitions = SCHEMES.json_schema()["$defs"]
    for name, definition in definitions.items():
        assert definition.get("description"), name
        for key, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


SERVICE: dict[str, Any] = {
    "base_path": "/v3",
    "auth": {**MANY, **oauth(access_token={"format": "jwt"})},
    "resources": {"job": {"record": {"by": "{{ client }}"}}},
    "operations": {
        "POST /jobs": {"create": "job", "scopes": ["a"]},
        "GET /jobs": {"list": "job", "auth": "none"},
        "GET /jobs/{id}": {"read": "job", "auth": ["oauth"]},
    },
}


def test_a_whole_service_admits_and_refuses() -> None:
    world = World(SERVICE)
    form = {"Content-Type": "application/x-www-form-urlencoded", **basic("demo", "demo-secret")}
    said = world.send("POST", "/v3/oauth/token", raw=b"grant_type=client_credentials&scope=a", headers=form)
    token = bearer(said.json["access_token"])
    made = world.send("POST", "/v3/jobs", {}, headers=token)
    assert made.status == 201
    path = f"/v3/jobs/{made.json['id']}"
    assert world.send("GET", path, headers=token).json["by"] == "demo"
    refused = world.send("GET", path, headers={"X-Api-Key": "demo-1"})
    assert (refused.status, refused.header("WWW-Authenticate")) == (401, 'Bearer realm="shop"')
    assert world.send("GET", "/v3/jobs").status == 200
    assert world.send("POST", "/v3/jobs", {}, headers=bearer("sk_test_x")).json["by"] == "x"
    world.move(600_000)
    expired = world.send("GET", path, headers=token)
    assert (expired.status, "expired" in (expired.header("WWW-Authenticate") or "")) == (401, True)
    metadata = world.send("GET", "/.well-known/oauth-authorization-server/v3").json
    assert metadata["issuer"] == f"{BASE}/v3"
