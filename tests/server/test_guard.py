"""Who may use the control plane, and who may not."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import httpx
import pytest

from simulator.server.app import App
from simulator.server.guard import within
from simulator.settings import networks
from tests.live import inside, serving, started

CLOCK = "/_simulator/clock"
STRANGER = "203.0.113.9"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with started(control_token="open sesame") as app:
        yield app


async def status(app: App, peer: str, headers: dict[str, str] | None = None, path: str = CLOCK) -> int:
    async with inside(app, peer) as client:
        reply = await client.get(path, headers=headers or {})
    if reply.status_code == 403:
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.json()["title"], reply.json()["status"]) == ("Forbidden", 403)
    return reply.status_code


async def test_a_stranger_is_refused_and_told_what_would_help(app: App) -> None:
    async with inside(app, STRANGER) as client:
        told = (await client.get(CLOCK)).json()["detail"]
    assert told.startswith(f"The control plane does not answer {STRANGER}. Start the simulator with --control-from")
    assert "--control-token" in told


async def test_every_endpoint_but_health_is_guarded(app: App) -> None:
    async with inside(app) as client:
        operations = (await client.get("/_simulator")).json()["operations"]
        made = (await client.post("/_simulator/sandboxes")).json()["id"]
    async with inside(app, STRANGER) as client:
        for operation in operations:
            method, path = operation.split(" ")
            for prefix in ("", f"/_sandbox/{made}"):
                assert (await client.request(method, prefix + path)).status_code == 403
    async with inside(app) as client:
        assert len((await client.get("/_simulator/sandboxes")).json()["sandboxes"]) == 2


async def test_health_is_open_to_everybody_and_so_is_the_service(app: App) -> None:
    assert await status(app, STRANGER, path="/_simulator/health") == 200
    assert await status(app, STRANGER, path="/lamps") == 200


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", 200),
        ("127.9.9.9", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("::ffff:203.0.113.9", 403),
        ("10.0.0.1", 403),
        ("fe80::1%eth0", 403),
        ("", 403),
        ("localhost", 403),
    ],
)
async def test_loopback_is_the_default_network(app: App, peer: str, expected: int) -> None:
    assert await status(app, peer) == expected


async def test_the_operators_networks_are_what_counts() -> None:
    async with started(control_from=networks("203.0.113.0/24, 2001:db8::/32")) as app:
        assert await status(app, STRANGER) == 200
        assert await status(app, "2001:db8::1") == 200
        assert await status(app, "127.0.0.1") == 403


async def test_without_a_peer_nobody_is_known(app: App) -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": CLOCK, "raw_path": CLOCK.encode(), "query_string": b""}
    await app({**scope, "headers": [], "client": None, "scheme": "http"}, receive, send)
    assert b"does not answer unknown" in str(sent).encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("Bearer open sesame", 200),
        ("bearer  open sesame", 200),
        ("Bearer open sesam", 403),
        ("Bearer", 403),
        ("Basic open sesame", 403),
        ("open sesame", 403),
        ("Bearer \xe9", 403),
    ],
)
async def test_the_token_opens_for_everybody_who_sends_it(app: App, sent: str, expected: int) -> None:
    async with inside(app, STRANGER) as client:
        reply = await client.get(CLOCK, headers={b"Authorization": sent.encode("latin-1")})
    assert reply.status_code == expected


async def test_without_a_token_of_the_operators_an_empty_one_opens_nothing() -> None:
    for token in (None, ""):
        async with started(control_token=token) as app:
            assert await status(app, STRANGER, {"Authorization": "Bearer "}) == 403


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "Via"])
async def test_what_a_header_claims_is_ignored(app: App, name: str) -> None:
    assert await status(app, STRANGER, {name: "127.0.0.1"}) == 403
    assert await status(app, "127.0.0.1", {name: STRANGER}) == 200


def test_on_a_real_connection_too() -> None:
    with serving(control_from=networks("10.0.0.0/8")) as live, live.client() as client:
        assert client.get(CLOCK, headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
        assert client.get("/_simulator/health").status_code == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://api.test", 200),
        ("https://api.test", 200),
        ("http://evil.test", 403),
        ("http://api.test.evil.test", 403),
        ("http://api.test:81", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
        ("api.test", 403),
    ],
)
async def test_a_page_of_another_origin_is_refused_even_from_loopback(app: App, origin: str, expected: int) -> None:
    assert await status(app, "127.0.0.1", {"Origin": origin}) == expected


async def test_a_page_of_another_origin_is_refused_even_with_the_token(app: App) -> None:
    headers = {"Origin": "http://evil.test", "Authorization": "Bearer open sesame"}
    assert await status(app, "127.0.0.1", headers) == 403


async def test_cors_is_for_the_service_and_not_for_the_control_plane() -> None:
    async with started(cors=True) as app, inside(app) as client:
        ask = {"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"}
        for reply in (await client.options(CLOCK, headers=ask), await client.get(CLOCK, headers=ask)):
            assert reply.status_code in (403, 405)
            assert not [name for name in reply.headers if name.startswith("access-control")]


def test_an_address_lies_only_in_a_network_of_its_own_kind() -> None:
    every = (ipaddress.ip_network("0.0.0.0/0"),)
    assert within("1.2.3.4", every)
    assert within("::ffff:1.2.3.4", every)
    assert not within("2001:db8::1", every)
    assert not within("1.2.3.4", ())
    assert within("fe80::1%eth0", networks("fe80::/10"))


def test_httpx_sends_what_these_tests_say() -> None:
    """The client under these tests must not drop an empty Origin, or the case would prove nothing."""
    assert httpx.Request("GET", "http://x", headers={"Origin": ""}).headers.raw[-1] == (b"Origin", b"")


async def test_a_wrong_token_is_told_so(app: App) -> None:
    async with inside(app, STRANGER) as client:
        reply = await client.get(CLOCK, headers={"Authorization": "Bearer guess"})
    assert (reply.status_code, "not the right one" in reply.json()["detail"]) == (403, True)
