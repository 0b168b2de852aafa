"""Who is handed what: the control plane, a sandbox, or the service itself."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.errors import StoreError
from simulator.server.app import App
from simulator.stores.memory import MemoryStore
from tests.live import LIGHT, choices, draft, inside, started

EVERYTHING = """
    scenario: all
    seed: 1
    operations:
      GET /{rest:path}: {reply: {body: {path: "{{ request.path }}"}}}
    """


class Broken(MemoryStore):
    """A store that cannot be opened."""

    async def open(self) -> None:
        raise StoreError("the file is not ours")


class Lifespan:
    """A server that starts and stops an application."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.wanted = ["lifespan.startup", "lifespan.shutdown"]

    async def receive(self) -> dict[str, Any]:
        return {"type": self.wanted.pop(0)}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/", "service"),
        ("/anything", "service"),
        ("/_s", "service"),
        ("/_simulatory", "service"),
        ("/_Simulator", "service"),
        ("/%5Fsimulator", "service"),
        ("/_sandbox", "service"),
        ("/_sandbox/", "service"),
        ("/_sandbox/a%20b", "service"),
        ("/_sandboxes", "service"),
        ("/x/_simulator", "service"),
        ("/_simulator", "control"),
        ("/_simulator/health", "control"),
        ("/_sandbox/default/_simulator", "control"),
        ("/_sandbox/default", "service"),
        ("/_sandbox/default/x", "service"),
        ("/_sandbox/none", "nobody"),
        ("/_sandbox/none/_simulator/health", "nobody"),
    ],
)
async def test_a_path_says_whose_a_request_is(path: str, whose: str) -> None:
    async with started(draft(EVERYTHING)) as app, inside(app) as client:
        reply = await client.get(path)
        exchanges = app.sandboxes.default.exchanges
    assert exchanges == (whose == "service")
    assert (reply.status_code == 404) == (whose == "nobody")
    assert ("path" in reply.json()) == (whose == "service")


async def test_in_a_sandbox_the_service_sees_the_path_behind_the_prefix() -> None:
    async with started(draft(EVERYTHING)) as app, inside(app) as client:
        base = (await client.post("/_simulator/sandboxes")).json()["base_url"]
        assert (await client.get(f"{base}/a%2Fb/c")).json() == {"path": "/a%2Fb/c"}
        assert (await client.get(base)).json() == {"path": "/"}


async def test_a_server_that_tells_no_raw_path_will_do() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": [], "scheme": "http"}
    async with started(draft(EVERYTHING)) as app:
        await app(scope, receive, send)
        await app(scope | {"path": "/nowhere/../x", "server": None}, receive, send)
        await app({"type": "websocket"}, receive, send)
    bodies = [message["body"] for message in sent if message.get("body")]
    assert bodies == [b'{"path":"/x"}', b'{"path":"/nowhere/../x"}']


async def test_it_starts_and_stops_by_lifespan() -> None:
    told: list[str] = []

    async def stopped() -> None:
        told.append("stopped")

    app = App([draft(LIGHT)], MemoryStore(), choices(), lambda app: told.append(app.sandboxes.default.id), stopped)
    server = Lifespan()
    await app({"type": "lifespan"}, server.receive, server.send)
    assert [message["type"] for message in server.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert told == ["default", "stopped"]


async def test_a_start_that_fails_is_kept_for_whoever_started_it_and_prints_no_traceback() -> None:
    app, server = App([draft(LIGHT)], Broken(), choices()), Lifespan()
    with pytest.raises(StoreError):
        await app({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == [{"type": "lifespan.startup.failed"}]
    assert str(app.failure) == "the file is not ours"


async def test_a_failure_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MemoryStore, "open", fail)
    app, server = App([draft(LIGHT)], MemoryStore(), choices()), Lifespan()
    with pytest.raises(ZeroDivisionError):
        await app({"type": "lifespan"}, server.receive, server.send)
    assert "ZeroDivisionError" in server.sent[0]["message"]
    assert app.failure is None


async def test_a_bug_of_ours_is_a_500_in_the_services_envelope_and_a_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with started() as app, inside(app) as client:
        engine = app.sandboxes.default.engine

        def fail(*_: Any) -> None:
            raise ZeroDivisionError("secret thoughts")

        monkeypatch.setattr(engine, "answer", fail)
        no = await client.get("/lamps")
        assert (no.status_code, no.headers["content-type"]) == (500, "application/problem+json")
        assert "secret" not in no.text
        monkeypatch.setattr(engine, "no_operation", fail)
        assert (await client.get("/nowhere")).status_code == 500
    assert "secret thoughts" in caplog.text
