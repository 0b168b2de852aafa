"""Real servers as processes of their own, and clients that see the very bytes.

Rules: a server listens on a loopback port that the system chooses and ends with its test; only processes started here
are ended; one that printed a traceback has failed, whatever its test says.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tests.live import written_to

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "tests" / "documents.yaml"  # the shipped one without credentials and limits
ORDERS = ROOT / "scenarios" / "orders.yaml"
HOST = "api.test"  # what clients ask for, so that links in replies don't depend on the port
END_SECONDS_MAX = 20.0  # after that a server hangs
IDLE_SECONDS_MAX = 2.0  # of a connection; servers close idle ones after a while, and a request must not meet that
ADDRESS = re.compile(r"control\s+http://[^:]+:(\d+)/")
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
STATUS_BYTES = 13  # of a match; one that is split between two reads is found in the second


class Server:
    """`simulator serve` as a process."""

    def __init__(self, scenario: Path, *flags: str, covered: bool = True, env: Mapping[str, str] | None = None) -> None:
        """`covered` False keeps coverage's tracer out, where figures are those of the product."""
        self._command = [sys.executable, "-m", "simulator", "serve", str(scenario), "--port", "0", *flags]
        if "--log-format" not in flags:
            self._command += ["--log-format", "none"]
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("SIMULATOR_")}
        if not covered:
            self._env = {name: value for name, value in self._env.items() if not name.startswith("COVERAGE_")}
        self._env.update(env or {})
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by close
        self.port = 0

    def __enter__(self) -> Server:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        said = self.close()
        if kind is None:
            assert "Traceback" not in said, f"the server printed a traceback:\n{said}"

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running process."""
        assert self._process is not None, "the server has not been started"
        return self._process

    def start(self) -> Server:
        """Start it, again where it has ended, and return when it says that it is up."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=self._env
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := ADDRESS.match(line):
                self.port = int(found[1])
                return self
        raise AssertionError(f"the server did not start, exit code {self._process.wait()}:\n{self.said()}")

    def said(self) -> str:
        """All it wrote to stderr so far."""
        return written_to(self._log)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def terminate(self) -> tuple[int, float]:
        """End it as an operator would: exit code, and the seconds it took."""
        began = time.monotonic()
        return self._end(signal.SIGTERM), time.monotonic() - began

    def _end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        try:
            return self.process.wait(END_SECONDS_MAX)
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def close(self) -> str:
        """End it if it still runs; what it said."""
        try:
            if self._process is not None and self._process.poll() is None:
                self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            if self._process is not None and self._process.stdout is not None:
                self._process.stdout.close()
            said = self.said()
            self._log.close()
        return said

    def rss_kib(self) -> int:
        """How much memory it has, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu_s(self) -> float:
        """How much processor time it has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reply(NamedTuple):
    """A reply as it came: the bytes up to the empty line, and the body."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status."""
        return int(self.head[9:12])

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """A header's value, None where there is none."""
        found = re.search(rb"\r\n" + name.encode() + rb": ?([^\r]*)\r\n", self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else None


class Client:
    """One connection, one request after the other."""

    def __init__(self, port: int, prefix: str) -> None:
        self._port = port
        self._prefix = prefix  # of a sandbox
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_s = 0.0
        self.transcript: list[bytes] = []  # every reply, byte for byte

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection; a new one where the server may be about to close the old one for idleness."""
        if time.monotonic() - self._used_s > IDLE_SECONDS_MAX:
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        self._used_s = time.monotonic()
        return self._streams

    async def ask(self, method: str, target: str, body: Any = None, *lines: str) -> Reply:
        """Send a request and read its reply. Raises ConnectionError or IncompleteReadError where the server is gone."""
        reader, writer = await self._connected()
        writer.write(request(method, self._prefix + target, body, *lines))
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: ?(\d+)", head, re.IGNORECASE)
        has_body = length is not None and method != "HEAD" and head[9:12] not in (b"204", b"304")
        reply = Reply(head, await reader.readexactly(int(length[1])) if length and has_body else b"")
        self._used_s = time.monotonic()
        self.transcript.append(reply.head + reply.body)
        return reply

    async def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Ask the control plane of this client's sandbox; its answer as JSON. Not in the transcript."""
        reply = await self.ask(method, f"/_simulator/{path}", body)
        self.transcript.pop()
        assert reply.status == status, reply
        return reply.json if reply.body else None

    async def journal(self, *kinds: str, after: int = 0) -> list[dict[str, Any]]:
        """All of the journal after a number, or all of these kinds."""
        events: list[dict[str, Any]] = []
        query = f"&kind={','.join(kinds)}" if kinds else ""
        while True:
            page = await self.control("GET", f"journal?most=2000&after={after}{query}")
            if not page["events"]:
                return events
            events += page["events"]
            after = page["next"]

    async def records(self, resource: str) -> list[dict[str, Any]]:
        """All records of a resource, in the order of their creation."""
        records: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await self.control("GET", f"records/{resource}?most=2000&after={after}")
            records += page["records"]
            after = page["next"]
        return records

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(ConnectionError):  # the server was killed
                await writer.wait_closed()


@asynccontextmanager
async def client(server: Server, prefix: str = "") -> AsyncIterator[Client]:
    """A connection to a server; with a prefix, to one of its sandboxes."""
    made = Client(server.port, prefix)
    try:
        yield made
    finally:
        await made.close()


def request(method: str, target: str, body: Any = None, *lines: str) -> bytes:
    """A request's bytes; a body that is not bytes goes as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *lines]
    if body is not None:
        head.append(f"Content-Length: {len(raw)}")
    if body is not None and not isinstance(body, bytes):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + raw


class Lane(asyncio.Protocol):
    """One connection that keeps several requests under way, and counts what comes back by status."""

    def __init__(
        self, requests: Iterator[bytes], depth: int, tally: Counter[int], seen: Callable[[bytes], None] | None
    ) -> None:
        self._requests = requests
        self._seen = seen
        self._depth = depth
        self._tally = tally
        self._open = 0
        self._rest = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._fill()

    def _fill(self) -> None:
        more = list(islice(self._requests, self._depth - self._open))
        self._open += len(more)
        if more:
            self._transport.writelines(more)
        elif not self._open:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        for status in STATUS.findall(data):
            self._tally[int(status)] += 1
            self._open -= 1
        self._rest = data[1 - STATUS_BYTES :]
        if self._seen is not None:
            self._seen(data)
        if self._open <= self._depth // 2:
            self._fill()

    def connection_lost(self, error: Exception | None) -> None:
        if self._open and not self.ended.done():
            self.ended.set_exception(error or ConnectionResetError(f"{self._open} requests had no reply"))
        elif not self.ended.done():
            self.ended.set_result(None)


async def drive(
    server: Server,
    requests: Iterable[bytes],
    connections: int = 8,
    depth: int = 16,
    seen: Callable[[bytes], None] | None = None,
) -> Counter[int]:
    """Send requests as fast as the server answers them, over connections that stay; how often each status came.

    `seen` gets the replies' bytes as they come in, cut anywhere.
    """
    loop, shared, tally = asyncio.get_running_loop(), iter(requests), Counter[int]()
    lanes = []
    for _ in range(connections):
        _, lane = await loop.create_connection(lambda: Lane(shared, depth, tally, seen), "127.0.0.1", server.port)
        lanes.append(lane)
    await asyncio.gather(*(lane.ended for lane in lanes))
    return tally


async def until(holds: Callable[[], Awaitable[bool]], within_s: float, every_s: float = 0.05) -> float:
    """Return when it holds: the seconds it took. Fails when it does not in time."""
    began = time.monotonic()
    while not await holds():
        assert time.monotonic() - began < within_s, f"did not hold within {within_s} s"
        await asyncio.sleep(every_s)
    return time.monotonic() - began
