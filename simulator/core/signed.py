"""`hmac:` requests that their client has signed (RFC 2104), with a time that must be near and a nonce that comes once.

Rules: what is signed are the bytes that came, also where a body is no text; the signature is judged before time and
nonce, so that nobody else can use up a nonce; a time on the very edge of the window is inside; a nonce is remembered
until its time leaves the window.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.core.clock import EPOCH, INSTANT_MS_MAX, MONTHS, iso
from simulator.core.credentials import (
    Challenge,
    CredentialModel,
    HeaderName,
    Known,
    asked,
    came,
    compile_keyring,
    or_empty,
    recognised,
)
from simulator.core.expressions import Names
from simulator.core.helpers import TEXT_MAX, shown
from simulator.core.places import Place
from simulator.core.records import text_of
from simulator.core.refusals import ErrorModel, Refused, compile_error
from simulator.core.requests import Request
from simulator.core.secrets import Secret, digest, same
from simulator.core.templates import LiveScope, Value, compile_text
from simulator.core.turns import Turn
from simulator.core.values import Duration, wrong_at
from simulator.errors import TemplateError

NONCE_MAX = 256  # characters; UUIDs and hashes are far shorter
TIMESTAMP = re.compile(r"([0-9]{1,14})(\.[0-9]{1,9})?")
MS_FROM = 100_000_000_000  # numbers from here on are milliseconds: as seconds they would be in the year 5138
HTTP_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


class SigningKeyModel(CredentialModel):
    """A key that a client signs with."""

    secret: Secret = Field(description="What it signs with")


class HmacModel(BaseModel):
    """How requests are signed."""

    model_config = ConfigDict(extra="forbid")

    header: HeaderName = Field("X-Signature", description="The header field that holds the signature")
    prefix: str = Field("", max_length=100, description="What stands before it there", examples=["sha256="])
    key: str | None = Field(
        None, description="Which key signed; without it the only one there is", examples=["{{ headers['X-Key-Id'] }}"]
    )
    timestamp: str | None = Field(
        None,
        description="When it was signed: seconds or milliseconds since 1970, ISO 8601, or an HTTP date",
        examples=["{{ headers['X-Timestamp'] }}"],
    )
    nonce: str | None = Field(None, description="What comes only once", examples=["{{ headers['X-Nonce'] }}"])
    window: Duration = Field(300_000, gt=0, description="How far the time may be off, either way; 5m by default")
    over: str = Field(
        "{{ request.raw }}",
        description="The text that is signed; it may use `key`, `timestamp` and `nonce` as they came",
        examples=["{{ timestamp }}.{{ request.raw }}"],
    )
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = Field("sha256", description="The hash of the HMAC")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the signature is written")
    key_encoding: Literal["utf8", "hex", "base64"] = Field("utf8", description="How the secrets are written")
    keys: dict[Secret, Annotated[SigningKeyModel, BeforeValidator(or_empty)]] = Field(
        min_length=1, description="The keys, by their ids"
    )
    error: ErrorModel | None = Field(None, description="What is answered outside the window; 401 by default")

    @model_validator(mode="after")
    def _fits_together(self) -> HmacModel:
        if "window" in self.model_fields_set and self.timestamp is None and self.nonce is None:
            what = "without a timestamp or a nonce nothing has a window"
            raise wrong_at("window", f"{what}; write timestamp: \"{{{{ headers['X-Timestamp'] }}}}\"")
        if self.key is None and len(self.keys) > 1:
            raise wrong_at(
                "keys", "with several keys a request must say which; write key: \"{{ headers['X-Key-Id'] }}\""
            )
        for each in self.keys.values():
            if _secret_bytes(each.secret, self.key_encoding) is None:
                raise wrong_at(
                    "keys", f"a secret is not written in {self.key_encoding}; write it so, or change key_encoding"
                )
        return self


class Signed:
    """A compiled scheme of signed requests."""

    def __init__(self, name: str, model: HmacModel, realm: str, place: Place, names: Names) -> None:
        """Complaints go to the place."""
        self.challenge = Challenge("Signature", realm)
        self.wants = f"a signature in the header {model.header}"
        self.described = {"type": "apiKey", "in": "header", "name": model.header}
        inner = names.plus("key", "timestamp", "nonce")
        self._name = name
        self._model = model
        self._keyring = compile_keyring(model.keys, place / "keys", names, "secret")
        self._key, self._timestamp, self._nonce = (
            None if text is None else compile_text(text, place / field, names)
            for field, text in (("key", model.key), ("timestamp", model.timestamp), ("nonce", model.nonce))
        )
        self._over = compile_text(model.over, place / "over", inner)
        self._error = compile_error(model.error, "request_expired", place / "error", inner)
        parts = (self._key, self._timestamp, self._nonce, self._over)
        self.values = (*(each for each in parts if each is not None), *self._keyring.values)

    def identify(self, turn: Turn, scope: LiveScope, /) -> Known | None:
        """Who signed; None where there is no signature. Raises Refused."""
        request = asked(turn)
        sent = request.headers.get(self._model.header.lower())
        if sent is None:
            return None
        inner = LiveScope({**scope, "request": Exact(request)}, scope.makers, scope.owner)
        key = next(iter(self._model.keys)) if self._key is None else _read(self._key, inner)
        came(turn, self._name, key)
        inner["key"] = key
        inner["timestamp"] = "" if self._timestamp is None else _read(self._timestamp, inner)
        inner["nonce"] = "" if self._nonce is None else _read(self._nonce, inner)
        signed_ms = moment_ms(inner["timestamp"])
        turn.facts["signed_ms"], turn.facts["nonce"] = signed_ms, inner["nonce"][:NONCE_MAX] or None
        credential = self._keyring.find(key) if key else None
        expected = "" if credential is None else self._signature(credential.secret or "", request, inner)
        if credential is None:
            raise Refused("unauthorized", f"The signing key is {'not known' if key else 'missing'}.")
        if self._timestamp is not None and not inner["timestamp"]:
            raise timeless()
        if not same(self._bare(sent), expected):
            raise Refused("unauthorized", "The signature is not that of this key over this request.")
        if self._timestamp is not None:
            self._in_time(turn, signed_ms, inner)
        if self._nonce is not None:
            self._only_once(turn, key, inner["nonce"], signed_ms)
        return recognised(self._name, credential, key, turn, scope)

    def _signature(self, secret: str, request: Request, inner: LiveScope) -> str:
        try:
            over = shown(self._over.of(inner)).encode("utf-8", "surrogateescape")
        except TemplateError:
            if len(request.raw) <= TEXT_MAX // 2 and _is_text(request.raw):
                raise
            raise Refused("unauthorized", "The signature of this body cannot be verified; it is no text, or too long.")
        raw = hmac.digest(_secret_bytes(secret, self._model.key_encoding) or b"", over, self._model.algorithm)
        if self._model.encoding == "hex":
            return raw.hex()
        return (base64.b64encode if self._model.encoding == "base64" else base64.urlsafe_b64encode)(raw).decode()

    def _bare(self, sent: str) -> str:
        """The signature without what stands before it, in the one spelling that compares."""
        text = sent.removeprefix(self._model.prefix) if sent.startswith(self._model.prefix) else ""
        if self._model.encoding == "base64url":
            return text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return text.lower() if self._model.encoding == "hex" else text

    def _in_time(self, turn: Turn, signed_ms: int | None, inner: LiveScope) -> None:
        if signed_ms is None:
            raise timeless()
        now_ms = turn.shown_ms(turn.now_ms)  # a client can only go by the clock that it sees
        if abs(now_ms - signed_ms) > self._model.window:
            times = f"it was signed at {iso(signed_ms)} and it is {iso(now_ms)}"
            detail = f"The request's time is not within {self._model.window / 1000:g} s of the service's: {times}."
            raise Refused("request_expired", detail).said(self._error, inner)

    def _only_once(self, turn: Turn, key: str, nonce: str, signed_ms: int | None) -> None:
        if not 0 < len(nonce) <= NONCE_MAX:
            raise Refused("unauthorized", f"The request has no nonce; one has 1 to {NONCE_MAX} characters.")
        name = f"nonce/{turn.service.name}/{self._name}/{digest(key)}/{digest(nonce)}"
        now_ms, until_ms = turn.shown_ms(turn.now_ms), turn.entry(name)
        if until_ms is not None and now_ms <= until_ms:
            raise Refused("unauthorized", "The request's nonce has come before.")
        until_ms = (now_ms if signed_ms is None else signed_ms) + self._model.window
        turn.keep(name, until_ms, turn.now_ms + until_ms - now_ms)


def timeless() -> Refused:
    """Why a signed request without a time is refused."""
    legal = "seconds or milliseconds since 1970, ISO 8601, or an HTTP date"
    return Refused("unauthorized", f"The request does not say when it was signed; the time is {legal}.")


class Exact:
    """A request whose `raw` gives back each byte that came, also those that are no UTF-8."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def template_field(self, name: str) -> Any:
        """`request.raw` and the other fields."""
        if name in ("raw", "text"):
            return self._request.raw.decode("utf-8", "surrogateescape")
        return self._request.template_field(name)

    def template_json(self) -> Any:
        """The request as a whole."""
        return self._request.template_json()


