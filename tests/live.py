"""A running simulator for tests: as a process of its own, on a thread of this one, or in process without sockets.

Rules: ports are chosen by the system; whatever is started ends with its test, and only that; facts are waited for,
never slept over.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import uvicorn

from simulator.cli.files import read_file
from simulator.cli.serve import listen, server_config
from simulator.scenario.parse import Draft, parse, parse_text
from simulator.server.app import App
from simulator.settings import Settings, networks
from simulator.stores.base import Store
from simulator.stores.memory import MemoryStore

ROOT = Path(__file__).parent.parent
DOCUMENTS = ROOT / "scenarios" / "documents.yaml"
JOBS = ROOT / "tests" / "documents.yaml"  # the same without credentials and limits
ORDERS = ROOT / "scenarios" / "orders.yaml"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # else each client reads the machine's certificates, which takes 20 ms
WAIT_S = 20.0  # for a fact; whoever needs longer hangs
ADDRESS = re.compile(r"^control +(http://\S+)/_simulator$", re.MULTILINE)
LIGHT = """
    scenario: light
    seed: 1
    resources:
      lamp:
        id: "lamp_{{ ordinal }}"
        record: {name: "{{ body.name }}"}
        view: {id: "{{ id }}", status: "{{ state }}", name: "{{ record.name }}"}
        states:
          COLD: [{to: WARM, after: 10s}, {to: BROKEN, signal: break}]
          WARM: [{to: HOT, after: 1m}]
          HOT: []
          BROKEN: []
    operations:
      POST /lamps: {create: lamp, reply: {headers: {Location: "{{ base_url }}/lamps/{{ id }}"}}}
      GET /lamps: {list: lamp}
      GET /lamps/{id}: {read: lamp}
      POST /lamps/{id}/break: {signal: lamp.break}
      POST /echo: {reply: {body: {echo: "{{ body }}"}}}
      GET /zero: {reply: {body: {x: "{{ 1 / (query.n | default(0) | int) }}"}}}
    """  # a light goes through COLD (10 s) and WARM (1 min) to HOT

T = TypeVar("T")


def until(fact: Callable[[], T], within_s: float = WAIT_S) -> T:
    """Wait until this is true; what it gave. Fails where it never is."""
    end = time.monotonic() + within_s
    while not (found := fact()):
        assert time.monotonic() < end, f"not within {within_s} s: {fact}"
        time.sleep(0.005)
    return found


def draft(text: str) -> Draft:
    """A scenario from a text that may be indented."""
    return parse_text(textwrap.dedent(text), "test.yaml")


def documents() -> Draft:
    """The shipped scenario of jobs, without credentials and limits."""
    return parse(str(JOBS), read_file)


def choices(**changes: Any) -> Settings:
    """The operator's choices, the defaults but for these changes and a log that is silent."""
    return Settings(control_from=networks("127.0.0.0/8,::1"), log_format="none")._replace(**changes)


@contextlib.asynccontextmanager
async def started(*drafts: Draft, store: Store | None = None, **changes: Any) -> AsyncIterator[App]:
    """A simulator without a socket; without drafts it plays the light."""
    app = App(list(drafts) or [draft(LIGHT)], store or MemoryStore(), choices(**changes))
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


def inside(app: App, peer: str = "127.0.0.1", base: str = "http://api.test") -> httpx.AsyncClient:
    """A client of a simulator without a socket, seemingly at this address."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 1)), base_url=base)


class Live:
    """A simulator that listens on a port of this process."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def client(self, **options: Any) -> httpx.Client:
        """A real client."""
        return httpx.Client(base_url=self.url, timeout=WAIT_S, verify=NO_TLS, **options)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S)

    def talk(self, sent: bytes) -> bytes:
        """All that comes back to these bytes until the server hangs up, as `Connection: close` makes it do."""
        with self.connect() as line:
            with contextlib.suppress(ConnectionError):  # it may hang up before it has read everything
                line.sendall(sent)
            return drained(line)

    def events(self, kind: str = "exchange") -> list[dict[str, Any]]:
        """The default sandbox's journal, of one kind."""
        with self.client() as client:
            found = client.get("/_simulator/journal", params={"kind": kind, "most": 10_000})
        events: list[dict[str, Any]] = found.json()["events"]
        return events


def drained(line: socket.socket) -> bytes:
    """What comes until the other end hangs up."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def serving(*drafts: Draft, **changes: Any) -> Iterator[Live]:
    """A simulator on a real port, on a thread of this process, with the server that `serve` uses."""
    app = App(list(drafts) or [draft(LIGHT)], MemoryStore(), choices(**changes))
    server = uvicorn.Server(server_config(app))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Live(app, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(WAIT_S)
            assert not thread.is_alive(), "the server does not end"


def written_to(file: IO[str]) -> str:
    """What a process has written so far. Read beside its own position, which a seek would move under its feet."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode("utf-8", "replace")


class Process:
    """`simulator serve` as its users start it. What it says is kept in files, so that it never waits for a reader."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self._out = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        self._err = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIMULATOR_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            cwd=cwd or ROOT,
            env=clean | dict(env or {}),
        )

    def out(self) -> str:
        """What it said on standard output."""
        return written_to(self._out)

    def err(self) -> str:
        """What it said on standard error."""
        return written_to(self._err)

    def url(self) -> str:
        """Where it serves, once it does."""

        def told() -> str | None:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.err()}"
            found = ADDRESS.search(self.out())
            return found[1] if found else None

        return until(told) or ""

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(WAIT_S)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """End it by a signal: its exit code, and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(how)
        return self.process.wait(WAIT_S), time.monotonic() - began

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._out.close()
        self._err.close()


@contextlib.contextmanager
def process(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[Process]:
    """A `simulator` command as a process, for example `serve --port 0`."""
    made = Process(*arguments, env=env, cwd=cwd)
    try:
        yield made
    finally:
        made.close()
