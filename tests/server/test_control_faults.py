"""Faults from outside: added, changed, switched, taken away; from the next request on, and over a restart."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.core.faults import FAULTS_MAX
from simulator.stores.memory import MemoryStore
from tests.live import draft, inside, started
from tests.server.asking import AT, WRONG, is_problem

LOST = {"name": "lost", "operation": "GET /a", "error": {"status": 503, "retry_after": "2s"}}
FILE = """
    scenario: shop
    seed: 1
    faults:
      - {name: late, operation: GET /b, when: {requests: [1]}, error: {status: 500}, enabled: false}
    operations:
      GET /a: {reply: {body: 1}}
      GET /b: {reply: {body: 2}}
    """


async def test_a_fault_strikes_from_the_next_request_on_and_is_counted() -> None:
    async with started(draft(FILE)) as app, inside(app) as client:
        assert (await client.get("/a")).status_code == 200
        made = await client.post(f"{AT}/faults", json=LOST)
        assert (made.status_code, made.json()) == (201, {**LOST, "scenario": "shop", "fired": 0})
        struck = await client.get("/a")
        assert (struck.status_code, struck.headers["retry-after"]) == (503, "2")
        told = {each["name"]: each["fired"] for each in (await client.get(f"{AT}/faults")).json()["faults"]}
        assert told == {"late": 0, "lost": 1}


async def test_a_fault_is_switched_and_changed_in_part() -> None:
    async with started(draft(FILE)) as app, inside(app) as client:
        await client.patch(f"{AT}/faults/late", json={"enabled": True})
        assert [(await client.get("/b")).status_code for _ in range(2)] == [500, 200]
        changed = await client.patch(f"{AT}/faults/late", json={"when": None, "error": {"status": 502}})
        assert "when" not in changed.json()
        assert [(await client.get("/b")).status_code for _ in range(2)] == [502, 502]
        assert (await client.delete(f"{AT}/faults/late")).status_code == 204
        assert (await client.get("/b")).status_code == 200


async def test_changes_outlive_a_restart_and_a_new_document_and_end_with_a_reset() -> None:
    store = MemoryStore()
    async with started(draft(FILE), store=store) as app, inside(app) as client:
        await client.post(f"{AT}/faults", json=LOST)
    async with started(draft(FILE), store=store) as app, inside(app) as client:
        assert (await client.get("/a")).status_code == 503
        await client.put(f"{AT}/scenarios/shop", content=FILE.replace("body: 2", "body: 3"))
        assert (await client.get("/a")).status_code == 503
        await client.post(f"{AT}/reset")
        assert (await client.get("/a")).status_code == 200
        assert [each["name"] for each in (await client.get(f"{AT}/faults")).json()["faults"]] == ["late"]


async def test_the_journal_names_what_was_switched_and_what_struck() -> None:
    async with started(draft(FILE)) as app, inside(app) as client:
        await client.post(f"{AT}/faults", json=LOST)
        await client.get("/a")
        events = (await client.get(f"{AT}/journal?kind=fault,control,exchange")).json()["events"]
    told = {event["kind"]: event for event in events}
    assert (told["control"]["what"], told["control"]["detail"]) == ("faults", "shop: lost")
    assert (told["fault"]["fault"], told["fault"]["effect"], told["fault"]["point"]) == ("lost", "error 503", "arrival")
    assert told["fault"]["request_id"] == told["exchange"]["request_id"]
    assert told["exchange"]["fault"] == "lost"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "faults", {"name": "late", "delay": "1s"}, 409, "PATCH faults/late changes it"),
        ("POST", "faults", {"name": "x"}, 422, "a fault has an effect"),
        ("POST", "faults", {"name": "x", "delya": "1s"}, 422, "did you mean 'delay'"),
        ("POST", "faults", {"name": "x", "delay": "1s", "operation": "GET /c"}, 422, "no operation 'GET /c'"),
        ("POST", "faults?scenario=shpo", {"name": "x", "delay": "1s"}, 404, "did you mean 'shop'"),
        ("PATCH", "faults/lat", {}, 404, "did you mean 'late'"),
        ("PATCH", "faults/late", {"error": None}, 422, "a fault has an effect"),
        ("PATCH", "faults/late", [], 422, ""),
        ("DELETE", "faults/none", None, 404, "no fault 'none'"),
    ],
)
async def test_a_wrong_fault_is_a_problem_and_changes_nothing(
    method: str, path: str, body: Any, status: int, words: str
) -> None:
    titles = {409: "Conflict", 422: WRONG, 404: "Not Found"}
    async with started(draft(FILE)) as app, inside(app) as client:
        before = (await client.get(f"{AT}/faults")).json()
        is_problem(await client.request(method, f"{AT}/{path}", json=body), status, titles[status], words)
        assert (await client.get(f"{AT}/faults")).json() == before


async def test_what_is_no_json_is_a_problem(client: httpx.AsyncClient) -> None:
    is_problem(await client.post(f"{AT}/faults", content=b"{"), 400, "Bad Request", "not JSON")


async def test_faults_that_do_not_fit_any_more_are_dropped_and_the_service_starts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, renamed = MemoryStore(), FILE.replace("GET /a", "GET /c")
    async with started(draft(FILE), store=store) as app, inside(app) as client:
        await client.post(f"{AT}/faults", json=LOST)
    async with started(draft(renamed), store=store) as app, inside(app) as client:
        assert (await client.get("/c")).status_code == 200
        assert [each["name"] for each in (await client.get(f"{AT}/faults")).json()["faults"]] == ["late"]
    assert "no operation 'GET /a'" in caplog.text


async def test_a_new_document_that_says_other_faults_is_believed() -> None:
    async with started(draft(FILE)) as app, inside(app) as client:
        await client.post(f"{AT}/faults", json=LOST)
        await client.put(f"{AT}/scenarios/shop", content=FILE.replace("name: late", "name: newest"))
        assert [each["name"] for each in (await client.get(f"{AT}/faults")).json()["faults"]] == ["newest"]


async def test_a_document_without_the_operation_of_a_fault_is_played_without_that_fault() -> None:
    async with started(draft(FILE)) as app, inside(app) as client:
        await client.post(f"{AT}/faults", json=LOST)
        put = await client.put(f"{AT}/scenarios/shop", content=FILE.replace("GET /a", "GET /c"))
        assert put.status_code == 200
        assert (await client.get("/c")).status_code == 200


async def test_there_are_only_so_many(client: httpx.AsyncClient) -> None:
    for number in range(FAULTS_MAX):
        await client.post(f"{AT}/faults", json={"name": f"f{number}", "delay": "1ms", "enabled": False})
    is_problem(await client.post(f"{AT}/faults", json={"name": "x", "delay": "1ms"}), 422, WRONG, "500 faults")
