"""Signed requests: the right key over the bytes that came, near enough in time, and once."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.auth import error_details
from simulator.core.clock import INSTANT_MS_MAX, iso
from simulator.core.requests import Request
from simulator.core.signed import NONCE_MAX, Exact, HmacModel, moment_ms
from simulator.core.skew import Skew
from simulator.core.turns import Turn
from simulator.errors import TemplateError
from tests.core.asking import SCHEMES, Asking, challenges
from tests.core.world import START_MS

MINUTE = 60_000
FULL: dict[str, Any] = {
    "header": "X-Signature",
    "prefix": "sha256=",
    "key": "{{ headers['X-Key-Id'] }}",
    "timestamp": "{{ headers['X-Timestamp'] }}",
    "nonce": "{{ headers['X-Nonce'] }}",
    "over": "{{ request.method }}\n{{ request.path }}\n{{ timestamp }}\n{{ request.raw }}",
    "keys": {"id-1": {"secret": "s3cret", "client": "acme", "scopes": ["a"]}, "id-2": {"secret": "other"}},
}


def asking(**more: Any) -> Asking:
    return Asking({"signed": {"hmac": {**FULL, **more}}})


def signature(secret: bytes, over: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret, over, algorithm).digest()


def signed(
    raw: bytes = b"{}", at_ms: int = START_MS, nonce: str = "n1", more: dict[str, str] | None = None
) -> dict[str, Any]:
    """A request as a client signs it."""
    time = str(at_ms // 1000)
    mac = signature(b"s3cret", f"POST\n/jobs\n{time}\n".encode() + raw).hex()
    headers = {"X-Key-Id": "id-1", "X-Timestamp": time, "X-Nonce": nonce, "X-Signature": f"sha256={mac}"}
    return {
        "method": "POST",
        "raw": raw,
        "headers": {key: each for key, each in {**headers, **(more or {})}.items() if each},
    }


def bare(**more: Any) -> Asking:
    """A scheme with one key, over the body alone."""
    return Asking({"signed": {"hmac": {"keys": {"id-1": {"secret": "s3cret"}}, **more}}})


def test_a_signed_request_is_its_keys_client() -> None:
    turn = asking().admit(scopes=("a",), **signed())
    assert turn.client == "acme"
    assert turn.facts == {
        "scheme": "signed",
        "credential": "id-1",
        "signed_ms": START_MS,
        "nonce": "n1",
        "client": "acme",
    }
    assert turn.secrets == []


def test_without_a_signature_there_are_no_credentials() -> None:
    refused = asking().refused(headers={"X-Key-Id": "id-1"})
    assert challenges(refused) == ['Signature realm="shop"']
    assert refused.detail == "This needs a signature in the header X-Signature."


@given(st.binary(max_size=100))
def test_what_is_signed_are_the_bytes_that_came(raw: bytes) -> None:
    assert asking().admit(**signed(raw)).client == "acme"


OTHER = "The signature is not that of this key over this request."


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"X-Key-Id": "id-2"}, OTHER),
        ({"X-Key-Id": "nobody"}, "The signing key is not known."),
        ({"X-Key-Id": ""}, "The signing key is missing."),
        ({"X-Signature": "sha256="}, OTHER),
        ({"X-Signature": "sha1=00"}, OTHER),
        ({"X-Signature": "00"}, OTHER),
        ({"X-Signature": "sha256=caf\u00e9"}, OTHER),
        ({"X-Timestamp": str(START_MS // 1000 + 1)}, OTHER),
    ],
    ids=str,
)
def test_anything_else_is_not_known(more: dict[str, str], detail: str) -> None:
    service = asking()
    refused = service.refused(**signed(more=more))
    assert (refused.kind, refused.detail) == ("unauthorized", detail)
    assert challenges(refused) == ['Signature realm="shop"']
    assert service.look.entries == {}


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_changed_body_is_not_what_was_signed(raw: bytes, data: Any) -> None:
    request = signed(raw)
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert asking().refused(**{**request, "raw": bytes(changed)}).kind == "unauthorized"


@pytest.mark.parametrize("off_ms", [0, 5 * MINUTE, -5 * MINUTE])
def test_a_time_is_good_up_to_the_edge_of_the_window(off_ms: int) -> None:
    assert asking().admit(**signed(at_ms=START_MS + off_ms)).facts["signed_ms"] == START_MS + off_ms


@pytest.mark.parametrize("off_ms", [5 * MINUTE + 1000, -5 * MINUTE - 1000])
def test_a_time_beyond_the_window_is_told_with_that_of_the_service(off_ms: int) -> None:
    refused = asking().refused(**signed(at_ms=START_MS + off_ms))
    assert (refused.kind, challenges(refused)) == ("request_expired", ['Signature realm="shop"'])
    assert refused.detail == (
        "The request's time is not within 300 s of the service's: "
        f"it was signed at {iso(START_MS + off_ms)} and it is 2026-01-01T00:00:00.000Z."
    )


def test_outside_the_window_the_scenario_has_the_word() -> None:
    error = {
        "status": 403,
        "code": "RequestTimeTooSkewed",
        "message": "You said {{ timestamp }}.",
        "details": {"ServerTime": "{{ now.iso }}", "Key": "{{ key }}"},
    }
    refused = asking(error=error).refused(**signed(at_ms=START_MS - 600_000))
    assert (refused.kind, refused.error and refused.error.status, refused.error and refused.error.code) == (
        "request_expired",
        403,
        "RequestTimeTooSkewed",
    )
    assert refused.error is not None
    assert refused.error.message is not None
    assert refused.scope is not None
    assert refused.error.message.of(refused.scope) == f"You said {START_MS // 1000 - 600}."
    assert refused.error.details.of(refused.scope) == {"ServerTime": "2026-01-01T00:00:00.000Z", "Key": "id-1"}


def test_what_such_an_error_adds_is_known_to_the_envelope() -> None:
    with_error = {"hmac": {**FULL, "error": {"details": {"Skew": 1}}}}
    key = {"api_key": {"header": "X", "keys": {"k": None}}}
    models = SCHEMES.validate_python({"one": with_error, "two": {"hmac": FULL}, "three": key})
    assert error_details(models) == ["Skew"]


@pytest.mark.parametrize("time", ["", "soon", "2026-13-01", "1e9", "-5", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_a_request_says_when_it_was_signed(time: str) -> None:
    mac = signature(b"s3cret", f"POST\n/jobs\n{time}\n{{}}".encode()).hex()
    request = signed(more={"X-Timestamp": time, "X-Signature": f"sha256={mac}"})
    refused = asking().refused(**request)
    assert (refused.kind, refused.detail[:44]) == ("unauthorized", "The request does not say when it was signed;")


def test_a_nonce_comes_once_and_may_come_again_when_its_time_is_over() -> None:
    service = asking()
    service.admit(**signed(nonce="x"))
    assert service.refused(**signed(nonce="x")).detail == "The request's nonce has come before."
    service.admit(**signed(nonce="y"))
    service.move(5 * MINUTE)
    assert service.refused(**signed(nonce="x")).detail == "The request's nonce has come before."
    service.move(1000)
    assert service.refused(**signed(nonce="x")).kind == "request_expired"
    service.admit(**signed(nonce="x", at_ms=service.now_ms))


def test_the_time_that_counts_is_the_one_that_clients_see() -> None:
    service = asking()
    service.skew = Skew(offset_ms=3_600_000)
    assert "and it is 2026-01-01T01:00:00.000Z" in service.refused(**signed()).detail
    turn = service.admit(**signed(at_ms=START_MS + 3_600_000))
    assert [(each.value, each.expires_ms) for each in turn.kept().entries] == [
        (START_MS + 3_900_000, START_MS + 300_000)
    ]
    assert "before" in service.refused(**signed(at_ms=START_MS + 3_600_000)).detail


def test_nobody_else_uses_up_a_nonce() -> None:
    service = asking()
    service.refused(**signed(nonce="x", more={"X-Signature": "sha256=00"}))
    service.refused(**signed(nonce="x", at_ms=START_MS - 600_000))
    service.admit(**signed(nonce="x"))


def test_a_nonce_is_remembered_until_its_time_leaves_the_window() -> None:
    turn = asking().admit(**signed(at_ms=START_MS + 60_000))
    (entry,) = turn.kept().entries
    assert entry.key.startswith("nonce/shop/signed/")
    assert "n1" not in entry.key
    assert entry.value == entry.expires_ms == START_MS + 6 * MINUTE


def test_without_a_time_a_nonce_is_remembered_for_the_window() -> None:
    service = bare(nonce="{{ headers['X-Nonce'] }}", window="1m")
    request: dict[str, Any] = {
        "raw": b"x",
        "headers": {"X-Nonce": "n", "X-Signature": signature(b"s3cret", b"x").hex()},
    }
    service.admit(**request)
    service.move(MINUTE)
    assert "before" in service.refused(**request).detail
    service.move(1)
    service.admit(**request)


@pytest.mark.parametrize("nonce", ["", "n" * (NONCE_MAX + 1)])
def test_a_request_has_a_nonce_of_some_length(nonce: str) -> None:
    refused = asking().refused(**signed(nonce=nonce))
    assert refused.detail == f"The request has no nonce; one has 1 to {NONCE_MAX} characters."


def test_the_only_key_needs_no_name_and_the_body_alone_is_signed_by_default() -> None:
    turn = bare().admit(raw=b"x", headers={"X-Signature": signature(b"s3cret", b"x").hex()})
    assert (turn.client, turn.facts["credential"], turn.facts["signed_ms"]) == ("id-1", "id-1", None)


def test_hex_is_read_in_either_case_and_base64_in_its_own_alphabet() -> None:
    mac = signature(b"s3cret", b"x", "sha512")
    for encoding, texts in {
        "hex": [mac.hex(), mac.hex().upper()],
        "base64": [base64.b64encode(mac).decode()],
        "base64url": [base64.urlsafe_b64encode(mac).decode(), base64.urlsafe_b64encode(mac).decode().rstrip("=")],
    }.items():
        for text in texts:
            bare(encoding=encoding, algorithm="sha512").admit(raw=b"x", headers={"X-Signature": text})
    assert bare(encoding="base64").refused(raw=b"x", headers={"X-Signature": mac.hex()}).kind == "unauthorized"


@pytest.mark.parametrize(("key_encoding", "written"), [("hex", "00ff10"), ("base64", "AP8Q")])
def test_secrets_may_be_bytes(key_encoding: str, written: str) -> None:
    service = bare(key_encoding=key_encoding, keys={"k": {"secret": written}})
    service.admit(raw=b"x", headers={"X-Signature": signature(b"\x00\xff\x10", b"x").hex()})


def test_a_key_that_may_come_so_often_is_not_used_up_by_what_was_refused() -> None:
    service = asking(keys={"id-1": {"secret": "s3cret", "uses": 1}})
    service.refused(**signed(at_ms=START_MS - 600_000))
    service.refused(**signed(more={"X-Signature": "sha256=00"}))
    service.admit(**signed())
    assert service.refused(**signed(nonce="n2")).detail == "The credentials are used up."


def test_a_body_that_an_expression_cannot_take_is_the_clients_problem() -> None:
    service = bare(over="{{ request.raw | b64encode }}")
    refused = service.refused(raw=b"\xff", headers={"X-Signature": "00"})
    assert refused.detail == "The signature of this body cannot be verified; it is no text, or too long."
    long = bare(over="x{{ request.raw }}")
    assert long.refused(raw=b"x" * (1 << 20), headers={"X-Signature": "00"}).kind == "unauthorized"


def test_an_expression_that_fails_for_text_is_the_scenarios_problem() -> None:
    with pytest.raises(TemplateError, match="over"):
        bare(over="{{ 1 / 0 }}").admit(raw=b"x", headers={"X-Signature": "00"})


def test_a_due_moment_is_signed_by_nobody() -> None:
    service = bare()
    turn = Turn(service.home, service.look, 0, 0, "", "")
    with pytest.raises(LookupError):
        service.auth.admit(turn, turn.scope(), None, ())


def test_the_exact_request_has_the_same_fields_as_any() -> None:
    request = Request("POST", "/x", b"", [(b"content-type", b"application/json")], b'{"a": 1}', "http://a.test", "r1")
    exact = Exact(request)
    assert exact.template_field("body") == {"a": 1}
    assert exact.template_field("text") == '{"a": 1}'
    assert exact.template_json() == request.template_json()


@given(st.integers(0, INSTANT_MS_MAX // 1000))
def test_seconds_and_dates_are_read_as_the_same_moment(second: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    if second < 100_000_000_000:
        assert moment_ms(str(second)) == second * 1000
    assert moment_ms(format_datetime(moment, usegmt=True)) == second * 1000
    assert moment_ms(f"{moment:%Y}".zfill(4) + f"{moment:-%m-%dT%H:%M:%SZ}") == second * 1000
    assert moment_ms(moment.strftime("%Y").zfill(4) + moment.strftime("%m%dT%H%M%SZ")) == second * 1000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1767225600000", 1_767_225_600_000),
        ("1767225600.5", 1_767_225_600_500),
        ("1767225600.1239", 1_767_225_600_123),
        ("2026-01-01T00:00:00.250+01:00", 1_767_222_000_250),
        ("2026-01-01T00:00:00", 1_767_225_600_000),
        ("2026-01-01", 1_767_225_600_000),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59-23:59", INSTANT_MS_MAX),
        ("99999999999999.9", INSTANT_MS_MAX),
        ("\u0661", None),
        ("999999999999999", None),
        ("Thu, 01 Foo 2026 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_times_as_clients_write_them(text: str, ms: int | None) -> None:
    assert moment_ms(text) == ms


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    ms = moment_ms(text)
    assert ms is None or 0 <= ms <= INSTANT_MS_MAX


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"keys": {}}, "at least 1 item"),
        ({"keys": {"a": {"secret": "x"}, "b": {"secret": "y"}}}, "with several keys a request must say which"),
        ({"keys": {"a": {}}}, "secret"),
        ({"key_encoding": "hex"}, "a secret is not written in hex"),
        ({"key_encoding": "base64"}, "a secret is not written in base64"),
        ({"algorithm": "md5"}, "'sha1', 'sha256'"),
        ({"window": 0}, "greater than 0"),
        ({"header": "X Signature"}, "is no header name"),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(written: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        HmacModel.model_validate({"keys": {"id": {"secret": "s3cret"}}, **written})


def test_the_digest_is_that_of_rfc_2104_with_each_hash() -> None:
    for algorithm in ("sha1", "sha256", "sha384", "sha512"):
        inner = hashlib.new(algorithm, bytes(0x36 ^ b for b in b"s3cret".ljust(block(algorithm), b"\0")) + b"x")
        outer = bytes(0x5C ^ b for b in b"s3cret".ljust(block(algorithm), b"\0")) + inner.digest()
        text = hashlib.new(algorithm, outer).hexdigest()
        bare(algorithm=algorithm).admit(raw=b"x", headers={"X-Signature": text})


def block(algorithm: str) -> int:
    return hashlib.new(algorithm).block_size
