"""Secrets by their place: whatever their spelling, and whatever stands beside them."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.redaction import FORM_SECRETS, hidden_body, hidden_cookies, hidden_query

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def digest(secret: str) -> str:
    return f"<{len(secret)}>"


@pytest.mark.parametrize("spelt", ["a/!x", "a%2f%21x", "a%2F!x", "%61%2f%21%78"])
def test_every_spelling_of_a_query_is_the_same_secret(spelt: str) -> None:
    assert hidden_query(f"/p?x=1&api_key={spelt}&y=2", {"api_key"}, digest) == "/p?x=1&api_key=<4>&y=2"
    assert hidden_query(f"/p?api%5Fkey={spelt}", {"api_key"}, digest) == "/p?api%5Fkey=<4>"


def test_every_one_of_several_goes() -> None:
    assert hidden_query("/p?k=one&k=three", {"k"}, digest) == "/p?k=<3>&k=<5>"


@pytest.mark.parametrize("target", ["/p", "/p?", "/p?x=1", "/p?k", "/k=1", "/p?k="])
def test_what_is_no_secret_stays(target: str) -> None:
    assert hidden_query(target, {"k"}, digest) == target


@given(st.sampled_from(sorted(FORM_SECRETS)), SECRETS)
def test_a_form_gives_nothing_away(name: str, secret: str) -> None:
    for spelt in (quote(secret, safe=""), quote_plus(secret)):
        assert hidden_body(f"grant_type=x&{name}={spelt}", digest) == f"grant_type=x&{name}=<{len(secret)}>"


def test_json_gives_nothing_away_even_cut_off() -> None:
    body = '{"a": "b", "access_token" : "x\\"y", "refresh_token": "never ends'
    assert hidden_body(body, digest) == '{"a": "b", "access_token" : "<4>", "refresh_token": "<10>'


def test_cookies_go_by_their_names() -> None:
    assert hidden_cookies("a=1; session=abc; b=2", {"session"}, digest) == "a=1; session=<3>; b=2"


def test_a_form_that_looks_like_json_gives_nothing_away() -> None:
    assert hidden_body("{=1&client_secret=s1", digest) == "{=1&client_secret=<2>"
