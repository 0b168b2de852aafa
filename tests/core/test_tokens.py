"""Tokens are good for their time and their uses; of a family one refresh token lives, and a stolen one ends it."""

from __future__ import annotations

from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.events import TokenChanged
from simulator.core.records import Entry, NotLoaded
from simulator.core.refusals import Refused
from simulator.core.tokens import (
    EXPIRED_KEPT_MS,
    AccessTokenModel,
    Family,
    RefreshTokenModel,
    Token,
    Tokens,
    first_token,
)
from tests.core.asking import Asking, bearer, challenges, oauth
from tests.core.world import START_MS

MINUTE = 60_000
REFRESH: dict[str, Any] = {"refresh_token": {}}


def refused(asking: Asking, token: str) -> Refused:
    return asking.refused(headers=bearer(token))


def entries(asking: Asking, kind: str) -> list[Any]:
    return [value for key, value in asking.look.entries.items() if key.startswith(f"{kind}/shop/oauth/")]


def test_an_access_token_is_its_clients_and_allows_what_was_granted() -> None:
    asking = Asking(oauth())
    given = asking.token(scope="a").json
    assert given["scope"] == "a"
    turn = asking.with_token(given["access_token"], scopes=("a",))
    assert (turn.client, turn.facts["scheme"]) == ("demo", "oauth")
    with pytest.raises(Refused, match="lack the scope b"):
        asking.with_token(given["access_token"], scopes=("a", "b"))


@pytest.mark.parametrize("format_", ["opaque", "jwt"])
def test_a_token_has_expired_from_the_very_millisecond_on(format_: str) -> None:
    asking = Asking(oauth(access_token={"ttl": "10m", "format": format_}))
    asking.move(123)
    token = asking.token().json["access_token"]
    asking.move(10 * MINUTE - 1)
    asking.with_token(token)
    asking.move(1)
    assert challenges(refused(asking, token)) == [
        'Bearer realm="shop", error="invalid_token", error_description="The access token has expired."'
    ]


def test_an_opaque_token_is_32_letters_and_digits_and_kept_as_a_digest() -> None:
    asking = Asking(oauth(**REFRESH))
    given = asking.token().json
    for token in (given["access_token"], given["refresh_token"]):
        assert len(token) == 32
        assert token.isalnum()
        assert token not in orjson.dumps(asking.look.entries).decode()


def test_the_same_seed_gives_the_same_tokens_and_another_one_others() -> None:
    one, same, other = (Asking(oauth(**REFRESH), seed=seed) for seed in (1, 1, 2))
    assert one.token().body == same.token().body
    assert one.token().json["access_token"] != other.token().json["access_token"]
    given = one.token().json
    assert len({given["access_token"], given["refresh_token"], one.token().json["access_token"]}) == 3


def test_a_token_that_nobody_knows_takes_one_look_at_the_store() -> None:
    asking = Asking(oauth(**REFRESH))
    asking.look.shy = True
    with pytest.raises(NotLoaded) as missing:
        refused(asking, "x" * 32)
    asking.look.loaded.update(missing.value.needs)
    assert "not known" in refused(asking, "x" * 32).detail


def test_a_token_is_good_as_often_as_it_says_also_where_the_request_is_refused_later() -> None:
    asking = Asking(oauth(access_token={"uses": 2}))
    token = asking.token().json["access_token"]
    asking.with_token(token)
    asking.refused(headers=bearer(token), scopes=("c",))
    assert "is used up" in refused(asking, token).detail


def test_an_unlimited_token_is_written_down_once() -> None:
    asking = Asking(oauth())
    token = asking.token().json["access_token"]
    assert asking.with_token(token).kept().entries == ()


def test_entries_go_some_time_after_their_token_has_expired() -> None:
    asking = Asking(oauth(access_token={"ttl": "1h"}, refresh_token={"ttl": "2h"}))
    changes = asking.token().turn.changes()
    ends = [(each.key.split("/")[0], (each.expires_ms or 0) - START_MS - EXPIRED_KEPT_MS) for each in changes.entries]
    assert sorted(ends) == [("family", 120 * MINUTE), ("token", 60 * MINUTE), ("token", 120 * MINUTE)]


