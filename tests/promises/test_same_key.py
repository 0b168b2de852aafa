"""One key, many requests at once, a kill in between: exactly one thing is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.promises.live import Client, Reply, Server, client

MANY = 200
KEY = 'Idempotency-Key: "one-and-only"'
SCENARIO = """\
scenario: shop
seed: 1
idempotency: {in_flight: IN_FLIGHT}
resources:
  order: {id: "o_{{ chance.base62(12) }}", record: {item: "{{ body.item }}"}}
operations:
  POST /orders: {create: order, idempotency: required}
"""
CONFLICT = "{error: {status: 409, code: IN_FLIGHT}}"


def served(tmp_path: Path, in_flight: str = CONFLICT) -> Server:
    scenario = tmp_path / "shop.yaml"
    scenario.write_text(SCENARIO.replace("IN_FLIGHT}", f"{in_flight}}}", 1), encoding="utf-8")
    return Server(scenario, "--store", f"sqlite:///{tmp_path / 'shop.db'}")


async def post(sender: Client) -> Reply:
    return await sender.ask("POST", "/orders", {"item": "tea"}, KEY)


async def at_once(server: Server, many: int) -> list[Reply]:
    """The same request on many connections; those whose server is gone leave no reply."""

    async def one() -> Reply | None:
        async with client(server) as sender:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                return await post(sender)
        return None

    return [reply for reply in await asyncio.gather(*(one() for _ in range(many))) if reply is not None]


def outcomes(replies: list[Reply]) -> Counter[str]:
    """How many were the original, a replay of it, or told that it still runs."""
    return Counter(
        "in flight" if reply.status == 409 else "replay" if reply.header("Idempotent-Replayed") else "original"
        for reply in replies
    )


async def made(server: Server) -> list[str]:
    async with client(server) as sender:
        return [record["id"] for record in await sender.records("order")]


async def test_of_two_hundred_at_once_one_is_done_and_the_others_replay_or_conflict(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        replies = await at_once(server, MANY)
        (order,) = await made(server)
    assert len(replies) == MANY
    assert {reply.status for reply in replies} <= {201, 409}
    assert outcomes(replies)["original"] == 1
    assert {reply.json["id"] for reply in replies if reply.status == 201} == {order}


async def test_those_who_may_wait_all_get_the_first_ones_reply(tmp_path: Path) -> None:
    with served(tmp_path, "wait") as server:
        replies = await at_once(server, MANY)
        (order,) = await made(server)
    assert outcomes(replies) == {"original": 1, "replay": MANY - 1}
    assert {reply.body for reply in replies} == {replies[0].body}
    assert replies[0].json["id"] == order


@pytest.mark.parametrize("kill_after_s", [0.0, 0.002, 0.01])
async def test_a_kill_in_between_makes_no_second_one(tmp_path: Path, kill_after_s: float) -> None:
    with served(tmp_path) as server:
        sending = asyncio.create_task(at_once(server, 50))
        await asyncio.sleep(kill_after_s)
        server.kill()
        before = await sending
        server.start()
        after = await at_once(server, 50)
        (order,) = await made(server)
    acknowledged = [reply for reply in (*before, *after) if reply.status == 201]
    assert {reply.json["id"] for reply in acknowledged} == {order}
    assert outcomes([*before, *after])["original"] <= 1
    assert after[-1].status in (201, 409)


async def test_what_was_in_flight_when_it_was_killed_is_replayed_and_not_in_flight_for_ever(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with client(server) as sender:
            first = await post(sender)
        server.kill()
        server.start()
        async with client(server) as sender:
            again = await post(sender)
    assert (again.body, again.header("Idempotent-Replayed")) == (first.body, "true")
