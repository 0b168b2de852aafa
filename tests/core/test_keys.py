"""Keys are read in every form they are handed around in, sign as the RFCs' examples do, and never show themselves."""

from __future__ import annotations

import base64
import re
from typing import Any, get_args

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.keys import (
    ORDERS,
    Algorithm,
    Ecdsa,
    Hmac,
    Rsa,
    derived_ec_key,
    derived_key,
    encoded,
    private_key,
    private_pem,
    public_pem,
    secret_bytes,
    signing,
    signing_wrong,
    whpk,
    whsk,
)
from tests.core.signatures import WHPK, WHSK, rsa_key, rsa_pem

ED25519 = Algorithm("eddsa", "ed25519")
P256 = Algorithm("ecdsa", "p256")
SEED = bytes(range(32))

# RFC 6979 appendices A.2.5 and A.2.6: the private value, and r and s of SHA-256 and SHA-384 over "sample".
RFC_6979 = [
    (
        "p256-raw",
        "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    ),
    (
        "p384-raw",
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
        "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46"
        "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
    ),
]
ALGORITHMS = [
    *[Algorithm("hmac", form) for form in get_args(Hmac)],
    ED25519,
    *[Algorithm("ecdsa", form) for form in get_args(Ecdsa)],
    *[Algorithm("rsa", form) for form in get_args(Rsa)],
]


def a_key(algorithm: Algorithm) -> str:
    """A key that fits, as text; read as base64 where it is not PEM."""
    if algorithm.family == "rsa":
        return rsa_pem()
    if algorithm.family == "ecdsa":
        return private_pem(derived_ec_key(b"seed", algorithm.form.removesuffix("-raw")))
    return base64.b64encode(SEED).decode()


def verify(algorithm: Algorithm, signature: bytes, message: bytes) -> bool:
    """Whether the signature is that of `a_key`, checked by the library's own verifiers."""
    if algorithm.family == "hmac":
        return signature == signing(algorithm, a_key(algorithm), "base64")(message)
    key: Any = private_key(algorithm, a_key(algorithm), "base64").public_key()
    try:
        if algorithm.family == "eddsa":
            key.verify(signature, message)
        elif algorithm.family == "rsa":
            key.verify(signature, message, padding.PKCS1v15(), getattr(hashes, algorithm.form.upper())())
        else:
            key.verify(as_der(signature, algorithm.form), message, ec.ECDSA(ecdsa_hash(algorithm.form)))
    except InvalidSignature:
        return False
    return True


def as_der(signature: bytes, form: str) -> bytes:
    half = len(signature) // 2
    raw = form.endswith("-raw")
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    return encode_dss_signature(r, s) if raw else signature


def ecdsa_hash(form: str) -> Any:
    return hashes.SHA256() if form.startswith("p256") else hashes.SHA384()


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=" ".join)
def test_each_algorithm_signs_the_same_way_each_time_and_verifies(algorithm: Algorithm) -> None:
    sign = signing(algorithm, a_key(algorithm), "base64")
    assert sign(b"message") == sign(b"message")
    assert verify(algorithm, sign(b"message"), b"message")
    assert not verify(algorithm, sign(b"message"), b"massage")


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=" ".join)
def test_a_wrong_key_has_the_right_form_and_does_not_verify(algorithm: Algorithm) -> None:
    right, wrong = (make(algorithm, a_key(algorithm), "base64")(b"message") for make in (signing, signing_wrong))
    assert not verify(algorithm, wrong, b"message")
    assert abs(len(right) - len(wrong)) <= (4 if algorithm.form in ("p256", "p384") else 0)  # DER drops leading zeros
    assert signing_wrong(algorithm, a_key(algorithm), "base64")(b"message") == wrong


@pytest.mark.parametrize(("form", "value", "signature"), RFC_6979)
def test_ecdsa_is_that_of_rfc_6979(form: str, value: str, signature: str) -> None:
    assert signing(Algorithm("ecdsa", form), value, "hex")(b"sample").hex().upper() == signature


def test_an_ed25519_key_may_be_whsk_its_seed_both_halves_or_pem() -> None:
    both = WHSK.removeprefix("whsk_")
    pem = private_pem(private_key(ED25519, WHSK, "base64"))
    signatures = [
        signing(ED25519, text, encoding)(b"m")
        for text, encoding in [
            (WHSK, "utf8"),
            (both, "base64"),
            (SEED.hex(), "hex"),
            (base64.b64encode(SEED).decode(), "base64"),
            (pem, "utf8"),
        ]
    ]
    assert signatures == [signatures[0]] * 5


