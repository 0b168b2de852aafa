"""Plans where there is no connection of ours: in process, or under another server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.server.plans import Cut, Delivered, Plan
from simulator.server.turn import deliver
from tests.server.wires import Service, hello


async def asked(plan: Plan, method: str = "GET") -> tuple[httpx.Response | Cut, Delivered]:
    """What a client sees of this plan, and the application."""
    seen = list[Delivered]()
    delays = Service().wiring.delays

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await deliver(plan, scope, send, delays))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        try:
            return await client.request(method, "/"), seen[0]
        except Cut as cut:
            return cut, cut.delivered


@pytest.mark.parametrize(
    ("plan", "length", "body"),
    [
        (hello(), "5", b"hello"),
        (hello(steps=((0, b"hel"), (20, b"lo"))), "5", b"hello"),
        (hello(chunked=True), None, b"hello"),
        (hello(declared_length=7), "7", b"hello"),
        (Plan(204, ()), None, b""),
        (Plan(200, ()), "0", b""),
    ],
)
async def test_a_normal_plan_is_sent_as_messages(plan: Plan, length: str | None, body: bytes) -> None:
    reply, delivered = await asked(plan)
    assert isinstance(reply, httpx.Response)
    assert (reply.status_code, reply.headers.get("content-length"), reply.content) == (plan.status, length, body)
    assert (delivered.planned, delivered.handed, delivered.closed) == (len(body), len(body), "")
    assert delivered.ended_us - delivered.begun_us >= 1000 * plan.delay_ms


async def test_head_has_no_body_here_either() -> None:
    reply, delivered = await asked(hello(), "HEAD")
    assert isinstance(reply, httpx.Response)
    assert (reply.headers["content-length"], reply.content, delivered.planned) == ("5", b"", 0)


@pytest.mark.parametrize(
    ("plan", "named", "closed", "handed"),
    [
        (hello().cut(3, "reset"), "reset", "rst", 3),
        (hello(ending="close"), "close", "fin", 5),
        (hello(ending="hang"), "hang", "fin", 5),
        (Plan(200, (), (), "reset", head=False), "garbage", "rst", 0),
    ],
)
async def test_an_ending_that_cannot_be_had_is_said(plan: Plan, named: str, closed: str, handed: int) -> None:
    cut, delivered = await asked(plan)
    assert isinstance(cut, Cut)
    assert named in str(cut)
    assert (delivered.closed, delivered.handed) == (closed, handed)
