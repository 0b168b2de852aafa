"""What users of real clients see of each ending, in their client's own errors."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from simulator.server.plans import Plan
from tests.live import NO_TLS
from tests.server.wires import LOOPS, Wired, hello, wired

WHOLE = hello(b"x" * 1000)
NOTHING = Plan(200, (), head=False)
PLANS = {
    "whole": WHOLE,
    "reset": NOTHING._replace(ending="reset"),
    "close": NOTHING._replace(ending="close"),
    "truncated": WHOLE.cut(500, "close"),
    "torn": WHOLE.cut(500, "reset"),
    "half of the chunks": hello(b"x" * 1000, chunked=True).cut(500, "close"),
    "garbage": NOTHING._replace(steps=((0, b"\0\1garbage\r\n\r\n"),), ending="close"),
    "too long": hello(declared_length=9, ending="close"),
    "hang": NOTHING._replace(ending="hang"),
    "half and hang": WHOLE.cut(500, "hang"),
}
SEEN = {  # the status, or an error of httpx, requests, aiohttp, and the fetch of Node
    "whole": ("200", "200", "200", "200"),
    "reset": ("ReadError", "ConnectionError", "ClientOSError", "ECONNRESET"),
    "close": ("RemoteProtocolError", "ConnectionError", "ServerDisconnectedError", "UND_ERR_SOCKET"),
    "truncated": ("RemoteProtocolError", "ChunkedEncodingError", "ClientPayloadError", "UND_ERR_SOCKET"),
    "torn": ("ReadError", "ChunkedEncodingError", "ClientPayloadError|ClientOSError", "UND_ERR_SOCKET|ECONNRESET"),
    "half of the chunks": ("RemoteProtocolError", "ChunkedEncodingError", "ClientPayloadError", "UND_ERR_SOCKET"),
    "garbage": ("RemoteProtocolError", "ConnectionError", "ClientResponseError", "HPE_INVALID_CONSTANT"),
    "too long": ("RemoteProtocolError", "ChunkedEncodingError", "ClientPayloadError", "UND_ERR_SOCKET"),
    "hang": ("ReadTimeout", "ReadTimeout", "ServerTimeoutError", "TimeoutError"),
    "half and hang": ("ReadTimeout", "ConnectionError", "ServerTimeoutError", "TimeoutError"),
}
PATIENCE_S = 0.15


def names(error: Exception) -> str:
    """Its class and those above, one of which users catch."""
    return " ".join(each.__name__ for each in type(error).__mro__)


def with_httpx(url: str) -> str:
    try:
        return str(httpx.get(url, timeout=PATIENCE_S, verify=NO_TLS).status_code)
    except httpx.HTTPError as error:
        return names(error)


def with_requests(url: str) -> str:
    requests: Any = pytest.importorskip("requests")
    try:
        return str(requests.get(url, timeout=PATIENCE_S).status_code)
    except requests.RequestException as error:
        return names(error)


def with_aiohttp(url: str) -> str:
    aiohttp: Any = pytest.importorskip("aiohttp")

    async def ask() -> str:
        timeout = aiohttp.ClientTimeout(sock_read=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as reply:
            await reply.read()
            return str(reply.status)

    try:
        return asyncio.run(ask())
    except aiohttp.ClientError as error:
        return names(error)


def with_node(url: str) -> str:
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    script = """
        fetch(process.argv[1], {signal: AbortSignal.timeout(+process.argv[2])})
            .then(async reply => { await reply.text(); console.log(reply.status) })
            .catch(error => console.log((error.cause && error.cause.code) || error.name))"""
    done = subprocess.run(
        ["node", "-e", script, url, str(PATIENCE_S * 1000)], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()


CLIENTS: list[Callable[[str], str]] = [with_httpx, with_requests, with_aiohttp, with_node]


@pytest.fixture(scope="module", params=LOOPS)
def live(request: pytest.FixtureRequest) -> Iterator[Wired]:
    with wired(*PLANS.values(), loop=request.param) as live:
        yield live


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize("name", PLANS)
def test_a_client_sees_what_its_users_would(live: Wired, ask: Callable[[str], str], name: str) -> None:
    url = f"http://127.0.0.1:{live.port}/{list(PLANS).index(name)}"
    expected = SEEN[name][CLIENTS.index(ask)].split("|")  # where two, it depends on what comes first
    assert set(expected) & set(ask(url).split())