def test_standard_webhooks_keys_are_written_as_they_are_read() -> None:
    key = private_key(ED25519, WHSK, "base64")
    assert (whsk(key), whpk(key)) == (WHSK, WHPK)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_seed_gives_one_key_and_another_seed_another(seed: bytes, other: bytes) -> None:
    same = seed == other
    assert (whsk(derived_key(seed)) == whsk(derived_key(other))) is same
    for curve, order in ORDERS.items():
        first, second = (derived_ec_key(each, curve).private_numbers().private_value for each in (seed, other))
        assert (first == second) is same
        assert 0 < first < order


def test_pem_goes_out_and_comes_in_again() -> None:
    key = derived_ec_key(b"seed")
    assert private_key(P256, private_pem(key), "utf8").private_numbers() == key.private_numbers()
    assert public_pem(key).startswith("-----BEGIN PUBLIC KEY-----\n")
    assert public_pem(rsa_key()).startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize(
    ("text", "encoding", "raw"),
    [
        ("whsec_MTIz", "utf8", b"whsec_MTIz"),
        ("café", "utf8", b"caf\xc3\xa9"),
        ("00fF", "hex", b"\x00\xff"),
        ("MTIz", "base64", b"123"),
        ("whsec_MTIz", "whsec", b"123"),
        ("MTIz", "whsec", b"123"),
    ],
)
def test_a_secret_is_bytes_in_one_of_four_forms(text: str, encoding: str, raw: bytes) -> None:
    assert secret_bytes(text, encoding) == raw


@pytest.mark.parametrize(
    ("algorithm", "text", "encoding", "said"),
    [
        (Algorithm("hmac", "sha256"), "", "utf8", "an empty secret signs nothing"),
        (Algorithm("hmac", "sha256"), "s3cret!", "hex", "is no hex; write pairs of 0-9 and a-f"),
        (Algorithm("hmac", "sha256"), "s3cret!", "base64", "is no base64; write it with its padding"),
        (Algorithm("hmac", "sha256"), "whsec_s3cret!", "whsec", "is no base64; write it such as whsec_"),
        (Algorithm("hmac", "sha256"), "s3crét!", "base64", "is no base64"),
        (ED25519, "MTIz", "base64", "a seed of 32 bytes, or seed and public key, not 3 bytes"),
        (ED25519, base64.b64encode(SEED + SEED).decode(), "base64", "are not the public key of its first 32"),
        (ED25519, WHPK, "base64", "is no base64"),
        (P256, "00" * 32, "hex", "a private value of 32 bytes below the curve's order"),
        (P256, f"{ORDERS['p256']:x}", "hex", "below the curve's order"),
        (Algorithm("ecdsa", "p384"), "01" * 32, "hex", "a private value of 48 bytes"),
        (Algorithm("rsa", "sha256"), "s3cret!", "utf8", "an RSA key is PEM text"),
        (P256, "-----BEGIN s3cret!", "utf8", "no PEM of a private key"),
        (P256, public_pem(derived_ec_key(b"s3cret!")), "utf8", "no PEM of a private key"),
        (P256, private_pem(derived_key(b"seed")), "utf8", "another kind of key; ecdsa p256 needs its own"),
        (P256, private_pem(derived_ec_key(b"seed", "p384")), "utf8", "another kind of key; ecdsa p256"),
        (ED25519, private_pem(derived_ec_key(b"seed")), "utf8", "another kind of key; eddsa ed25519"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(
    algorithm: Algorithm, text: str, encoding: str, said: str
) -> None:
    for make in (signing, signing_wrong):
        with pytest.raises(ValueError, match=re.escape(said)) as refused:
            make(algorithm, text, encoding)
        assert "s3cr" not in str(refused.value)


def test_a_key_behind_a_passphrase_is_refused() -> None:
    locked = derived_ec_key(b"seed").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open"))
    with pytest.raises(ValueError, match="without a passphrase"):
        signing(P256, locked.decode(), "utf8")


@pytest.mark.parametrize(("encoding", "text"), [("hex", "fbefff00"), ("base64", "++//AA=="), ("base64url", "--__AA")])
def test_a_signature_is_written_in_three_ways(encoding: str, text: str) -> None:
    assert encoded(b"\xfb\xef\xff\x00", encoding) == text
