"""`over:` of a signature: which bytes are signed.

Most vendors sign a text, and a template says it. Three need an algorithm: sorted form parameters behind a text, the
base of RFC 9421, and JWS (RFC 7515). The scenario names one of them, its own or through a dialect.
Rules: `{{ payload }}` stands for the very bytes of the body, whatever they are; every form says what it covers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.core.expressions import Names
from simulator.core.helpers import as_json, shown
from simulator.core.keys import Algorithm, encoded
from simulator.core.message_signatures import ALGORITHMS as MESSAGE_ALGORITHMS
from simulator.core.message_signatures import check_components, check_parameters, signature_base, signature_input
from simulator.core.omit import field
from simulator.core.places import Place, listed
from simulator.core.templates import LiveScope, Value, compile_text, compile_value
from simulator.core.values import wrong_at

PAYLOAD = re.compile(r"\{\{ *payload *\}\}")
FORM = b"application/x-www-form-urlencoded"
JWS_ALGORITHMS = {  # RFC 7518 section 3.1, RFC 8037 section 3.1
    Algorithm("hmac", "sha256"): "HS256",
    Algorithm("hmac", "sha384"): "HS384",
    Algorithm("hmac", "sha512"): "HS512",
    Algorithm("rsa", "sha256"): "RS256",
    Algorithm("rsa", "sha384"): "RS384",
    Algorithm("rsa", "sha512"): "RS512",
    Algorithm("ecdsa", "p256-raw"): "ES256",
    Algorithm("ecdsa", "p384-raw"): "ES384",
    Algorithm("eddsa", "ed25519"): "EdDSA",
}
QUERY_COMPONENTS = ("@target-uri", "@request-target", "@query")
PARAMETERS = {"created": "{{ timestamp | int }}", "keyid": "{{ key_id }}", "alg": "{{ alg }}"}


class OverModel(BaseModel):
    """What is signed, where a text does not say it."""

    model_config = ConfigDict(extra="forbid")

    form_after: str | None = Field(
        None, description="This text, then name and value of each form parameter, sorted by name"
    )
    message: list[str] | None = Field(
        None, description="The covered components of RFC 9421; gives `signature_input`", examples=[["@method", "@path"]]
    )
    parameters: dict[str, Any] = Field(
        PARAMETERS, description="message: the parameters of the signature; `alg` is the algorithm's name there"
    )
    jws: dict[str, Any] | None = Field(
        None, description="The protected header of RFC 7515; gives `protected` and `content`"
    )
    claims: dict[str, Any] | None = Field(None, description="jws: the signed claims; the body itself without them")

    @model_validator(mode="after")
    def _one_form(self) -> OverModel:
        forms = [name for name in ("form_after", "message", "jws") if getattr(self, name) is not None]
        if len(forms) != 1:
            raise ValueError("`over` is a text, or one of form_after, message and jws")
        for name, form in (("parameters", "message"), ("claims", "jws")):
            if name in self.model_fields_set and form != forms[0]:
                raise wrong_at(name, f"{name} goes with {form}, not {forms[0]}; take it out")
        return self


class Message(NamedTuple):
    """A request as it is signed: with all that is sent, but what shows the signature."""

    method: str
    url: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Over(NamedTuple):
    """What is signed: `of` gives the bytes, and the names that headers may use beside the signature."""

    of: Callable[[LiveScope, Message], tuple[bytes, dict[str, str]]]
    used: frozenset[str]  # names whose values are covered
    covers: tuple[str, ...] = ()  # header fields that are covered, in lower case
    shows: tuple[str, ...] = ()  # the names that `of` gives


class Payload(str):
    """A body as text. Whoever encodes it again, as `hash(payload)` does, gets the very bytes of the body."""

    __slots__ = ()

    def __new__(cls, body: bytes) -> Payload:
        return super().__new__(cls, body.decode("utf-8", "surrogateescape"))

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, errors)


def compile_over(model: str | OverModel, place: Place, names: Names, algorithm: Algorithm) -> Over:
    """The `over:` of a signature; complaints go to the place. What `of` raises is a ValueError or a TemplateError."""
    if isinstance(model, str):
        return _text(model, place, names)
    if model.form_after is not None:
        return _form(model.form_after, place / "form_after", names)
    if model.message is not None:
        return _message(model.message, model.parameters, place, names, algorithm)
    return _jws(model.jws or {}, model.claims, place, names, algorithm)


def raw_form(algorithm: Algorithm, model: str | OverModel) -> Algorithm:
    """The algorithm as the form of `over` has it: in RFC 9421 and in JWS ECDSA gives r and s, never DER."""
    plain = isinstance(model, str) or model.form_after is not None
    if plain or algorithm.family != "ecdsa" or algorithm.form.endswith("-raw"):
        return algorithm
    return algorithm._replace(form=f"{algorithm.form}-raw")


def form_after(text: bytes, body: bytes) -> bytes:
    """The text, then name and value of each parameter: sorted by name, several values of one name sorted and each
    once, decoded, without separators (www.twilio.com/docs/usage/security).
    """
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    return text + "".join(name + value for name, value in sorted(dict.fromkeys(pairs))).encode()


def _text(text: str, place: Place, names: Names) -> Over:
    """A template. Its `{{ payload }}`s are where the body is put in, so that it is neither decoded nor bounded."""
    parts = [compile_text(part, place, names) for part in PAYLOAD.split(text)]
    used = frozenset({"payload"} if len(parts) > 1 else ()).union(*(part.used for part in parts))

    def of(scope: LiveScope, message: Message) -> tuple[bytes, dict[str, str]]:
        return message.body.join([_bytes(part, scope) for part in parts]), {}

    return Over(of, used)


def _bytes(value: Value, scope: LiveScope) -> bytes:
    return shown(value.of(scope)).encode("utf-8", "surrogateescape")


def _form(text: str, place: Place, names: Names) -> Over:
    inner = _text(text, place, names)

    def of(scope: LiveScope, message: Message) -> tuple[bytes, dict[str, str]]:
        before, shows = inner.of(scope, message)
        types = [value for name, value in message.headers if name.lower() == b"content-type"]
        is_form = not types or types[0].lower().startswith(FORM)
        return form_after(before, message.body) if is_form else before, shows

    return Over(of, inner.used | {"payload"})


def _message(
    components: list[str], parameters: dict[str, Any], place: Place, names: Names, algorithm: Algorithm
) -> Over:
    check_components(components, place / "message")
    check_parameters(parameters, place / "parameters")
    alg = _named(algorithm, MESSAGE_ALGORITHMS, "RFC 9421", place)
    told = {
        name: compile_value(value, place / "parameters" / name, names.plus("alg")) for name, value in parameters.items()
    }

    def of(scope: LiveScope, message: Message) -> tuple[bytes, dict[str, str]]:
        scope["alg"] = alg
        told_now = {name: value.of(scope) for name, value in told.items()}
        signed = signature_input(components, told_now)
        base = signature_base(components, signed, message.method, message.url, message.headers)
        return base, {"signature_input": signed}

    fields = tuple(name for name in components if not name.startswith("@"))
    url = {"url"} if any(name in QUERY_COMPONENTS for name in components) else ()
    return Over(of, frozenset(url).union(*(value.used for value in told.values())), fields, ("signature_input",))


def _jws(
    header: dict[str, Any], claims: dict[str, Any] | None, place: Place, names: Names, algorithm: Algorithm
) -> Over:
    alg = _named(algorithm, JWS_ALGORITHMS, "JWS", place)
    protected = compile_value(header, place / "jws", names.plus("alg"))
    content = None if claims is None else compile_value(claims, place / "claims", names)

    def of(scope: LiveScope, message: Message) -> tuple[bytes, dict[str, str]]:
        scope["alg"] = alg
        head = protected.of(scope)
        first = encoded(as_json(head), "base64url")
        signed = message.body if content is None else as_json(content.of(scope))
        unencoded = field(head, "b64") is False  # RFC 7797
        second = signed if unencoded else encoded(signed, "base64url").encode()
        shows = {"protected": first, "content": second.decode("utf-8", "surrogateescape")}
        return first.encode() + b"." + second, shows

    covered = protected.used | (frozenset({"payload"}) if content is None else content.used)
    return Over(of, covered, (), ("protected", "content"))


def _named(algorithm: Algorithm, table: Mapping[Algorithm, str], form: str, place: Place) -> str:
    if algorithm not in table:
        legal = listed([f"{family} {form}" for family, form in table])
        place.complain(f"{form} has no {algorithm.family} {algorithm.form}; there is {legal}")
    return table.get(algorithm, "")
