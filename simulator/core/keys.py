"""Keys that sign: shared secrets, Ed25519, ECDSA and RSA, in the forms in which they are handed around.

Rules: a signature follows from key and message alone (RFC 2104; RFC 8032; RFC 6979; RFC 8017 section 8.2), so that
the same delivery has the same bytes; `cryptography` is imported where it is used, for it is heavy; a message about
a key never shows it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

Hmac = Literal["sha1", "sha256", "sha384", "sha512"]
Eddsa = Literal["ed25519"]
Ecdsa = Literal["p256", "p256-raw", "p384", "p384-raw"]
Rsa = Literal["sha256", "sha384", "sha512"]
KeyEncoding = Literal["utf8", "base64", "hex", "whsec"]
Encoding = Literal["hex", "base64", "base64url"]
Sign = Callable[[bytes], bytes]

KEYS_MAX = 1024  # keys kept read; reading a PEM costs more than signing with it
ORDERS = {  # of the curves' groups, FIPS 186-4 appendix D.1.2
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
WIDTHS = {"p256": 32, "p384": 48}  # bytes of a private value, of r and of s


class Algorithm(NamedTuple):
    """How to sign: a family (hmac, eddsa, ecdsa, rsa) and its hash or curve; `-raw` is r and s instead of DER."""

    family: str
    form: str


@lru_cache(maxsize=KEYS_MAX)
def signing(algorithm: Algorithm, text: str, encoding: str) -> Sign:
    """What signs with the key that the text is. Raises ValueError with what would be a key."""
    if algorithm.family == "hmac":
        return _hmac(secret_bytes(text, encoding), algorithm.form)
    return _asymmetric(algorithm, private_key(algorithm, text, encoding))


@lru_cache(maxsize=KEYS_MAX)
def signing_wrong(algorithm: Algorithm, text: str, encoding: str) -> Sign:
    """What signs in the same form with a key that nobody has. Raises ValueError as `signing` does."""
    if algorithm.family == "hmac":
        return _hmac(hashlib.sha256(b"another secret" + secret_bytes(text, encoding)).digest(), algorithm.form)
    key = private_key(algorithm, text, encoding)
    if algorithm.family == "eddsa":
        return _asymmetric(algorithm, derived_key(key.private_bytes_raw()))
    if algorithm.family == "ecdsa":
        curve = algorithm.form.removesuffix("-raw")
        value = key.private_numbers().private_value.to_bytes(WIDTHS[curve], "big")
        return _asymmetric(algorithm, derived_ec_key(value, curve))
    sign = _asymmetric(algorithm, key)  # a second RSA key takes a search for primes; of another message is as wrong
    return lambda message: sign(b"another message" + message)


def secret_bytes(text: str, encoding: str) -> bytes:
    """The bytes of a secret; `whsec` is base64 behind an optional `whsec_` (Standard Webhooks). Raises ValueError."""
    if not text:
        raise ValueError("an empty secret signs nothing; write one")
    if encoding == "utf8":
        return text.encode()
    if encoding == "hex":
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise ValueError(
                "the secret or key is no hex; write pairs of 0-9 and a-f, or another key_encoding"
            ) from None
    try:
        return base64.b64decode(text.removeprefix("whsec_") if encoding == "whsec" else text, validate=True)
    except (binascii.Error, ValueError):
        example = "such as whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" if encoding == "whsec" else "with its padding"
        raise ValueError(f"the secret or key is no base64; write it {example}, or another key_encoding") from None


def private_key(algorithm: Algorithm, text: str, encoding: str) -> Any:
    """A private key from PEM, from `whsk_` (base64 of seed and public key), or from its encoded bytes: an Ed25519
    seed, an elliptic curve's private value. Raises ValueError.
    """
    if "-----BEGIN" in text:
        return _from_pem(algorithm, text)
    if algorithm.family == "rsa":
        raise ValueError("an RSA key is PEM text that begins with -----BEGIN PRIVATE KEY-----")
    whsk = text.startswith("whsk_")
    raw = secret_bytes(text.removeprefix("whsk_"), "base64" if whsk else encoding)
    return _ed25519(raw) if algorithm.family == "eddsa" else _elliptic(raw, algorithm.form.removesuffix("-raw"))


def derived_key(seed: bytes) -> Ed25519PrivateKey:
    """The Ed25519 key that belongs to a seed of any length."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"ed25519" + seed).digest())


