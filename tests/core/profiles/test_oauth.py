"""The endpoints' schemas are JSON Schema, and what the endpoints answer is what they describe."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from simulator.core.profiles.oauth import DESCRIBED
from tests.core.asking import Asking, oauth

ALL = oauth(
    access_token={"format": "jwt"}, refresh_token={}, revoke_path="/oauth/revoke", introspect_path="/oauth/introspect"
)
CLIENT = {"client_id": "demo", "client_secret": "demo-secret"}


def test_every_schema_is_json_schema_and_every_answer_has_a_sentence() -> None:
    for described in DESCRIBED.values():
        answers = described["responses"].values()
        assert all(answer["description"] for answer in answers)
        contents = [part.get("content", {}) for part in (described.get("requestBody", {}), *answers)]
        for media in (media for content in contents for media in content.values()):
            jsonschema_rs.meta.validate(media["schema"])


def schema(kind: str, status: int) -> Any:
    return DESCRIBED[kind]["responses"][str(status)]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("token", "/oauth/token", {"grant_type": "client_credentials"}),
        ("token", "/oauth/token", {"grant_type": "password"}),
        ("token", "/oauth/token", {"client_secret": "wrong"}),
        ("introspect", "/oauth/introspect", {"token": "x"}),
        ("introspect", "/oauth/introspect", {}),
        ("revoke", "/oauth/revoke", {}),
    ],
)
def test_answers_are_as_described(kind: str, path: str, fields: dict[str, str]) -> None:
    said = Asking(ALL).post(path, **{**CLIENT, **fields})
    jsonschema_rs.validate(schema(kind, said.status), said.json)


def test_documents_are_as_described() -> None:
    asking = Asking(ALL)
    for name, endpoint in asking.endpoints.items():
        if endpoint.method == "GET":
            said = asking.call(name)
            kind = "jwks" if "jwks" in name else "metadata"
            assert endpoint.described is DESCRIBED[kind]
            jsonschema_rs.validate(schema(kind, said.status), said.json)
