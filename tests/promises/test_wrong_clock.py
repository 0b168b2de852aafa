"""A clock that is wrong towards clients: everything they see is wrong alike, and the service runs on its right one."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jwt
import pytest

from simulator.stores.memory import MemoryStore
from tests.live import draft, inside, started

BEGIN_S = 1_767_225_600  # 2026-01-01T00:00:00Z, where manual clocks begin
SERVICE = """
    scenario: late
    seed: 1
    clock: {mode: manual, WRONG}
    auth:
      o: {oauth2: {clients: {demo: {secret: s}}, access_token: {format: jwt, algorithm: EdDSA, ttl: 10m}}}
    limits:
      - {window: 1/m, operations: [GET /limited], retry_after: {as: date}, announce: x-ratelimit-epoch}
    resources:
      job: {id: j, view: {made: "{{ record.created_at.epoch }}", seen: "{{ now.epoch }}"}}
    operations:
      POST /jobs: {create: job, auth: none}
      GET /jobs/{id}: {read: job, auth: none}
      GET /limited: {auth: none, reply: {status: 204}}
      GET /mine: {reply: {status: 204}}
    """


def service(wrong: str) -> Any:
    return draft(SERVICE.replace("WRONG", wrong))


def date_s(reply: httpx.Response, field: str = "date") -> float:
    return parsedate_to_datetime(reply.headers[field]).timestamp() - BEGIN_S


async def test_everything_that_clients_see_is_off_alike() -> None:
    async with started(service("offset: -10m")) as app, inside(app) as client:
        made = await client.post("/jobs")
        assert (date_s(made), made.json()) == (-600, {"made": BEGIN_S - 600, "seen": BEGIN_S - 600})
        await client.get("/limited")
        refused = await client.get("/limited")
        assert (refused.status_code, date_s(refused, "retry-after")) == (429, -540)
        assert int(refused.headers["x-ratelimit-reset"]) == BEGIN_S - 540
        form = {"grant_type": "client_credentials", "client_id": "demo", "client_secret": "s"}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["iat"], claims["exp"]) == (BEGIN_S - 600, BEGIN_S)
        assert (await client.get("/mine", headers={"Authorization": f"Bearer {token}"})).status_code == 204


@pytest.mark.parametrize(
    ("wrong", "after_s", "off_s"),
    [
        ("drift: 100ms/s", 60, 6),
        ("drift: -1s/s", 60, -60),
        ("jumps: [{at: 30s, by: 1h}]", 29, 0),
        ("jumps: [{at: 30s, by: 1h}]", 30, 3600),
        ("jumps: [{at: 30s, by: -1h}, {at: 60s, by: 2h}]", 60, 3600),
        ("freeze: 10s", 60, -50),
    ],
)
async def test_a_clock_drifts_leaps_and_stands_still(wrong: str, after_s: int, off_s: int) -> None:
    async with started(service(wrong)) as app, inside(app) as client:
        await client.post("/_simulator/clock", json={"advance": f"{after_s}s"})
        assert date_s(await client.get("/jobs/none")) == after_s + off_s
        assert (await client.get("/_simulator/clock")).json()["now_ms"] == (BEGIN_S + after_s) * 1000


async def test_a_leap_by_a_fault_outlives_a_restart_and_ends_with_a_reset() -> None:
    store, leap = MemoryStore(), {"name": "leap", "operation": "GET /jobs/{id}", "clock": {"jump": "-5m"}}
    async with started(service("offset: 0s"), store=store) as app, inside(app) as client:
        await client.post("/_simulator/faults", json={**leap, "when": {"requests": 1}})
        await client.get("/jobs/j")
        assert date_s(await client.get("/jobs/j")) == -300
    async with started(service("offset: 0s"), store=store) as app, inside(app) as client:
        assert date_s(await client.get("/jobs/j")) == -300
        await client.post("/_simulator/reset")
        assert date_s(await client.get("/jobs/j")) == 0


async def test_a_pace_from_a_flag_leaves_the_scenarios_errors_also_after_a_reset() -> None:
    async with started(service("offset: -1h"), clock="manual") as app, inside(app) as client:
        before = date_s(await client.get("/jobs/j"))
        await client.post("/_simulator/reset")
        assert (before, date_s(await client.get("/jobs/j"))) == (-3600, -3600)
