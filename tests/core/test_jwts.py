"""JWTs verify for everybody who reads the JWKS, as long as their key is published, and nothing else does."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet
from pydantic import ValidationError

from simulator.core.chance import Chance
from simulator.core.jwts import GENERATIONS_MAX, Algorithm, KeysModel, SigningKeys, rsa_key

CHANCE = Chance(7, "shop")
HOUR = 3_600_000
NOW = 1_767_225_600_000
CLAIMS = {"iss": "http://a.test", "sub": "demo", "exp": 1_767_226_200, "jti": "x"}
BOTH: list[Algorithm] = ["RS256", "EdDSA"]


def signing(algorithm: Algorithm = "EdDSA", **keys: Any) -> SigningKeys:
    return SigningKeys("oauth", algorithm, KeysModel.model_validate(keys))


def kids(keys: SigningKeys, now_ms: int) -> list[str]:
    return [key["kid"] for key in keys.jwks(CHANCE, now_ms)["keys"]]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # by a name that few clients know yet
@pytest.mark.parametrize("algorithm", BOTH)
def test_two_other_libraries_verify_a_token_with_the_published_keys(algorithm: Algorithm) -> None:
    keys = signing(algorithm, rotate="1h")
    token = keys.sign(CLAIMS, CHANCE, NOW)
    document = orjson.loads(orjson.dumps(keys.jwks(CHANCE, NOW + HOUR)))
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "kid": f"oauth-{NOW // HOUR}", "typ": "at+jwt"}
    public = next(key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id == header["kid"])
    assert jwt.decode(token, public.key, [algorithm], options={"verify_exp": False}) == CLAIMS
    found = jws.deserialize_compact(token, KeySet.import_key_set(document), algorithms=[algorithm])
    assert orjson.loads(found.payload or b"") == CLAIMS


@pytest.mark.parametrize("algorithm", BOTH)
def test_the_same_claims_at_the_same_time_are_the_same_token(algorithm: Algorithm) -> None:
    assert signing(algorithm).sign(CLAIMS, CHANCE, NOW) == signing(algorithm).sign(CLAIMS, Chance(7, "shop"), NOW)


@pytest.mark.parametrize("algorithm", BOTH)
def test_a_published_key_has_what_rfc_7517_wants_and_nothing_secret(algorithm: Algorithm) -> None:
    (key,) = signing(algorithm).jwks(CHANCE, NOW)["keys"]
    own = {"kty", "crv", "x"} if algorithm == "EdDSA" else {"kty", "n", "e"}
    assert set(key) == {"kid", "use", "alg", *own}
    assert (key["kid"], key["use"], key["alg"]) == ("oauth-0", "sig", algorithm)


def test_ed25519_keys_follow_from_the_seed() -> None:
    keys = signing("EdDSA")
    token = keys.sign(CLAIMS, CHANCE, NOW)
    assert keys.verified(token, CHANCE, NOW) == CLAIMS
    assert keys.verified(token, Chance(8, "shop"), NOW) is None
    assert keys.verified(token, Chance(7, "other"), NOW) is None


def test_a_key_signs_for_one_rotation_and_stays_for_as_long_as_it_is_kept() -> None:
    keys = signing(rotate="1h", keep="30m")
    begin = NOW // HOUR * HOUR
    number = begin // HOUR
    token = keys.sign(CLAIMS, CHANCE, begin + HOUR - 1)
    assert kids(keys, begin - 1) == [f"oauth-{number - 1}"]
    assert kids(keys, begin) == [f"oauth-{number}", f"oauth-{number - 1}"]
    assert kids(keys, begin + HOUR // 2 - 1) == [f"oauth-{number}", f"oauth-{number - 1}"]
    assert kids(keys, begin + HOUR // 2) == [f"oauth-{number}"]
    assert keys.verified(token, CHANCE, begin + HOUR + HOUR // 2 - 1) == CLAIMS
    assert keys.verified(token, CHANCE, begin + HOUR + HOUR // 2) is None


def test_without_a_keep_a_key_stays_for_one_more_rotation() -> None:
    assert signing(rotate="24h").keep_ms == 24 * HOUR
    assert len(kids(signing(rotate="1h"), NOW)) == 2
    assert len(kids(signing(rotate="1h", keep=0), NOW)) == 1
    assert len(kids(signing(rotate="1h", keep="3h"), NOW)) == GENERATIONS_MAX
    assert kids(signing(rotate="1h"), 5) == ["oauth-0"]


@given(st.integers(1_000, 100 * HOUR), st.integers(0, 3), st.integers(0, 2 * NOW))
def test_the_published_keys_are_the_signing_one_and_no_key_twice(rotate_ms: int, part: int, now_ms: int) -> None:
    keys = SigningKeys("oauth", "RS256", KeysModel.model_construct(rotate=rotate_ms, keep=rotate_ms * part))
    published = keys.jwks(CHANCE, now_ms)["keys"]
    assert published[0]["kid"] == f"oauth-{now_ms // rotate_ms}"
    assert len({key["n"] for key in published}) == len(published) <= GENERATIONS_MAX


def test_a_key_without_rotation_signs_for_ever() -> None:
    keys = signing()
    assert kids(keys, 0) == kids(keys, NOW) == ["oauth-0"]
    assert keys.keep_ms == 0


@given(st.data())
def test_a_token_changed_anywhere_is_none(data: Any) -> None:
    keys = signing()
    parts = keys.sign(CLAIMS, CHANCE, NOW).split(".")
    number = data.draw(st.integers(0, 2))
    raw = bytearray(base64.urlsafe_b64decode(parts[number] + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    parts[number] = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    assert keys.verified(".".join(parts), CHANCE, NOW) is None


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True))
def test_any_other_text_is_none(text: str) -> None:
    assert signing().verified(text, CHANCE, NOW) is None


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"EdDSA","kid":"oauth-0","x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        b'{"alg":"EdDSA","kid":"oauth-0","x":' + b"9" * 5000 + b"}",
        b'{"alg":"none","kid":"oauth-0"}',
        b'{"alg":"HS256","kid":"oauth-0"}',
        b'{"alg":"EdDSA","kid":["oauth-0"]}',
        b'{"alg":"EdDSA","kid":"oauth-1"}',
        b'{"alg":"EdDSA","kid":"oauth-0","crit":["x"],"x":1}',
        b'{"alg":"EdDSA","kid":"oauth-0","b64":false}',
        b"[]",
        b"\xff",
    ],
)
def test_a_hostile_header_is_none(header: bytes) -> None:
    token = f"{part(header)}.{part(b'{}')}.{part(b'x' * 64)}"
    assert signing().verified(token, CHANCE, NOW) is None


@pytest.mark.parametrize("payload", [b"[]", b"no json", b"", b"1"])
def test_everybody_has_the_rsa_keys_and_gets_nowhere_without_claims(payload: bytes) -> None:
    forged = jwt.PyJWS().encode(payload, rsa_key(0), "RS256", {"kid": "oauth-0"})
    assert signing("RS256").verified(forged, CHANCE, NOW) is None


def test_the_public_key_is_no_shared_secret() -> None:
    """The old confusion of RS256 with HS256."""
    public = signing("RS256").jwks(CHANCE, NOW)["keys"][0]["n"].encode()
    forged = jwt.PyJWS().encode(orjson.dumps(CLAIMS), public, "HS256", {"kid": "oauth-0"})
    assert signing("RS256").verified(forged, CHANCE, NOW) is None


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"keep": "1h"}, "keep goes with rotate"),
        ({"rotate": "1h", "keep": "181m"}, "keep is at most 3 times rotate"),
        ({"rotate": "500ms"}, "greater than or equal to 1000"),
        ({"rotate": "1h", "rotates": True}, "rotates"),
    ],
)
def test_keys_that_cannot_be_are_refused(written: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        KeysModel.model_validate(written)
