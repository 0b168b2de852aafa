"""Requests that mean no good, or mean nothing: never a 5xx, never a traceback, and the next client is served."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.live import Live, documents, draft, serving

ANY = """
    scenario: any
    seed: 1
    resources:
      note:
        record: {text: "{{ body.text }}", q: "{{ query.q }}", h: "{{ headers.x_h }}", all: "{{ body }}"}
    operations:
      POST /notes:
        create: note
        reply: {headers: {X-Back: "{{ headers.x_h }}", Location: "{{ base_url }}/notes/{{ id }}"}}
      GET /notes/{id}: {read: note}
      GET /notes: {list: note, where: {q: "{{ query.q }}"}, page: {style: cursor}}
      GET /files/{rest:path}: {reply: {body: {rest: "{{ params.rest }}"}}}
      POST /raw: {reply: {body: {raw: "{{ request.raw }}", form: "{{ request.form }}", files: "{{ request.files }}"}}}
    """
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with serving(draft(ANY), cors=True, compress=True) as live:
        yield live


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        yield client


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    assert not [record.getMessage() for record in caplog.records]


def send(live: Live, first_line: bytes, headers: bytes = b"", body: bytes = b"") -> int:
    """The status that a request gets; and then somebody else is served as ever."""
    reply = live.talk(
        first_line
        + b"\r\nHost: x\r\nConnection: close\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )
    assert b"Traceback" not in reply
    assert live.talk(b"GET /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    found = STATUS.match(reply)
    assert found, reply[:100]
    return int(found[1])


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"text": }',
        b'{"text": 1} x',
        b"\xff\xfe",
        b'{"text": "\xff"}',
        b'{"text": "\\ud800"}',
        b'{"text": NaN}',
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 100_000,
        b"\0",
        b'{"text": "\0"}',
        b"-",
        b'"',
    ],
)
def test_what_is_not_json_is_a_400_in_the_services_own_envelope(live: Live, client: httpx.Client, body: bytes) -> None:
    no = client.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert (no.status_code, no.headers["content-type"]) == (400, "application/problem+json")
    assert no.json()["code"] == "invalid"
    assert send(live, b"POST /notes HTTP/1.1", JSON, body) == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "\\u0000"}',
        b'{"text": 1e308}',
        b'{"text": 123456789012345678901234567890}',
        b'{"text": -99999999999999999999999}',
        b"[]",
        b"null",
        b'"text"',
        b'{"": {"": [[[]]]}}',
        b'{"text": 1, "text": 2}',
        b'{"text": "' + "\U0001f600\u202e\ufeff".encode() * 1000 + b'"}',
    ],
)
def test_odd_json_is_taken_and_given_back(client: httpx.Client, body: bytes) -> None:
    made = client.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    again = client.get(made.headers["location"])
    assert (again.status_code, again.json()) == (200, made.json())


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a[b]=1&a=2"),
        (FORM, b"a" + b"[b]" * 5000 + b"=1"),
        (FORM, b"&".join(b"f%d=1" % n for n in range(5000))),
        (b"Content-Type: multipart/form-data\r\n", b"--x--"),
        (b"Content-Type: multipart/form-data; boundary=x\r\n", b"--y\r\n\r\n"),
        (b"Content-Type: multipart/form-data; boundary=x\r\n", b'--x\r\nContent-Disposition: form-data\r\n\r\n"'),
        (b"Content-Type: multipart/form-data; boundary=" + b"x" * 5000 + b"\r\n", b"\xff"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(live: Live, headers: bytes, body: bytes) -> None:
    assert send(live, b"POST /raw HTTP/1.1", headers, body) == 400


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a[" * 2000 + b"=1"),
        (FORM, b"%00=%ff&%zz=%&=&&==&a=%E2%82"),
        (b"Content-Type: \xff/\xfe; charset=\xfd\r\n", b"\xff\xfe\0"),
        (b"Content-Type: ;;;,,,\r\n", b"{}"),
        (b"Content-Type: application/json; charset=utf-7\r\n", b"{}"),
        (b"Content-Type: text/plain\r\n", bytes(range(256))),
    ],
)
def test_an_odd_body_is_let_through(live: Live, headers: bytes, body: bytes) -> None:
    assert send(live, b"POST /raw HTTP/1.1", headers, body) == 200


@pytest.mark.parametrize(
    "first_line",
    [
        b"BREW /notes HTTP/1.1",
        b"get /notes HTTP/1.1",
        b"GET /notes HTTP/9.9",
        b"GET /no\0tes HTTP/1.1",
        b"GET /no tes HTTP/1.1",
        b"GET notes HTTP/1.1",
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of a TLS handshake
        b"PRI * HTTP/2.0",
    ],
)
def test_what_is_not_http_is_a_400_and_the_end_of_the_connection(live: Live, first_line: bytes) -> None:
    assert send(live, first_line) == 400


@pytest.mark.parametrize("method", [b"TRACE", b"PROPFIND", b"LINK", b"PURGE", b"M-SEARCH"])
def test_a_method_that_the_service_does_not_know_is_a_405(live: Live, method: bytes) -> None:
    assert send(live, method + b" /notes HTTP/1.1") == 405


@pytest.mark.parametrize(
    "target",
    [
        b"/v3/../../etc/passwd",
        b"/v3/%2e%2e/%2e%2e/etc/passwd",
        b"/..%2f..%2fetc%2fpasswd",
        b"/....//....//etc/passwd",
        b"//etc/passwd",
        b"/%00",
        b"/notes/%00/x",
        b"/" + b"a" * 10_000,
        b"/" * 10_000,
        b"/" + b"a/" * 5000,
        b"/%",
        b"/%zz/%f",
        b"/%ff%fe%c0%80",
        b"/_sandbox/../_simulator/x",
        b"/_sandbox",
        b"/_sandbox/",
        b"/_simulatorx",
        b"/%5fsimulator/clock",
        b"/_SIMULATOR/clock",
        b"http://other.test/x",
        b"/{id}",
        b"/{{ 1/0 }}".replace(b" ", b""),
        b"/\\x/..\\..",
    ],
)
def test_a_path_that_leads_nowhere_is_a_404(live: Live, target: bytes) -> None:
    assert send(live, b"GET " + target + b" HTTP/1.1") == 404


@pytest.mark.parametrize(
    "target",
    [
        b"/notes?" + b"&".join(b"q%d=%d" % (n, n) for n in range(20_000)),
        b"/notes?q=" + b"x" * 60_000,
        b"/notes?" + b"q[" * 5000,
        b"/notes?q=%ff%00%zz%",
        b"/notes?" + b"&=" * 30_000,
        b"/notes?q=" + b"\xff\xfe",
        b"/files/../../etc/passwd",
        b"/files/%2e%2e%2f%2e%2e%2fetc/passwd",
        b"/files/%00%ff%zz",
        b"/files/" + b"x/" * 2000,
        b"/files//",
    ],
)
def test_an_absurd_query_or_rest_is_only_text(live: Live, target: bytes) -> None:
    assert send(live, b"GET " + target + b" HTTP/1.1") in (200, 400, 404)


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=x", "limit=9e9", "cursor=x", "cursor=%00", "cursor=" + "A" * 9999]
)
def test_a_page_that_there_is_not_is_refused(query: str) -> None:
    with serving(documents()) as live, live.client() as client:
        no = client.get(f"/v3/jobs?{query}")
        assert (no.status_code, no.json()["error"]["code"]) == (400, "INVALID")


@pytest.mark.parametrize(
    "headers",
    [
        b"X-H: " + b"x" * 65_536 + b"\r\n",
        b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(500)),
        b"X-H: a\r\n" * 500,
        b"X-H: \xff\xfe \xe2\x82\xac\r\n",
        b"X-H:\r\n",
        b"X-" + b"h" * 10_000 + b": 1\r\n",
        b"X-H: {{ 1/0 }}\r\n",
        b"If-None-Match: " + b'"a",' * 5000 + b"\r\n",
        b"Accept-Encoding: " + b"gzip;q=0," * 5000 + b"\r\n",
        b"Content-Encoding: " + b"identity," * 5000 + b"\r\n",
        b"Origin: http://[\r\n",
        b"X-Forwarded-For: '; drop table\r\nX-Forwarded-Proto: gopher\r\nForwarded: for=x\r\n",
        b"Range: bytes=-1\r\nUpgrade-Insecure-Requests: 1\r\n",
    ],
)
def test_absurd_headers_change_nothing(live: Live, headers: bytes) -> None:
    assert send(live, b"POST /notes HTTP/1.1", JSON + headers, b"{}") == 201


@pytest.mark.parametrize(
    "headers",
    [
        b": empty\r\n",
        b"X H: a\r\n",
        b"X-H: a\0b\r\n",
        b"X-H\0: a\r\n",
        b"X-H: a\rb\r\n",
        b"no colon\r\n",
        b"Content-Length: 1\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 9999999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
def test_headers_that_are_none_are_a_400(live: Live, headers: bytes) -> None:
    assert send(live, b"GET /notes HTTP/1.1", headers) == 400


@pytest.mark.parametrize("host", [b"", b"\xc3\xa9.test", b"\xff", b"[", b"a b", b"x:99999999", b"x" * 5000, b"a\tb"])
def test_an_odd_host_gives_odd_links_and_no_more(live: Live, host: bytes) -> None:
    ask = b"POST /notes HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert live.talk(ask).startswith(b"HTTP/1.1 201 ")


def test_what_a_client_sends_does_not_end_a_header_line(live: Live, client: httpx.Client) -> None:
    ask = "GET /notes/x HTTP/1.1\r\nHost: x\r\nX-H: a\r\n b\r\nConnection: close\r\n\r\n"
    assert STATUS.match(live.talk(ask.encode()))
    made = client.post("/notes", json={"text": "a\r\nSet-Cookie: b=1"}, headers={b"X-H": "é\t!".encode("latin-1")})
    assert "set-cookie" not in made.headers
    assert made.status_code == 201


def test_an_upgrade_is_declined(live: Live) -> None:
    headers = b"Upgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n"
    ask = b"GET /notes HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\n" + headers + b"\r\n"
    assert live.talk(ask).startswith(b"HTTP/1.1 200 ")


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_whatever_bytes_come_no_5xx_goes_back(client: httpx.Client, body: bytes) -> None:
    """In a JSON body, in a path, in a query, in a header."""
    quoted = b"".join(b"%%%02x" % byte for byte in body)
    for reply in (
        client.post("/notes", content=body, headers={"Content-Type": "application/json"}),
        client.post("/raw", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        client.get(f"/notes/{quoted.decode()}"),
        client.get(f"/notes?q={quoted.decode()}"),
    ):
        assert reply.status_code < 500
        assert "Traceback" not in reply.text
