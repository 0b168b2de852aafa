"""The journal in pieces, and what met nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.live import draft, inside, started
from tests.server.asking import AT, is_problem, lamp


async def test_the_journal_is_read_piece_by_piece(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await lamp(client)
    whole = (await client.get(f"{AT}/journal")).json()
    assert [each["number"] for each in whole["events"]] == list(range(1, len(whole["events"]) + 1))
    pieces, after = [], 0
    while events := (piece := (await client.get(f"{AT}/journal?after={after}&most=2")).json())["events"]:
        assert len(events) <= 2
        pieces += events
        after = piece["next"]
    assert pieces == whole["events"]
    assert piece["next"] == whole["next"] == len(pieces)


async def test_the_journal_can_be_asked_for_kinds(client: httpx.AsyncClient) -> None:
    await lamp(client)
    for query, kinds in {
        "kind=exchange": ["exchange"],
        "kind=exchange,boot": ["boot", "exchange"],
        "kind=boot&kind=exchange": ["boot", "exchange"],
        "kind=emission": [],
    }.items():
        told = (await client.get(f"{AT}/journal?{query}")).json()["events"]
        assert [each["kind"] for each in told] == kinds
    assert {"boot", "wire_us", "at_ms"} <= set(told[0] if told else {"boot", "wire_us", "at_ms"})


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kind=exchnge", ["exchnge", "exchange"]),
        ("after=-1", ["after is a whole number", "-1"]),
        ("after=x", ["after is a whole number"]),
        ("most=1e3", ["most is a whole number"]),
        ("most=%D9%A1", ["most is a whole number"]),
        ("after=" + "9" * 30, ["after is a whole number"]),
    ],
)
async def test_a_journal_there_is_not_is_a_problem(client: httpx.AsyncClient, query: str, words: list[str]) -> None:
    is_problem(await client.get(f"{AT}/journal?{query}"), 400, "Bad Request", *words)


async def test_unmatched_keeps_the_last_hundred(client: httpx.AsyncClient) -> None:
    for number in range(101):
        await client.get(f"/lamp?{number}")
    told = (await client.get(f"{AT}/unmatched")).json()["unmatched"]
    assert [each["target"] for each in told] == [f"/lamp?{number}" for number in range(1, 101)]
    assert told[0] == {
        "at_ms": 1_767_225_600_000,
        "method": "GET",
        "target": "/lamp?1",
        "status": 404,
        "nearest": told[0]["nearest"],
        "at": "2026-01-01T00:00:00.000Z",
    }
    assert told[0]["nearest"][0] == "GET /lamps ('lamps', not 'lamp')"


async def test_accounts_tell_what_each_client_spent() -> None:
    shop = """
        scenario: shop
        auth: {key: {api_key: {header: X-Key, keys: {"c-*": {}}}}}
        operations:
          POST /orders: {cost: 0.25, reply: {status: 201}}
          GET /orders: {cost: 0.1, reply: {status: 200}}
        """
    async with started(draft(shop)) as app, inside(app) as client:
        for key, method in (("c-1", "POST"), ("c-1", "POST"), ("c-2", "GET"), ("wrong", "GET")):
            await client.request(method, "/orders", headers={"X-Key": key})
        told = (await client.get(f"{AT}/accounts")).json()
    assert told == {
        "accounts": [
            {"scenario": "shop", "client": "c-1", "operation": "POST /orders", "requests": 2, "cost": 0.5},
            {"scenario": "shop", "client": "c-2", "operation": "GET /orders", "requests": 1, "cost": 0.1},
        ],
        "cost": 0.6,
    }
