"""`sign:` signatures on webhooks, right ones and deliberately wrong ones.

Rules: what is signed are the final bytes; the time is an argument, for the sandbox's clock may be wrong; a known
sender's way is data, in profiles/signatures.py; whatever goes wrong on purpose goes wrong in one respect only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.additions import Additions, HeaderPairs, Outgoing
from simulator.core.canonical import Over, OverModel, compile_over, raw_form
from simulator.core.clock import INSTANT_MS_MAX, http_date, iso
from simulator.core.expressions import Names, Scope
from simulator.core.helpers import shown
from simulator.core.keys import (
    Algorithm,
    Ecdsa,
    Eddsa,
    Encoding,
    Hmac,
    KeyEncoding,
    Rsa,
    Sign,
    encoded,
    signing,
    signing_wrong,
)
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.profiles.signatures import DIALECTS
from simulator.core.replies import legal_header
from simulator.core.secrets import Secret
from simulator.core.tampering import tamper
from simulator.core.templates import LiveScope, Value, compile_text, compile_value
from simulator.errors import TemplateError

Variant = Literal[
    "wrong_secret", "missing", "tampered", "stale_timestamp", "future_timestamp", "odd_spacing", "replayed"
]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
OFFSET_MS = 3_600_000  # of a timestamp that is off on purpose: an hour, beyond every receiver's window
FAMILIES = ("hmac", "eddsa", "ecdsa", "rsa")
SECRETS = ("secret", "key", "previous_secret")
SHOWN = ("signature", "signatures")
BEFORE = ("payload", "timestamp", "id", "url", "method", "key_id")
AFTER = frozenset({*SHOWN, "signature_input", "protected", "content"})
NOTICED: dict[Variant, str] = {  # and which name has to be covered for it
    "wrong_secret": "",
    "missing": "",
    "tampered": "payload",
    "stale_timestamp": "timestamp",
    "future_timestamp": "timestamp",
}
TIMES: dict[str, Callable[[int], str]] = {
    "epoch": lambda ms: str(ms // 1000),
    "epoch_ms": str,
    "iso": iso,
    "iso_ns": lambda ms: f"{iso(ms)[:-1]}000000Z",
    "http": lambda ms: http_date(ms // 1000),
}


class SignModel(BaseModel):
    """How a webhook is signed: a dialect with its secret, or a composition of algorithm, bytes and place."""

    model_config = ConfigDict(extra="forbid")

    dialect: str | None = Field(
        None,
        description="A known sender's way; what stands beside it takes the place of the dialect's own",
        json_schema_extra={"enum": [*DIALECTS, None]},
    )
    hmac: Hmac | None = Field(None, description="HMAC (RFC 2104) with this hash")
    eddsa: Eddsa | None = Field(None, description="EdDSA (RFC 8032) on this curve")
    ecdsa: Ecdsa | None = Field(None, description="ECDSA on this curve, as DER; `-raw` gives r and s instead")
    rsa: Rsa | None = Field(None, description="RSA with PKCS #1 v1.5 padding and this hash")
    secret: Secret | list[Secret] | None = Field(
        None, description="hmac: the shared secret; several, newest first, while they are replaced"
    )
    key: Secret | list[Secret] | None = Field(
        None, description="Else: the private key as PEM, as whsk_…, or as the base64 of its bytes"
    )
    previous_secret: Secret | None = Field(
        None, description="The secret or key before, which goes on signing beside the new one; null or omit ends that"
    )
    key_encoding: KeyEncoding | None = Field(
        None, description="How secret or key write bytes: utf8 by default for hmac, base64 for keys"
    )
    key_id: str | None = Field(None, description="The key's name, `key_id` in what is signed and in headers")
    over: str | OverModel | None = Field(None, description="What is signed; `{{ payload }}`, the body, by default")
    encode: Encoding = Field("hex", description="How the signature is written")
    timestamp: Literal["epoch", "epoch_ms", "iso", "iso_ns", "http"] = Field(
        "epoch", description="How `timestamp` is written: seconds, milliseconds, RFC 3339 (or to the nanosecond), HTTP"
    )
    headers: dict[str, Any] = Field(
        {}, description="Header fields; `signature` is the newest secret's, `signatures` those of all"
    )
    query: dict[str, Any] = Field({}, description="Parameters that are added to the URL")
    body_fields: dict[str, Any] = Field({}, description="Fields that are set in the JSON body, by dotted path")

    @property
    def algorithm(self) -> Algorithm:
        """The first that is named."""
        return next(Algorithm(name, form) for name in FAMILIES if (form := getattr(self, name)) is not None)


class Signed(NamedTuple):
    """What becomes of a request: header fields to add, its final body and URL, and the instant that was signed."""

    headers: HeaderPairs
    body: bytes
    url: str
    timestamp_ms: int


class Part(NamedTuple):
    """One signature, compiled."""

    algorithm: Algorithm
    secrets: tuple[Value, ...]
    key_encoding: str
    key_id: Value
    over: Over
    encode: str
    timestamp: str
    before: Additions
    after: Additions
    all: bool  # whether the signatures of older secrets are shown
    where: str

    def sign(self, out: Outgoing, scope: LiveScope, timestamp_ms: int, misbehave: Variant | None) -> None:
        """Sign the request as it is now. Raises TemplateError."""
        try:
            scope["timestamp"] = TIMES[self.timestamp](timestamp_ms)
            scope["key_id"] = self.key_id.of(scope)
            self.before.put(out, scope, self.where)
            if keys := self._keys(scope, misbehave):
                data, shows = self.over.of(scope, out.message())
                signatures = [encoded(key(data), self.encode) for key in keys]
                scope.update(shows, signature=signatures[0], signatures=signatures)
                self.after.put(out, scope, self.where)
        except (ValueError, TypeError) as error:
            raise TemplateError(self.where, f"the webhook cannot be signed: {error}") from error

    def _keys(self, scope: LiveScope, misbehave: Variant | None) -> list[Sign]:
        """What signs, newest first; nothing where no secret is known, as with endpoints that registered none."""
        if misbehave == "missing":
            return []
        make = signing_wrong if misbehave == "wrong_secret" else signing
        texts = [text for value in self.secrets for text in _texts(value.of(scope))]
        return [make(self.algorithm, text, self.key_encoding) for text in (texts if self.all else texts[:1])]


class Signer:
    """A compiled `sign:`."""

    __slots__ = ("noticeable", "parts")

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        covered = frozenset().union(*(_covered(part) for part in parts))
        self.noticeable = tuple(variant for variant, name in NOTICED.items() if not name or name in covered)
        """The variants that a receiver can tell by checking the signature: what is not covered changes unseen."""

    def sign(
        self,
        scope: Scope,
        url: str,
        method: str,
        headers: HeaderPairs,
        body: bytes,
        delivery_id: str,
        timestamp_ms: int,
        misbehave: Variant | None = None,
        *,
        unit: float = 0.5,
        offset_ms: int = OFFSET_MS,
    ) -> Signed:
        """Sign a request that is otherwise complete, in the right way or in a wrong one.

        `unit` (0 to 1) chooses what is tampered with, `offset_ms` how stale or early a timestamp is. A replay is the
        older request as it was, so nothing is done about it here. Raises TemplateError where an expression fails, a
        secret is none, or a body or a covered header is missing.
        """
        at_ms = _moved(timestamp_ms, misbehave, offset_ms)
        out = Outgoing(url, method, headers, body, misbehave == "odd_spacing")
        makers, owner = getattr(scope, "makers", {}), getattr(scope, "owner", None)
        for part in self.parts:
            inner = LiveScope({**scope, "id": delivery_id, "method": method}, makers, owner)
            part.sign(out, inner, at_ms, misbehave)
        if misbehave == "tampered":
            out.body = tamper(out.body, unit)
        return Signed(out.added, out.body, out.url, at_ms)


def compile_sign(model: SignModel | list[SignModel], place: Place, names: Names) -> Signer:
    """The `sign:` of a webhook; complaints go to the place. `names` are those of webhooks."""
    heard = Place(place.marks, [], place.path)  # who signs twice says everything twice
    orders = [(model, heard)] if isinstance(model, SignModel) else [(m, heard / n) for n, m in enumerate(model)]
    parts = [_compile(each, at, names) for order, at in orders for each in _expanded(order, at)]
    if any(part.before.fields or part.after.fields for part in parts[1:]):
        heard.complain("body_fields change the body that was signed before; put that signature first")
    place.complaints.extend(dict.fromkeys(heard.complaints))
    return Signer(tuple(parts))


def _expanded(model: SignModel, place: Place) -> list[SignModel]:
    """The compositions behind a dialect, with what stands beside it; none where they cannot be told."""
    own = {name: getattr(model, name) for name in SignModel.model_fields if name in model.model_fields_set}
    if own.pop("dialect", None) is None:
        return [model] if _has_one_family(own, place) else []
    compositions = DIALECTS.get(str(model.dialect), ())
    if not compositions:
        (place / "dialect").unknown("dialect", str(model.dialect), DIALECTS)
    for name in own:
        if len(compositions) > 1 and name not in SECRETS:
            (place / name).complain(
                f"{model.dialect} signs {len(compositions)} times, so {name} has no one place; write a list of"
                " signatures instead of the dialect",
                at_key=True,
            )
    replaced = dict.fromkeys(FAMILIES) if _has_one_family(own, place, needed=False) else {}
    return [SignModel.model_validate(each).model_copy(update={**replaced, **own}) for each in compositions]


def _has_one_family(own: dict[str, Any], place: Place, *, needed: bool = True) -> bool:
    families = [family for family in FAMILIES if own.get(family) is not None]
    if len(families) > 1 or (needed and not families):
        place.complain("a signature has a dialect, or one of hmac, eddsa, ecdsa and rsa, such as hmac: sha256")
    return len(families) == 1


def _compile(model: SignModel, place: Place, names: Names) -> Part:
    """One composition, which has one family."""
    order = "{{ payload }}" if model.over is None else model.over
    algorithm = raw_form(model.algorithm, order)
    encoding = model.key_encoding or ("utf8" if algorithm.family == "hmac" else "base64")
    names = names.plus(*BEFORE)
    over = compile_over(order, place / "over", names, algorithm)
    before, after = _additions(model, place, names.plus(*SHOWN, *over.shows)).split(AFTER)
    if not any(after):
        place.complain('the signature is shown nowhere; add headers: {X-Signature: "{{ signature }}"}')
    return Part(
        algorithm,
        _secrets(model, algorithm, encoding, place, names),
        encoding,
        compile_value(OMIT if model.key_id is None else model.key_id, place / "key_id", names),
        over,
        model.encode,
        model.timestamp,
        before,
        after,
        "signatures" in after.used(),
        str(place),
    )


def _additions(model: SignModel, place: Place, names: Names) -> Additions:
    made = [
        tuple((key, compile_value(value, place / kind / key, names)) for key, value in getattr(model, kind).items())
        for kind in ("body_fields", "query", "headers")
    ]
    for name in model.headers:
        legal_header(name, place / "headers" / name)
    return Additions(*made)


def _secrets(model: SignModel, algorithm: Algorithm, encoding: str, place: Place, names: Names) -> tuple[Value, ...]:
    """The secrets' values, newest first; those that are known now are tried."""
    right, wrong = ("secret", "key") if algorithm.family == "hmac" else ("key", "secret")
    if getattr(model, wrong) is not None:
        (place / wrong).complain(f"{algorithm.family} signs with `{right}`, not with `{wrong}`", at_key=True)
    if getattr(model, right) is None:
        place.complain(f"{algorithm.family} signs with `{right}`; add it")
    spots = [*_spots(getattr(model, right), place / right), *_spots(model.previous_secret, place / "previous_secret")]
    values = tuple(compile_text(text, at, names) for text, at in spots)
    for (text, at), value in zip(spots, values, strict=True):
        if value.constant:
            _try(algorithm, text, encoding, at)
    return values


def _spots(written: str | list[str] | None, place: Place) -> list[tuple[str, Place]]:
    """Each text, and where it stands."""
    if isinstance(written, list):
        return [(text, place / index) for index, text in enumerate(written)]
    return [] if written is None else [(written, place)]


def _try(algorithm: Algorithm, text: str, encoding: str, place: Place) -> None:
    try:
        signing(algorithm, text, encoding)
    except ValueError as error:
        place.complain(str(error))


def _texts(value: Any) -> list[str]:
    """The secrets that a value gives: a text, several, or none."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    text = shown(value)
    return [text] if text else []


def _covered(part: Part) -> frozenset[str]:
    """The names whose values the signature covers, through header fields and parameters too."""
    used = part.over.used
    for name, value in part.before.headers:
        if name.lower() in part.over.covers:
            used = used | value.used
    return used.union(*(value.used for _, value in part.before.query)) if "url" in used else used


def _moved(timestamp_ms: int, misbehave: Variant | None, offset_ms: int) -> int:
    """The instant that is signed; a clock that is wrong may show any."""
    sign = {"stale_timestamp": -1, "future_timestamp": 1}.get(misbehave or "", 0)
    return min(max(timestamp_ms + sign * offset_ms, 0), INSTANT_MS_MAX)
