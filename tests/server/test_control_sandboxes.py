"""Scenarios from outside: told, put, and refused."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.live import LIGHT, draft
from tests.server.asking import AT, WRONG, is_problem, lamp


async def test_the_scenario_is_told_as_it_is_played(client: httpx.AsyncClient) -> None:
    (told,) = (await client.get(f"{AT}/scenario")).json()["scenarios"]
    assert (told["name"], told["seed"], told["prefix"]) == ("light", 1, "")
    assert told["operations"][0] == "POST /lamps"
    assert told["document"] == draft(LIGHT).data


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_a_scenario_is_put_in_place_of_its_name_and_records_stay(client: httpx.AsyncClient, form: str) -> None:
    id_ = await lamp(client)
    text = LIGHT.replace("POST /echo", "POST /mirror")
    reply = await client.put(
        f"{AT}/scenarios/light", content=text if form == "yaml" else json.dumps(draft(text).data), headers={}
    )
    assert (reply.status_code, reply.json()["warnings"]) == (200, [])
    assert "POST /mirror" in reply.json()["operations"]
    assert (await client.post("/mirror", json=1)).json() == {"echo": 1}
    assert (await client.post("/echo", json=1)).status_code == 404
    assert (await client.get(f"/lamps/{id_}")).status_code == 200


async def test_one_more_scenario_may_stand_beside(client: httpx.AsyncClient) -> None:
    text = "scenario: extra\nseed: 1\nmount: /extra\noperations:\n  GET /x: {reply: {body: 1}}\n"
    assert (await client.put(f"{AT}/scenarios/extra", content=text)).status_code == 200
    assert (await client.get("/extra/x")).json() == 1
    assert (await client.get(f"{AT}/health")).json()["scenarios"] == ["light", "extra"]


async def test_a_broken_scenario_changes_nothing_and_names_its_lines(client: httpx.AsyncClient) -> None:
    text = "scenario: light\noperations:\n  GET /a: {reed: lamp}\n  GET /b: {reply: {body: '{{ nme }}'}}\n"
    reply = await client.put(f"{AT}/scenarios/light", content=text)
    is_problem(reply, 422, WRONG, "light:3:", "reed")
    assert {(each["file"], each["line"]) for each in reply.json()["errors"]} == {("light", 3)}
    assert all(each["column"] > 0 and each["detail"] for each in reply.json()["errors"])
    assert (await client.get("/lamps")).status_code == 200


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"a: [", b"\0", b"&a [*a]", b"!!python/object:os.x {}"])
async def test_what_is_no_scenario_is_a_problem(client: httpx.AsyncClient, content: bytes) -> None:
    reply = await client.put(f"{AT}/scenarios/light", content=content)
    is_problem(reply, 422, WRONG, "the scenario has")


async def test_a_scenario_goes_to_its_own_name(client: httpx.AsyncClient) -> None:
    reply = await client.put(f"{AT}/scenarios/dark", content=LIGHT)
    is_problem(reply, 400, "Bad Request", "the scenario 'light'; put it to scenarios/light")


async def test_a_state_with_records_cannot_go(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    text = LIGHT.replace(
        "COLD: [{to: WARM, after: 10s}, {to: BROKEN, signal: break}]", "FRESH: [{to: BROKEN, signal: break}]"
    )
    reply = await client.put(f"{AT}/scenarios/light", content=text)
    is_problem(reply, 409, "Conflict", "light.lamp are in state 'COLD'")
    assert (await client.get(f"/lamps/{id_}")).json()["status"] == "COLD"
    await client.post(f"{AT}/records/lamp/{id_}/move", json={"to": "HOT"})
    assert (await client.put(f"{AT}/scenarios/light", content=text)).status_code == 200
