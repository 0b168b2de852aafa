"""Many connections: how many there may be, slow ones, and what two thousand that went wrong leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.server.line import Limits
from simulator.server.plans import Ending, Plan, drip
from simulator.server.wire import SPARE
from tests.live import drained, until
from tests.server.wires import GET, LAST, LOOPS, START, Wired, hello, part, post, reply_of, wired

WHOLE = hello(b"x" * 1000)
ENDINGS: tuple[Ending, ...] = ("reset", "close", "hang")
FAULTS = [
    *(Plan(200, (), (), ending, head=False) for ending in ENDINGS),
    *(WHOLE.cut(500, ending) for ending in ENDINGS),
    WHOLE._replace(steps=drip(b"x" * 1000, 100)),
    WHOLE._replace(steps=((60_000, b"late"),)),
    Plan(200, (), ((0, b"\0garbage"),), "close", head=False),
    hello(declared_length=9),
]


def test_one_too_many_is_told_so_and_the_others_are_served() -> None:
    with wired(limit_concurrency=2) as live, live.connect() as one, live.connect() as two:
        for line in (one, two):
            line.sendall(GET)
            reply_of(line)
        for _ in range(3):
            seen = live.talk(GET)
            assert seen.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"too many connections" in seen
        one.sendall(GET)
        assert reply_of(one).endswith(b"hello")


def test_far_too_many_are_cut_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.server.wire.SPARE", 1)
    assert SPARE > 1
    with wired(limit_concurrency=1) as live, live.connect() as one:
        one.sendall(GET)
        reply_of(one)
        with live.connect() as told:
            until(lambda: live.connections == 2)
            with live.connect() as cut:
                assert drained(cut) == b""
            assert drained(told).startswith(b"HTTP/1.1 503 ")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of the connections are this process's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_slow_clients_starve_nobody_and_are_gone_after_their_time() -> None:
    """500 that send a byte now and then, in the head or in the body, and never hang up."""
    limits = Limits(head_timeout_ms=500, body_timeout_ms=500, linger_ms=30)
    with wired(limits=limits) as live, contextlib.ExitStack() as stack:
        lines = [stack.enter_context(live.connect()) for _ in range(500)]
        for number, line in enumerate(lines):
            line.sendall(b"GET /" if number % 2 else post(bytes(100))[:-99])
        until(lambda: live.connections == 500)
        for number in range(10):
            for line in lines[number::10]:
                line.sendall(b"x")
            assert live.talk(LAST).endswith(b"hello")
        assert live.connections == 500
        until(lambda: not live.connections)


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the scan's own is closed by now
            found += str(entry.readlink()).startswith("socket:")
    return found


async def count(scope: Any, receive: Any, send: Any) -> None:
    """How many tasks the server's loop has."""
    await send(START)
    await send(part(b"%d" % len(asyncio.all_tasks())))


def fault(live: Wired, many: int) -> None:
    """So many connections at once that go wrong, each kind in turn."""
    asked = len(live.service.arrivals) + many
    with contextlib.ExitStack() as stack:
        for number in range(many):
            line = stack.enter_context(live.connect())
            line.sendall(GET.replace(b"/ ", b"/%d " % (number % len(FAULTS))))
        until(lambda: len(live.service.arrivals) == asked)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list open files there")
@pytest.mark.parametrize("loop", LOOPS)
def test_two_thousand_faulted_connections_leave_no_socket_and_no_task(loop: str) -> None:
    with wired(*FAULTS, count, loop=loop) as live:

        def tasks() -> int:
            return int(live.talk(LAST.replace(b"/ ", b"/%d " % len(FAULTS))).rpartition(b"\r\n")[2])

        sockets_before, tasks_before = sockets(), tasks()
        for _ in range(10):
            fault(live, 200)
        until(lambda: len(live.service.delivered) == 2000)
        until(lambda: not live.connections)
        until(lambda: tasks() == tasks_before)
        until(lambda: sockets() <= sockets_before)
        assert not live.server.server_state.tasks
        assert {each.closed for each in live.service.delivered} >= {"rst", "fin", "client_gone"}
