"""One line for each exchange: what it says, what it never says, and that it keeps nobody waiting."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading

import httpx
import pytest

from simulator.server import logs
from simulator.server.logs import ExchangeLog, Line, as_json, as_text
from tests.live import inside, started

LINE = Line(1_767_225_600_123, "req_1", "default", "GET /jobs/{id}", "GET", "/v3/jobs/1", 200, 1234, None)
TEXT = re.compile(r"2026-01-01T00:00:00\.000Z 201 POST /lamps  \d+\.\d ms  req_00000001")
SECRETS = ("tok-1", "query-1", "cookie-1", "body-1", "host-1")


class Slow(io.StringIO):
    """A terminal that lets nothing out before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        self.gate.wait(10)
        return super().write(text)


def test_json_says_everything_by_name() -> None:
    assert json.loads(as_json(LINE)) == {
        "at": "2026-01-01T00:00:00.123Z",
        "request_id": "req_1",
        "sandbox": "default",
        "operation": "GET /jobs/{id}",
        "method": "GET",
        "path": "/v3/jobs/1",
        "status": 200,
        "duration_ms": 1.234,
    }
    assert json.loads(as_json(LINE._replace(error="not_found")))["error"] == "not_found"


def test_text_is_short_and_names_what_is_unusual() -> None:
    assert as_text(LINE) == "2026-01-01T00:00:00.123Z 200 GET /v3/jobs/1 (GET /jobs/{id})  1.2 ms  req_1"
    odd = LINE._replace(sandbox="a1", operation=None, error="no_operation", status=404)
    assert as_text(odd) == "2026-01-01T00:00:00.123Z [a1] 404 GET /v3/jobs/1  1.2 ms  req_1  no_operation"


@pytest.mark.parametrize(
    "line", [LINE, LINE._replace(path="/é\x85\u2028"), LINE._replace(operation=None, path="/a%0Ab")]
)
def test_a_line_is_one_line(line: Line) -> None:
    for form in (as_json, as_text):
        assert "\n" not in form(line)
    assert json.loads(as_json(line))["path"] == line.path


async def talk(form: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the log says of a few exchanges, full of secrets."""
    async with started(log_format=form, clock="manual") as app, inside(app, base="http://host-1") as client:
        secret = {"Authorization": "Bearer tok-1", "Cookie": "cookie-1", "X-Api-Key": "tok-1"}
        await client.post("/lamps?key=query-1", json={"name": "body-1"}, headers=secret)
        await client.get("/nowhere?key=query-1", headers=secret)
        made = (await client.post("/_simulator/sandboxes", json={"clock": "manual"})).json()["id"]
        await client.get(f"/_sandbox/{made}/lamps/x?key=query-1", headers=secret)
    said = capsys.readouterr()
    assert said.out == ""
    assert [secret for secret in SECRETS if secret in said.err] == []
    return said.err.splitlines()


async def test_each_exchange_is_a_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines = await talk("console", capsys)
    assert len(lines) == 3
    assert TEXT.fullmatch(lines[0])
    assert "404 GET /nowhere  " in lines[1]
    assert lines[1].endswith("  no_operation")
    assert re.search(r"\[[0-9a-f]+\] 404 GET /lamps/x \(GET /lamps/\{id\}\)  ", lines[2])


async def test_each_exchange_is_a_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    told = [json.loads(line) for line in await talk("json", capsys)]
    assert [(each["operation"], each["status"], each.get("error")) for each in told] == [
        ("POST /lamps", 201, None),
        (None, 404, "no_operation"),
        ("GET /lamps/{id}", 404, "not_found"),
    ]
    assert {"at", "request_id", "sandbox", "duration_ms"} <= set(told[0])
    assert told[2]["sandbox"] != "default"


async def test_none_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert await talk("none", capsys) == []


async def test_lines_come_together_and_in_their_order() -> None:
    out = Slow()
    out.gate.set()
    log = ExchangeLog("console", out)
    for number in range(1000):
        log.add(LINE._replace(request_id=f"req_{number}"))
    async with asyncio.timeout(10):
        while not out.getvalue():  # noqa: ASYNC110 - the writer is a thread
            await asyncio.sleep(0.01)
    await log.close()
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == [f"req_{number}" for number in range(1000)]
    assert out.writes == 1


async def test_a_slow_terminal_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logs, "FLUSH_S", 0.001)
    monkeypatch.setattr(logs, "LINES_MAX", 10)
    out = Slow()
    log = ExchangeLog("json", out)
    log.add(LINE)
    async with asyncio.timeout(10):
        while not out.writes:  # noqa: ASYNC110 - the writer is a thread
            await asyncio.sleep(0.001)
    for _ in range(25):  # the first write hangs: ten wait, the rest is dropped and counted
        log.add(LINE)
        await asyncio.sleep(0.001)
    assert (log.dropped, out.writes) == (15, 1)
    out.gate.set()
    await log.close()
    assert len(out.getvalue().splitlines()) == 11
    assert "15 log lines were dropped" in caplog.text


async def test_closing_writes_what_is_left_and_nothing_twice() -> None:
    out = io.StringIO()
    log = ExchangeLog("json", out)
    log.add(LINE)
    await log.close()
    await log.close()
    assert len(out.getvalue().splitlines()) == 1


async def test_a_client_that_went_away_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    async with started(log_format="console") as app:
        scope = httpx.Request("POST", "http://x/lamps", headers={"Content-Length": "5"})

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            raise AssertionError("nobody is there to answer")

        ask = {"type": "http", "method": "POST", "path": "/lamps", "query_string": b"", "scheme": "http"}
        headers = [(name.lower(), value) for name, value in scope.headers.raw]
        await app({**ask, "headers": headers}, receive, send)
    assert " 0 POST /lamps  " in (said := capsys.readouterr().err)
    assert said.rstrip().endswith("client_gone")


async def test_json_that_came_as_a_form_is_remarked_upon(capsys: pytest.CaptureFixture[str]) -> None:
    """curl's -d does that, unless it is given the header."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with started(log_format="console") as app, inside(app) as client:
        await client.post("/lamps", content='{"name": "n"}', headers=form)
        await client.post("/lamps/x/break", content="{}", headers=form)
        await client.post("/lamps", content="name=n", headers=form)
        await client.post("/lamps", json={"name": "n"})
    first, second, *fine = capsys.readouterr().err.splitlines()
    hint = "the form looks like JSON; Content-Type: application/json is missing"
    assert first.endswith(f"  {hint}")
    assert second.endswith(f"  not_found; {hint}")
    assert not any(hint in line for line in fine)