def moment_ms(text: str) -> int | None:
    """A time as clients write it, in milliseconds since 1970; None for any other text.

    Whole numbers are seconds, or milliseconds where as seconds they would be thousands of years away; with a point,
    seconds. ISO 8601 without a zone is UTC. HTTP dates: IMF-fixdate (RFC 9110 section 5.6.7).
    """
    number = TIMESTAMP.fullmatch(text)
    if number is not None:
        if number[2] is None and int(text) >= MS_FROM:
            return int(text)
        return min(int(number[1]) * 1000 + int((number[2] or ".0")[1:4].ljust(3, "0")), INSTANT_MS_MAX)
    date = HTTP_DATE.fullmatch(text)
    try:
        if date is not None:
            day, month, year, hour, minute, second = date.groups()
            moment = datetime.fromisoformat(f"{year}-{MONTHS.index(month) + 1:02d}-{day}T{hour}:{minute}:{second}")
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    ms = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)
    return min(max(ms, 0), INSTANT_MS_MAX)


def _read(value: Value, scope: LiveScope) -> str:
    return text_of(value.of(scope)) or ""


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _secret_bytes(text: str, encoding: str) -> bytes | None:
    """The bytes of a secret; None where it is not written so."""
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()
    except ValueError:  # binascii.Error is one
        return None
