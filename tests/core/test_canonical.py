"""What is signed: the very bytes, forms in order, the parts of a JWS as the RFCs have them."""

from __future__ import annotations

from hashlib import sha256
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.canonical import (
    JWS_ALGORITHMS,
    Message,
    OverModel,
    Payload,
    compile_over,
    form_after,
    raw_form,
)
from simulator.core.keys import Algorithm, encoded, signing
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.templates import EVERYWHERE
from tests.core.compiled import scope

HMAC = Algorithm("hmac", "sha256")
ES256 = Algorithm("ecdsa", "p256-raw")
NAMES = EVERYWHERE.plus("payload", "url", "timestamp", "key_id", "x")
FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")
JSON = (b"Content-Type", b"application/json")
PAIRS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=5)


def over(
    written: Any, body: bytes = b"body", headers: Any = (), algorithm: Algorithm = HMAC, **values: Any
) -> tuple[bytes, dict[str, str]]:
    """What is signed of a message, and the names that it gives."""
    place = nowhere()
    model = written if isinstance(written, str) else OverModel.model_validate(written)
    made = compile_over(model, place, NAMES, algorithm)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    here = scope(**{"payload": Payload(body), "url": "http://a.test/x", "timestamp": "7", "key_id": OMIT, **values})
    data, shows = made.of(here, Message("POST", "http://a.test/x", tuple(headers), body))
    assert tuple(shows) == made.shows
    return data, shows


def said(written: Any, algorithm: Algorithm = HMAC) -> list[str]:
    place = nowhere()
    compile_over(OverModel.model_validate(written), place, NAMES, algorithm)
    return [complaint.what for complaint in place.complaints]


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_the_payload_is_the_very_bytes_whatever_they_are(body: bytes, x: str) -> None:
    text = "{{ x }}.{{ payload }}:{{payload}}"
    assert over(text, body, x=x)[0] == x.encode() + b"." + body + b":" + body


@given(st.binary())
def test_a_payload_inside_an_expression_is_hashed_byte_for_byte(body: bytes) -> None:
    assert over("{{ hash(payload) }}", body)[0] == sha256(body).hexdigest().encode()
    assert Payload(body).encode() == body


def test_a_body_beyond_what_expressions_may_make_is_signed_too() -> None:
    body = b"x" * (2 << 20)
    assert over("{{ timestamp }}.{{ payload }}", body)[0] == b"7." + body


@pytest.mark.parametrize(
    ("text", "signed"),
    [("{{ payload }}", b"body"), ("v0:{{ x }}", b"v0:"), ("{{ x or 5 }}", b"5"), ("constant", b"constant")],
)
def test_a_text_is_a_template(text: str, signed: bytes) -> None:
    assert over(text, x=OMIT) == (signed, {})


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("{{ timestamp }}.{{ payload }}", {"timestamp", "payload"}),
        ("{{ url }}", {"url"}),
        ("constant", set()),
        ({"form_after": "{{ url }}"}, {"url", "payload"}),
        ({"message": ["@method", "Content-Digest".lower()]}, {"timestamp", "key_id", "alg"}),
        ({"message": ["@query"], "parameters": {}}, {"url"}),
        ({"jws": {"alg": "HS256"}}, {"payload"}),
        ({"jws": {}, "claims": {"iat": "{{ timestamp }}"}}, {"timestamp"}),
    ],
)
def test_every_form_says_what_it_covers(written: Any, used: set[str]) -> None:
    model = written if isinstance(written, str) else OverModel.model_validate(written)
    assert compile_over(model, nowhere(), NAMES, HMAC).used == used


@given(PAIRS, st.randoms())
def test_the_order_of_parameters_does_not_matter(pairs: list[tuple[str, str]], random: Any) -> None:
    shuffled = random.sample(pairs, len(pairs))
    assert form_after(b"u", urlencode(pairs).encode()) == form_after(b"u", urlencode(shuffled).encode())


def test_values_of_one_name_are_sorted_and_each_stands_once() -> None:
    for order in permutations(["b=2", "a=z", "a=%C3%A9", "a=z", "c="]):
        assert form_after(b"http://u", "&".join(order).encode()) == "http://uazaéb2c".encode()


@pytest.mark.parametrize(
    ("headers", "signed"), [([FORM], b"http://a.test/xa1"), ([], b"http://a.test/xa1"), ([JSON], b"http://a.test/x")]
)
def test_only_forms_have_parameters(headers: Any, signed: bytes) -> None:
    assert over({"form_after": "{{ url }}"}, b"a=1", headers)[0] == signed