def test_a_jwt_says_whose_it_is_for_whom_and_how_long() -> None:
    asking = Asking(oauth(access_token={"format": "jwt", "algorithm": "EdDSA"}), "/v3")
    token = asking.post("/oauth/token", grant_type="client_credentials", client_id="demo", client_secret="demo-secret")
    claims = jwt.decode(token.json["access_token"], options={"verify_signature": False})
    issuer = "http://api.test/v3"
    assert claims == {
        "iss": issuer,
        "aud": issuer,
        "sub": "demo",
        "client_id": "demo",
        "scope": "a b",
        "iat": START_MS // 1000,
        "exp": START_MS // 1000 + 600,
        "jti": claims["jti"],
    }
    assert len(claims["jti"]) == 32


def test_a_jwt_names_its_audience_and_leaves_out_scopes_that_nobody_set() -> None:
    asking = Asking({"oauth": {"oauth2": {"clients": {"demo": {"secret": "demo-secret"}}, "access_token": JWT}}})
    claims = jwt.decode(asking.token().json["access_token"], options={"verify_signature": False})
    assert claims["aud"] == "https://jobs.test"
    assert "scope" not in claims


JWT = {"format": "jwt", "algorithm": "EdDSA", "audience": "https://jobs.test"}


def test_a_jwts_id_alone_is_no_token() -> None:
    asking = Asking(oauth(access_token=JWT, revoke_path="/revoke"))
    token = asking.token().json["access_token"]
    name = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert "not known" in refused(asking, name).detail
    asking.with_token(token)


def test_a_jwt_ends_with_its_key() -> None:
    asking = Asking(oauth(access_token={**JWT, "ttl": "30m"}, keys={"rotate": "1h", "keep": "30m"}))
    asking.move(59 * MINUTE)
    token = asking.token().json["access_token"]
    asking.move(29 * MINUTE)
    asking.with_token(token)
    early = Asking(oauth(access_token={**JWT, "ttl": "3h"}, keys={"rotate": "1h", "keep": 0}))
    token = early.token().json["access_token"]
    early.move(60 * MINUTE)
    assert "not known" in refused(early, token).detail


def test_a_refresh_token_is_no_access_token() -> None:
    asking = Asking(oauth(**REFRESH))
    assert "not known" in refused(asking, asking.token().json["refresh_token"]).detail


def test_a_refresh_gives_a_new_pair_and_the_old_access_token_lives_on() -> None:
    asking = Asking(oauth(**REFRESH))
    first = asking.token()
    second = asking.refresh(first.json["refresh_token"])
    assert first.told == [("issued", "access", 0), ("issued", "refresh", 0)]
    assert second.told == [("superseded", "refresh", 0), ("refreshed", "access", 1), ("refreshed", "refresh", 1)]
    for said in (first, second):
        asking.with_token(said.json["access_token"])
    third = asking.refresh(second.json["refresh_token"])
    assert third.told[-1] == ("refreshed", "refresh", 2)
    assert len({e.family for s in (first, second, third) for e in s.turn.events if isinstance(e, TokenChanged)}) == 1


def test_events_name_the_token_the_client_and_the_time() -> None:
    asking = Asking(oauth())
    said = asking.token()
    (event,) = said.turn.events
    assert isinstance(event, TokenChanged)
    assert event[:4] == (START_MS, 3, "d", "issued")
    assert (event.token, event.client, len(event.family)) == (said.json["access_token"], "demo", 16)


def test_without_rotation_a_refresh_token_is_good_again_and_again() -> None:
    asking = Asking(oauth(refresh_token={"rotate": False, "ttl": "1h"}))
    token = asking.token().json["refresh_token"]
    for generation in (1, 2, 3):
        said = asking.refresh(token)
        assert "refresh_token" not in said.json
        assert said.told == [("refreshed", "access", generation)]
        asking.with_token(said.json["access_token"])
    asking.move(60 * MINUTE)
    assert asking.refresh(token).json == {
        "error": "invalid_grant",
        "error_description": "The refresh token has expired.",
    }


def test_a_replaced_refresh_token_that_comes_again_ends_its_family() -> None:
    asking = Asking(oauth(**REFRESH))
    other = asking.token().json
    first = asking.token().json
    second = asking.refresh(first["refresh_token"]).json
    stolen = asking.refresh(first["refresh_token"])
    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert stolen.told == [("reused", "refresh", 0), ("revoked", "refresh", 0)]
    for token in (first["access_token"], second["access_token"]):
        assert "was revoked" in refused(asking, token).detail
    assert asking.refresh(second["refresh_token"]).json["error_description"] == "The refresh token was revoked."
    asking.with_token(other["access_token"])
    assert asking.refresh(other["refresh_token"]).status == 200


