"""SIGTERM ends a server at once and in good order, also in the middle of a crowd."""

from __future__ import annotations

import asyncio
from asyncio import IncompleteReadError
from contextlib import suppress
from pathlib import Path

import pytest

from tests.promises.live import DOCUMENTS, Client, Server, client, until

SENDERS = 16
END_SECONDS_MAX = 2.0  # one for open requests to end, one for a slow machine


async def send_until_gone(server: Server, acknowledged: set[str]) -> None:
    """Create jobs until the server is gone. A reply is whole, or it does not come."""
    with suppress(ConnectionError, IncompleteReadError):
        async with client(server) as sender:
            while True:
                reply = await sender.ask("POST", "/v3/jobs", {"input": "x"})
                assert reply.status == 202, reply
                acknowledged.add(reply.json["id"])


@pytest.mark.parametrize("enough", [50, 800])
async def test_a_server_told_to_end_under_load_ends_within_a_second_and_loses_nothing(
    enough: int, tmp_path: Path
) -> None:
    with Server(DOCUMENTS, "--clock", "manual", "--store", f"sqlite:///{tmp_path / 'kept.db'}") as server:
        acknowledged: set[str] = set()
        senders = [asyncio.create_task(send_until_gone(server, acknowledged)) for _ in range(SENDERS)]

        async def loaded() -> bool:
            return len(acknowledged) >= enough

        await until(loaded, within_s=20, every_s=0)
        code, took_s = await asyncio.to_thread(server.terminate)
        await asyncio.gather(*senders)
        assert code == 0
        assert took_s < END_SECONDS_MAX
        server.start()
        async with client(server) as sender:
            kept = {record["id"] for record in await sender.records("job")}
            assert acknowledged <= kept
            assert len(kept) <= len(acknowledged) + SENDERS


async def test_idle_connections_do_not_keep_a_server_from_ending() -> None:
    with Server(DOCUMENTS) as server:
        clients = [Client(server.port, "") for _ in range(20)]
        await asyncio.gather(*(each.ask("GET", "/v3/jobs") for each in clients))
        code, took_s = await asyncio.to_thread(server.terminate)
        assert code == 0
        assert took_s < END_SECONDS_MAX
        await asyncio.gather(*(each.close() for each in clients))
