"""A connection from the client's side: how requests are told apart, and how long they may take."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.server.line import Limits
from simulator.server.plans import Plan
from simulator.server.wire import PIPELINED_MAX
from tests.live import drained, until
from tests.server.wires import GET, LAST, LOOPS, START, Wired, hello, part, post, reply_of, wired

JUST_LONG_ENOUGH = 0.03


@pytest.fixture(scope="module", params=LOOPS)
def live(request: pytest.FixtureRequest) -> Iterator[Wired]:
    with wired(hello(b"one"), hello(b"two"), hello(steps=((50, b"late"),)), loop=request.param) as live:
        yield live


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> None:
    if "live" in request.fixturenames:
        service = request.getfixturevalue("live").service
        for noted in (service.arrivals, service.scopes, service.delivered):
            noted.clear()


# which connection, which request


def test_requests_on_one_connection_are_numbered_in_turn(live: Wired) -> None:
    with live.connect() as line:
        for _ in range(3):
            line.sendall(GET)
            reply_of(line)
    arrivals = live.service.arrivals
    assert [arrival.turn for arrival in arrivals] == [1, 2, 3]
    assert len({arrival.connection for arrival in arrivals}) == 1


def test_each_connection_has_a_number_of_its_own(live: Wired) -> None:
    live.talk(LAST)
    live.talk(LAST)
    first, second = live.service.arrivals
    assert first.connection != second.connection
    assert second.turn == 1


def test_the_first_byte_is_stamped_before_the_application_runs_and_never_goes_back(live: Wired) -> None:
    now_us = live.service.machine.wire_us
    before = now_us()
    with live.connect() as line:
        for _ in range(5):
            line.sendall(GET)
            reply_of(line)
    stamps = [arrival.wire_us for arrival in live.service.arrivals]
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= stamps[-1] <= now_us()


def test_a_request_in_pieces_began_with_its_first(live: Wired) -> None:
    with live.connect() as line:
        for piece in (LAST[:1], LAST[1:30], LAST[30:]):
            line.sendall(piece)
            time.sleep(0.01)
            between = live.service.machine.wire_us()
        assert drained(line).endswith(b"one")
    (arrival,) = live.service.arrivals
    assert between - arrival.wire_us >= 20_000


def test_a_scope_holds_what_asgi_says(live: Wired) -> None:
    live.talk(post(b"a", b"/%31?q=%20%31", b"X-Twice: 1", b"X-TWICE: 2", b"Connection: close"))
    scope = live.service.scopes[0]
    assert (scope["type"], scope["method"], scope["scheme"], scope["http_version"]) == ("http", "POST", "http", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/1", b"/%31", b"q=%20%31")
    assert scope["headers"][2:4] == [(b"x-twice", b"1"), (b"x-twice", b"2")]
    assert (scope["server"], scope["client"][0]) == (("127.0.0.1", live.port), "127.0.0.1")


@pytest.mark.parametrize("target", [b"http://other.test/1?a=b", b"/1?a=b#c", b"http://other.test/1?a=b#c"])
def test_a_target_may_be_a_whole_address(live: Wired, target: bytes) -> None:
    assert live.talk(LAST.replace(b"/ ", target + b" ")).endswith(b"two")
    assert live.service.scopes[0]["query_string"] == b"a=b"


def test_an_address_without_a_path_is_the_root(live: Wired) -> None:
    assert live.talk(LAST.replace(b"/ ", b"http://other.test ")).endswith(b"one")


# one after the other


def test_pipelined_requests_are_answered_in_their_order_however_long_each_takes(live: Wired) -> None:
    paths = (b"/2 ", b"/ ", b"/2 ", b"/1 ", b"/ ")
    asked = b"".join(GET.replace(b"/ ", path) for path in paths)
    with live.connect() as line:
        line.sendall(asked)
        assert [reply_of(line)[-3:] for _ in paths] == [b"ate", b"one", b"ate", b"two", b"one"]


def test_more_than_may_wait_are_answered_too(live: Wired) -> None:
    many = 20 * PIPELINED_MAX
    with live.connect() as line:
        line.sendall(GET.replace(b"/ ", b"/2 ") + (GET + post(b"x" * 100, b"/1")) * many)
        seen = [reply_of(line)[-3:] for _ in range(2 * many + 1)]
    assert seen == [b"ate", *[b"one", b"two"] * many]


def test_reading_stops_where_too_many_wait() -> None:
    with wired(Plan(200, (), (), "hang", head=False)) as live, live.connect() as line:
        sent = 0
        while sent < 2**24 and select.select((), (line,), (), 0.2)[1]:
            sent += line.send((GET * 2000)[: 2**24 - sent])
        assert sent < 2**24


def test_what_follows_the_last_request_is_nobodys(live: Wired) -> None:
    assert live.talk(LAST + GET).endswith(b"\r\n\r\none")
    with live.connect() as line:
        line.sendall(LAST.replace(b"/ ", b"/2 "))
        until(lambda: live.service.open)
        line.sendall(GET)
        assert drained(line).endswith(b"\r\n\r\nlate")
    assert len(live.service.arrivals) == 2


def test_an_upgrade_is_declined_and_what_follows_is_http_as_before(live: Wired) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    seen = live.talk(upgrade * 3 + LAST.replace(b"/ ", b"/1 "))
    assert (seen.count(b"one"), seen.endswith(b"two")) == (3, True)


def test_fields_behind_a_body_are_neither_this_requests_nor_the_next_ones(live: Wired) -> None:
    chunks = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Behind: 1\r\n\r\n"
    live.talk(chunks + LAST)
    assert len(live.service.scopes) == 2
    assert not [scope for scope in live.service.scopes if b"x-behind" in dict(scope["headers"])]


def test_a_client_of_http_1_0_gets_one_reply(live: Wired) -> None:
    seen = live.talk(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in seen


# what is no request


@pytest.mark.parametrize("bad", [b"\0\0\r\n\r\n", b"GET http: HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_is_said_to_be_none_and_ends_the_connection(live: Wired, bad: bytes) -> None:
    seen = live.talk(bad)
    assert seen.startswith(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    )
    assert b"RFC 9112" in seen
    assert not live.service.arrivals


def test_it_is_said_after_the_requests_before_it_are_answered(live: Wired) -> None:
    seen = live.talk(GET.replace(b"/ ", b"/2 ") + GET + b"\0\0" + GET)
    assert [seen.index(each) for each in (b"late", b"one", b" 400 ")] == sorted(
        seen.index(each) for each in (b"late", b"one", b" 400 ")
    )
    assert len(live.service.arrivals) == 2


BROKEN = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nnot a chunk\r\n"


def test_a_body_that_breaks_off_into_nonsense_is_refused() -> None:
    seen = list[str]()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass
        seen.append("gone")

    async def replies(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(part(b"early"))

    with wired(reads, replies) as live:
        with live.connect() as line:
            line.sendall((BROKEN % 0)[:-13])
            until(lambda: live.service.open)
            line.sendall((BROKEN % 0)[-13:])
            assert drained(line).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert seen == ["gone"]
        with live.connect() as line:  # too late to refuse what is answered: only the end is left
            line.sendall((BROKEN % 1)[:-13])
            assert reply_of(line).endswith(b"early")
            line.sendall((BROKEN % 1)[-13:])
            line.settimeout(2)  # idle, it would stay for longer
            assert drained(line) == b""


def test_what_is_broken_on_arrival_does_not_reach_the_application(live: Wired) -> None:
    assert live.talk(BROKEN % 0).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not live.service.arrivals


def test_a_head_without_end_is_refused() -> None:
    with wired(limits=Limits(head_max_bytes=10_000)) as live, live.connect() as line:
        line.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            line.sendall(b"X: " + b"x" * 1000 + b"\r\n")
        assert drained(line).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert not live.service.arrivals


# how long it may take


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"GET / HTT", b"HTTP/1.1 408 Request Timeout\r\n"),
        (post(b"abc")[:-1], b"HTTP/1.1 408 Request Timeout\r\n"),
        (b"", b""),
    ],
)
def test_a_client_that_takes_too_long_is_told_so_and_one_that_says_nothing_is_not(
    loop: str, sent: bytes, seen: bytes
) -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass

    limits = Limits(head_timeout_ms=30, body_timeout_ms=30, linger_ms=30)
    with wired(reads, loop=loop, limits=limits, timeout_keep_alive=JUST_LONG_ENOUGH) as live, live.connect() as line:
        began = time.monotonic()
        line.sendall(sent)
        assert drained(line).startswith(seen)
        assert time.monotonic() - began >= JUST_LONG_ENOUGH - 0.001
        until(lambda: not live.connections)


def test_bytes_that_trickle_in_do_not_prolong_the_time() -> None:
    with wired(limits=Limits(head_timeout_ms=100)) as live, live.connect() as line:
        began, seen = time.monotonic(), b""
        line.settimeout(0.01)
        line.sendall(b"GET /")
        while not seen:
            line.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                seen = line.recv(1000)
        assert seen.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert 0.1 <= time.monotonic() - began < 5


def test_an_idle_connection_ends_and_a_busy_one_does_not() -> None:
    late = hello(steps=((100, b"late"),))
    with wired(late, timeout_keep_alive=JUST_LONG_ENOUGH) as live, live.connect() as line:
        line.sendall(GET)
        assert reply_of(line).endswith(b"late")
        began = time.monotonic()
        assert drained(line) == b""
        assert JUST_LONG_ENOUGH - 0.002 <= time.monotonic() - began < 5


def test_a_body_that_the_application_keeps_waiting_is_not_late() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        more = True
        while more:
            more = (await receive())["more_body"]
        await send(START)
        await send(part(b"done"))

    with wired(slow, limits=Limits(body_timeout_ms=50)) as live, live.connect() as line:
        line.sendall(post(bytes(2**23)))
        assert reply_of(line).endswith(b"done")


def test_a_reply_that_has_begun_is_not_replaced_because_the_body_is_late() -> None:
    begun = hello(steps=((0, b"be"), (100, b"gun")))
    with wired(begun, limits=Limits(body_timeout_ms=30)) as live, live.connect() as line:
        line.sendall(post(b"abc")[:-1])
        assert drained(line).endswith(b"\r\n\r\nbegun")
