"""What the endpoints of OAuth take and answer, as operations of OpenAPI 3.1.

Rules: data only; members as RFC 6749, 7009, 7662, 7517 and 8414 name them.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
TOKEN: dict[str, Any] = {"type": "string", "minLength": 1}
WHOLE: dict[str, Any] = {"type": "integer"}
CLIENT: dict[str, Any] = {"client_id": TEXT, "client_secret": TEXT}  # or HTTP Basic in their place
ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": TEXT, "error_description": TEXT},
}


def _form(required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": [required], "properties": {**fields, **CLIENT}}
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _json(sentence: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": sentence, "content": {"application/json": {"schema": schema}}}


def _object(*required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": fields}


ERRORS: dict[str, Any] = {
    "400": _json("The request is not valid (RFC 6749 section 5.2)", ERROR),
    "401": {
        **_json("The client is not known", ERROR),
        "headers": {"WWW-Authenticate": {"required": True, "schema": TEXT}},
    },
}
STRINGS: dict[str, Any] = {"type": "array", "items": TEXT}
KEY: dict[str, Any] = _object("kty", "kid", kty=TEXT, kid=TEXT, use=TEXT, alg=TEXT, n=TEXT, e=TEXT, crv=TEXT, x=TEXT)
METADATA: dict[str, Any] = _object(
    "issuer",
    "token_endpoint",
    "response_types_supported",
    issuer=TEXT,
    token_endpoint=TEXT,
    jwks_uri=TEXT,
    response_types_supported=STRINGS,
    grant_types_supported=STRINGS,
    scopes_supported=STRINGS,
)
DESCRIBED: dict[str, dict[str, Any]] = {
    "token": {
        "summary": "Get an access token",
        "security": [],
        "requestBody": _form(
            "grant_type",
            grant_type={"type": "string", "enum": ["client_credentials", "refresh_token"]},
            scope=TEXT,
            refresh_token=TEXT,
        ),
        "responses": {
            "200": _json(
                "The token",
                _object(
                    "access_token",
                    "token_type",
                    "expires_in",
                    access_token=TEXT,
                    token_type={"const": "Bearer"},
                    expires_in=WHOLE,
                    refresh_token=TEXT,
                    scope=TEXT,
                ),
            ),
            **ERRORS,
        },
    },
    "revoke": {
        "summary": "Take a token back",
        "security": [],
        "requestBody": _form("token", token=TOKEN, token_type_hint=TEXT),
        "responses": {"200": {"description": "The token is good no more, or never was"}, **ERRORS},
    },
    "introspect": {
        "summary": "Ask about a token",
        "security": [],
        "requestBody": _form("token", token=TOKEN, token_type_hint=TEXT),
        "responses": {
            "200": _json(
                "What the token allows; of one that is not good, only that",
                _object(
                    "active", active={"type": "boolean"}, scope=TEXT, client_id=TEXT, exp=WHOLE, iat=WHOLE, sub=TEXT
                ),
            ),
            **ERRORS,
        },
    },
    "jwks": {
        "summary": "The keys that verify tokens",
        "security": [],
        "responses": {"200": _json("A JWK Set", _object("keys", keys={"type": "array", "items": KEY}))},
    },
    "metadata": {
        "summary": "What this authorization server offers",
        "security": [],
        "responses": {"200": _json("Its metadata", METADATA)},
    },
}
