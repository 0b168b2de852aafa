"""What the tests of the control plane ask and expect."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx

AT = "/_simulator"
WRONG = HTTPStatus(422).phrase  # which changed with Python 3.13


def is_problem(reply: httpx.Response, status: int, title: str, *words: str) -> None:
    """Exactly RFC 9457, with these words in its detail."""
    told = reply.json()
    assert reply.status_code == status, told
    assert reply.headers["content-type"] == "application/problem+json"
    assert {name: told[name] for name in ("type", "title", "status")} == {
        "type": "about:blank",
        "title": title,
        "status": status,
    }
    assert [word for word in words if word not in told["detail"]] == []


async def lamp(client: httpx.AsyncClient, **body: Any) -> str:
    id_: str = (await client.post("/lamps", json=body)).json()["id"]
    return id_
