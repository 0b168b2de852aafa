"""What the simulated service does with a connection and with bodies, down to the bytes."""

from __future__ import annotations

import gzip
import json
import re
import socket
import zlib
from collections.abc import Iterator

import httpx
import pytest

from tests.live import Live, draft, drained, serving, until

LIMIT = 2000
BIG = json.dumps({"name": "x" * LIMIT}).encode()
PLAIN = """
    scenario: plain
    seed: 1
    operations:
      GET /long: {reply: {text: "%s"}}
      GET /short: {reply: {text: "abc"}}
      POST /size: {reply: {body: "{{ request.raw | length }}"}}
    """ % ("na " * 1000)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with serving(body_max_bytes=LIMIT) as live:
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        client.post("/_simulator/reset").raise_for_status()
        yield client


def heads(raw: bytes) -> list[bytes]:
    """The status lines in what came over a connection."""
    return re.findall(rb"HTTP/1\.1 \d\d\d [^\r]*", raw)


def post(body: bytes, *lines: bytes, target: bytes = b"/echo") -> bytes:
    head = [b"POST " + target + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


def read_reply(line: socket.socket) -> bytes:
    """One reply with a Content-Length, from a connection that stays."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += line.recv(1)
    length = next(int(each[15:]) for each in raw.lower().split(b"\r\n") if each.startswith(b"content-length:"))
    body = b""
    while len(body) < length:
        body += line.recv(length - len(body))
    return raw + body


def test_a_client_that_asks_first_is_told_to_continue(live: Live) -> None:
    with live.connect() as line:
        line.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert line.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b'{"a": 17}')
        reply = read_reply(line)
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b'{"echo":{"a":17}}')


def test_a_client_that_asks_first_is_not_told_to_send_too_much(live: Live) -> None:
    ask = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n"
    assert heads(live.talk(ask + b"Connection: close\r\n\r\n")) == [b"HTTP/1.1 413 Request Entity Too Large"]


@pytest.mark.parametrize("length", [LIMIT, LIMIT + 1])
def test_the_limit_of_a_body_is_exact(length: int) -> None:
    with serving(draft(PLAIN), body_max_bytes=LIMIT) as live, live.client() as client:
        told = client.post("/size", content=b"x" * length, headers={"Content-Type": "text/plain"})
        chunked = client.post("/size", content=iter([b"x" * (length - 1), b"x"]), headers={"Content-Type": "a/b"})
    assert "content-length" not in chunked.request.headers
    assert (told.status_code, chunked.status_code) == ((200, 200) if length == LIMIT else (413, 413))
    assert length > LIMIT or told.json() == chunked.json() == LIMIT


def test_a_declared_length_beyond_the_limit_is_refused_before_a_byte_of_it_is_read(live: Live) -> None:
    with live.connect() as line:
        line.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
        reply = read_reply(line)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"The body has 104857600 bytes; 2000 is the most." in reply


def test_a_hundred_megabytes_get_413_in_the_default_limit() -> None:
    with serving() as live, live.client() as client:
        no = client.post("/echo", content=(b"x" * 2**20 for _ in range(100)))
        assert (no.status_code, no.json()["code"]) == (413, "too_large")
        assert client.get("/lamps").status_code == 200


@pytest.mark.parametrize("length", [0, LIMIT + 1])
def test_the_control_plane_has_the_same_limit(client: httpx.Client, length: int) -> None:
    no = client.put("/_simulator/scenarios/light", content=b"#" * length)
    assert (no.status_code, no.headers["content-type"]) == (413 if length else 422, "application/problem+json")


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("identity", b'{"a": 1}'),
        ("deflate, gzip", gzip.compress(zlib.compress(b'{"a": 1}'), mtime=0)),
    ],
)
def test_a_packed_body_is_unpacked(client: httpx.Client, coding: str, packed: bytes) -> None:
    assert client.post("/echo", content=packed, headers={"Content-Encoding": coding}).json() == {"echo": {"a": 1}}


@pytest.mark.parametrize(
    ("coding", "packed", "status"),
    [
        ("gzip", gzip.compress(bytes(10_000_000), mtime=0), 413),
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(b"{}" * 100, mtime=0)[:-9], 400),
        ("br", b"{}", 415),
        ("é", b"{}", 415),
    ],
)
def test_a_packed_body_that_cannot_be_taken_is_refused(
    client: httpx.Client, coding: str, packed: bytes, status: int
) -> None:
    no = client.post("/echo", content=packed[: LIMIT * 10], headers={b"Content-Encoding": coding.encode()})
    assert (no.status_code, no.headers["content-type"]) == (status, "application/problem+json")


def test_a_connection_lives_on_after_refusals(live: Live, client: httpx.Client) -> None:
    asked = [
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        post(b"{", b"Content-Type: application/json"),
        post(BIG),
        post(b'{"a":1}'),
    ]
    with live.connect() as line:
        replies = []
        for each in asked:
            line.sendall(each)
            replies.append(read_reply(line))
    assert [int(reply[9:12]) for reply in replies] == [404, 400, 413, 200]
    assert len({each["connection"] for each in live.events()}) == 1


def test_pipelined_requests_are_answered_in_their_order(live: Live) -> None:
    asked = [post(json.dumps(number).encode()) for number in range(20)]
    replies = live.talk(b"".join(asked[:-1]) + asked[-1].replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert heads(replies) == [b"HTTP/1.1 200 OK"] * 20
    assert [int(part.split(b"}")[0]) for part in replies.split(b'{"echo":')[1:]] == list(range(20))


def test_a_client_that_leaves_in_mid_body_is_journaled_and_nothing_stays(live: Live, client: httpx.Client) -> None:
    with live.connect() as line:
        line.sendall(b"POST /lamps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        until(lambda: live.app.sandboxes.default.open)
    (gone,) = until(live.events)
    assert (gone["closed"], gone["status"], gone["error"], gone["committed"]) == ("client_gone", 0, None, False)
    assert live.app.sandboxes.default.open == 0
    assert client.get("/lamps").json() == []


def test_a_client_that_leaves_between_two_chunks_is_gone_too(live: Live, client: httpx.Client) -> None:
    with live.connect() as line:
        line.sendall(b"POST /lamps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        until(lambda: live.app.sandboxes.default.open)
        line.sendall(b"1\r\n \r\n")
    (gone,) = until(live.events)
    assert gone["closed"] == "client_gone"


def test_half_a_request_is_no_exchange(live: Live, client: httpx.Client) -> None:
    with live.connect() as line:
        line.sendall(b"GET /lamps HTT")
        line.shutdown(socket.SHUT_WR)
        assert drained(line) == b""
    assert live.events() == []


def test_long_replies_are_packed_only_for_those_who_ask_and_only_when_told_to() -> None:
    with serving(draft(PLAIN), compress=True) as live, live.client(headers={"Accept-Encoding": "gzip"}) as client:
        packed, short = client.get("/long"), client.get("/short")
        head = client.head("/long")
        plain = client.get("/long", headers={"Accept-Encoding": "identity"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["content-length"]) < 1000 < len(packed.content)
    assert head.headers["content-length"] == packed.headers["content-length"]
    assert packed.text == plain.text
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in short.headers
    with serving(draft(PLAIN)) as live, live.client(headers={"Accept-Encoding": "gzip"}) as client:
        assert "content-encoding" not in client.get("/long").headers


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False)],
)
def test_a_client_may_also_say_that_it_takes_no_gzip(accepts: str, packed: bool) -> None:
    with serving(draft(PLAIN), compress=True) as live, live.client(headers={"Accept-Encoding": accepts}) as client:
        assert ("content-encoding" in client.get("/long").headers) is packed


def test_browsers_of_other_origins_may_call_when_the_switch_is_on() -> None:
    ask = {"Origin": "http://app.test", "Access-Control-Request-Method": "POST"}
    with serving(cors=True) as live, live.client() as client:
        before = client.options("/lamps", headers=ask | {"Access-Control-Request-Headers": "x-a, content-type"})
        reply, no = client.post("/lamps", json={}, headers=ask), client.get("/nowhere", headers=ask)
    assert before.status_code == 204
    assert before.headers["access-control-allow-methods"] == "GET, POST, HEAD"
    assert before.headers["access-control-allow-headers"] == "x-a, content-type"
    assert before.headers["access-control-max-age"] == "600"
    for each in (before, reply, no):
        assert each.headers["access-control-allow-origin"] == "*"
        assert each.headers["access-control-expose-headers"] == "*"


def test_without_the_switch_browsers_are_told_nothing(client: httpx.Client) -> None:
    for reply in (client.options("/lamps", headers={"Origin": "http://app.test"}), client.get("/lamps")):
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_what_a_client_sends_behind_its_request_is_no_second_one(live: Live, client: httpx.Client) -> None:
    with live.connect() as line:
        line.sendall(b"GET /lamps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /lamps HTTP/1.1\r\n\r\n")
        assert heads(drained(line)) == [b"HTTP/1.1 200 OK"]
