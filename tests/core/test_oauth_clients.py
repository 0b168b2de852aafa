"""Clients prove themselves by Basic or by the body, once, as the scheme allows; forms and scopes are read strictly."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.bodies import FORM_FIELDS_MAX
from simulator.core.oauth import OAuth2Model
from simulator.core.oauth_clients import OAuthError, form_of, granted
from simulator.core.requests import Request
from tests.core.asking import FORM, Asking, Said, basic, bearer, client_basic, oauth

GRANT = {"grant_type": "client_credentials"}
IN_BODY = {"client_id": "demo", "client_secret": "demo-secret"}
VISIBLE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="$"), min_size=1, max_size=20
)


def posted(asking: Asking, headers: dict[str, str] | None = None, /, **fields: Any) -> Said:
    return asking.post("/oauth/token", headers, **{**GRANT, **fields})


def code(said: Said) -> tuple[int, str]:
    return said.status, said.json.get("error", "")


def test_a_client_proves_itself_by_basic_or_in_the_body() -> None:
    asking = Asking(oauth())
    for said in (posted(asking, client_basic("demo", "demo-secret")), posted(asking, **IN_BODY)):
        assert said.status == 200
        assert said.turn.client == said.turn.facts["client"] == "demo"
        assert (said.turn.facts["scheme"], said.turn.facts["credential"]) == ("oauth", "demo:demo-secret")
        assert said.turn.secrets == ["demo-secret", said.json["access_token"]]


@given(VISIBLE, st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_id_and_secret_arrive_when_they_are_form_encoded_first(name: str, secret: str) -> None:
    asking = Asking({"o": {"oauth2": {"clients": {name: {"secret": secret}}}}})
    assert posted(asking, client_basic(name, secret)).status == 200
    assert posted(asking, client_id=name, client_secret=secret).status == 200


def test_a_secret_that_was_not_form_encoded_is_another_secret() -> None:
    asking = Asking({"o": {"oauth2": {"clients": {"demo": {"secret": "a+b%41"}}}}})
    assert code(posted(asking, basic("demo", "a+b%41"))) == (401, "invalid_client")
    assert posted(asking, basic("demo", quote_plus("a+b%41"))).status == 200


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"client_id": "demo"}),
        ({}, {"client_id": "demo", "client_secret": "wrong"}),
        ({}, {"client_id": "nobody", "client_secret": "demo-secret"}),
        ({}, {"client_secret": "demo-secret"}),
        (client_basic("demo", "wrong"), {}),
        (client_basic("demo", ""), {}),
        (client_basic("", "demo-secret"), {}),
        ({"Authorization": "Basic ?"}, {}),
        ({"Authorization": ""}, IN_BODY | {"client_secret": ""}),
        (bearer("x"), {}),
    ],
)
def test_who_is_not_known_gets_401_and_a_challenge(headers: dict[str, str], fields: dict[str, str]) -> None:
    said = posted(Asking(oauth()), headers, **fields)
    assert (*code(said), said.error) == (401, "invalid_client", "unauthorized")
    assert (b"WWW-Authenticate", b'Basic realm="shop", charset="UTF-8"') in said.headers
    assert said.turn.client == ""


@pytest.mark.parametrize(
    "fields", [{"client_secret": "demo-secret"}, IN_BODY, {"client_id": "other"}], ids=["secret", "both", "id"]
)
def test_a_client_proves_itself_once(fields: dict[str, str]) -> None:
    said = posted(Asking(oauth()), client_basic("demo", "demo-secret"), **fields)
    assert (*code(said), said.error) == (400, "invalid_request", "invalid")


def test_the_id_may_stand_in_the_body_beside_the_header() -> None:
    assert posted(Asking(oauth()), client_basic("demo", "demo-secret"), client_id="demo").status == 200


def test_only_the_ways_that_the_scheme_takes_are_taken() -> None:
    by_body, by_header = Asking(oauth(client_auth=["body"])), Asking(oauth(client_auth=["basic"]))
    assert posted(by_body, **IN_BODY).status == 200
    assert code(posted(by_body, client_basic("demo", "demo-secret"))) == (401, "invalid_client")
    assert posted(by_header, client_basic("demo", "demo-secret")).status == 200
    assert code(posted(by_header, **IN_BODY)) == (401, "invalid_client")


def test_a_public_client_has_no_secret_and_may_only_refresh() -> None:
    schemes = oauth(refresh_token={}, refresh_tokens={"there": {"client": "app"}}, introspect_path="/introspect")
    schemes["oauth"]["oauth2"]["clients"]["app"] = None
    asking = Asking(schemes)
    assert code(posted(asking, client_id="app")) == (400, "unauthorized_client")
    assert code(posted(asking, client_id="app", client_secret="x")) == (401, "invalid_client")
    refresh = {"grant_type": "refresh_token", "refresh_token": "there"}
    assert posted(asking, client_id="app", **refresh).status == 200
    assert code(asking.post("/introspect", client_id="app", token="there")) == (401, "invalid_client")


def form(raw: bytes, content_type: str = FORM) -> dict[str, str]:
    return form_of(Request("POST", "/", b"", [(b"content-type", content_type.encode())], raw, ""))


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_a_form_is_read_as_it_was_written_without_what_is_empty(fields: dict[str, str]) -> None:
    raw = urlencode(fields).encode()
    assert form(raw, f"{FORM}; charset=UTF-8") == {name: value for name, value in fields.items() if value}


@given(st.binary())
def test_any_bytes_are_a_form_or_an_error_of_oauth(raw: bytes) -> None:
    with contextlib.suppress(OAuthError):
        assert all(form(raw).values())


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"a=1&a=2", FORM),
        (b"a=1&a=", FORM),
        (b"a=1", "application/json"),
        (b"a=1", ""),
        (b"&".join([b"a"] * (FORM_FIELDS_MAX + 1)), FORM),
    ],
    ids=["twice", "twice, once empty", "json", "no type", "too many"],
)
def test_what_is_no_form_is_an_invalid_request(raw: bytes, content_type: str) -> None:
    with pytest.raises(OAuthError) as error:
        form(raw, content_type)
    assert error.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "allowed", "gets"),
    [
        (None, ("a", "b"), ("a", "b")),
        (None, None, None),
        ("b a  b", ("a", "b"), ("b", "a")),
        ("x y", None, ("x", "y")),
        (None, (), ()),
    ],
)
def test_a_token_allows_what_was_asked_for_else_all_that_may_be(asked: str | None, allowed: Any, gets: Any) -> None:
    assert granted({} if asked is None else {"scope": asked}, allowed) == gets


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [("c", ("a",)), ("a c", ("a",)), (" ", None), ('"', None), ("caf\u00e9", None), ("s" * 65, None), ("a", ())],
)
def test_what_may_not_be_is_an_invalid_scope(asked: str, allowed: Any) -> None:
    with pytest.raises(OAuthError) as error:
        granted({"scope": asked}, allowed)
    assert error.value.code == "invalid_scope"


def test_a_token_has_no_more_scopes_than_one_can_count() -> None:
    many = [f"s{number}" for number in range(51)]
    assert granted({"scope": " ".join(many[:50])}, None) == tuple(many[:50])
    with pytest.raises(OAuthError):
        granted({"scope": " ".join(many)}, None)


@pytest.mark.parametrize("name", ["", "a b", "caf\u00e9", "x" * 201])
def test_an_id_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no client's id; one has 1 to 200 visible characters"):
        OAuth2Model.model_validate({"clients": {name: {"secret": "x"}}})
