"""Same scenario, same seed, same requests: the same bytes in every process, headers, ids and timestamps included."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.promises.live import DOCUMENTS, ORDERS, Client, Server, client

SENDERS, EACH = 16, 20
WIRE = {
    "wire_us",
    "body_us",
    "reply_us",
    "ended_us",
    "peer",
    "boot",
}  # what may differ in a journal: the process, not the service
Play = Callable[[Client, bool], Awaitable[None]]


async def advance(sender: Client, by: str, wanted: bool) -> None:
    """Move the clock, in the plays that want it."""
    if wanted:
        await sender.control("POST", "clock", {"advance": by})


async def documents(sender: Client, moving: bool) -> None:
    """Everything that clients of the documents service do, rightly and wrongly."""
    ids = [(await sender.ask("POST", "/v3/jobs", {"input": f"{n}.pdf"})).json["id"] for n in range(30)]
    await advance(sender, "40ms", moving)
    for each in ids[:4]:
        await sender.ask("POST", f"/v3/jobs/{each}/cancel")
        await advance(sender, "15ms", moving)
        await sender.ask("POST", f"/v3/jobs/{each}/cancel")
    for _ in range(3):
        for each in ids:
            read = await sender.ask("GET", f"/v3/jobs/{each}")
            await sender.ask("GET", f"/v3/jobs/{each}", None, f"If-None-Match: {read.header('etag')}")
            await sender.ask("GET", f"/v3/files/{each}.txt")
            await sender.ask("POST", f"/v3/jobs/{each}:retry")
        await advance(sender, "1s", moving)
    cursor: str | None = ""
    while cursor is not None:
        page = await sender.ask("GET", f"/v3/jobs?limit=7{cursor}")
        following = page.json.get("next_cursor")
        cursor = f"&cursor={following}" if following else None
    await advance(sender, "10m", moving)
    for status in ("COMPLETED", "FAILED", "CANCELLED", "NONSENSE"):
        await sender.ask("GET", f"/v3/jobs?status={status}")
    await wrongly(sender, "/v3/jobs")


async def orders(sender: Client, moving: bool) -> None:
    """Everything that clients of the orders service do, rightly and wrongly."""
    for n in range(6):
        made = await sender.ask(
            "POST", "/api/customers", {"email": f"C{n}@Example.com", "name": f"c{n}", "vip": n % 2 == 0}
        )
        await sender.ask("POST", "/api/customers", {"email": f"c{n}@example.com", "name": "again"})
        customer = f"/api/customers/{made.json['id']}"
        await advance(sender, "17ms", moving)
        await sender.ask("PATCH", customer, {"name": f"d{n}"}, f"If-Match: {made.header('etag') or '*'}")
        for note in ("first", "second"):
            order = (await sender.ask("POST", f"{customer}/orders", {"note": note})).json["id"]
            for price in (3, 4):
                await sender.ask(
                    "POST", f"/api/orders/{order}/items", {"sku": f"s{price}", "price": price, "quantity": n}
                )
            await sender.ask("POST", f"/api/orders/{order}/place")
            await sender.ask("POST", f"/api/orders/{order}/items", {"sku": "late", "price": 1})
            await advance(sender, "700ms", moving)
            await sender.ask("POST", f"/api/orders/{order}/ship")
            await advance(sender, "4s", moving)
            await sender.ask("GET", f"{customer}/orders/{order}")
            await sender.ask("DELETE", f"/api/orders/{order}")
        await sender.ask("GET", f"{customer}/orders?status=delivered")
    for query in ("limit=2", "limit=2&offset=2", "vip=true", "sort=name", "sort=nonsense", "limit=nonsense"):
        await sender.ask("GET", f"/api/customers?{query}")
    await advance(sender, "2d", moving)
    await sender.ask("DELETE", customer)
    await sender.ask("GET", customer)
    for _ in range(3):
        await sender.ask("GET", "/api/status")
    await wrongly(sender, "/api/customers")


async def wrongly(sender: Client, path: str) -> None:
    """What no client should send."""
    for method in ("PUT", "OPTIONS", "HEAD"):
        await sender.ask(method, path)
    for target in (path + "/nobody", "/nowhere"):
        await sender.ask("GET", target)
    for body in (b"{", b"\xff\xfe", b"[]", b"{}"):
        await sender.ask("POST", path, body, "Content-Type: application/json")
    await sender.ask("POST", path, b"a=1", "Content-Type: text/nonsense")


async def played(server: Server, play: Play, moving: bool) -> tuple[list[bytes], list[dict[str, Any]]]:
    """Every reply of a play, and what the journal says of it but for the process."""
    async with client(server) as sender:
        await play(sender, moving)
        facts = [{key: each[key] for key in each if key not in WIRE} for each in await sender.journal()]
        return sender.transcript, facts


@pytest.mark.parametrize("moving", [False, True], ids=["clock at rest", "clock advanced between"])
@pytest.mark.parametrize(("scenario", "play"), [(DOCUMENTS, documents), (ORDERS, orders)], ids=["documents", "orders"])
async def test_the_same_requests_get_the_same_bytes_in_two_processes(scenario: Path, play: Play, moving: bool) -> None:
    first, second = (Server(scenario, "--clock", "manual", env={"PYTHONHASHSEED": seed}) for seed in ("1", "2"))
    with first, second:
        (replies, facts), (replies_2, facts_2) = await asyncio.gather(
            played(first, play, moving), played(second, play, moving)
        )
    for one, other in zip(replies, replies_2, strict=True):
        assert one == other
    assert facts == facts_2
    assert not [reply for reply in replies if reply.startswith(b"HTTP/1.1 5")]
    assert len({reply.split(b" ", 2)[1] for reply in replies}) >= 6, "the play has become too tame to show anything"


async def test_another_seed_gives_other_bytes() -> None:
    first, second = (Server(DOCUMENTS, "--clock", "manual", "--seed", seed) for seed in ("1", "2"))
    with first, second:
        (replies, _), (replies_2, _) = await asyncio.gather(
            played(first, documents, True), played(second, documents, True)
        )
    assert replies[0] != replies_2[0]


async def crowd(server: Server) -> dict[str, list[Any]]:
    """Creates by many senders at once, then ten minutes; the history of every job."""

    async def one() -> list[str]:
        async with client(server) as sender:
            return [(await sender.ask("POST", "/v3/jobs", {"input": "x"})).json["id"] for _ in range(EACH)]

    given = [each for some in await asyncio.gather(*(one() for _ in range(SENDERS))) for each in some]
    histories: dict[str, list[Any]] = defaultdict(list)
    async with client(server) as sender:
        await sender.control("POST", "clock", {"advance": "10m"})
        for fact in await sender.journal("transition", "emission"):
            histories[fact["id"]].append({key: fact[key] for key in fact if key not in WIRE | {"number"}})
        shown = {each: (await sender.ask("GET", f"/v3/jobs/{each}")).json for each in given}
    assert Counter(given) == Counter(histories.keys()), "every id once, and none but these"
    return {each: [*histories[each], shown[each]] for each in given}


async def test_senders_at_once_get_the_same_ids_and_each_id_the_same_history() -> None:
    first, second = (Server(DOCUMENTS, "--clock", "manual", env={"PYTHONHASHSEED": seed}) for seed in ("1", "2"))
    with first, second:
        one, other = await asyncio.gather(crowd(first), crowd(second))
    assert len(one) == SENDERS * EACH
    assert one == other
    ends = Counter(history[-1]["status"] for history in one.values())
    assert set(ends) == {"COMPLETED", "FAILED"}, ends