def test_within_the_grace_the_old_token_makes_up_for_a_lost_reply() -> None:
    asking = Asking(oauth(refresh_token={"reuse_grace": "10s"}))
    first = asking.token().json["refresh_token"]
    lost = asking.refresh(first)
    asking.move(9_999)
    again = asking.refresh(first)
    assert again.told == [("refreshed", "access", 1), ("refreshed", "refresh", 1)]
    assert again.json["refresh_token"] != lost.json["refresh_token"]
    assert asking.refresh(again.json["refresh_token"]).told[-1] == ("refreshed", "refresh", 2)
    asking.move(10_000)
    assert asking.refresh(lost.json["refresh_token"]).told[0] == ("reused", "refresh", 1)


def test_after_the_grace_the_old_token_is_a_stolen_one() -> None:
    asking = Asking(oauth(refresh_token={"reuse_grace": "10s"}))
    first = asking.token().json["refresh_token"]
    asking.refresh(first)
    asking.move(10_000)
    assert asking.refresh(first).told[0] == ("reused", "refresh", 0)


def test_the_grace_is_for_the_last_token_only() -> None:
    asking = Asking(oauth(refresh_token={"reuse_grace": "1h"}))
    first = asking.token().json["refresh_token"]
    second = asking.refresh(first).json["refresh_token"]
    asking.refresh(second)
    assert asking.refresh(first).told[0] == ("reused", "refresh", 0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=12))
def test_of_a_family_one_refresh_token_lives_and_after_a_reuse_none(choices: list[int]) -> None:
    asking = Asking(oauth(**REFRESH))
    given = [asking.token().json["refresh_token"]]
    alive = 0  # which of them; -1 once the family has ended
    for choice in choices:
        chosen = choice % len(given)
        said = asking.refresh(given[chosen])
        assert said.status == (200 if chosen == alive else 400)
        if chosen == alive:
            given.append(said.json["refresh_token"])
            alive = len(given) - 1
        else:
            alive = -1


def test_a_refresh_token_that_was_there_from_the_beginning_works_like_any_other() -> None:
    schemes = oauth(refresh_token={}, refresh_tokens={"demo.refresh": {"client": "demo", "scopes": ["a"]}})
    for format_ in ("opaque", "jwt"):
        schemes["oauth"]["oauth2"]["access_token"] = {"format": format_}
        asking = Asking(schemes)
        asking.move(1000 * 86_400_000)
        said = asking.refresh("demo.refresh")
        assert said.json["scope"] == "a"
        assert said.told[0] == ("superseded", "refresh", 0)
        assert asking.refresh("demo.refresh").told[0] == ("reused", "refresh", 0)
        assert [entry.expires_ms for entry in said.turn.entries if entry.key.startswith("family/")] == [None]


def test_first_tokens_alone_are_refreshed_without_rotation() -> None:
    asking = Asking(oauth(refresh_tokens={"there": {"client": "demo"}}))
    said = [asking.refresh("there").json for _ in range(2)]
    assert [each["scope"] for each in said] == ["a b", "a b"]
    assert "refresh_token" not in asking.token().json


def test_what_an_older_or_newer_version_kept_can_still_be_read() -> None:
    asking = Asking(oauth())
    token = asking.token().json["access_token"]
    for value in entries(asking, "token"):
        value["colour"] = "blue"
        del value["uses"]
    asking.with_token(token)


def test_the_models_and_what_they_mean_without_a_word() -> None:
    access, refresh = AccessTokenModel(), RefreshTokenModel()
    assert (access.ttl, access.format, access.uses) == (600_000, "opaque", None)
    assert (refresh.ttl, refresh.rotate, refresh.reuse_grace) == (30 * 86_400_000, True, 0)
    assert first_token("demo", None, "x") == first_token("demo", None, "x")
    assert first_token("demo", None, "x").family != first_token("demo", None, "y").family


@pytest.mark.parametrize("written", [{"ttl": 0}, {"format": "jws"}, {"uses": 0}, {"algorithm": "HS256"}, {"time": 1}])
def test_an_access_token_that_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccessTokenModel.model_validate(written)


def test_a_family_that_was_forgotten_is_a_new_one() -> None:
    asking = Asking(oauth(**REFRESH))
    tokens = Tokens("oauth", AccessTokenModel(), RefreshTokenModel(), None, {})
    turn = asking.turn()
    token = Token("refresh", "demo", None, "gone", 0, 0, None)
    assert tokens.trouble(turn, token) is None
    turn.entries.append(Entry("family/shop/oauth/gone", list(Family(0, 0, revoked=True))))
    assert tokens.trouble(turn, token) == "was revoked"
