"""Who asks at OAuth's endpoints, and for what: forms, client authentication, scopes (RFC 6749 sections 2.3, 3.2, 3.3).

Rules: whatever is wrong is an OAuthError with a code of RFC 6749 section 5.2 and a sentence in the characters that it
allows; id and secret in HTTP Basic are form-encoded before they are put together (section 2.3.1), and who leaves that
out is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.bodies import FORM_FIELDS_MAX
from simulator.core.credentials import (
    CLIENT_MAX,
    SCOPE,
    SCOPES_MAX,
    Scopes,
    asked,
    authorization,
    basic_pair,
    came,
    spelt,
)
from simulator.core.requests import Request
from simulator.core.secrets import Secret, same
from simulator.core.turns import Turn

FORM_TYPE = "application/x-www-form-urlencoded"
CLIENT_ID = re.compile(rf"[!-~]{{1,{CLIENT_MAX}}}")


ClientId = Annotated[str, *spelt(CLIENT_ID, "client's id", f"one has 1 to {CLIENT_MAX} visible characters")]
Method = Literal["basic", "body"]


class ClientModel(BaseModel):
    """A client that may ask for tokens."""

    model_config = ConfigDict(extra="forbid")

    secret: Secret | None = Field(None, description="Its secret; without one it is public, and may only refresh")
    scopes: Scopes | None = Field(None, description="What its tokens may allow; everything by default")


class OAuthError(Exception):
    """A refusal: an error code of RFC 6749 section 5.2, and a sentence."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        self.description = description
        super().__init__(description)


class Client(NamedTuple):
    """A compiled client."""

    id: str
    secret: str | None
    scopes: tuple[str, ...] | None


def client_of(
    scheme: str, clients: Mapping[str, Client], methods: list[Method], turn: Turn, form: dict[str, str]
) -> Client:
    """Who asks, by HTTP Basic or by the body. Raises OAuthError."""
    request = asked(turn)
    by_header = request.headers.get("authorization") is not None
    if by_header and "client_secret" in form:
        raise OAuthError("invalid_request", "The client proves itself twice: by its header and in the body.")
    name, secret = (
        _by_header(request, form) if by_header else (form.get("client_id", ""), form.get("client_secret", ""))
    )
    if not name:
        raise OAuthError("invalid_client", "No client has shown itself; HTTP Basic, or client_id in the body, does.")
    came(turn, scheme, f"{name}:{secret}", secret)
    client = clients.get(name)
    method: Method = "basic" if by_header else "body"
    known = client is not None and same(client.secret or "", secret) and (method in methods or not secret)
    if client is None or not known:
        raise OAuthError("invalid_client", "The client is not known, or proves itself wrongly.")
    turn.client = turn.facts["client"] = client.id
    return client


def _by_header(request: Request, form: dict[str, str]) -> tuple[str, str]:
    pair = basic_pair(authorization(request, "Basic") or "")
    if pair is None:
        raise OAuthError("invalid_client", "The Authorization field holds no Basic credentials.")
    name, secret = map(unquote_plus, pair)
    if form.get("client_id", name) != name:
        raise OAuthError("invalid_request", "client_id names another client than the Authorization field.")
    return name, secret


def form_of(request: Request) -> dict[str, str]:
    """The form's fields; one without a value is as if it were not there (RFC 6749 section 3.2). Raises OAuthError."""
    if (request.headers.get("content-type") or "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise OAuthError("invalid_request", f"The body is a form: {FORM_TYPE}.")
    parts = request.raw.decode("utf-8", "replace").split("&", FORM_FIELDS_MAX)
    if len(parts) > FORM_FIELDS_MAX:
        raise OAuthError("invalid_request", f"The form has more than {FORM_FIELDS_MAX} fields.")
    pairs = parse_qsl("&".join(parts), keep_blank_values=True, errors="replace")
    if len(dict(pairs)) < len(pairs):
        raise OAuthError("invalid_request", "The form has a field twice.")
    return {name: value for name, value in pairs if value}


def granted(form: dict[str, str], allowed: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The scopes that a token gets: those asked for, else all that are allowed. Raises OAuthError."""
    if "scope" not in form:
        return allowed
    wanted = tuple(dict.fromkeys(form["scope"].split()))
    if not wanted or len(wanted) > SCOPES_MAX or not all(SCOPE.fullmatch(scope) for scope in wanted):
        raise OAuthError("invalid_scope", f"scope is 1 to {SCOPES_MAX} names with spaces between them.")
    beyond = [scope for scope in wanted if allowed is not None and scope not in allowed]
    if beyond:
        raise OAuthError("invalid_scope", f"These are not allowed here: {' '.join(beyond)}.")
    return wanted
