"""JWT access tokens: keys that rotate on the sandbox's clock, and the JWKS others verify with (RFC 7515, 7517, 9068).

Rules: a signature follows from claims, key and time alone; key generations are counted from 1970, so that every
process has the same; a token is good only while the key that signed it is published. No clock is read: of the library
only signing and verifying are used, and claims are judged elsewhere.
"""

from __future__ import annotations

import base64
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.core.chance import Chance
from simulator.core.profiles.rsa_keys import EXPONENT, PRIMES
from simulator.core.values import Duration, wrong_at

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from jwt import PyJWS

Algorithm = Literal["RS256", "EdDSA"]
Root = int | bytes  # what a key is made from: the number of an RSA key, or the seed of an Ed25519 one
ROTATE_MS_MIN = 1000
GENERATIONS_MAX = len(PRIMES)  # published at once; beyond it an RSA key would come twice
VERIFIED_MAX = 1024  # tokens whose signature need not be looked at again; a look costs a hundred microseconds
TYPE = "at+jwt"  # RFC 9068 section 2.1


class KeysModel(BaseModel):
    """The keys that sign tokens."""

    model_config = ConfigDict(extra="forbid")

    rotate: Duration | None = Field(
        None, ge=ROTATE_MS_MIN, description="How often a new key begins to sign; never by default", examples=["24h"]
    )
    keep: Duration | None = Field(
        None, description="How long a key stays published after its last signature; by default as long as `rotate`"
    )

    @model_validator(mode="after")
    def _as_many_as_there_are(self) -> KeysModel:
        if self.keep is not None and self.rotate is None:
            raise wrong_at("keep", "keep goes with rotate, and this key signs for ever; write rotate, or take it out")
        most = (GENERATIONS_MAX - 1) * (self.rotate or 0)
        if self.keep is not None and self.keep > most:
            raise wrong_at("keep", f"keep is at most {GENERATIONS_MAX - 1} times rotate; make one of them shorter")
        return self


class SigningKeys:
    """The keys of one scheme, generation by generation."""

    def __init__(self, name: str, algorithm: Algorithm, model: KeysModel) -> None:
        self.algorithm = algorithm
        self.keep_ms = (model.rotate or 0) if model.keep is None else model.keep
        self._name = name
        self._rotate_ms = model.rotate

    def sign(self, claims: dict[str, Any], chance: Chance, now_ms: int) -> str:
        """The claims as a JWT."""
        generation = self._generation(now_ms)
        headers = {"kid": self._kid(generation), "typ": TYPE}
        return _jws().encode(orjson.dumps(claims), _key(self._root(generation, chance)), self.algorithm, headers)

    def verified(self, token: str, chance: Chance, now_ms: int) -> dict[str, Any] | None:
        """The claims of a token that a key published at this time has signed; None for any other text."""
        published = self._published(now_ms)
        return _claims(token, self.algorithm, tuple((self._kid(each), self._root(each, chance)) for each in published))

    def jwks(self, chance: Chance, now_ms: int) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517 section 5), the one that signs first."""
        return {"keys": [self._public(each, chance) for each in self._published(now_ms)]}

    def _published(self, now_ms: int) -> list[int]:
        """The generation that signs, and those before it that were replaced less than `keep` ago."""
        current = self._generation(now_ms)
        if self._rotate_ms is None:
            return [current]
        oldest = max(0, current - GENERATIONS_MAX + 1)
        ends_ms = {each: (each + 1) * self._rotate_ms for each in range(current - 1, oldest - 1, -1)}
        return [current, *(each for each, end_ms in ends_ms.items() if now_ms < end_ms + self.keep_ms)]

    def _generation(self, now_ms: int) -> int:
        return now_ms // self._rotate_ms if self._rotate_ms else 0

    def _kid(self, generation: int) -> str:
        return f"{self._name}-{generation}"

    def _root(self, generation: int, chance: Chance) -> Root:
        if self.algorithm == "RS256":
            return generation % len(PRIMES)
        return chance.digest(f"{self._kid(generation)}/ed25519")

    def _public(self, generation: int, chance: Chance) -> dict[str, Any]:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        public = _key(self._root(generation, chance)).public_key()
        named = {"kid": self._kid(generation), "use": "sig", "alg": self.algorithm}
        if isinstance(public, RSAPublicKey):
            numbers = public.public_numbers()
            return {"kty": "RSA", **named, "n": _number(numbers.n), "e": _number(numbers.e)}
        return {"kty": "OKP", "crv": "Ed25519", **named, "x": _text(public.public_bytes_raw())}  # RFC 8037 section 2


@lru_cache(maxsize=VERIFIED_MAX)
def _claims(token: str, algorithm: Algorithm, published: tuple[tuple[str, Root], ...]) -> dict[str, Any] | None:
    """The claims of a token that one of these keys has signed. It follows from these three alone, so it is kept."""
    import jwt

    try:
        kid = _jws().get_unverified_header(token).get("kid")
        root = next(root for each, root in published if each == kid)
        claims = orjson.loads(_jws().decode(token, _key(root).public_key(), [algorithm]))
    except (jwt.PyJWTError, ValueError, RecursionError, StopIteration):
        return None
    return claims if isinstance(claims, dict) else None


def _key(root: Root) -> RSAPrivateKey | Ed25519PrivateKey:
    return rsa_key(root) if isinstance(root, int) else ed25519_key(root)


@lru_cache(maxsize=GENERATIONS_MAX)
def rsa_key(number: int) -> RSAPrivateKey:
    """One of the RSA keys that come with the simulator."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    p, q = (reduce(lambda high, part: high << 256 | part, parts) for parts in PRIMES[number])
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


@lru_cache(maxsize=256)
def ed25519_key(seed: bytes) -> Ed25519PrivateKey:
    """The Ed25519 key of 32 bytes (RFC 8032 section 5.1.5)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=1)
def _jws() -> PyJWS:
    """Signs and verifies, and looks at no claim, so at no clock either."""
    from jwt import PyJWS

    return PyJWS(algorithms=["RS256", "EdDSA"])


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
