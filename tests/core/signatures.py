"""Webhooks signed in a small scope, and keys, as the tests of signatures need them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from simulator.core.keys import private_pem
from simulator.core.places import nowhere
from simulator.core.signing import Signed, Signer, SignModel, Variant, compile_sign
from simulator.core.templates import EVERYWHERE
from tests.core.compiled import scope

VECTORS = orjson.loads((Path(__file__).parent / "signature_vectors.json").read_bytes())
OURS: dict[str, str] = VECTORS["out"]
BODY: bytes = VECTORS["body"].encode()
T_MS: int = VECTORS["T"] * 1000
ID: str = VECTORS["MID"]
URL = "https://example.com/hook"
WHSEC, WHSK, WHPK = OURS["whsec"], OURS["whsk"], OURS["whpk"]

NAMES = EVERYWHERE.plus("event", "endpoint", "delivery", "record")
EVENT = {"type": "job.completed", "id": "evt_1"}
ORDER: TypeAdapter[SignModel | list[SignModel]] = TypeAdapter(SignModel | list[SignModel])


def signer(order: Any) -> Signer:
    """A `sign:` compiled, which must be legal."""
    place = nowhere()
    made = compile_sign(ORDER.validate_python(order), place, NAMES)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    return made


def complaints(order: Any) -> list[str]:
    """What is said of a `sign:`."""
    place = nowhere()
    compile_sign(ORDER.validate_python(order), place, NAMES)
    return [complaint.what for complaint in place.complaints]


def sign(
    order: Any,
    misbehave: Variant | None = None,
    *,
    url: str = URL,
    method: str = "POST",
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Content-Type", b"application/json"),),
    body: bytes = BODY,
    id: str = ID,
    at_ms: int = T_MS,
    unit: float = 0.5,
    **values: Any,
) -> Signed:
    """A webhook signed as the order says."""
    here = scope(**{"event": EVENT, "endpoint": {}, "delivery": {}, "record": {}, **values})
    return signer(order).sign(here, url, method, list(headers), body, id, at_ms, misbehave, unit=unit)


def header(signed: Signed, name: str) -> str | None:
    """The value of a header field that was added; None without it."""
    found = [value.decode("latin-1") for key, value in signed.headers if key.decode().lower() == name.lower()]
    assert len(found) < 2, found
    return found[0] if found else None


def as_dict(signed: Signed) -> dict[str, str]:
    """The added header fields as verifiers take them."""
    return {key.decode(): value.decode("latin-1") for key, value in signed.headers}


@lru_cache
def rsa_key() -> Any:
    """An RSA key; the same all through one process."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_pem() -> str:
    """It, as a scenario has it."""
    return private_pem(rsa_key())
