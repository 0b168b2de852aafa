"""`auth:` who may ask: named schemes, and the gate that every request passes.

Rules: schemes are named as in OpenAPI, and any of them will do unless an operation names some, or `none`; without
credentials a 401 has one challenge for each scheme and no error code (RFC 6750 section 3.1); with wrong ones it has
that of the scheme they were for; what credentials lack is a 403.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Protocol, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.core.credentials import (
    Challenge,
    CredentialModel,
    Credentials,
    HeaderName,
    Keyring,
    Known,
    asked,
    authorization,
    basic_pair,
    bearer,
    came,
    compile_keyring,
    or_empty,
    recognised,
    unknown_token,
)
from simulator.core.expressions import Names
from simulator.core.oauth import Answer as Answer
from simulator.core.oauth import Endpoint as Endpoint
from simulator.core.oauth import OAuth, OAuth2Model
from simulator.core.places import Place, listed
from simulator.core.refusals import Refused
from simulator.core.replies import HeaderLines
from simulator.core.requests import Request
from simulator.core.resources import Name
from simulator.core.secrets import Secret, same
from simulator.core.signed import HmacModel, Signed
from simulator.core.templates import LiveScope, Value
from simulator.core.turns import Turn
from simulator.core.values import wrong_at

KINDS = ("api_key", "basic", "bearer", "oauth2", "hmac")
PLACES = ("header", "query", "cookie")
ERRORS = {"invalid": "invalid_request", "unauthorized": "invalid_token"}  # kinds of refusal, as RFC 6750 names them


class ApiKeyModel(BaseModel):
    """A key in a header, in the query or in a cookie."""

    model_config = ConfigDict(extra="forbid")

    header: HeaderName | None = Field(None, description="The header field that holds it", examples=["X-Api-Key"])
    query: str | None = Field(None, min_length=1, description="The query parameter that holds it")
    cookie: HeaderName | None = Field(None, description="The cookie that holds it")
    prefix: str = Field("", max_length=100, description="What stands before it there", examples=["Key "])
    keys: Credentials = Field(min_length=1, description="The keys; `*` and `?` make a pattern")

    @model_validator(mode="after")
    def _one_place(self) -> ApiKeyModel:
        given = [place for place in PLACES if getattr(self, place) is not None]
        if len(given) > 1:
            raise wrong_at(given[1], f"a key is in one place, not in {' and '.join(given)}; make it two schemes")
        if not given:
            raise ValueError(f"where is the key? Write one of {listed(PLACES)}, such as header: X-Api-Key")
        return self


class UserModel(CredentialModel):
    """A user, and whose requests his are."""

    password: Secret | None = Field(None, description="His password; without it any will do")


class BasicModel(BaseModel):
    """HTTP Basic: user and password."""

    model_config = ConfigDict(extra="forbid")

    users: dict[Secret, Annotated[UserModel, BeforeValidator(or_empty, json_schema_input_type=UserModel | None)]] = (
        Field(min_length=1, description="The users, by name; `*` and `?` make a pattern")
    )


class BearerModel(BaseModel):
    """Bearer tokens that are there from the beginning."""

    model_config = ConfigDict(extra="forbid")

    tokens: Credentials = Field(min_length=1, description="The tokens; `*` and `?` make a pattern")


class SchemeModel(BaseModel):
    """One way to say who asks."""

    model_config = ConfigDict(extra="forbid")

    api_key: ApiKeyModel | None = Field(None, description="A key in a header, in the query or in a cookie")
    basic: BasicModel | None = Field(None, description="HTTP Basic: user and password")
    bearer: BearerModel | None = Field(None, description="Bearer tokens that are there from the beginning")
    oauth2: OAuth2Model | None = Field(None, description="Bearer tokens from the service's own token endpoint")
    hmac: HmacModel | None = Field(None, description="Requests that their client has signed")
    realm: str | None = Field(
        None, min_length=1, max_length=200, description="The realm in WWW-Authenticate; the scenario's name by default"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> SchemeModel:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) > 1:
            raise wrong_at(given[1], f"a scheme is one of {listed(KINDS)}; make {' and '.join(given)} a scheme each")
        if not given:
            raise ValueError(f"a scheme is one of {listed(KINDS)}")
        return self


Schemes = dict[Name, SchemeModel]


class Scheme(Protocol):
    """A compiled way to say who asks."""

    @property
    def challenge(self) -> Challenge: ...
    @property
    def wants(self) -> str: ...
    @property
    def described(self) -> dict[str, Any]: ...
    @property
    def values(self) -> tuple[Value, ...]: ...

    def identify(self, turn: Turn, scope: LiveScope, /) -> Known | None:
        """Who asks; None where nothing of this scheme came. Raises Refused."""


class ApiKey(NamedTuple):
    """A compiled scheme of keys."""

    name: str
    challenge: Challenge
    place: str  # header | query | cookie
    field: str
    prefix: str
    keyring: Keyring

    @property
    def wants(self) -> str:
        """What to send."""
        return f"an API key in the {self.place} {self.field}"

    @property
    def described(self) -> dict[str, Any]:
        """The scheme in OpenAPI."""
        return {"type": "apiKey", "in": self.place, "name": self.field}

    @property
    def values(self) -> tuple[Value, ...]:
        """Its expressions."""
        return self.keyring.values

    def identify(self, turn: Turn, scope: LiveScope, /) -> Known | None:
        """Whose key it is."""
        text = self._text(asked(turn))
        if text is None or not text.lower().startswith(self.prefix.lower()):
            return None
        key = text[len(self.prefix) :]
        came(turn, self.name, key, key)
        credential = self.keyring.find(key)
        if credential is None:
            raise Refused("unauthorized", "The API key is not known.")
        return recognised(self.name, credential, key, turn, scope)

    def _text(self, request: Request) -> str | None:
        if self.place == "header":
            return request.headers.get(self.field.lower())
        if self.place == "query":
            return request.query.get(self.field)
        pairs = (part.strip().partition("=") for part in (request.headers.get("cookie") or "").split(";"))
        return next((value.strip('"') for name, equals, value in pairs if equals and name == self.field), None)


class Basic(NamedTuple):
    """A compiled scheme of users."""

    name: str
    challenge: Challenge
    users: Keyring
    wants: str = "user and password in HTTP Basic"

    @property
    def described(self) -> dict[str, Any]:
        """The scheme in OpenAPI."""
        return {"type": "http", "scheme": "basic"}

    @property
    def values(self) -> tuple[Value, ...]:
        """Its expressions."""
        return self.users.values

    def identify(self, turn: Turn, scope: LiveScope, /) -> Known | None:
        """Which user it is."""
        text = authorization(asked(turn), "Basic")
        if text is None:
            return None
        user, password = basic_pair(text) or ("", "")
        credential = self.users.find(user) if user else None
        hidden = password if credential is None or credential.secret is not None else user
        came(turn, self.name, f"{user}:{password}", text, hidden)
        if credential is None or (credential.secret is not None and not same(credential.secret, password)):
            raise Refused("unauthorized", "User and password are not known together.")
        return recognised(self.name, credential, user, turn, scope)


class Bearer(NamedTuple):
    """A compiled scheme of tokens that are there from the beginning."""

    name: str
    challenge: Challenge
    tokens: Keyring
    wants: str = "a bearer token"

    @property
    def described(self) -> dict[str, Any]:
        """The scheme in OpenAPI."""
        return {"type": "http", "scheme": "bearer"}

    @property
    def values(self) -> tuple[Value, ...]:
        """Its expressions."""
        return self.tokens.values

    def identify(self, turn: Turn, scope: LiveScope, /) -> Known | None:
        """Whose token it is."""
        text = bearer(asked(turn))
        if text is None:
            return None
        came(turn, self.name, text, text)
        credential = self.tokens.find(text)
        if credential is None:
            raise unknown_token(text)
        return recognised(self.name, credential, text, turn, scope)


class Auth:
    """A service's schemes, and the gate."""

    def __init__(self, schemes: dict[str, Scheme]) -> None:
        self.schemes = schemes

    @property
    def values(self) -> tuple[Value, ...]:
        """Every expression in them."""
        return tuple(value for scheme in self.schemes.values() for value in scheme.values)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of headers (lower-case), parameters and cookies in which credentials come."""
        keys = [scheme for scheme in self.schemes.values() if isinstance(scheme, ApiKey)]
        return tuple(key.field.lower() if key.place == "header" else key.field for key in keys)

    def described(self) -> dict[str, Any]:
        """The schemes as OpenAPI's securitySchemes."""
        return {name: scheme.described for name, scheme in self.schemes.items()}

    def admit(self, turn: Turn, scope: LiveScope, names: tuple[str, ...] | None, scopes: tuple[str, ...]) -> None:
        """Settle who asks. `names` are the schemes that will do (None: any; none at all: public); `scopes` is what
        the credentials must allow. Raises Refused.
        """
        schemes = list(self.schemes) if names is None else list(names)
        refused: Refused | None = None
        for name in schemes:
            try:
                known = self.schemes[name].identify(turn, scope)
                if known is None:
                    continue
                turn.client = turn.facts["client"] = scope["client"] = known.client
                turn.facts["scheme"] = name
                self._allows(name, known, scopes)
                return
            except Refused as error:
                refused = _graver(refused, self._challenged(name, error))
        if refused is not None:
            raise refused
        if schemes:
            raise self._nobody(schemes)

    def withdraw(self, turn: Turn, how: Literal["expire", "revoke"]) -> Refused | None:
        """Let the credential that came expire, or take it back with all that comes from the same grant.

        What comes back is the refusal of such a credential, None where none came. Those of the scenario itself are
        good again with the next request.
        """
        name, text = turn.facts.get("scheme"), turn.facts.get("credential")
        scheme = self.schemes.get(name or "")
        if scheme is None or text is None:
            return None
        if isinstance(scheme, OAuth):
            scheme.withdraw(turn, text, how)
        what = "has expired" if how == "expire" else "was revoked"
        return self._challenged(str(name), Refused("unauthorized", f"The access token {what}."))

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What the schemes themselves answer."""
        return tuple(
            endpoint for scheme in self.schemes.values() if isinstance(scheme, OAuth) for endpoint in scheme.endpoints()
        )

    def _allows(self, name: str, known: Known, scopes: tuple[str, ...]) -> None:
        lacking = [scope for scope in scopes if known.scopes is not None and scope not in known.scopes]
        if lacking:
            detail = f"The credentials lack the scope {' and '.join(lacking)}."
            told = {"error": "insufficient_scope", "error_description": detail, "scope": " ".join(scopes)}
            challenge = self.schemes[name].challenge
            headers = (challenge.line(**told),) if challenge.word == "Bearer" else ()
            raise Refused("forbidden", detail, None, headers)

    def _challenged(self, name: str, refused: Refused) -> Refused:
        """The same with its challenge; RFC 6750 section 3.1 has names only for what is wrong with bearer tokens."""
        if refused.kind != "forbidden":
            told = {"error": ERRORS.get(refused.kind, "invalid_token"), "error_description": refused.detail}
            refused.headers = (self.schemes[name].challenge.line(**told),)
        return refused

    def _nobody(self, names: list[str]) -> Refused:
        schemes = [self.schemes[name] for name in names]
        headers: HeaderLines = tuple(dict.fromkeys(scheme.challenge.line() for scheme in schemes))
        return Refused("unauthorized", f"This needs {' or '.join(scheme.wants for scheme in schemes)}.", None, headers)


def _graver(one: Refused | None, other: Refused) -> Refused:
    """Known but not allowed says more than not known; else the first."""
    return other if one is None or (other.kind == "forbidden" and one.kind != "forbidden") else one


def compile_auth(models: dict[str, SchemeModel], place: Place, names: Names, realm: str, base_path: str) -> Auth | None:
    """The gate; None where there are no schemes. Complaints go to the place.

    `base_path` is all that stands before the service's paths, its mount included: the metadata's place follows from it.
    """
    if not models:
        return None
    auth = Auth(
        {
            name: _scheme(name, model, place / name, names, model.realm or realm, base_path.rstrip("/"))
            for name, model in models.items()
        }
    )
    _no_path_twice(auth, place)
    return auth


def _scheme(name: str, model: SchemeModel, place: Place, names: Names, realm: str, base_path: str) -> Scheme:
    if model.api_key is not None:
        key = model.api_key
        field = next(each for each in PLACES if getattr(key, each) is not None)
        keyring = compile_keyring(key.keys, place / "api_key" / "keys", names)
        return ApiKey(name, Challenge("ApiKey", realm), field, getattr(key, field), key.prefix, keyring)
    if model.basic is not None:
        users = compile_keyring(model.basic.users, place / "basic" / "users", names, "password")
        return Basic(name, Challenge("Basic", realm), users)
    if model.bearer is not None:
        tokens = compile_keyring(model.bearer.tokens, place / "bearer" / "tokens", names)
        return Bearer(name, Challenge("Bearer", realm), tokens)
    if model.oauth2 is not None:
        return OAuth(name, model.oauth2, realm, place / "oauth2", base_path)
    hmac = cast("HmacModel", model.hmac)  # the one kind that is left
    return Signed(name, hmac, realm, place / "hmac", names)


def _no_path_twice(auth: Auth, place: Place) -> None:
    """Two endpoints cannot answer the same request."""
    met: dict[tuple[str, bool], str] = {}
    for name, scheme in auth.schemes.items():
        for endpoint in scheme.endpoints() if isinstance(scheme, OAuth) else ():
            key = (endpoint.name, endpoint.absolute)
            if key in met:
                remedy = "give one of them another path, or the schemes different issuers"
                (place / name).complain(f"{endpoint.name} is answered by {met[key]} already; {remedy}", at_key=True)
            met[key] = name


def error_details(models: dict[str, SchemeModel]) -> list[str]:
    """Members of errors that the schemes give, for the envelope."""
    errors = [model.hmac.error for model in models.values() if model.hmac is not None]
    return [name for error in errors if error is not None for name in error.details]
