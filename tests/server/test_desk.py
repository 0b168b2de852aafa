"""What every desk of the control plane shares: bodies within their bound, query parameters that are numbers."""

from __future__ import annotations

import httpx
import pytest

from simulator.server.desk import Desk
from simulator.settings import Settings
from tests.live import inside, started
from tests.server.asking import AT, is_problem


@pytest.mark.parametrize("text", ["-1", "x", "1" * 16, "\u0661", ""])
async def test_a_number_is_a_whole_one(client: httpx.AsyncClient, text: str) -> None:
    is_problem(await client.get(f"{AT}/journal", params={"most": text}), 400, "Bad Request", "most is a whole number")


async def test_a_parameter_that_would_be_ignored_is_told(client: httpx.AsyncClient) -> None:
    is_problem(await client.get(f"{AT}/journal?mots=1"), 400, "Bad Request", "'mots'; did you mean 'most'?")


async def test_a_body_has_a_bound() -> None:
    async with started(body_max_bytes=10) as app, inside(app) as client:
        reply = await client.post(f"{AT}/clock", content=b" " * 11)
        assert (reply.status_code, "larger than 10 bytes" in reply.json()["detail"]) == (413, True)


async def test_links_begin_where_the_client_asked_or_where_the_operator_says() -> None:
    for public, begins in ((None, "http://api.test/_sandbox/"), ("https://x.example", "https://x.example/_sandbox/")):
        async with started(public_url=public) as app, inside(app) as client:
            made = (await client.post(f"{AT}/sandboxes")).json()
            assert made["base_url"].startswith(begins)


def test_a_desk_says_itself_what_it_answers() -> None:
    with pytest.raises(NotImplementedError):
        Desk(None, Settings()).table()  # type: ignore[arg-type]
