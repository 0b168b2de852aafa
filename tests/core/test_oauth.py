"""A client library gets, refreshes, asks about and gives back tokens; errors are OAuth's; the metadata lead there."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import jwt
import pytest
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.auth import compile_auth
from simulator.core.oauth import OAuth2Model
from simulator.core.places import nowhere
from simulator.core.resources import request_names
from simulator.core.skew import Skew
from simulator.core.turns import Turn
from tests.core.asking import FORM, SCHEMES, Asking, Said, oauth

CLIENT = {"client_id": "demo", "client_secret": "demo-secret"}
PATHS = {"revoke_path": "/oauth/revoke", "introspect_path": "/oauth/introspect"}
NO_STORE = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"), (b"Pragma", b"no-cache")]
FULL = {**PATHS, "refresh_token": {}}


def revoke(asking: Asking, token: str, **more: str) -> Said:
    return asking.post("/oauth/revoke", **{**CLIENT, "token": token, **more})


def introspect(asking: Asking, token: str, **more: str) -> Any:
    return asking.post("/oauth/introspect", **{**CLIENT, "token": token, **more}).json


class Wire(NamedTuple):
    """What a client library takes for its HTTP session."""

    asking: Asking

    def post(self, url: str, data: Any = None, headers: Any = None, auth: Any = None, **_: Any) -> Wired:
        """Send what the library has prepared."""
        body = data if isinstance(data, str) else urlencode(data or {})
        sent = {**(headers or {}), "Content-Type": FORM}
        _, sent, body = auth.prepare("POST", url, sent, body)
        return Wired(self.asking.call(f"POST {urlsplit(url).path}", body.encode(), sent))


class Wired(NamedTuple):
    """What it takes for a response."""

    said: Said

    @property
    def status_code(self) -> int:
        return self.said.status

    def json(self) -> Any:
        return self.said.json

    def raise_for_status(self) -> None:
        assert self.said.status < 500


@pytest.mark.parametrize("format_", ["opaque", "jwt"])
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_library_completes_the_flows(method: str, format_: str) -> None:
    asking = Asking(oauth(**FULL, access_token={"format": format_}))
    at = "https://api.test/oauth"
    options = {"token_endpoint_auth_method": method, "revocation_endpoint_auth_method": method}
    client = OAuth2Client(Wire(asking), "demo", "demo-secret", **options)
    token = client.fetch_token(f"{at}/token", grant_type="client_credentials", scope="a")
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 600, "a")
    assert asking.with_token(token["access_token"], scopes=("a",)).client == "demo"
    newer = client.refresh_token(f"{at}/token", refresh_token=token["refresh_token"])
    assert newer["refresh_token"] != token["refresh_token"]
    told = client.introspect_token(f"{at}/introspect", token=newer["access_token"]).json()
    assert (told["active"], told["client_id"], told["scope"]) == (True, "demo", "a")
    assert client.revoke_token(f"{at}/revoke", token=newer["refresh_token"]).said.body == b""
    told = client.introspect_token(f"{at}/introspect", token=newer["access_token"]).json()
    assert told == {"active": False}
    with pytest.raises(client.oauth_error_class, match="invalid_grant"):
        client.refresh_token(f"{at}/token", refresh_token=newer["refresh_token"])


def test_a_token_reply_has_what_rfc_6749_wants_and_may_not_be_stored() -> None:
    said = Asking(oauth()).token()
    assert list(said.headers) == NO_STORE
    assert (list(said.json), said.error) == (["access_token", "token_type", "expires_in", "scope"], None)
    assert Asking({"o": {"oauth2": {"clients": {"demo": {"secret": "demo-secret"}}}}}).token().json.get("scope") is None


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"scope": "c"}, 400, "invalid_scope"),
        ({"client_secret": "x", "scope": "c"}, 401, "invalid_client"),
    ],
)
def test_errors_are_those_of_rfc_6749(fields: dict[str, str], status: int, error: str) -> None:
    said = Asking(oauth(refresh_token={})).token(**fields)
    assert (said.status, said.json["error"]) == (status, error)
    assert list(said.json) == ["error", "error_description"]
    assert list(said.headers)[:3] == NO_STORE
    assert (len(said.headers) == 4) == (status == 401)
    assert said.error == ("unauthorized" if status == 401 else "invalid")
    assert said.turn.changes().entries == ()


def test_without_refresh_tokens_there_is_no_such_grant() -> None:
    said = Asking(oauth()).refresh("x")
    assert said.json == {
        "error": "unsupported_grant_type",
        "error_description": "grant_type is client_credentials.",
    }


def test_a_refresh_may_narrow_the_scopes_for_its_access_token_only() -> None:
    asking = Asking(oauth(refresh_token={}))
    first = asking.token(scope="a b").json
    narrow = asking.refresh(first["refresh_token"], scope="a").json
    assert narrow["scope"] == "a"
    wide = asking.refresh(narrow["refresh_token"]).json
    assert wide["scope"] == "a b"
    assert asking.refresh(wide["refresh_token"], scope="c").json["error"] == "invalid_scope"
    assert asking.refresh(wide["refresh_token"]).status == 200


def two() -> Asking:
    schemes = oauth(**FULL)
    schemes["oauth"]["oauth2"]["clients"]["other"] = {"secret": "other-secret"}
    return Asking(schemes)


OTHER = {"client_id": "other", "client_secret": "other-secret"}


def test_another_clients_refresh_token_is_no_token_of_ones_own() -> None:
    asking = two()
    token = asking.token().json["refresh_token"]
    assert asking.refresh(token, **OTHER).json["error"] == "invalid_grant"
    access = asking.token().json["access_token"]
    assert asking.refresh(access).json["error"] == "invalid_grant"
    assert asking.refresh(token).status == 200


def test_another_clients_token_cannot_be_revoked() -> None:
    asking = two()
    token = asking.token().json["access_token"]
    assert revoke(asking, token, **OTHER).json["error"] == "invalid_grant"
    assert introspect(asking, token, **OTHER)["active"] is True


def test_a_revoked_access_token_is_gone_and_its_refresh_token_lives() -> None:
    asking = Asking(oauth(**FULL))
    given = asking.token().json
    said = revoke(asking, given["access_token"])
    assert (said.status, said.body, said.told) == (200, b"", [("revoked", "access", 0)])
    assert introspect(asking, given["access_token"]) == {"active": False}
    assert revoke(asking, given["access_token"]).told == []
    assert asking.refresh(given["refresh_token"]).status == 200


def test_revoking_a_refresh_token_ends_its_family() -> None:
    asking = Asking(oauth(**FULL))
    first = asking.token().json
    second = asking.refresh(first["refresh_token"]).json
    assert revoke(asking, first["refresh_token"]).told == [("revoked", "refresh", 0)]
    for token in (*(first[key] for key in TOKENS), *(second[key] for key in TOKENS)):
        assert introspect(asking, token) == {"active": False}


TOKENS = ("access_token", "refresh_token")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_revoking_what_nobody_knows_is_fine(token: str) -> None:
    said = revoke(Asking(oauth(**FULL)), token, token_type_hint="x")
    assert (said.status, said.body, list(said.headers)) == (200, b"", NO_STORE[1:])
    assert token in said.turn.secrets


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
def test_who_does_not_say_which_token_or_who_asks_is_refused(path: str) -> None:
    asking = Asking(oauth(**FULL))
    assert asking.post(path, **CLIENT).json["error"] == "invalid_request"
    assert asking.post(path, token="x").json["error"] == "invalid_client"
    assert asking.call(f"POST {path}", b"{}", {"Content-Type": "application/json"}).status == 400


def test_introspection_tells_what_a_token_allows() -> None:
    asking = Asking(oauth(**FULL, access_token={"audience": "jobs"}))
    given = asking.token(scope="b").json
    asking.move(1000)
    issued = asking.now_ms // 1000 - 1
    common = {"active": True, "scope": "b", "client_id": "demo", "sub": "demo", "iat": issued}
    own = {"aud": "jobs", "iss": "http://api.test"}
    access, refresh = (introspect(asking, given[key]) for key in TOKENS)
    assert access == {**common, **own, "token_type": "Bearer", "exp": issued + 600}
    assert refresh == {**common, **own, "exp": issued + 30 * 86_400}


def test_the_times_that_clients_are_told_are_by_the_clock_they_see() -> None:
    asking = Asking(oauth(**FULL, access_token=JWT))
    asking.skew = Skew(offset_ms=-7_200_000)
    seen = asking.now_ms // 1000 - 7200
    token = asking.token().json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    told = introspect(asking, token)
    assert (claims["iat"], claims["exp"]) == (told["iat"], told["exp"]) == (seen, seen + 600)
    asking.with_token(token)


def test_introspection_of_what_never_ends_and_allows_everything() -> None:
    schemes = oauth(**FULL, refresh_tokens={"there": {"client": "all"}})
    schemes["oauth"]["oauth2"]["clients"]["all"] = {"secret": "s"}
    told = introspect(Asking(schemes), "there")
    assert (told["active"], "exp" in told, "scope" in told) == (True, False, False)


@pytest.mark.parametrize("way", ["expired", "replaced", "used up", "unknown"])
def test_of_a_token_that_is_not_good_introspection_says_only_that(way: str) -> None:
    asking = Asking(oauth(**FULL, access_token={"uses": 1, "ttl": "1m"}))
    given = asking.token().json
    token = given["access_token"]
    if way == "expired":
        asking.move(60_000)
    elif way == "replaced":
        token = given["refresh_token"]
        asking.refresh(token)
    elif way == "used up":
        asking.with_token(token)
    else:
        token = "x" * 32
    assert introspect(asking, token) == {"active": False}


JWT = {"format": "jwt", "algorithm": "EdDSA"}


def test_the_metadata_lead_to_the_endpoints_and_name_one_issuer() -> None:
    asking = Asking(oauth(**FULL, access_token=JWT), "/v3")
    server = asking.call("GET /.well-known/oauth-authorization-server/v3")
    openid = asking.call("GET /.well-known/openid-configuration")
    assert asking.endpoints["GET /.well-known/oauth-authorization-server/v3"].absolute
    assert not asking.endpoints["GET /.well-known/openid-configuration"].absolute
    assert server.json == {
        "issuer": "http://api.test/v3",
        "token_endpoint": "http://api.test/v3/oauth/token",
        "jwks_uri": "http://api.test/v3/.well-known/jwks.json",
        "scopes_supported": ["a", "b"],
        "response_types_supported": ["none"],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint": "http://api.test/v3/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint": "http://api.test/v3/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }
    more = {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"]}
    assert openid.json == {**server.json, **more}
    claims = jwt.decode(asking.token().json["access_token"], options={"verify_signature": False})
    assert claims["iss"] == server.json["issuer"]


def test_the_metadata_are_valid_for_a_client_library() -> None:
    asking = Asking(oauth(**FULL, issuer="https://login.example.com/t"))
    asking.base = "https://api.test"
    document = asking.call("GET /.well-known/oauth-authorization-server/t").json
    metadata = AuthorizationServerMetadata(document)
    for key in metadata.REGISTRY_KEYS:
        if key != "authorization_endpoint":  # there is none, and no grant needs it
            getattr(metadata, f"validate_{key}", lambda: None)()


def test_an_issuer_of_its_own_says_where_its_metadata_stand() -> None:
    asking = Asking(oauth(issuer="https://login.example.com/tenant/"), "/v3")
    names = [name for name in asking.endpoints if name.startswith("GET")]
    assert names == [
        "GET /.well-known/oauth-authorization-server/tenant",
        "GET /tenant/.well-known/openid-configuration",
    ]
    assert all(asking.endpoints[name].absolute for name in names)
    assert {asking.call(name).json["issuer"] for name in names} == {"https://login.example.com/tenant/"}
    assert asking.call(names[0]).json["token_endpoint"] == "http://api.test/v3/oauth/token"


def test_public_clients_are_told_of_in_the_metadata() -> None:
    asking = Asking({"o": {"oauth2": {"clients": {"app": None}, "client_auth": ["basic"]}}})
    told = asking.call("GET /.well-known/oauth-authorization-server").json
    assert told["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "none"]
    assert "scopes_supported" not in told
    assert "jwks_uri" not in told


def test_only_what_a_scenario_wants_is_answered() -> None:
    always = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    assert [each.path for each in Asking(oauth()).endpoints.values()] == ["/oauth/token", *always]
    paths = {"token_path": "/t", "revoke_path": "/r", "introspect_path": "/i", "jwks_path": "/k"}
    asking = Asking(oauth(**paths, access_token=JWT))
    assert [each.path for each in asking.endpoints.values()] == ["/t", "/r", "/i", "/k", *always]


def test_the_jwks_path_shows_the_keys_of_this_moment() -> None:
    asking = Asking(oauth(access_token=JWT, keys={"rotate": "1h"}))
    token = asking.token().json["access_token"]
    for minutes, kept in ((0, True), (60, True), (60, False)):
        asking.move(minutes * 60_000)
        keys = jwt.PyJWKSet.from_dict(asking.call("GET /.well-known/jwks.json").json).keys
        assert (jwt.get_unverified_header(token)["kid"] in [key.key_id for key in keys]) is kept


@given(st.binary(max_size=200), st.sampled_from(["/oauth/token", "/oauth/revoke", "/oauth/introspect"]))
def test_any_body_gets_an_answer_of_oauth(raw: bytes, path: str) -> None:
    said = Asking(oauth(**FULL)).call(f"POST {path}", raw, {"Content-Type": FORM})
    assert said.status in (400, 401)
    assert said.json["error"] in ("invalid_request", "invalid_client")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.text(st.characters(exclude_categories=["Cs"]))
            for key in ("grant_type", "scope", "refresh_token", "token", "token_type_hint")
        },
    )
)
def test_any_fields_of_a_known_client_get_an_answer_of_oauth(fields: dict[str, str]) -> None:
    asking = Asking(oauth(**FULL))
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        assert asking.post(path, **{**CLIENT, **fields}).status in (200, 400)


def test_the_scheme_is_described_for_openapi() -> None:
    auth = Asking(oauth(), "/v3").auth
    flows = {"clientCredentials": {"tokenUrl": "/v3/oauth/token", "scopes": {"a": "a", "b": "b"}}}
    assert auth.described() == {"oauth": {"type": "oauth2", "flows": flows}}


def complaints(scheme: dict[str, Any]) -> list[tuple[str, bool]]:
    place = nowhere()
    compile_auth(SCHEMES.validate_python(scheme), place, request_names(), "shop", "")
    return [(complaint.what, complaint.warning) for complaint in place.complaints]


def test_a_first_refresh_token_needs_a_client_that_there_is() -> None:
    assert complaints(oauth(refresh_tokens={"there": {"client": "dmo"}})) == [
        ("oauth.oauth2.refresh_tokens.there.client: no client 'dmo'; did you mean 'demo'? There is demo", False)
    ]


def test_tokens_that_outlive_their_key_are_warned_of() -> None:
    (said,) = complaints(oauth(access_token={**JWT, "ttl": "2h"}, keys={"rotate": "1h"}))
    assert said == (
        "oauth.oauth2.keys: tokens live longer than their key stays published, and end with it; raise `keep`",
        True,
    )
    assert complaints(oauth(access_token={**JWT, "ttl": "1h"}, keys={"rotate": "1h"})) == []


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"clients": {}}, "at least 1 item"),
        ({"token_path": "oauth/token"}, "is no path; one begins with a slash, such as /oauth/token"),
        ({"token_path": "/oauth/{x}"}, "is no path"),
        ({"issuer": "login.example.com"}, "is no issuer; one is a URL without query"),
        ({"issuer": "https://a.test/x?y"}, "is no issuer"),
        ({"client_auth": []}, "at least 1 item"),
        ({"client_auth": ["jwt"]}, "'basic' or 'body'"),
        ({"keys": {"rotate": "1h"}}, "keys is for JWTs; write access_token: {format: jwt}, or take it out"),
        ({"jwks_path": "/k"}, "jwks_path is for JWTs"),
        ({"refresh_tokens": {"x": {}}}, "client"),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(written: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        OAuth2Model.model_validate({"clients": {"demo": {"secret": "s"}}, **written})


def test_a_due_moment_asks_for_no_token() -> None:
    asking = Asking(oauth())
    turn = Turn(asking.home, asking.look, 0, 0, "", "")
    with pytest.raises(LookupError):
        asking.endpoints["POST /oauth/token"].answer(turn, turn.scope())
