"""Keys are found by name or pattern, belong to a client, and are good as often and as long as the scenario says."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simulator.core.credentials import (
    CLIENT_MAX,
    CREDENTIAL_MAX,
    Challenge,
    Credentials,
    Known,
    ScopeName,
    asked,
    authorization,
    basic_pair,
    bearer,
    came,
    client_name,
    compile_keyring,
    recognised,
    unknown_token,
)
from simulator.core.places import nowhere
from simulator.core.refusals import Refused
from simulator.core.requests import Request
from simulator.core.resources import request_names
from simulator.core.turns import Turn
from tests.core.asking import Asking

CREDENTIALS: TypeAdapter[Credentials] = TypeAdapter(Credentials)
TEXTS = st.text(st.characters(exclude_characters="*?$", exclude_categories=["Cs"]), min_size=1, max_size=20)


def keyring(written: dict[str, Any]) -> Any:
    place = nowhere()
    made = compile_keyring(CREDENTIALS.validate_python(written), place, request_names())
    assert not place.complaints
    return made


def scopes_of(ring: Any, key: str) -> Any:
    found = ring.find(key)
    return None if found is None else found.scopes


def known(written: dict[str, Any], key: str, asking: Asking, headers: dict[str, str] | None = None) -> Known:
    """Who shows this key, in a turn that is kept."""
    turn = asking.turn(headers=headers)
    try:
        return recognised("key", keyring(written).find(key), key, turn, turn.scope())
    finally:
        asking.commit(turn.kept())


@pytest.fixture
def asking() -> Asking:
    return Asking({"key": {"api_key": {"header": "X", "keys": {"k": None}}}})


@given(st.dictionaries(TEXTS, st.integers(1, 1000), min_size=1), TEXTS)
def test_a_key_is_found_by_its_very_text(uses: dict[str, int], other: str) -> None:
    ring = keyring({key: {"uses": number} for key, number in uses.items()})
    assert {key: ring.find(key).uses for key in uses} == uses
    assert (ring.find(other) is not None) == (other in uses)


def test_the_key_written_so_goes_before_patterns_and_these_go_in_their_order() -> None:
    ring = keyring({"sk_*": {"scopes": ["any"]}, "sk_1?": {"scopes": ["two"]}, "sk_11": {"scopes": ["one"]}})
    assert [scopes_of(ring, key) for key in ("sk_11", "sk_12", "sk_", "pk_1")] == [("one",), ("any",), ("any",), None]


def test_brackets_and_points_in_a_pattern_are_themselves() -> None:
    ring = keyring({"a[bc].*": {}})
    assert [key for key in ("a[bc].x", "ab.x", "a[bc]x", "a[bc].") if ring.find(key)] == ["a[bc].x", "a[bc]."]


def test_a_key_of_hostile_length_is_looked_at_no_further() -> None:
    ring = keyring({"*a*a*a*a*a*b": {}, "*": {}})
    before = time.perf_counter()
    assert ring.find("a" * CREDENTIAL_MAX) is not None
    assert ring.find("a" * (CREDENTIAL_MAX + 1)) is None
    assert time.perf_counter() - before < 1


def test_a_credential_is_its_clients_own_unless_an_expression_says_whose(asking: Asking) -> None:
    assert known({"k1": None}, "k1", asking) == Known("k1", None)
    assert known({"k*": {"client": "c-{{ key }}", "scopes": ["a"]}}, "k1", asking) == Known("c-k1", ("a",))
    named = {"k1": {"client": "{{ headers['X-Account'] }}"}}
    assert known(named, "k1", asking, {"X-Account": "acme"}).client == "acme"
    assert known(named, "k1", asking).client == "k1"


def test_a_credential_without_scopes_allows_everything_and_one_with_none_nothing(asking: Asking) -> None:
    assert known({"k": {}}, "k", asking).scopes is None
    assert known({"k": {"scopes": []}}, "k", asking).scopes == ()


def test_a_credential_is_good_as_often_as_it_says(asking: Asking) -> None:
    written = {"k*": {"uses": 2}}
    assert known(written, "k1", asking) == known(written, "k1", asking)
    with pytest.raises(Refused, match="used up"):
        known(written, "k1", asking)
    assert known(written, "k2", asking).client == "k2"


def test_a_credential_is_good_from_its_first_use_for_its_time(asking: Asking) -> None:
    asking.move(3_600_000)
    known({"k": {"ttl": "1m"}}, "k", asking)
    asking.move(59_999)
    known({"k": {"ttl": "1m"}}, "k", asking)
    asking.move(1)
    with pytest.raises(Refused, match="expired") as refused:
        known({"k": {"ttl": "1m"}}, "k", asking)
    assert refused.value.kind == "unauthorized"


def test_a_credential_that_may_come_always_is_written_down_nowhere(asking: Asking) -> None:
    known({"k": {}}, "k", asking)
    assert asking.look.entries == {}


@given(st.text(max_size=2 * CLIENT_MAX), st.text(max_size=2 * CLIENT_MAX))
def test_long_names_of_clients_are_cut_and_stay_apart(one: str, other: str) -> None:
    assert len(client_name(one)) <= CLIENT_MAX + 33
    assert (client_name(one) == client_name(other)) == (one == other)
    long = "x" * CLIENT_MAX
    assert client_name(long) == long
    assert client_name(long + "y") != client_name(long + "z")


@pytest.mark.parametrize(
    ("challenge", "line"),
    [
        (Challenge("Bearer", "shop"), b'Bearer realm="shop", error="invalid_token"'),
        (Challenge("Basic", "shop"), b'Basic realm="shop", charset="UTF-8"'),
        (Challenge("ApiKey", 'a"b\\c'), b'ApiKey realm="a\\"b\\\\c"'),
        (Challenge("Signature", "caf\u00e9\r\nX: y"), b'Signature realm="caf\xe9  X: y"'),
    ],
)
def test_a_challenge_is_quoted_and_only_bearer_has_an_error(challenge: Challenge, line: bytes) -> None:
    assert challenge.line(error="invalid_token") == (b"WWW-Authenticate", line)


def sent(*lines: tuple[str, str]) -> Request:
    return Request("GET", "/", b"", [(name.encode(), value.encode("latin-1")) for name, value in lines], b"", "")


@pytest.mark.parametrize(
    ("field", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer   abc ", "abc"),
        ("BEARER", ""),
        ("Bearer", ""),
        ("Basic abc", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_a_bearer_token_stands_behind_its_word(field: str, token: str | None) -> None:
    assert bearer(sent(("Authorization", field))) == token
    assert authorization(sent(), "Bearer") is None


def test_a_field_that_comes_twice_is_no_token() -> None:
    token = bearer(sent(("Authorization", "Bearer a"), ("Authorization", "Bearer b")))
    assert token == "a, Bearer b"
    assert unknown_token(token).kind == "invalid"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("abc", "unauthorized"),
        ("a.b-c_d~e+f/g==", "unauthorized"),
        ("a" * CREDENTIAL_MAX, "unauthorized"),
        ("", "invalid"),
        ("a b", "invalid"),
        ("=a", "invalid"),
        ("caf\u00e9", "invalid"),
        ('"a"', "invalid"),
        ("a" * (CREDENTIAL_MAX + 1), "invalid"),
    ],
)
def test_what_is_no_token_is_told_from_one_that_nobody_knows(token: str, kind: str) -> None:
    assert unknown_token(token).kind == kind


@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])), st.text())
def test_basic_credentials_are_read_as_they_were_put_together(user: str, password: str) -> None:
    raw = base64.b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
    expected = (user, password.encode("utf-8", "replace").decode())
    assert basic_pair(raw) == expected
    assert basic_pair(raw.rstrip("=")) == expected


def test_basic_credentials_may_be_latin_1() -> None:
    assert basic_pair(base64.b64encode(b"caf\xe9:x").decode()) == ("caf\u00e9", "x")


@given(st.text())
def test_any_other_text_is_no_basic_credential_or_has_a_colon_inside(text: str) -> None:
    pair = basic_pair(text)
    assert pair is None or b":" in base64.b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("text", ["", "?", "YWJj", "\u00e9"])
def test_what_is_no_basic_credential_is_none(text: str) -> None:
    assert basic_pair(text) is None


def test_what_came_is_named_to_the_turn_once(asking: Asking) -> None:
    turn = asking.turn()
    came(turn, "key", "c", "s", "", "s")
    came(turn, "key2", "c2", "s")
    assert (turn.secrets, turn.facts) == (["s"], {"scheme": "key2", "credential": "c2"})


def test_a_due_moment_shows_no_credentials(asking: Asking) -> None:
    with pytest.raises(LookupError):
        asked(Turn(asking.home, asking.look, 0, 0, "", ""))


@pytest.mark.parametrize("written", [{"uses": 0}, {"scopes": ["a b"]}, {"scopes": ['"']}, {"scope": []}, {"ttl": "x"}])
def test_a_credential_that_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CREDENTIALS.validate_python({"k": written})


def test_a_scope_is_what_a_challenge_can_quote() -> None:
    scope: TypeAdapter[str] = TypeAdapter(ScopeName)
    for text in ("jobs.read", "https://a.test/x", "a:b", "[x]", "!#~"):
        assert scope.validate_python(text) == text
    with pytest.raises(ValidationError, match=r"'a\\\\b' is no scope; one has 1 to 64 visible characters"):
        scope.validate_python("a\\b")
