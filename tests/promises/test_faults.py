"""Faults over a real port: what the client meets, what the service has done, and that others do not feel it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.live import NO_TLS, Live, draft, drained, serving

KEY = {"Idempotency-Key": "k-1"}
SHOP = """
    scenario: shop
    seed: 1
    idempotency: {methods: [POST], replay: {headers: {Idempotent-Replayed: "true"}}}
    faults:
      - {name: lost, operation: POST /orders, when: {requests: [1]}, at: reply, connection: reset}
      - {name: gone, operation: GET /gone, connection: close}
      - {name: half, operation: GET /half, connection: {truncate: 0.5}}
      - {name: long, operation: GET /long, connection: {length: longer}}
      - {name: noise, operation: GET /noise, connection: garbage}
      - {name: never, operation: GET /never, connection: hang}
      - {name: share, operation: GET /share, when: {probability: 0.1}, error: {status: 503}}
      - {name: torn, operation: GET /torn, body: malformed}
      - {name: page, operation: GET /page, body: html}
      - {name: away, operation: GET /away, redirect: {status: 308, to: "https://other.test{{ request.path }}"}}
    resources:
      order: {id: "o_{{ ordinal }}", record: {item: "{{ body.item }}"}}
    operations:
      POST /orders: {create: order, latency: 20ms}
      GET /orders/{id}: {read: order}
      GET /gone: {reply: {body: {a: 1}}}
      GET /half: {reply: {body: {text: ten-letter}}}
      GET /long: {reply: {body: {a: 1}}}
      GET /noise: {reply: {body: {a: 1}}}
      GET /never: {reply: {body: {a: 1}}}
      GET /share: {reply: {body: {a: 1}}}
      GET /torn: {reply: {body: {a: 1}}}
      GET /page: {reply: {body: {a: 1}}}
      GET /away: {reply: {body: {a: 1}}}
    """


def ask(live: Live, path: str) -> bytes:
    """Everything that comes to a GET until the server hangs up."""
    return live.talk(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def test_committed_then_lost_the_retry_with_the_same_key_gets_the_stored_reply() -> None:
    with serving(draft(SHOP)) as live, live.client() as client:
        with pytest.raises(httpx.ReadError):
            client.post("/orders", json={"item": "tea"}, headers=KEY)
        assert client.get("/orders/o_1").json()["item"] == "tea"
        again = client.post("/orders", json={"item": "tea"}, headers=KEY)
        assert (again.status_code, again.json()["id"], again.headers["Idempotent-Replayed"]) == (201, "o_1", "true")
        assert client.get("/orders/o_2").status_code == 404
        first = next(event for event in live.events() if event["fault"] == "lost")
        assert (first["closed"], first["committed"], first["idempotency"]) == ("rst", True, "first")


def test_while_the_reply_is_late_its_key_is_in_flight() -> None:
    async def twice(live: Live) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=live.url, verify=NO_TLS, timeout=20) as client:
            sends = [client.post("/orders", json={"item": "tea"}, headers=KEY) for _ in range(2)]
            return await asyncio.gather(*sends)

    slow = SHOP.replace("latency: 20ms", "latency: 300ms").replace("connection: reset", "delay: 0s")
    with serving(draft(slow)) as live:
        assert sorted(reply.status_code for reply in asyncio.run(twice(live))) == [201, 409]


def test_each_end_of_a_connection_is_what_it_says() -> None:
    with serving(draft(SHOP)) as live:
        assert ask(live, "/gone") == b""
        head, _, body = ask(live, "/half").partition(b"\r\n\r\n")
        whole = len(b'{"text":"ten-letter"}')
        assert b"Content-Length: %d\r\n" % whole in head + b"\r\n"
        assert len(body) == whole // 2
        head, _, body = ask(live, "/long").partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % (len(body) + len(body) // 2) in head
        assert not ask(live, "/noise").startswith(b"HTTP/")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/gone", httpx.RemoteProtocolError),
        ("/half", httpx.RemoteProtocolError),
        ("/long", httpx.RemoteProtocolError),
        ("/noise", httpx.RemoteProtocolError),
        ("/never", httpx.ReadTimeout),
    ],
)
def test_a_real_client_meets_what_its_users_would(path: str, error: type[Exception]) -> None:
    with serving(draft(SHOP)) as live, live.client() as client, pytest.raises(error):
        client.get(path, timeout=0.5)


def test_a_body_that_is_broken_or_anothers_is_told_as_such() -> None:
    with serving(draft(SHOP)) as live, live.client() as client:
        torn = client.get("/torn")
        assert (torn.status_code, torn.headers["content-type"]) == (200, "application/json")
        with pytest.raises(json.JSONDecodeError):
            torn.json()
        assert client.get("/page").headers["content-type"].startswith("text/html")
        away = client.get("/away")
        assert (away.status_code, away.headers["location"]) == (308, "https://other.test/away")


async def test_a_share_strikes_the_same_ordinals_whatever_the_concurrency() -> None:
    async def struck(live: Live, lanes: int) -> tuple[int, list[int]]:
        limits = httpx.Limits(max_connections=lanes)
        async with httpx.AsyncClient(base_url=live.url, verify=NO_TLS, timeout=20, limits=limits) as client:
            replies = await asyncio.gather(*(client.get("/share") for _ in range(300)))
            events: Any = (await client.get("/_simulator/journal?kind=fault&most=1000")).json()["events"]
        return Counter(reply.status_code for reply in replies)[503], sorted(event["ordinal"] for event in events)

    with serving(draft(SHOP)) as one, serving(draft(SHOP)) as other:
        assert await struck(one, 1) == await struck(other, 20)


async def test_hanging_connections_cost_the_others_nothing_and_leave_nothing_behind() -> None:
    with serving(draft(SHOP), head_timeout_ms=5_000) as live:
        lines = [live.connect() for _ in range(200)]
        for line in lines:
            line.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        with live.client() as client:
            assert [client.get("/share").status_code in (200, 503) for _ in range(50)] == [True] * 50
            for line in lines:
                line.close()
            for _ in range(200):
                if live.app.sandboxes.default.open == 0:
                    break
                await asyncio.sleep(0.02)
        assert live.app.sandboxes.default.open == 0
        gone = [event for event in live.events() if event["fault"] == "never"]
        assert {event["closed"] for event in gone} == {"client_gone"}
        assert len(gone) == 200


def test_a_slow_reply_is_never_early() -> None:
    slow = SHOP.replace("20ms", "50ms").replace("connection: reset}", "connection: reset, enabled: false}")
    with serving(draft(slow)) as live, live.client() as client:
        for _ in range(5):
            client.post("/orders", json={"item": "tea"}, headers={"Idempotency-Key": "other"})
        late = [event for event in live.events() if event["operation"] == "POST /orders" and event["closed"] == ""]
    assert late
    assert all(event["reply_us"] - event["body_us"] >= 50_000 for event in late)


def test_a_reset_is_a_reset_on_the_wire() -> None:
    with serving(draft(SHOP)) as live, live.connect() as line:
        body = b'{"item": "tea"}'
        line.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        line.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        with pytest.raises(ConnectionResetError):
            line.recv(1)
        assert drained(line) == b""
