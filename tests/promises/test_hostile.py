"""Five thousand hostile requests: never a 5xx of ours, never a hang, never another client's data."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.live import draft, inside, started

PRIVATE = "the-private-note-of-alice"
NOTES = """
    scenario: notes
    seed: 1
    auth:
      key: {api_key: {header: X-Key, keys: {alice: {scopes: [read, write]}, "bob*": {client: "{{ key }}"}}}}
      basic: {basic: {users: {carol: {password: secret, scopes: [read]}}}}
      token: {oauth2: {clients: {dave: {secret: s}}, refresh_token: {}, revoke_path: /revoke, introspect_path: /about,
              access_token: {format: jwt, algorithm: EdDSA}}}
      signed: {hmac: {timestamp: "{{ headers['X-Time'] }}", nonce: "{{ headers['X-Nonce'] }}", keys: {one: {secret: s}},
               over: "{{ timestamp }}.{{ request.raw }}"}}
    idempotency: {profile: ietf, look_up: before_limits}
    limits:
      - {rate: 1000000/s, announce: [ietf, github, openai, x-ratelimit], per: [client, "{{ headers.x_tenant }}"]}
      - {quota: 1GB/d, count: "{{ body.weight | default(1) }}", announce: shopify}
      - {concurrency: 100}
    resources:
      note:
        id: "n_{{ ordinal }}"
        record: {text: "{{ body.text }}", owner: "{{ client }}"}
        view: {id: "{{ id }}", text: "{{ record.text }}", more: "{{ record.more }}"}
    operations:
      POST /notes:
        create: note
        accepts: {type: object, required: [text], properties: {text: {type: string}, weight: {type: number}}}
        cost: "{{ body.text | length / 100 }}"
      GET /notes: {list: note, where: {owner: "{{ client }}"}, page: {style: cursor, size: 5}}
      GET /notes/{id}: {read: note, where: {owner: "{{ client }}"}, etag: true}
      PATCH /notes/{id}:
        update: note
        where: {owner: "{{ client }}"}
        accepts: {headers: {type: object, properties: {x-number: {type: integer}}}, query: {type: object}}
        set: {more: "{{ body }}"}
      DELETE /notes/{id}: {delete: note, where: {owner: "{{ client }}"}, scopes: [write]}
    """

ODD = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
CREDENTIALS = [
    "Bearer x",
    "Bearer " + "e" * 300,
    "Basic Y2Fyb2w6c2VjcmV0",
    "Basic !",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
]
TYPES = ["application/json", "multipart/form-data; boundary=", "text/xml"]
VALUES = ODD | st.sampled_from(
    ["", "alice", "bob7", '"k"', "k", "W/*", "*", "-1", "9" * 400, *CREDENTIALS, *TYPES]
)  # fmt: skip
NAMES = st.sampled_from(
    ["X-Key", "Authorization", "Idempotency-Key", "Content-Type", "If-Match", "If-None-Match", "X-Signature", "X-Time",
     "X-Nonce", "X-Tenant", "X-Number", "Prefer", "Accept", "Cookie", "Range", "X-Odd", "Content-Encoding"]
)  # fmt: skip
PATHS = st.sampled_from(
    ["/notes", "/notes/n_1", "/notes/n_2", "/oauth/token", "/revoke", "/about", "/.well-known/jwks.json", "/x",
     "/.well-known/openid-configuration", "/notes?cursor=x&limit=-1", "/notes?cursor=%ff", "/notes/%00", "/notes/..%2f"]
)  # fmt: skip
JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "weight", "id", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FORMS = st.dictionaries(
    st.sampled_from(["grant_type", "client_id", "client_secret", "scope", "refresh_token", "token", "a[b]"]),
    ODD | st.sampled_from(["client_credentials", "refresh_token", "dave", "s"]),
    max_size=5,
)


WHO: st.SearchStrategy[list[tuple[str, str]]] = st.sampled_from(
    [
        [],
        [("X-Key", "bob1")],
        [("X-Key", "bob1"), ("Idempotency-Key", "k")],
        [("X-Key", "bob2")],
        [("Authorization", "Basic Y2Fyb2w6c2VjcmV0")],
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request as an attacker, or a broken client, would send it."""
    headers = [*draw(st.lists(st.tuples(NAMES, VALUES), max_size=5)), *draw(WHO)]
    made: dict[str, Any] = {
        "method": draw(st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "BREW"])),
        "url": draw(PATHS),
        "headers": [(name.encode(), value.strip().encode("latin-1")) for name, value in headers],
    }
    kind = draw(st.sampled_from(["none", "json", "form", "bytes"]))
    if kind == "json":
        made["json"] = draw(
            JSONS.filter(lambda data: data == data and "nan" not in repr(data) and "inf" not in repr(data))
        )
    elif kind == "form":
        made["data"] = draw(FORMS)
    elif kind == "bytes":
        made["content"] = draw(st.binary(max_size=80))
    return made


def as_alice(sent: dict[str, Any]) -> bool:
    return any(name == b"X-Key" and b"alice" in value for name, value in sent["headers"])


@pytest.mark.slow
@given(st.lists(requests(), min_size=50, max_size=50))
@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck])
def test_five_thousand_hostile_requests_get_an_answer_and_nothing_else(many: list[dict[str, Any]]) -> None:
    async def play() -> None:
        async with started(draft(NOTES)) as app, inside(app) as client:
            mine = {"X-Key": "alice", "Idempotency-Key": "k"}
            first = await client.post("/notes", json={"text": PRIVATE}, headers=mine)
            assert first.status_code == 201, first.text
            for sent in many:
                reply = await asyncio.wait_for(client.request(**sent), 5)
                check(sent, reply)

    asyncio.run(play())


def check(sent: dict[str, Any], reply: httpx.Response) -> None:
    assert 200 <= reply.status_code < 500, (sent, reply.status_code, reply.text)
    assert PRIVATE not in reply.text or as_alice(sent), (sent, reply.text)
    assert "Traceback" not in reply.text
