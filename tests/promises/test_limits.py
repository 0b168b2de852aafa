"""Limits over a real port: whoever obeys Retry-After to the second gets in, and the fields can be read by others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import http_sf
import httpx
import pytest

from tests.live import NO_TLS, draft, serving
from tests.promises.live import Server

LIMITED = """
    scenario: limited
    limits: [{name: few, rate: 3/s, burst: 2, announce: [ietf]}]
    operations: {GET /x: {reply: {status: 204}}}
    """


@pytest.mark.slow
def test_on_a_real_clock_whoever_waits_to_the_second_always_gets_in() -> None:
    with serving(draft(LIMITED)) as live, live.client() as client:
        waits = 0
        while waits < 3:
            reply = client.get("/x")
            if reply.status_code == 429:
                waits += 1
                time.sleep(int(reply.headers["retry-after"]))
                assert client.get("/x").status_code == 204


def test_the_fields_are_structured_fields_for_somebody_elses_parser() -> None:
    with serving(draft(LIMITED)) as live, live.client() as client:
        replies = [client.get("/x") for _ in range(4)]
    assert {reply.status_code for reply in replies} == {204, 429}
    for reply in replies:
        policy = http_sf.parse(reply.headers["ratelimit-policy"].encode(), tltype="list")
        standing: Any = http_sf.parse(reply.headers["ratelimit"].encode(), tltype="list")
        assert policy == [("few", {"q": 2, "w": 1})]
        ((name, told),) = standing
        assert (name, told["r"] in (0, 1)) == ("few", True)
        if reply.status_code == 429:
            assert int(str(told.get("t", 0))) <= int(reply.headers["retry-after"])


async def test_many_at_once_are_admitted_no_more_than_the_bucket_holds() -> None:
    with serving(draft(LIMITED.replace("3/s", "1/h").replace("burst: 2", "burst: 17"))) as live:
        async with httpx.AsyncClient(base_url=live.url, verify=NO_TLS, timeout=20) as client:
            replies = await asyncio.gather(*(client.get("/x") for _ in range(100)))
    assert sorted(reply.status_code for reply in replies) == [204] * 17 + [429] * 83


def test_a_bucket_survives_a_restart_on_a_named_store(tmp_path: Path) -> None:
    scenario = tmp_path / "limited.yaml"
    scenario.write_text(
        "scenario: limited\nlimits: [{rate: 1/h, burst: 3}]\noperations: {GET /x: {reply: {status: 204}}}\n"
    )
    statuses = []
    with Server(scenario, "--store", f"sqlite:///{tmp_path / 'kept.db'}") as server:
        for _ in range(3):
            statuses += [httpx.get(f"http://127.0.0.1:{server.port}/x", verify=NO_TLS).status_code for _ in range(2)]
            server.terminate()
            server.start()
    assert statuses == [204, 204, 204, 429, 429, 429]
