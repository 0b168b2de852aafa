"""What clients show for themselves: keys by name or pattern, whose they are, what they allow, how often and how long.

Rules: a credential without `scopes` allows everything; a key is looked up by its digest and then compared in constant
time, patterns (`*` and `?`) in the order they are written; uses count when a credential is found good, and stay
counted whatever becomes of the request; every credential that came is named to the turn, so that no journal shows it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from fnmatch import translate
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.records import text_of
from simulator.core.refusals import Refused
from simulator.core.replies import TOKEN, header_bytes
from simulator.core.requests import Request
from simulator.core.secrets import Secret, digest, same
from simulator.core.templates import LiveScope, Value, compile_text
from simulator.core.turns import Turn
from simulator.core.values import MS, Duration

CREDENTIAL_MAX = 8192  # characters of one; a token with every scope that fits into SCOPES_MAX stays below
CLIENT_MAX = 200  # characters of a client's name; a longer one goes by a digest behind its beginning
SCOPES_MAX = 50  # of one credential or token
USES_MAX = 1_000_000
SCOPE = re.compile(r"[!#-\[\]-~]{1,64}")  # RFC 6749 section 3.3
TOKEN68 = re.compile(rf"[A-Za-z0-9._~+/-]{{1,{CREDENTIAL_MAX}}}=*")  # RFC 6750 section 2.1


def spelt(pattern: re.Pattern[str], what: str, legal: str) -> Any:
    """What makes a text in a model one of this spelling: a wrong one is told in words, and the JSON Schema has it."""

    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(f"{text[:60]!r} is no {what}; {legal}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$"})


ScopeName = Annotated[str, *spelt(SCOPE, "scope", "one has 1 to 64 visible characters without quotes and \\")]
HeaderName = Annotated[str, *spelt(TOKEN, "header name", "letters, digits and hyphens are (RFC 9110 section 5.1)")]
Scopes = Annotated[
    list[ScopeName],
    Field(max_length=SCOPES_MAX),
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=ScopeName | list[ScopeName]
    ),
]


class CredentialModel(BaseModel):
    """Whose a credential is, and what it is good for."""

    model_config = ConfigDict(extra="forbid")

    client: str | None = Field(
        None, description="Whose it is; an expression may use `key`; by default the key itself", examples=["{{ key }}"]
    )
    scopes: Scopes | None = Field(None, description="What it allows; everything by default")
    uses: int | None = Field(None, ge=1, le=USES_MAX, description="How often it is good; then 401")
    ttl: Duration | None = Field(None, description="How long it is good, counted from its first use; then 401")


def or_empty(value: Any) -> Any:
    """`demo-key:` with nothing behind it is a credential that says nothing of itself."""
    return {} if value is None else value


Credentials = dict[
    Secret, Annotated[CredentialModel, BeforeValidator(or_empty, json_schema_input_type=CredentialModel | None)]
]


class Credential(NamedTuple):
    """A compiled credential."""

    client: Value | None
    scopes: tuple[str, ...] | None
    uses: int | None
    ttl_ms: int | None
    secret: str | None  # password, or key of signatures


class Known(NamedTuple):
    """Who asks, and what the credentials allow (None: everything)."""

    client: str
    scopes: tuple[str, ...] | None


class Keyring:
    """Credentials by the text that is shown."""

    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        self._exact = {digest(name): (name, each) for name, each in credentials.items() if not _is_pattern(name)}
        self._patterns = [(_pattern(name), each) for name, each in credentials.items() if _is_pattern(name)]
        self.values = tuple(each.client for each in credentials.values() if each.client is not None)

    def find(self, text: str) -> Credential | None:
        """The credential of this text: the one that is written so, else that of the first pattern it fits."""
        if len(text) > CREDENTIAL_MAX:
            return None
        name, credential = self._exact.get(digest(text), ("", None))
        if credential is not None and same(name, text):
            return credential
        return next((each for pattern, each in self._patterns if pattern.fullmatch(text)), None)


def compile_keyring(models: Mapping[str, CredentialModel], place: Place, names: Names, secret: str = "") -> Keyring:
    """The credentials' expressions as closures; `secret` names the field that has one. Complaints go to the place."""
    inner = names.plus("key")
    return Keyring(
        {
            key: Credential(
                None if each.client is None else compile_text(each.client, place / key / "client", inner),
                None if each.scopes is None else tuple(each.scopes),
                each.uses,
                each.ttl,
                getattr(each, secret) if secret else None,
            )
            for key, each in models.items()
        }
    )