def derived_ec_key(seed: bytes, curve: str = "p256") -> EllipticCurvePrivateKey:
    """The key on the curve p256 or p384 that belongs to a seed of any length."""
    from cryptography.hazmat.primitives.asymmetric import ec

    drawn = int.from_bytes(hashlib.sha512(curve.encode() + seed).digest(), "big")
    return ec.derive_private_key(drawn % (ORDERS[curve] - 1) + 1, _curve(curve))


def whsk(key: Ed25519PrivateKey) -> str:
    """A private key as Standard Webhooks writes it."""
    return f"whsk_{base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()}"


def whpk(key: Ed25519PrivateKey) -> str:
    """Its public key, for the receiver."""
    return f"whpk_{base64.b64encode(key.public_key().public_bytes_raw()).decode()}"


def private_pem(key: Any) -> str:
    """A private key as PEM (PKCS #8)."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def public_pem(key: Any) -> str:
    """A private key's public key as PEM, for the receiver."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def encoded(raw: bytes, encoding: str) -> str:
    """A signature as text: hex, base64, or base64url without padding (RFC 7515 section 2)."""
    if encoding == "hex":
        return raw.hex()
    if encoding == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _hmac(key: bytes, digest: str) -> Sign:
    return lambda message: hmac.digest(key, message, digest)


def _asymmetric(algorithm: Algorithm, key: Any) -> Sign:
    if algorithm.family == "eddsa":
        sign: Sign = key.sign
        return sign
    if algorithm.family == "rsa":
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        return lambda message: bytes(key.sign(message, PKCS1v15(), _hash(algorithm.form)))
    return _ecdsa(key, algorithm.form)


def _ecdsa(key: EllipticCurvePrivateKey, form: str) -> Sign:
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve = form.removesuffix("-raw")
    scheme = ec.ECDSA(_hash("sha256" if curve == "p256" else "sha384"), deterministic_signing=True)

    def raw(message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(message, scheme))
        return r.to_bytes(WIDTHS[curve], "big") + s.to_bytes(WIDTHS[curve], "big")

    return raw if form.endswith("-raw") else lambda message: key.sign(message, scheme)


def _from_pem(algorithm: Algorithm, text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the key is no PEM of a private key without a passphrase") from None
    if not isinstance(key, _type(algorithm)) or not _on_curve(key, algorithm):
        raise ValueError(f"the PEM holds another kind of key; {algorithm.family} {algorithm.form} needs its own")
    return key


def _on_curve(key: Any, algorithm: Algorithm) -> bool:
    return algorithm.family != "ecdsa" or key.curve.name == _curve(algorithm.form.removesuffix("-raw")).name


def _type(algorithm: Algorithm) -> type:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    return {
        "eddsa": ed25519.Ed25519PrivateKey,
        "ecdsa": ec.EllipticCurvePrivateKey,
        "rsa": rsa.RSAPrivateKey,
    }[algorithm.family]


def _ed25519(raw: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if len(raw) not in (32, 64):
        raise ValueError(f"an Ed25519 key is a seed of 32 bytes, or seed and public key, not {len(raw)} bytes")
    key = Ed25519PrivateKey.from_private_bytes(raw[:32])
    if len(raw) == 64 and key.public_key().public_bytes_raw() != raw[32:]:
        raise ValueError("the last 32 bytes of the key are not the public key of its first 32")
    return key


def _elliptic(raw: bytes, curve: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    value = int.from_bytes(raw, "big")
    if len(raw) != WIDTHS[curve] or not 0 < value < ORDERS[curve]:
        raise ValueError(f"a {curve} key is PEM, or a private value of {WIDTHS[curve]} bytes below the curve's order")
    return ec.derive_private_key(value, _curve(curve))


def _curve(name: str) -> EllipticCurve:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.SECP256R1() if name == "p256" else ec.SECP384R1()


def _hash(name: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, Callable[[], HashAlgorithm]] = {
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return kinds[name]()
