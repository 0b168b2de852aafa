"""Records from outside: put, read, listed, moved, deleted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.live import LIGHT, draft, inside, started
from tests.server.asking import AT, WRONG, is_problem, lamp


async def test_records_are_put_read_and_deleted(client: httpx.AsyncClient) -> None:
    put = await client.put(f"{AT}/records/lamp/mine", json={"state": "WARM", "record": {"name": "n"}})
    assert put.json() == {
        "id": "mine",
        "state": "WARM",
        "record": {"name": "n"},
        "ordinal": 1,
        "version": 1,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "next_at": "2026-01-01T00:01:00.000Z",
    }
    assert (await client.get("/lamps/mine")).json() == {"id": "mine", "status": "WARM", "name": "n"}
    assert (await client.get(f"{AT}/records/light.lamp/mine")).json() == put.json()
    again = (await client.put(f"{AT}/records/lamp/mine", json={"record": {"name": "m"}})).json()
    assert (again["state"], again["record"], again["version"]) == ("WARM", {"name": "m"}, 2)
    assert (await client.delete(f"{AT}/records/lamp/mine")).status_code == 204
    is_problem(await client.get(f"{AT}/records/lamp/mine"), 404, "Not Found", "no light.lamp 'mine'")
    is_problem(await client.delete(f"{AT}/records/lamp/mine"), 404, "Not Found", "no lamp 'mine'")


async def test_records_are_listed_piece_by_piece_and_by_state(client: httpx.AsyncClient) -> None:
    ids = [await lamp(client) for _ in range(5)]
    await client.post(f"/lamps/{ids[3]}/break")
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        piece = (await client.get(f"{AT}/records/lamp?most=2&after={after}")).json()
        seen += [each["id"] for each in piece["records"]]
        after = piece["next"]
    assert seen == ids
    broken = (await client.get(f"{AT}/records/lamp?state=BROKEN")).json()
    assert [each["id"] for each in broken["records"]] == [ids[3]]
    assert (await client.get(f"{AT}/records/lamp?most=0")).json() == {"records": [], "next": 0}


async def test_a_record_that_is_looked_at_has_done_all_it_had_to(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    await client.post(f"{AT}/clock", json={"advance": "2m"})
    told = (await client.get(f"{AT}/records/lamp/{id_}")).json()
    assert (told["state"], told["updated_at"], told["next_at"]) == ("HOT", "2026-01-01T00:01:10.000Z", None)


async def test_a_record_is_forced_into_a_state_or_sent_a_signal(client: httpx.AsyncClient) -> None:
    id_ = await lamp(client)
    at = f"{AT}/records/lamp/{id_}"
    assert (await client.post(f"{at}/move", json={"to": "HOT"})).json()["state"] == "HOT"
    assert (await client.post(f"{at}/move", json={"to": "COLD"})).json()["next_at"] == "2026-01-01T00:00:10.000Z"
    assert (await client.post(f"{at}/move", json={"signal": "break"})).json()["state"] == "BROKEN"
    moves = (await client.get(f"{AT}/journal?kind=transition")).json()["events"]
    assert [each["cause"] for each in moves] == ["created", "forced", "forced", "signal:break"]
    is_problem(await client.post(f"{at}/move", json={"signal": "break"}), 409, "Conflict", "BROKEN", "'break'")
    is_problem(await client.post(f"{at}/move", json={"to": "LUKE"}), 400, "Bad Request", "COLD, WARM, HOT, BROKEN")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title", "words"),
    [
        ("GET", "/records/lmp", None, 404, "Not Found", ["no resource 'lmp'", "light.lamp"]),
        ("PUT", "/records/lamp/a", {"state": "LUKE"}, 400, "Bad Request", ["LUKE", "COLD, WARM, HOT, BROKEN"]),
        ("PUT", "/records/lamp/a", {"records": {}}, 422, WRONG, ["records"]),
        ("PUT", "/records/lamp/a", [], 422, WRONG, ["expected a mapping", "a list"]),
        ("POST", "/records/lamp/a/move", {"to": "HOT"}, 404, "Not Found", ["no lamp 'a'"]),
        ("POST", "/records/lamp/a/move", {}, 422, WRONG, ["where to, or which signal"]),
    ],
)
async def test_a_wrong_call_about_records_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, title: str, words: list[str]
) -> None:
    is_problem(await client.request(method, AT + path, json=body), status, title, *words)


async def test_a_body_that_is_no_json_is_a_problem(client: httpx.AsyncClient) -> None:
    reply = await client.post(f"{AT}/clock", content=b'{"advance": }')
    is_problem(reply, 400, "Bad Request", "not JSON", "line 1, column 13")


async def test_two_services_may_have_resources_of_one_name() -> None:
    other = LIGHT.replace("scenario: light", "scenario: dark")
    async with started(draft(LIGHT), draft(other)) as app, inside(app) as client:
        is_problem(await client.get(f"{AT}/records/lamp"), 400, "Bad Request", "light.lamp, dark.lamp")
        assert (await client.get(f"{AT}/records/dark.lamp")).json()["records"] == []
