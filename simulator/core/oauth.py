"""`oauth2:` the endpoints of a small authorization server (RFC 6749, 7009, 7662, 8414), and bearer tokens from it.

Rules: errors have OAuth's own shape (RFC 6749 section 5.2) whatever the service's envelope is; nothing that holds a
token may be cached; who asks is settled before what is asked, so that errors tell strangers nothing; the issuer is
the same text wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.core.credentials import Challenge, Known, Scopes, asked, bearer, came, or_empty, spelt
from simulator.core.jwts import KeysModel, SigningKeys
from simulator.core.oauth_clients import (
    Client,
    ClientId,
    ClientModel,
    Method,
    OAuthError,
    client_of,
    form_of,
    granted,
)
from simulator.core.places import Place
from simulator.core.profiles.oauth import DESCRIBED
from simulator.core.replies import JSON_TYPE, HeaderLines, Reply
from simulator.core.secrets import Secret
from simulator.core.templates import LiveScope, Value
from simulator.core.tokens import REPLACED, AccessTokenModel, RefreshTokenModel, Tokens, first_token, times
from simulator.core.turns import Turn
from simulator.core.values import wrong_at

NO_STORE: HeaderLines = ((b"Cache-Control", b"no-store"), (b"Pragma", b"no-cache"))  # RFC 6749 section 5.1
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
ISSUER = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~-]+)*/?")

AUTH_METHODS = {"basic": "client_secret_basic", "body": "client_secret_post"}  # RFC 7591 section 2


OwnPath = Annotated[str, *spelt(PATH, "path", "one begins with a slash, such as /oauth/token")]
Issuer = Annotated[str, *spelt(ISSUER, "issuer", "one is a URL without query, such as https://login.example.com")]
Clients = dict[ClientId, Annotated[ClientModel, BeforeValidator(or_empty, json_schema_input_type=ClientModel | None)]]


class FirstTokenModel(BaseModel):
    """A refresh token that is there when the service starts."""

    model_config = ConfigDict(extra="forbid")

    client: ClientId = Field(description="Whose it is")
    scopes: Scopes | None = Field(None, description="What its access tokens allow; by default what the client's may")


class OAuth2Model(BaseModel):
    """Tokens from the service's own authorization server: client credentials, and refresh tokens."""

    model_config = ConfigDict(extra="forbid")

    clients: Clients = Field(min_length=1, description="Who may ask for tokens, by id")
    client_auth: list[Method] = Field(
        ["basic", "body"], min_length=1, description="How clients prove themselves: HTTP Basic, or fields of the body"
    )
    access_token: AccessTokenModel = Field(AccessTokenModel(), description="The tokens that requests carry")
    refresh_token: RefreshTokenModel | None = Field(
        None, description="The tokens that get new ones; none are given out by default"
    )
    refresh_tokens: dict[Secret, FirstTokenModel] = Field({}, description="Refresh tokens that are there already")
    token_path: OwnPath = Field("/oauth/token", description="Where tokens are asked for")
    revoke_path: OwnPath | None = Field(None, description="Where they are taken back (RFC 7009); nowhere by default")
    introspect_path: OwnPath | None = Field(
        None, description="Where they are asked about (RFC 7662); nowhere by default"
    )
    jwks_path: OwnPath = Field("/.well-known/jwks.json", description="Where the keys of JWTs are (RFC 7517)")
    issuer: Issuer | None = Field(None, description="Who gives the tokens out; the service's base URL by default")
    keys: KeysModel = Field(KeysModel(), description="The keys that sign JWTs")

    @model_validator(mode="after")
    def _fits_together(self) -> OAuth2Model:
        for key in ("keys", "jwks_path"):
            if key in self.model_fields_set and self.access_token.format != "jwt":
                raise wrong_at(key, f"{key} is for JWTs; write access_token: {{format: jwt}}, or take it out")
        return self


class Answer(NamedTuple):
    """What an endpoint answers, and for the journal the kind of refusal."""

    reply: Reply
    error: str | None = None


class Endpoint(NamedTuple):
    """A request that the scheme itself answers."""

    name: str  # as an operation's: POST /oauth/token
    method: str
    path: str
    answer: Callable[[Turn, LiveScope], Answer]
    described: dict[str, Any]  # its operation in OpenAPI
    absolute: bool = False  # whether the path is the server's, not the service's


