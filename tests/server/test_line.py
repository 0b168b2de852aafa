"""Endings and flow, seen from bare sockets: a RST is ECONNRESET, a FIN is zero bytes, n of m bytes are n."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.server.line import Limits
from simulator.server.plans import SLICE, Plan, drip
from simulator.server.turn import deliver
from tests.live import until
from tests.server.wires import GET, LOOPS, TEXT, Wired, hello, wired

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


def test_a_hang_does_not_keep_the_server_from_ending(loop: str) -> None:
    with wired(hello(BODY).cut(10, "hang"), loop=loop, timeout_graceful_shutdown=20) as live, live.connect() as line:
        line.sendall(GET)
        assert line.recv(65536) == HEAD + BODY[:10]
        began = time.monotonic()
        live.server.should_exit = True
        assert received(line) == (b"", "fin")
        assert live.only().closed == "fin"
        assert time.monotonic() - began < 5


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
        time.sleep(0.05)  # the server has filled every buffer by now
        rest, end = received(line)
        body = (seen + rest).partition(b"\r\n\r\n")[2]
        assert (len(body), body == MUCH[:-7], end) == (len(MUCH) - 7, True, "rst")
        assert live.only().closed == "rst"


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
        line.sendall(GET)
        seen = line.recv(65536)
        while len(seen) < len(MUCH):
            seen += line.recv(65536)
        assert seen.endswith(MUCH[-100:])
        assert live.only().handed == len(MUCH)
    assert len(held) == len(MUCH) / SLICE
    assert max(held) <= 2 * SLICE


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
        line.sendall(b"x" * 490)
        assert received(line) == (b"", "fin")
        assert live.connections


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
