"""A signature covers the final bytes at the sandbox's time; a wrong one is wrong in one respect."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.clock import INSTANT_MS_MAX, Instant
from simulator.core.keys import Algorithm, derived_ec_key, private_pem, signing
from simulator.core.omit import OMIT
from simulator.core.places import Place, nowhere
from simulator.core.records import NotLoaded
from simulator.core.signing import NOTICED, OFFSET_MS, VARIANTS, SignModel, Variant, compile_sign
from simulator.core.tampering import respaced, tamper
from simulator.core.templates import LiveScope
from simulator.errors import TemplateError
from tests.core.compiled import scope
from tests.core.signatures import (
    BODY,
    EVENT,
    ID,
    NAMES,
    T_MS,
    URL,
    WHSEC,
    WHSK,
    as_dict,
    complaints,
    header,
    sign,
    signer,
)

SHOWN = {"X-Sig": "{{ signature }}"}
PLAIN = {"hmac": "sha256", "secret": "s3cret", "headers": SHOWN}
TIMED = {**PLAIN, "over": "{{ timestamp }}.{{ payload }}", "headers": {"X-At": "{{ timestamp }}", **SHOWN}}
FREE = {
    "hmac": "sha1",
    "secret": "k",
    "over": "{{ url }}{{ payload }}",
    "encode": "base64",
    "headers": {"X-Sig": "sha1={{ signature }}"},
}
FIELD = {"hmac": "sha256", "secret": "k", "body_fields": {"signature": "{{ signature }}", "at": "{{ timestamp }}"}}
BODIES = st.binary(max_size=60) | st.dictionaries(st.text("ab", max_size=2), st.integers(0, 9)).map(orjson.dumps)


def mac(key: str, data: bytes, digest: str = "sha256") -> str:
    return hmac.digest(key.encode(), data, digest).hex()


# compositions


def test_the_body_is_what_is_signed_unless_the_scenario_says_more() -> None:
    assert sign(PLAIN).headers == [(b"X-Sig", mac("s3cret", BODY).encode())]


def test_a_scenario_composes_its_own_signature() -> None:
    made = base64.b64encode(hmac.digest(b"k", URL.encode() + BODY, "sha1")).decode()
    assert header(sign(FREE), "X-Sig") == f"sha1={made}"


@given(BODIES)
def test_what_is_signed_are_the_final_bytes_whatever_they_are(body: bytes) -> None:
    signed = sign(PLAIN, body=body)
    assert (signed.body, signed.url, header(signed, "X-Sig")) == (body, URL, mac("s3cret", body))


def test_a_signature_in_the_body_is_over_the_body_without_it() -> None:
    signed = sign(FIELD, body=b'{"a":1}')
    before = b'{"a":1,"at":"1700000000"}'
    assert orjson.loads(signed.body) == {**orjson.loads(before), "signature": mac("k", before)}
    assert signed.headers == []


def test_a_signature_in_the_query_is_over_the_url_without_it() -> None:
    order = {
        "hmac": "sha256",
        "secret": "k",
        "over": "{{ url }}",
        "query": {"id": "{{ id }}", "sig": "{{ signature }}"},
    }
    before = f"{URL}?id={ID}"
    assert sign(order, url=f"{URL}#part").url == f"{before}&sig={mac('k', before.encode())}#part"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("epoch", "1700000000"),
        ("epoch_ms", "1700000000123"),
        ("iso", "2023-11-14T22:13:20.123Z"),
        ("iso_ns", "2023-11-14T22:13:20.123000000Z"),
        ("http", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ],
)
def test_the_time_is_signed_as_it_is_shown(form: str, text: str) -> None:
    signed = sign({**TIMED, "timestamp": form}, at_ms=T_MS + 123)
    assert header(signed, "X-At") == text
    assert header(signed, "X-Sig") == mac("s3cret", f"{text}.".encode() + BODY)


@pytest.mark.parametrize(
    ("family", "form", "key", "encoding"),
    [
        ("eddsa", "ed25519", WHSK, "base64"),
        ("ecdsa", "p256", "01" * 32, "hex"),
        ("ecdsa", "p256-raw", private_pem(derived_ec_key(b"x")), "base64"),
    ],
)
def test_private_keys_sign_too(family: str, form: str, key: str, encoding: str) -> None:
    signed = sign({family: form, "key": key, "key_encoding": encoding, "headers": SHOWN})
    assert header(signed, "X-Sig") == signing(Algorithm(family, form), key, encoding)(BODY).hex()


def test_names_of_webhooks_can_be_used() -> None:
    order = {
        **PLAIN,
        "secret": "{{ endpoint.secret }}",
        "key_id": "{{ endpoint.id }}",
        "over": "{{ method }} {{ key_id }} {{ event.type }} {{ delivery.n }} {{ record.x }} {{ id }} {{ now.epoch }}",
    }
    signed = sign(order, endpoint={"secret": "k", "id": "e1"}, delivery={"n": 3}, record={"x": "y"}, now=Instant(5000))
    assert header(signed, "X-Sig") == mac("k", f"POST e1 job.completed 3 y {ID} 5".encode())


def test_what_the_scope_around_makes_when_it_is_asked_for_can_be_used() -> None:
    around = LiveScope(dict(scope(event=EVENT)), {"endpoint": lambda _: {"secret": "k"}}, None)
    made = signer({**PLAIN, "secret": "{{ endpoint.secret }}"})
    signed = made.sign(around, URL, "POST", [], BODY, ID, T_MS)
    assert header(signed, "X-Sig") == mac("k", BODY)
    assert "payload" not in around


def test_several_signatures_come_one_after_the_other() -> None:
    second = {**PLAIN, "hmac": "sha1", "headers": {"X-Sig-1": "{{ signature }}"}}
    assert list(as_dict(sign([PLAIN, second]))) == ["X-Sig", "X-Sig-1"]


def test_two_keys_of_message_signatures_have_a_label_each() -> None:
    """RFC 9421 section 4: the lines of a field are one dictionary."""
    headers = {
        "Content-Digest": "sha-256=:{{ hash(payload, 'sha256', 'base64') }}:",
        "Signature-Input": "sig2={{ signature_input }}",
        "Signature": "sig2=:{{ signature }}:",
    }
    one = {"dialect": "message-signatures", "secret": "a", "key_id": "a"}
    names = [name for name, _ in sign([one, {**one, "secret": "b", "key_id": "b", "headers": headers}]).headers]
    assert names == [b"Content-Digest", *[b"Signature-Input", b"Signature"] * 2]


def test_what_stands_beside_a_dialect_takes_the_place_of_its_own() -> None:
    headers = {"x-id": "{{ id }}", "x-sig": "{{ signature }}"}
    signed = sign({"dialect": "standard-webhooks", "secret": "k", "key_encoding": "utf8", "headers": headers})
    assert list(as_dict(signed)) == ["x-id", "x-sig"]


def test_an_algorithm_beside_a_dialect_takes_the_place_of_its_own() -> None:
    signed = sign({"dialect": "message-signatures", "eddsa": "ed25519", "key": WHSK})
    assert (header(signed, "Signature-Input") or "").endswith(';alg="ed25519"')


# secrets


@pytest.mark.parametrize("nothing", [OMIT, None, "", []])
def test_without_a_secret_there_is_no_signature(nothing: Any) -> None:
    """As with endpoints that registered none."""
    signed = sign({**TIMED, "secret": "{{ endpoint.secret }}"}, endpoint={"secret": nothing})
    assert signed.headers == [(b"X-At", b"1700000000")]


def test_an_overlap_ends_where_the_previous_secret_is_omitted() -> None:
    order = {
        **PLAIN,
        "previous_secret": "{{ endpoint.old if now.epoch_ms < 10 else omit }}",
        "headers": {"X-Sig": "{{ signatures | join(' ') }}"},
    }
    both, one = (sign(order, endpoint={"old": "old"}, now=Instant(ms)) for ms in (9, 10))
    assert header(both, "X-Sig") == f"{mac('s3cret', BODY)} {mac('old', BODY)}"
    assert header(one, "X-Sig") == mac("s3cret", BODY)


def test_an_endpoint_may_have_any_number_of_secrets() -> None:
    order = {**PLAIN, "secret": "{{ endpoint.secrets }}", "headers": {"X-Sig": "{{ signatures | join(' ') }}"}}
    signed = sign(order, endpoint={"secrets": ["new", "", "old"]})
    assert header(signed, "X-Sig") == f"{mac('new', BODY)} {mac('old', BODY)}"


def test_a_secret_comes_from_the_environment() -> None:
    model = SignModel.model_validate(
        {"dialect": "slack", "secret": "${SECRET:-x}"}, context={"environment": {"SECRET": "$${k}"}}
    )
    made = compile_sign(model, nowhere(), NAMES).sign(scope(), URL, "POST", [], BODY, ID, T_MS)
    assert header(made, "X-Slack-Signature") == "v0=" + mac("$${k}", b"v0:1700000000:" + BODY)


def test_a_secret_that_a_client_registered_and_that_is_none_is_the_expressions_failure() -> None:
    with pytest.raises(TemplateError, match="cannot be signed: the secret or key is no base64") as failed:
        sign({"dialect": "svix", "secret": "{{ endpoint.secret }}"}, endpoint={"secret": "whsec_!s3cret"})
    assert "s3cret" not in str(failed.value)


# failures while a webhook is signed


@pytest.mark.parametrize(
    ("order", "body", "said"),
    [
        (FIELD, b"a=1", "body_fields stand in a JSON object"),
        ({**PLAIN, "over": {"message": ["date"]}, "headers": {"S": "{{ signature }}"}}, b"", "date is covered"),
        ({**PLAIN, "over": {"message": [], "parameters": {"x": 1.5}}}, b"", "the parameter x is a whole number"),
        ({**PLAIN, "over": "{{ 1 / 0 }}"}, b"", "division by zero"),
    ],
)
def test_what_cannot_be_signed_is_a_template_error(order: Any, body: bytes, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        sign(order, body=body)


def test_a_record_that_is_not_in_memory_is_asked_for() -> None:
    def absent(_: Any) -> Any:
        raise NotLoaded

    around = LiveScope(dict(scope()), {"endpoint": absent}, None)
    with pytest.raises(NotLoaded):
        signer({**PLAIN, "secret": "{{ endpoint.secret }}"}).sign(around, URL, "POST", [], BODY, ID, T_MS)


# wrong on purpose


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("order", [TIMED, FREE, FIELD, {"dialect": "stripe", "secret": "k"}])
def test_a_variant_happens_the_same_way_each_time(order: Any, variant: Variant) -> None:
    body = b'{"a":1}'
    wrong, right = sign(order, variant, body=body), sign(order, body=body)
    assert wrong == sign(order, variant, body=body)
    unseen = variant == "replayed" or ("timestamp" in variant and order is FREE)
    assert (wrong[:3] == right[:3]) is unseen


def test_a_wrong_secret_changes_the_signature_and_nothing_else() -> None:
    right, wrong = sign(TIMED), sign(TIMED, "wrong_secret")
    assert wrong._replace(headers=right.headers) == right
    assert wrong.headers[0] == right.headers[0]
    assert len(wrong.headers[1][1]) == len(right.headers[1][1])


def test_a_missing_signature_leaves_the_other_header_fields() -> None:
    assert sign(TIMED, "missing").headers == sign(TIMED).headers[:1]
    assert orjson.loads(sign(FIELD, "missing", body=b"{}").body) == {"at": "1700000000"}


@given(BODIES, st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_tampered_body_carries_the_signature_of_the_true_one(body: bytes, unit: float) -> None:
    right, wrong = sign(TIMED, body=body), sign(TIMED, "tampered", body=body, unit=unit)
    assert wrong == right._replace(body=tamper(body, unit))


@pytest.mark.parametrize(("variant", "sign_"), [("stale_timestamp", -1), ("future_timestamp", 1)])
def test_a_timestamp_that_is_off_is_validly_signed(variant: Variant, sign_: int) -> None:
    off = sign(TIMED, variant)
    assert off == sign(TIMED, at_ms=T_MS + sign_ * OFFSET_MS)
    here = scope(event=EVENT, endpoint={}, delivery={}, record={})
    near = signer(TIMED).sign(here, URL, "POST", [], BODY, ID, T_MS, variant, offset_ms=301_000)
    assert near == sign(TIMED, at_ms=T_MS + sign_ * 301_000)


def test_a_timestamp_stays_within_what_can_be_written() -> None:
    assert sign(TIMED, "stale_timestamp", at_ms=5).timestamp_ms == 0
    assert sign(TIMED, "future_timestamp", at_ms=INSTANT_MS_MAX).timestamp_ms == INSTANT_MS_MAX


@given(BODIES)
def test_odd_spacing_is_validly_signed(body: bytes) -> None:
    assert sign(TIMED, "odd_spacing", body=body) == sign(TIMED, body=respaced(body))


def test_odd_spacing_holds_where_the_signature_stands_in_the_body() -> None:
    signed = sign(FIELD, "odd_spacing", body=b'{"a":1}')
    before = respaced(b'{"a":1,"at":"1700000000"}')
    assert orjson.loads(signed.body) == {"a": 1, "at": "1700000000", "signature": mac("k", before)}
    assert b" ,\n" in signed.body


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (PLAIN, {"payload"}),
        (TIMED, {"payload", "timestamp"}),
        (FREE, {"payload"}),
        ({**PLAIN, "over": "{{ timestamp }}"}, {"timestamp"}),
        ({**PLAIN, "over": "{{ url }}", "query": {"h": "{{ hash(payload) }}"}}, {"payload"}),
        ({**PLAIN, "over": "{{ id }}", "query": {"h": "{{ hash(payload) }}"}}, set()),
        ([PLAIN, {**PLAIN, "over": "{{ timestamp }}"}], {"payload", "timestamp"}),
    ],
)
def test_a_signer_knows_what_a_receiver_can_tell(order: Any, names: set[str]) -> None:
    expected = [variant for variant, name in NOTICED.items() if not name or name in names]
    assert list(signer(order).noticeable) == expected


# complaints


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"dialect": "standardwebhooks", "secret": WHSEC}, "did you mean 'standard-webhooks'? There is"),
        ({}, "a signature has a dialect, or one of hmac, eddsa, ecdsa and rsa"),
        ({"hmac": "sha1", "rsa": "sha256", "secret": "k", "headers": SHOWN}, "a signature has a dialect, or one of"),
        ({"dialect": "slack", "hmac": "sha1", "rsa": "sha256", "secret": "k"}, "a signature has a dialect, or one of"),
        ({"dialect": "github"}, "hmac signs with `secret`; add it"),
        ({"dialect": "standard-webhooks-v1a", "key": "k", "secret": "k"}, "eddsa signs with `key`, not with `secret`"),
        ({"dialect": "github", "secret": "k", "headers": SHOWN}, "github signs 2 times, so headers has no one place"),
        ({"dialect": "svix", "secret": "no base64"}, "the secret or key is no base64"),
        (
            {"dialect": "svix", "secret": WHSEC, "previous_secret": "!"},
            "previous_secret: the secret or key is no base64",
        ),
        ({"dialect": "svix", "secret": [WHSEC, "!"]}, "secret.1: the secret or key is no base64"),
        ({"hmac": "sha1", "secret": "k"}, "the signature is shown nowhere; add headers: {X-Signature: "),
        ({**PLAIN, "headers": {"X": "{{ signatur }}"}}, "did you mean 'signature'?"),
        ({**PLAIN, "over": "{{ signature }}"}, "no name 'signature'"),
        ({**PLAIN, "secret": "{{ endpont.secret }}"}, "did you mean 'endpoint'?"),
        ({**PLAIN, "headers": {**SHOWN, "X Y": "1"}}, "'X Y' is no header name"),
        ({**PLAIN, "headers": {**SHOWN, "Date": "1"}}, "Date is written by the server itself"),
        ({**PLAIN, "over": {"jws": {}}, "hmac": "sha1"}, "JWS has no hmac sha1"),
        ([PLAIN, FIELD], "body_fields change the body that was signed before; put that signature first"),
    ],
)
def test_what_is_wrong_is_said_once_when_the_scenario_is_loaded(order: Any, said: str) -> None:
    told = complaints(order)
    assert said in told[0]
    assert len(told) == len(set(told))


def test_a_complaint_stands_at_its_place_in_the_list() -> None:
    place: Place = nowhere() / "webhooks" / 0 / "sign"
    compile_sign([SignModel.model_validate(PLAIN), SignModel(dialect="x")], place, NAMES)
    assert [complaint.what.split(":")[0] for complaint in place.complaints] == ["webhooks.0.sign.1.dialect"]


@pytest.mark.parametrize(
    "written",
    [{"hmac": "md5"}, {"timestamp": "unix"}, {"secret": ""}, {"over": {}}, {"encode": "b64"}, {"sekret": "k"}],
)
def test_a_sign_that_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SignModel.model_validate(written)