class OAuth:
    """A compiled scheme of tokens."""

    def __init__(self, name: str, model: OAuth2Model, realm: str, place: Place, base_path: str) -> None:
        """Complaints go to the place."""
        self.challenge = Challenge("Bearer", realm)
        self.wants = f"a bearer token from POST {base_path}{model.token_path}"
        self.values: tuple[Value, ...] = ()
        self._name = name
        self._model = model
        self._realm = realm
        self._base_path = base_path
        self._clients = {key: Client(key, each.secret, _tuple(each.scopes)) for key, each in model.clients.items()}
        access = model.access_token
        self._keys = SigningKeys(name, access.algorithm, model.keys) if access.format == "jwt" else None
        if self._keys is not None and model.keys.rotate is not None and access.ttl > self._keys.keep_ms:
            (place / "keys").warn("tokens live longer than their key stays published, and end with it; raise `keep`")
        first = {
            text: self._first(text, each, place / "refresh_tokens" / text)
            for text, each in model.refresh_tokens.items()
        }
        self._tokens = Tokens(name, access, model.refresh_token, self._keys, first)

    def _first(self, text: str, model: FirstTokenModel, place: Place) -> Any:
        if model.client not in self._clients:
            (place / "client").unknown("client", model.client, self._clients)
            return first_token(model.client, None, text)
        scopes = self._clients[model.client].scopes if model.scopes is None else tuple(model.scopes)
        return first_token(model.client, scopes, text)

    @property
    def described(self) -> dict[str, Any]:
        """The scheme in OpenAPI."""
        scopes = {scope: scope for scope in self._scopes()}
        flow = {"tokenUrl": f"{self._base_path}{self._model.token_path}", "scopes": scopes}
        return {"type": "oauth2", "flows": {"clientCredentials": flow}}

    def identify(self, turn: Turn, _: LiveScope, /) -> Known | None:
        """Who shows a token; None where there is none. Raises Refused."""
        text = bearer(asked(turn))
        if text is None:
            return None
        came(turn, self._name, text, text)
        token = self._tokens.admitted(turn, text)
        return Known(token.client, token.scopes)

    def withdraw(self, turn: Turn, text: str, how: str) -> None:
        """Let a token expire, or take it back with its whole family; whatever is answered."""
        shown = self._tokens.find(turn, text)
        if shown is not None:
            self._tokens.withdraw(turn, shown, how)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All that the scheme itself answers."""
        model = self._model
        forms = (
            ("token", model.token_path, self._token),
            ("revoke", model.revoke_path, self._revoke),
            ("introspect", model.introspect_path, self._introspect),
        )
        made = [_endpoint("POST", path, self._asked_by_form(work), kind) for kind, path, work in forms if path]
        keys = self._keys
        if keys is not None:
            jwks = lambda turn, _: _told(keys.jwks(turn.service.chance, turn.now_ms))  # noqa: E731 - as those below
            made.append(_endpoint("GET", model.jwks_path, jwks, "jwks"))
        return (*made, *self._described_at())

    def _described_at(self) -> tuple[Endpoint, Endpoint]:
        """Where the metadata stand: before the issuer's path (RFC 8414 section 3.1), and behind it (OpenID Connect)."""
        issuer = self._model.issuer
        own = self._base_path if issuer is None else urlsplit(issuer).path.rstrip("/")
        server, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
        behind = openid if issuer is None else own + openid
        return (
            _endpoint("GET", server + own, lambda turn, _: self._metadata(turn, False), "metadata", True),
            _endpoint("GET", behind, lambda turn, _: self._metadata(turn, True), "metadata", issuer is not None),
        )

    def _asked_by_form(
        self, work: Callable[[Turn, dict[str, str], Client], bytes]
    ) -> Callable[[Turn, LiveScope], Answer]:
        def answer(turn: Turn, _: LiveScope) -> Answer:
            try:
                form = form_of(asked(turn))
                body = work(turn, form, client_of(self._name, self._clients, self._model.client_auth, turn, form))
            except OAuthError as error:
                return self._no(error)
            kind = (JSON_TYPE,) if body else ()
            return Answer(Reply(200, (*kind, *NO_STORE), body))

        return answer

    def _no(self, error: OAuthError) -> Answer:
        headers: HeaderLines = (JSON_TYPE, *NO_STORE)
        body = orjson.dumps({"error": error.code, "error_description": error.description})
        if error.code == "invalid_client":  # RFC 9110 section 15.5.2: a 401 says how to do better
            return Answer(Reply(401, (*headers, Challenge("Basic", self._realm).line()), body), "unauthorized")
        return Answer(Reply(400, headers, body), "invalid")

    def _token(self, turn: Turn, form: dict[str, str], client: Client) -> bytes:
        grant = form.get("grant_type")
        if grant is None:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if grant not in self._grants():
            raise OAuthError("unsupported_grant_type", f"grant_type is {' or '.join(self._grants())}.")
        if grant == "refresh_token":
            return self._refreshed(turn, form, client)
        if client.secret is None:
            raise OAuthError("unauthorized_client", "A client without a secret has no credentials to ask with.")
        scopes = granted(form, client.scopes)
        pair = self._tokens.first_pair(turn, client.id, scopes, self._issuer(turn))
        return self._given(pair.access, pair.refresh, scopes)

    def _refreshed(self, turn: Turn, form: dict[str, str], client: Client) -> bytes:
        text = form.get("refresh_token")
        if text is None:
            raise OAuthError("invalid_request", "refresh_token is missing.")
        turn.secrets.append(text)
        shown = self._tokens.find(turn, text)
        if shown is None or shown.token.kind != "refresh" or shown.token.client != client.id:
            raise OAuthError("invalid_grant", "The refresh token is not one of this client's.")
        trouble = self._tokens.trouble(turn, shown.token)
        if trouble == REPLACED:
            self._tokens.reused(turn, shown)
            raise OAuthError("invalid_grant", "The refresh token was used before, so all tokens of its grant end now.")
        if trouble is not None:
            raise OAuthError("invalid_grant", f"The refresh token {trouble}.")
        scopes = granted(form, shown.token.scopes)
        pair = self._tokens.next_pair(turn, shown, scopes, self._issuer(turn))
        return self._given(pair.access, pair.refresh, scopes)

    def _given(self, access: str, refresh: str | None, scopes: tuple[str, ...] | None) -> bytes:
        told = {"access_token": access, "token_type": "Bearer", "expires_in": self._model.access_token.ttl // 1000}
        more = {"refresh_token": refresh, "scope": None if scopes is None else " ".join(scopes)}
        return orjson.dumps({**told, **{key: value for key, value in more.items() if value is not None}})

    def _revoke(self, turn: Turn, form: dict[str, str], client: Client) -> bytes:
        shown = self._tokens.find(turn, _text(turn, form))
        if shown is None:
            return b""
        if shown.token.client != client.id:
            raise OAuthError("invalid_grant", "The token was given to another client.")
        if self._tokens.trouble(turn, shown.token) in (None, REPLACED):
            self._tokens.revoke(turn, shown)
        return b""

    def _introspect(self, turn: Turn, form: dict[str, str], client: Client) -> bytes:
        if client.secret is None:
            raise OAuthError("invalid_client", "Only clients with a secret may ask about tokens.")
        shown = self._tokens.find(turn, _text(turn, form))
        if shown is None or self._tokens.trouble(turn, shown.token) is not None:
            return orjson.dumps({"active": False})
        token, issuer = shown.token, self._issuer(turn)
        told = {
            "active": True,
            "scope": None if token.scopes is None else " ".join(token.scopes),
            "client_id": token.client,
            "token_type": "Bearer" if token.kind == "access" else None,
            **times(turn, token),
            "sub": token.client,
            "aud": self._model.access_token.audience or issuer,
            "iss": issuer,
        }
        return orjson.dumps({key: value for key, value in told.items() if value is not None})

    def _metadata(self, turn: Turn, openid: bool) -> Answer:
        """RFC 8414 section 2. It demands response_types_supported, and `none` is the type of a server without any."""
        model, at = self._model, turn.origin
        methods = [AUTH_METHODS[each] for each in model.client_auth]
        public = ["none"] if any(each.secret is None for each in self._clients.values()) else []
        told: dict[str, Any] = {
            "issuer": self._issuer(turn),
            "token_endpoint": at + model.token_path,
            "jwks_uri": at + model.jwks_path if self._keys else None,
            "scopes_supported": self._scopes() or None,
            "response_types_supported": ["none"],
            "grant_types_supported": self._grants(),
            "token_endpoint_auth_methods_supported": methods + public,
            "revocation_endpoint": at + model.revoke_path if model.revoke_path else None,
            "revocation_endpoint_auth_methods_supported": methods + public if model.revoke_path else None,
            "introspection_endpoint": at + model.introspect_path if model.introspect_path else None,
            "introspection_endpoint_auth_methods_supported": methods if model.introspect_path else None,
        }
        if openid:
            told["subject_types_supported"] = ["public"]
            told["id_token_signing_alg_values_supported"] = [model.access_token.algorithm]
        return _told({key: value for key, value in told.items() if value is not None})

    def _issuer(self, turn: Turn) -> str:
        return self._model.issuer or turn.origin

    def _grants(self) -> list[str]:
        refreshes = self._model.refresh_token is not None or self._model.refresh_tokens
        return ["client_credentials", *(["refresh_token"] if refreshes else [])]

    def _scopes(self) -> list[str]:
        return sorted({scope for client in self._clients.values() for scope in client.scopes or ()})


def _text(turn: Turn, form: dict[str, str]) -> str:
    if "token" not in form:
        raise OAuthError("invalid_request", "token is missing.")
    turn.secrets.append(form["token"])
    return form["token"]


def _endpoint(
    method: str, path: str, answer: Callable[[Turn, LiveScope], Answer], kind: str, absolute: bool = False
) -> Endpoint:
    return Endpoint(f"{method} {path}", method, path, answer, DESCRIBED[kind], absolute)


def _told(document: dict[str, Any]) -> Answer:
    return Answer(Reply(200, (JSON_TYPE,), orjson.dumps(document)))


def _tuple(scopes: list[str] | None) -> tuple[str, ...] | None:
    return None if scopes is None else tuple(scopes)
