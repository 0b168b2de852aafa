"""Sandboxes share a server and nothing else: records, clocks and journals never meet."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

from tests.promises.live import DOCUMENTS, Client, Server, client

SANDBOXES = 20
ROUNDS = 40
BEGIN_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, where manual clocks begin


class Tenant:
    """Whoever uses a sandbox, and what it alone did there."""

    def __init__(self, number: int, sandbox: dict[str, Any], sender: Client) -> None:
        self.name = f"tenant-{number}"
        self.id = sandbox["id"]
        self._sender = sender
        self._dice = random.Random(number)
        self.ids: list[str] = []
        self.advanced_ms = 0
        self.exchanges = 0

    async def ask(self, method: str, target: str, body: Any = None) -> Any:
        """One request to the service, as any client sends it."""
        self.exchanges += 1
        reply = await self._sender.ask(method, target, body)
        assert reply.status in (200, 202, 404, 409), reply
        return reply

    async def live(self) -> None:
        """Use the sandbox for a while: create, read, list, cancel, and move its clock by steps of its own."""
        for _ in range(ROUNDS):
            made = await self.ask("POST", "/v3/jobs", {"input": self.name})
            assert made.header("location") == f"http://api.test/_sandbox/{self.id}/v3/jobs/{made.json['id']}"
            self.ids.append(made.json["id"])
            await self.ask("GET", f"/v3/jobs/{self._dice.choice(self.ids)}")
            await self.ask("POST", f"/v3/jobs/{self._dice.choice(self.ids)}/cancel")
            listed = (await self.ask("GET", "/v3/jobs?limit=100")).json["jobs"]
            assert {job["input"] for job in listed} == {self.name}
            assert sorted(job["id"] for job in listed) == sorted(self.ids)
            by_ms = self._dice.randrange(1, 2_000)
            self.advanced_ms += by_ms
            moved = await self._sender.control("POST", "clock", {"advance": f"{by_ms}ms"})
            assert moved["now_ms"] == BEGIN_MS + self.advanced_ms

    async def check(self) -> None:
        """Everything there is its own, and nothing of its own is missing."""
        records = await self._sender.records("job")
        assert [record["id"] for record in records] == self.ids
        assert {record["record"]["input"] for record in records} == {self.name}
        assert (await self._sender.control("GET", "clock"))["now_ms"] == BEGIN_MS + self.advanced_ms
        events = await self._sender.journal()
        assert [event["number"] for event in events] == list(range(1, len(events) + 1))
        assert all(BEGIN_MS <= event["at_ms"] <= BEGIN_MS + self.advanced_ms for event in events)
        exchanges = [event for event in events if event["kind"] == "exchange"]
        assert len(exchanges) == self.exchanges
        assert all(each["target"].startswith(f"/_sandbox/{self.id}/") for each in exchanges)
        assert {each["id"] for each in events if each["kind"] == "transition"} == set(self.ids)


async def test_twenty_sandboxes_driven_at_once_never_meet() -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(DOCUMENTS, "--clock", "manual"))
        outside = await stack.enter_async_context(client(server))
        tenants = []
        for number in range(SANDBOXES):
            made = await outside.control("POST", "sandboxes", {"seed": number // 2, "clock": "manual"}, 201)
            sender = await stack.enter_async_context(client(server, f"/_sandbox/{made['id']}"))
            tenants.append(Tenant(number, made, sender))
        await asyncio.gather(*(tenant.live() for tenant in tenants))
        await asyncio.gather(*(tenant.check() for tenant in tenants))
        # Pairs share a seed, and so their draws, which makes a leak between them the harder to miss.
        assert len({tuple(tenant.ids) for tenant in tenants}) == SANDBOXES // 2
        assert await outside.records("job") == []
        assert await outside.journal("exchange", "transition") == []
        assert (await outside.control("GET", "clock"))["now_ms"] == BEGIN_MS


async def test_what_is_deleted_or_reset_is_gone_there_and_nowhere_else() -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(DOCUMENTS, "--clock", "manual"))
        outside = await stack.enter_async_context(client(server))
        prefixes = []
        for _ in range(3):
            made = await outside.control("POST", "sandboxes", {"seed": 1, "clock": "manual"}, 201)
            prefixes.append(f"/_sandbox/{made['id']}")
        one, two, three = [await stack.enter_async_context(client(server, prefix)) for prefix in prefixes]
        ids = {(await each.ask("POST", "/v3/jobs", {"input": "x"})).json["id"] for each in (one, two, three)}
        assert len(ids) == 1, "the same seed, so the same id in all three"
        job = f"/v3/jobs/{ids.pop()}"
        await one.control("POST", "reset", status=204)
        await outside.control("DELETE", prefixes[1].removeprefix("/_").replace("sandbox", "sandboxes"), status=204)
        statuses = [(await each.ask("GET", job)).status for each in (one, two, three, outside)]
        assert statuses == [404, 404, 200, 404]
        assert await outside.journal("control") == []
