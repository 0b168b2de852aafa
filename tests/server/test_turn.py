"""A request and its one reply, by plans and by ASGI messages, as a client sees them."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from simulator.server.plans import Plan
from simulator.server.turn import deliver
from tests.live import until
from tests.server.wires import GET, LAST, START, TEXT, Call, hello, part, reply_of, says, wired

TYPE, CLOSE, CHUNKED = b"Content-Type: text/plain", b"Connection: close", b"Transfer-Encoding: chunked"


# plans


def test_head_and_body_come_in_one_piece() -> None:
    with wired() as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536) == (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")


def test_so_they_do_after_a_delay_that_is_never_short() -> None:
    with wired(hello(steps=((50, b"late"),))) as live, live.connect() as line:
        began = time.monotonic()
        line.sendall(GET)
        assert line.recv(65536).endswith(b"\r\n\r\nlate")
        assert time.monotonic() - began >= 0.050
        delivered = live.only()
        assert delivered.begun_us - live.service.arrivals[0].wire_us >= 50_000
        assert delivered.ended_us >= delivered.begun_us


def test_names_reach_the_client_in_the_case_they_were_written_in() -> None:
    headers = ((b"Retry-After", b"1"), (b"X-RateLimit-Reset", b"2"), (b"x-lower", b"3"))
    with wired(hello(headers=headers)) as live:
        assert b"\r\nRetry-After: 1\r\nX-RateLimit-Reset: 2\r\nx-lower: 3\r\n" in live.talk(LAST)


def test_chunks_come_when_they_are_due() -> None:
    events = Plan(200, TEXT, ((0, b""), (30, b"data: 1\n\n"), (30, b"data: 2\n\n")), chunked=True)
    with wired(events) as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536).endswith(b"Transfer-Encoding: chunked\r\n\r\n")
        began = time.monotonic()
        assert line.recv(65536) == b"9\r\ndata: 1\n\n\r\n"
        assert line.recv(65536) == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        assert time.monotonic() - began >= 0.058
        assert live.only().handed == 18


def test_chunks_that_are_cut_lack_the_last_one() -> None:
    with wired(hello(b"abcdef", chunked=True).cut(3, "close")) as live:
        assert live.talk(GET).partition(b"\r\n\r\n")[2] == b"3\r\nabc\r\n"


def test_an_old_client_gets_the_body_without_chunks_and_then_the_end() -> None:
    with wired(hello(chunked=True)) as live:
        seen = live.talk(b"GET / HTTP/1.0\r\n\r\n")
    assert seen == b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhello"


@pytest.mark.parametrize("chunked", [False, True])
def test_to_head_the_same_head_goes_out_and_no_body(chunked: bool) -> None:
    plan = hello(steps=((0, b"hel"), (60_000, b"lo")), chunked=chunked)
    told = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
    with wired(plan) as live:
        seen = live.talk(LAST.replace(b"GET", b"HEAD"))
        assert seen.endswith(told + b"\r\n\r\n")
        assert (live.only().planned, live.only().handed) == (0, 0)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none_and_the_connection_lives_on(status: int) -> None:
    with wired(hello(status=status), hello()) as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536).endswith(b"Content-Type: text/plain\r\n\r\n")
        line.sendall(GET.replace(b"/ ", b"/1 "))
        assert reply_of(line).endswith(b"hello")


@pytest.mark.parametrize(("declared", "seen"), [(9, b"hello"), (2, b"hello")])
def test_a_wrong_length_is_told_as_the_plan_has_it(declared: int, seen: bytes) -> None:
    with wired(hello(declared_length=declared)) as live:
        assert live.talk(LAST).endswith(b"Content-Length: %d\r\n\r\n" % declared + seen)


def test_a_plan_without_steps_is_its_head() -> None:
    with wired(Plan(200, ()), Plan(503, (), reason=b"Gone Fishing")) as live:
        assert live.talk(LAST) == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        assert live.talk(LAST.replace(b"/ ", b"/1 ")).startswith(b"HTTP/1.1 503 Gone Fishing\r\n")


def test_a_plan_may_end_the_connection_and_says_so() -> None:
    with wired(hello(headers=((b"Connection", b"close"),))) as live:
        assert live.talk(GET).count(b"Connection: close\r\n") == 1
        assert live.only().closed == ""


def test_the_instants_of_a_reply_lie_within_those_of_its_request() -> None:
    with wired() as live:
        before = live.service.machine.wire_us()
        live.talk(LAST)
        delivered, (arrival,) = live.only(), live.service.arrivals
        assert before <= arrival.wire_us <= delivered.begun_us <= delivered.ended_us <= live.service.machine.wire_us()


def test_a_client_that_left_before_its_reply_was_ready_gets_nothing() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        for plan in (hello(), hello(ending="reset")):
            live.service.delivered.append(await deliver(plan, scope, send, live.service.wiring.delays))

    with wired(late) as live:
        with live.connect() as line:
            line.sendall(GET)
            until(lambda: live.service.open)
        until(lambda: len(live.service.delivered) == 2)
        assert [(each.closed, each.planned, each.handed) for each in live.service.delivered] == [
            ("client_gone", 5, 0)
        ] * 2


# messages


@pytest.mark.parametrize(
    ("messages", "lines", "body"),
    [
        ([START, part(b"abc")], [TYPE, b"Content-Length: 3", CLOSE], b"abc"),
        ([START, part(b"ab", True), part(b"")], [TYPE, CHUNKED, CLOSE], b"2\r\nab\r\n0\r\n\r\n"),
        (
            [START, part(b"ab", True), part(b"", True), part(b"c")],
            [TYPE, CHUNKED, CLOSE],
            b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        ([START | {"status": 204}, part(b"")], [TYPE, CLOSE], b""),
        (
            [START | {"headers": [(b"Content-Length", b"3")]}, part(b"ab", True), part(b"c")],
            [b"Content-Length: 3", CLOSE],
            b"abc",
        ),
        ([{"type": START["type"], "status": 404}, {"type": part(b"")["type"]}], [b"Content-Length: 0", CLOSE], b""),
    ],
)
def test_messages_become_a_reply_with_its_framing(
    messages: list[dict[str, Any]], lines: list[bytes], body: bytes
) -> None:
    with wired(says(*messages)) as live:
        head, _, seen = live.talk(LAST).partition(b"\r\n\r\n")
    assert (sorted(head.split(b"\r\n")[1:]), seen) == (sorted(lines), body)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"3")]])
def test_to_head_messages_give_the_head(headers: list[tuple[bytes, bytes]]) -> None:
    with wired(says(START | {"headers": headers}, part(b"abc"))) as live:
        seen = live.talk(LAST.replace(b"GET", b"HEAD"))
    assert seen.lower().count(b"content-length: 3\r\n") == 1
    assert seen.endswith(b"\r\n\r\n")


def test_to_head_a_stream_has_no_length() -> None:
    with wired(says(START, part(b"", True), part(b""))) as live:
        assert b"ength" not in live.talk(LAST.replace(b"GET", b"HEAD"))


def test_messages_leave_in_one_piece_too() -> None:
    with wired(says(START, part(b"abc"))) as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536).endswith(b"Content-Length: 3\r\n\r\nabc")


@pytest.mark.parametrize(
    "messages", [[part(b"a")], [START, START], [START, part(b"a"), part(b"b")], [{"type": "http.response.debug"}]]
)
def test_a_message_out_of_turn_is_the_applications_fault(
    messages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with wired(says(*messages)) as live:
        live.talk(LAST)
        until(lambda: caplog.records)
    assert "out of turn" in caplog.text


@pytest.mark.parametrize("messages", [[part(b"abcd")], [part(b"ab")], [part(b"ab", True), part(b"cd", True)]])
def test_a_reply_that_is_not_as_long_as_it_said_ends_the_connection(
    messages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with wired(says(START | {"headers": [(b"content-length", b"3")]}, *messages)) as live, live.connect() as line:
        line.sendall(GET)
        while line.recv(100):
            pass
    assert "not as long as its Content-Length" in caplog.text


@pytest.mark.parametrize(
    ("service", "seen"),
    [
        (says(), b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/problem+json\r\n"),
        (says(START), b"HTTP/1.1 500 "),
        (says(START, part(b"a", True)), b"HTTP/1.1 200 OK"),
    ],
)
def test_an_application_that_does_not_finish_is_made_up_for(service: Call, seen: bytes) -> None:
    with wired(service) as live:
        assert live.talk(GET).startswith(seen)


def test_an_application_that_fails_is_logged_with_its_request(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("oh")

    with wired(fails) as live:
        assert live.talk(GET).startswith(b"HTTP/1.1 500 ")
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "GET / failed inside the simulator")