def recognised(scheme: str, credential: Credential, key: str, turn: Turn, scope: LiveScope) -> Known:
    """Whose it is, after one more use of it. Raises Refused where it is used up or too old."""
    if credential.uses is not None or credential.ttl_ms is not None:
        _use(scheme, credential, key, turn)
    if credential.client is None:
        return Known(client_name(key), credential.scopes)
    named = text_of(credential.client.of(LiveScope({**scope, "key": key}, scope.makers, scope.owner)))
    return Known(client_name(named or key), credential.scopes)


def _use(scheme: str, credential: Credential, key: str, turn: Turn) -> None:
    name = f"use/{turn.service.name}/{scheme}/{digest(key)}"
    uses, since_ms = turn.entry(name) or (0, turn.now_ms)
    if credential.ttl_ms is not None and turn.now_ms >= since_ms + credential.ttl_ms:
        raise Refused("unauthorized", "The credentials have expired.")
    if credential.uses is not None and uses >= credential.uses:
        raise Refused("unauthorized", "The credentials are used up.")
    if credential.uses is not None or not uses:
        ends_ms = None if credential.ttl_ms is None else since_ms + credential.ttl_ms + USE_KEPT_MS
        turn.keep(name, [uses + 1, since_ms], ends_ms)


USE_KEPT_MS = 30 * MS["d"]  # that an expired credential is known as such; then it may begin anew


def client_name(text: str) -> str:
    """A client's name of bounded length; two clients never share one."""
    return text if len(text) <= CLIENT_MAX else f"{text[:CLIENT_MAX]}~{digest(text)}"


class Challenge(NamedTuple):
    """What WWW-Authenticate asks for: RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 7617 section 2."""

    word: str
    realm: str

    def line(self, **parameters: str) -> tuple[bytes, bytes]:
        """The header line. Bearer's `error`, `error_description` and `scope` are for Bearer only."""
        given = {"realm": self.realm, **(parameters if self.word == "Bearer" else {})}
        if self.word == "Basic":
            given["charset"] = "UTF-8"
        return b"WWW-Authenticate", header_bytes(
            f"{self.word} {', '.join(f'{name}={_quoted(text)}' for name, text in given.items())}"
        )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def came(turn: Turn, scheme: str, credential: str, *secrets: str) -> None:
    """Note a credential for the journal, and what of it must not be shown there."""
    turn.facts["scheme"], turn.facts["credential"] = scheme, credential
    turn.secrets.extend(each for each in secrets if each and each not in turn.secrets)


def asked(turn: Turn) -> Request:
    """The turn's request. Raises LookupError at due moments, which show no credentials."""
    if turn.request is None:
        raise LookupError("no request, so no credentials")
    return turn.request


def authorization(request: Request, word: str) -> str | None:
    """What the Authorization field says behind this word, in whatever case; None where it says something else."""
    given, _, rest = (request.headers.get("authorization") or "").strip().partition(" ")
    return rest.strip() if given.lower() == word.lower() else None


def bearer(request: Request) -> str | None:
    """The bearer token, or None where none came (RFC 6750 section 2.1)."""
    return authorization(request, "Bearer")


def unknown_token(token: str) -> Refused:
    """Why a bearer token that nobody knows is refused: it is no token at all, or none of ours."""
    if TOKEN68.fullmatch(token) is None:
        legal = f"1 to {CREDENTIAL_MAX} letters, digits and -._~+/ behind the word Bearer, once"
        return Refused("invalid", f"The Authorization field holds no bearer token, which is {legal}.")
    return Refused("unauthorized", "The access token is not known.")


def basic_pair(text: str) -> tuple[str, str] | None:
    """User and password of Basic credentials (RFC 7617 section 2); None where they cannot be read."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    try:
        pair = raw.decode()
    except UnicodeDecodeError:
        pair = raw.decode("latin-1")
    user, colon, password = pair.partition(":")
    return (user, password) if colon else None


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _pattern(name: str) -> re.Pattern[str]:
    """`*` and `?` as in globs, brackets as themselves; what fnmatch makes of it takes linear time on any text."""
    return re.compile(translate(name.replace("[", "[[]")))
