"""Endings and flow, seen from bare sockets: a RST is ECONNRESET, a FIN is zero bytes, n of m bytes are n."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.server.line import Limits, Line, Wiring
from simulator.server.plans import SLICE, Plan, drip
from simulator.server.timekeeper import Machine
from simulator.server.turn import TURN, deliver
from tests.live import until
from tests.server.wires import GET, LAST, LOOPS, TEXT, Wired, hello, wired

BODY = bytes(range(256)) * 4
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"
MUCH = b"0123456789abcdef" * 65536 * 4  # 4 MiB

NOTHING = Plan(200, TEXT, head=False)
ENDINGS: list[tuple[Plan, bytes, str]] = [  # the plan, the bytes seen, and the end seen
    (NOTHING._replace(ending="reset"), b"", "rst"),
    (NOTHING._replace(ending="close"), b"", "fin"),
    (Plan(200, TEXT, (), "reset", declared_length=1024), HEAD, "rst"),
    (hello(BODY).cut(100, "close"), HEAD + BODY[:100], "fin"),
    (hello(BODY).cut(100, "reset"), HEAD + BODY[:100], "rst"),
    (hello(BODY).cut(0, "close"), HEAD, "fin"),
    (hello(BODY, ending="close"), HEAD + BODY, "fin"),
    (hello(BODY, ending="reset"), HEAD + BODY, "rst"),
    (NOTHING._replace(steps=((0, b"\0\1\2garbage\r\n"),), ending="close"), b"\0\1\2garbage\r\n", "fin"),
    (NOTHING._replace(steps=((0, b"\0garbage"),)), b"\0garbage", "fin"),
    (NOTHING._replace(steps=((0, b"HTTP/1.1 2"),), ending="reset"), b"HTTP/1.1 2", "rst"),
    (NOTHING._replace(ending="hang"), b"", "nothing"),
    (Plan(200, TEXT, (), "hang", declared_length=1024), HEAD, "nothing"),
    (hello(BODY).cut(10, "hang"), HEAD + BODY[:10], "nothing"),
]
CLOSED = {"normal": "", "close": "fin", "reset": "rst", "hang": "client_gone"}

pytestmark = pytest.mark.parametrize("loop", LOOPS, scope="module")


@pytest.fixture(scope="module")
def live(loop: str) -> Iterator[Wired]:
    with wired(*(plan for plan, _, _ in ENDINGS), loop=loop) as live:
        yield live


def received(line: socket.socket) -> tuple[bytes, str]:
    """All that comes, and how it ends."""
    parts = []
    try:
        while part := line.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts), "rst"
    except TimeoutError:
        return b"".join(parts), "nothing"
    return b"".join(parts), "fin"


def asked(live: Wired, sent: bytes = GET, wait_s: float = 20.0) -> tuple[bytes, str]:
    with live.connect() as line:
        line.settimeout(wait_s)
        line.sendall(sent)
        return received(line)


@pytest.mark.parametrize("number", range(len(ENDINGS)))
def test_an_ending_is_on_the_wire_what_it_is_called(live: Wired, number: int) -> None:
    plan, bytes_seen, end = ENDINGS[number]
    live.service.delivered.clear()
    assert asked(live, b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number, 0.1 if end == "nothing" else 20) == (
        bytes_seen,
        end,
    )
    delivered = live.only()
    assert delivered.closed == CLOSED[plan.ending]
    assert delivered.planned == delivered.handed == plan.body_bytes
    until(lambda: not (live.connections or live.service.open))


def test_a_hang_is_let_go_after_its_bound(loop: str) -> None:
    with wired(hello(BODY).cut(10, "hang"), loop=loop, limits=Limits(hang_max_ms=30)) as live:
        began = time.monotonic()
        assert asked(live) == (HEAD + BODY[:10], "fin")
        assert time.monotonic() - began >= 0.030
        assert live.only().closed == "fin"


def test_a_hang_may_last_as_long_whatever_came_before_it(loop: str) -> None:
    slow = Plan(200, (), ((100, b"a"),), "hang", declared_length=2)
    with wired(slow, loop=loop, limits=Limits(hang_max_ms=150)) as live:
        assert asked(live)[1] == "fin"
        delivered, (arrival,) = live.only(), live.service.arrivals
    assert delivered.ended_us - arrival.wire_us >= 250_000


def test_a_hang_does_not_keep_the_server_from_ending(loop: str) -> None:
    with wired(hello(BODY).cut(10, "hang"), loop=loop, timeout_graceful_shutdown=20) as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536) == HEAD + BODY[:10]
        began = time.monotonic()
        live.server.should_exit = True
        assert received(line) == (b"", "fin")
        assert live.only().closed == "fin"
        assert time.monotonic() - began < 5


def test_a_reply_under_way_is_the_last_one_of_a_server_that_ends(loop: str) -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        await scope["extensions"][TURN].deliver(hello())

    late = hello(steps=((100, b"late"),))
    with (
        wired(late, waits, loop=loop, timeout_graceful_shutdown=20) as live,
        live.connect() as begun,
        live.connect() as undecided,
    ):
        begun.sendall(GET + GET)
        undecided.sendall(GET.replace(b"/ ", b"/1 "))
        until(lambda: live.service.open == 2)
        began = time.monotonic()
        live.server.should_exit = True
        assert received(begun)[0].endswith(b"\r\n\r\nlate")
        assert b"\r\nConnection: close\r\n" in received(undecided)[0]  # there was time to say so
        assert time.monotonic() - began < 5
        assert len(live.service.arrivals) == 2


def test_a_delay_that_outlasts_the_servers_patience_is_cut_without_a_word(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    with wired(hello(steps=((60_000, b"late"),)), loop=loop, timeout_graceful_shutdown=0.05) as live:
        with live.connect() as line:
            line.sendall(GET)
            until(lambda: live.service.open)
            live.server.should_exit = True
            assert received(line)[0] == b""
        until(lambda: not live.service.open)
    assert not caplog.records


def test_a_reset_comes_behind_all_that_a_slow_reader_has_not_read_yet(loop: str) -> None:
    with wired(hello(MUCH).cut(len(MUCH) - 7, "reset"), loop=loop) as live, live.connect(16384) as line:
        line.sendall(GET)
        seen = line.recv(100)
        until(lambda: live.full)
        rest, end = received(line)
        body = (seen + rest).partition(b"\r\n\r\n")[2]
        assert (len(body), body == MUCH[:-7], end) == (len(MUCH) - 7, True, "rst")
        assert live.only().closed == "rst"


def test_a_client_that_leaves_while_its_reset_waits_for_it_is_gone(loop: str) -> None:
    """All of the body is the kernel's, which has not sent it."""
    with wired(hello(MUCH[: 2**20], ending="reset"), loop=loop) as live:
        with live.connect(4096) as line:
            line.sendall(GET)
            line.recv(100)
            time.sleep(0.05)  # it would have been reset by now
            assert not live.service.delivered
        delivered = live.only()
        assert (delivered.closed, delivered.handed) == ("client_gone", 2**20)


