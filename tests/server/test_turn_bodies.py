"""A request's body on its way to the application: parts, what is held of it, and clients that ask first or leave."""

from __future__ import annotations

import asyncio
import select
from typing import Any

import pytest

from simulator.server.turn import BODY_HELD_MAX
from tests.live import until
from tests.server.wires import GET, START, Call, part, reply_of, wired

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"


def echo(most: int = 2**30) -> Call:
    """An application that replies with the length of what it has read, and reads no more than that."""

    async def service(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more and size < most:
            message = await receive()
            assert message["type"] == "http.request"
            size, more = size + len(message["body"]), message["more_body"]
        await send(START)
        await send(part(b"%d" % size))

    return service


def test_a_body_is_read_whole_and_then_the_end_of_the_reply_is_awaited() -> None:
    got = list[dict[str, Any]]()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        got.append(await receive())
        await send(START)
        await send(part(b""))
        got.append(await receive())

    with wired(service) as live, live.connect() as line:
        line.sendall(POST % 3 + b"\r\nabc")
        reply_of(line)
        until(lambda: len(got) == 2)
    assert got == [{"type": "http.request", "body": b"abc", "more_body": False}, {"type": "http.disconnect"}]


def test_one_who_waits_for_the_end_while_another_replies_sees_it() -> None:
    """As a stream watches for its client meanwhile."""
    seen = list[str]()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        assert not (await receive())["more_body"]
        watching = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(START)
        await send(part(b""))
        seen.append((await watching)["type"])

    with wired(service) as live, live.connect() as line:
        line.sendall(GET)
        reply_of(line)
        assert until(lambda: seen) == ["http.disconnect"]


def test_what_a_client_asked_for_before_it_left_is_done_all_the_same() -> None:
    got = list[bytes]()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        got.append((await receive())["body"])

    with wired(service) as live:
        for _ in range(20):
            with live.connect() as line:
                line.sendall(POST % 3 + b"\r\nabc")
        until(lambda: len(got) == 20)
    assert got == [b"abc"] * 20


def test_an_application_that_gives_up_with_its_client_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def service(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass
        raise ConnectionError("gone")

    with wired(service) as live:
        with live.connect() as line:
            line.sendall(POST % 3 + b"\r\nab")
            until(lambda: live.service.open)
        until(lambda: not live.service.open)
    assert not caplog.records


def test_a_body_that_nobody_reads_stays_outside() -> None:
    with wired(echo(0), echo()) as live, live.connect() as line:
        line.sendall(POST % 2**24 + b"\r\n")
        line.sendall(bytes(2**24))  # thrown away as it comes
        assert reply_of(line).endswith(b"\r\n\r\n0")
        line.sendall(POST.replace(b"/ ", b"/1 ") % 2**24 + b"\r\n" + bytes(2**24))
        assert reply_of(line).endswith(b"\r\n\r\n%d" % 2**24)


def test_no_more_of_a_body_is_held_than_was_agreed() -> None:
    sizes, gates = list[int](), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        gates.append((asyncio.get_running_loop(), asyncio.Event()))
        await gates[0][1].wait()
        more = True
        while more:
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await send(START)
        await send(part(b""))

    with wired(service) as live, live.connect() as line:
        line.sendall(POST % 2**24 + b"\r\n")
        sent = 0
        while sent < 2**24 and select.select((), (line,), (), 0.2)[1]:  # until every buffer is full
            sent += line.send(bytes(min(2**16, 2**24 - sent)))
        loop, gate = gates[0]
        loop.call_soon_threadsafe(gate.set)
        line.sendall(bytes(2**24 - sent))
        reply_of(line)
    assert sum(sizes) == 2**24
    assert max(sizes) <= BODY_HELD_MAX + 2**18  # and what one read brings


def test_a_client_that_asks_first_is_told_to_continue_only_if_the_body_is_wanted() -> None:
    ask = POST.replace(b"/ ", b"/%d ") + b"Expect: 100-continue\r\n\r\n"
    with wired(echo(), echo(0)) as live:
        with live.connect() as line:
            line.sendall(ask % (0, 3))
            assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            line.sendall(b"abc")
            assert reply_of(line).endswith(b"\r\n\r\n3")
        seen = live.talk(ask % (1, 3))
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in seen  # else nobody knew whether a body still follows


@pytest.mark.parametrize("length", [0, 3])
def test_a_client_that_asks_but_does_not_wait_is_not_told(length: int) -> None:
    with wired(echo()) as live, live.connect() as line:
        line.sendall(POST % length + b"Expect: 100-continue\r\n\r\n" + b"abc"[:length])
        assert reply_of(line).startswith(b"HTTP/1.1 200 OK\r\n")