def test_a_message_is_signed_with_its_parameters() -> None:
    written = {"message": ["@method", "content-type"], "parameters": {"keyid": "{{ key_id }}", "alg": "{{ alg }}"}}
    data, shows = over(written, headers=[JSON], key_id="k")
    signed = '("@method" "content-type");keyid="k";alg="hmac-sha256"'
    assert shows == {"signature_input": signed}
    assert data == f'"@method": POST\n"content-type": application/json\n"@signature-params": {signed}'.encode()


def test_the_parameters_of_a_message_are_created_keyid_and_alg() -> None:
    _, shows = over({"message": []}, algorithm=ES256)
    assert shows["signature_input"] == '();created=7;alg="ecdsa-p256-sha256"'


def test_a_compact_jws_is_that_of_rfc_7515() -> None:
    """Appendix A.1, but for the white space between its members, which the example puts in on purpose."""
    key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    header, body = (
        b'{"typ":"JWT",\r\n "alg":"HS256"}',
        b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}',
    )
    raw = key.replace("-", "+").replace("_", "/") + "=="
    signed = f"{encoded(header, 'base64url')}.{encoded(body, 'base64url')}".encode()
    mac = encoded(signing(HMAC, raw, "base64")(signed), "base64url")
    assert mac == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    data, shows = over({"jws": {"typ": "JWT", "alg": "{{ alg }}"}}, body)
    assert shows["content"] == encoded(body, "base64url")
    assert data == b"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9." + shows["content"].encode()


def test_an_eddsa_jws_is_that_of_rfc_8037() -> None:
    """Appendix A.4."""
    algorithm = Algorithm("eddsa", "ed25519")
    data, _ = over({"jws": {"alg": "{{ alg }}"}}, b"Example of Ed25519 signing", algorithm=algorithm)
    seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
    assert data == b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert encoded(signing(algorithm, seed, "base64")(data), "base64url") == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@given(st.binary(max_size=30))
def test_an_unencoded_jws_payload_is_signed_as_it_is(body: bytes) -> None:
    """RFC 7797."""
    data, shows = over({"jws": {"alg": "{{ alg }}", "b64": False, "crit": ["b64"]}}, body)
    assert data == shows["protected"].encode() + b"." + body


def test_a_jws_has_no_header_members_that_are_omitted() -> None:
    _, shows = over({"jws": {"alg": "{{ alg }}", "kid": "{{ key_id }}"}, "claims": {"iat": "{{ timestamp | int }}"}})
    assert shows == {
        "protected": encoded(b'{"alg":"HS256"}', "base64url"),
        "content": encoded(b'{"iat":7}', "base64url"),
    }


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("{{ payload }}", "p256"),
        (OverModel(form_after=""), "p256"),
        (OverModel(message=[]), "p256-raw"),
        (OverModel(jws={}), "p256-raw"),
    ],
)
def test_ecdsa_is_der_in_texts_and_raw_where_an_rfc_says_so(written: Any, form: str) -> None:
    assert raw_form(Algorithm("ecdsa", "p256"), written) == Algorithm("ecdsa", form)
    assert raw_form(ES256, written) == ES256
    assert raw_form(HMAC, written) == HMAC


@pytest.mark.parametrize(
    ("written", "algorithm", "part"),
    [
        ({"message": ["@method"]}, Algorithm("hmac", "sha1"), "RFC 9421 has no hmac sha1; there is hmac sha256, "),
        ({"jws": {}}, Algorithm("hmac", "sha1"), "JWS has no hmac sha1; there is hmac sha256, hmac sha384"),
        ({"message": ["@methd"]}, HMAC, "did you mean '@method'"),
        ({"message": [], "parameters": {"KeyId": 1}}, HMAC, "'KeyId' is no parameter"),
        ({"jws": {"kid": "{{ kid }}"}}, HMAC, "no name 'kid'"),
        ({"jws": {}, "claims": {"a": "{{ alg }}"}}, HMAC, "no name 'alg'"),
        ({"form_after": "{{ ulr }}"}, HMAC, "did you mean 'url'"),
    ],
)
def test_what_cannot_be_signed_is_said_when_the_scenario_is_loaded(
    written: Any, algorithm: Algorithm, part: str
) -> None:
    (only,) = said(written, algorithm)
    assert part in only


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ({}, "one of form_after, message and jws"),
        ({"message": [], "jws": {}}, "one of form_after, message and jws"),
        ({"jws": {}, "parameters": {}}, "parameters goes with message, not jws"),
        ({"message": [], "claims": {}}, "claims goes with jws, not message"),
        ({"massage": []}, "Extra inputs"),
    ],
)
def test_over_is_one_thing(written: Any, part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        OverModel.model_validate(written)


def test_each_jws_algorithm_has_one_name() -> None:
    assert len(set(JWS_ALGORITHMS.values())) == len(JWS_ALGORITHMS)