def test_a_reset_does_not_wait_for_ever(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.server.line.FLUSH_MS", 20)
    with wired(hello(MUCH[: 2**20], ending="reset"), loop=loop) as live, live.connect(4096) as line:
        line.sendall(GET)
        assert live.only().closed == "rst"
        seen, end = received(line)
        assert len(seen) < 2**20
        assert end == "rst"


def test_a_client_that_leaves_meanwhile_is_not_reset(loop: str) -> None:
    with wired(hello(MUCH, ending="reset"), loop=loop) as live:
        with live.connect(16384) as line:
            line.sendall(GET)
            line.recv(100)
        delivered = live.only()
        assert delivered.closed == "client_gone"
        assert delivered.handed < delivered.planned == len(MUCH)


def test_a_long_body_waits_for_its_reader_and_not_in_memory(loop: str) -> None:
    held = list[int]()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        line = scope["extensions"]["simulator.turn"]._line
        write = line.transport.write

        class Watched:
            """The transport, with a note of how much it holds after each write."""

            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                write(data)
                held.append(transport.get_write_buffer_size())

        transport, line.transport = line.transport, Watched()
        live.service.delivered.append(await deliver(hello(MUCH), scope, send, live.service.wiring.delays))

    with wired(service, loop=loop) as live, live.connect(16384) as line:
        line.sendall(LAST)
        assert received(line)[0].partition(b"\r\n\r\n")[2] == MUCH
        assert live.only().handed == len(MUCH)
    assert len(held) == len(MUCH) / SLICE
    assert max(held) <= 2 * SLICE


@pytest.mark.parametrize(
    "plan",
    [
        Plan(200, TEXT, tuple((0, MUCH[: 2**16]) for _ in range(100))),
        hello(MUCH, chunked=True),
        hello(MUCH[: 2**16]),
    ],
)
def test_a_slow_reader_gets_everything_in_the_end(loop: str, plan: Plan) -> None:
    with wired(plan, loop=loop) as live, live.connect(16384) as line:
        times = 100 if plan.whole else 1
        line.sendall(GET * (times - 1) + LAST)
        until(lambda: live.full)
        seen, end = received(line)
        until(lambda: len(live.service.delivered) == times)
    assert seen.count(b"0123456789abcdef") == plan.body_bytes * times // 16
    assert end == "fin"
    assert {each.closed for each in live.service.delivered} == {""}


def test_one_who_asks_for_much_and_leaves_is_noticed(loop: str) -> None:
    with wired(hello(MUCH[: 2**16]), loop=loop) as live:
        with live.connect(16384) as line:
            line.sendall(GET * 100)
            until(lambda: live.full)
        until(lambda: not (live.connections or live.service.open))
        assert live.service.delivered[-1].closed == "client_gone"
        assert len(live.service.delivered) < 100


async def test_what_is_no_tcp_connection_just_ends(loop: str) -> None:
    here, there = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    line = Line(transport, Wiring(Machine()))
    assert await line.reset()
    assert not await line.reset()
    assert await asyncio.to_thread(received, there) == (b"", "fin")
    there.close()


def test_a_client_that_takes_nothing_is_cut_off_after_the_bound(loop: str) -> None:
    with wired(hello(MUCH), loop=loop, limits=Limits(hang_max_ms=100)) as live, live.connect(16384) as line:
        line.sendall(GET)
        assert live.only().closed == "client_gone"
        assert len(received(line)[0]) < len(MUCH)


def test_a_fin_stays_one_although_the_request_was_not_read_to_its_end(loop: str) -> None:
    """Closing a socket with bytes unread sends a RST: the server hears the client out instead."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with wired(Plan(200, (), (), "close", head=False), loop=loop) as live, live.connect() as line:
        line.sendall(head + b"x" * 10)
        assert received(line) == (b"", "fin")
        line.sendall(b"x" * 500)
        line.sendall(b"x" * 490 + GET)  # which is too late
        assert received(line) == (b"", "fin")
        assert live.connections
        assert len(live.service.arrivals) == 1


def test_nor_does_it_turn_into_a_reset_where_reading_was_paused(loop: str) -> None:
    late = Plan(200, (), ((100, b""),), "close", head=False)
    with wired(late, loop=loop) as live, live.connect() as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 2**24)
        line.sendall(bytes(2**24))  # more than fits into the buffers on the way
        assert received(line) == (b"", "fin")
        assert len(live.service.arrivals) == 1


async def test_one_who_does_not_take_the_rest_of_a_reply_is_cut_off(loop: str) -> None:
    here, there = socket.socketpair()
    lost = asyncio.Event()

    class Noting(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    transport, _ = await asyncio.get_running_loop().create_connection(Noting, sock=here)
    line = Line(transport, Wiring(Machine(), Limits(body_timeout_ms=30)))
    transport.write(MUCH)
    line.close()
    async with asyncio.timeout(5):
        await lost.wait()
    there.close()


def test_one_who_does_not_hang_up_after_a_fin_is_cut_off(loop: str) -> None:
    plan, limits = Plan(200, (), (), "close", head=False), Limits(linger_ms=30)
    with wired(plan, loop=loop, limits=limits) as live, live.connect() as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert received(line) == (b"", "fin")
        until(lambda: not live.connections)


def test_a_drip_keeps_its_pace(loop: str) -> None:
    steps = drip(b"0123456789", 50)
    with wired(Plan(200, (), steps), loop=loop) as live, live.connect() as line:
        line.sendall(GET)
        seen, marks = b"", list[tuple[int, float]]()
        began = time.monotonic()
        while not seen.endswith(b"9"):
            seen += line.recv(1000)
            marks.append((len(seen.partition(b"\r\n\r\n")[2]), time.monotonic() - began))
        delivered = live.only()
    assert [done for done, _ in marks] == [5, 10]
    assert marks[1][1] >= 0.095  # two portions, a tenth of a second apart
    assert delivered.ended_us - delivered.begun_us >= 100_000


def test_a_client_that_leaves_a_drip_is_noticed_before_the_next_drop(loop: str) -> None:
    with wired(Plan(200, (), ((0, b"a"), (60_000, b"b"))), loop=loop) as live:
        with live.connect() as line:
            line.sendall(GET)
            assert line.recv(1000).endswith(b"a")
        delivered = live.only()
    assert (delivered.closed, delivered.planned, delivered.handed) == ("client_gone", 2, 1)
    assert delivered.ended_us - delivered.begun_us < 5_000_000


def test_a_stopped_server_hangs_nobody(loop: str) -> None:
    """What was asked before the end and comes to hang afterwards ends at once."""
    plan = Plan(200, (), ((100, b"a"),), "hang", declared_length=2)
    with wired(plan, loop=loop, timeout_graceful_shutdown=20) as live, live.connect() as line:
        line.sendall(GET)
        until(lambda: live.service.open)
        live.server.should_exit = True
        seen, end = received(line)
    assert (seen[-1:], end) == (b"a", "fin")
