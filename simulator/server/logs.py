"""One structured line for each exchange, and the server's own messages.

Rules: lines are rendered and written in batches off the event loop, so that a slow terminal slows no client;
secrets are not in them: no header values, no bodies, no query strings.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import NamedTuple, TextIO

import orjson

from simulator.core.clock import iso

FLUSH_S = 0.1  # how long a line may wait for company
LINES_MAX = 50_000  # waiting lines; more than a terminal writes in a second, the rest is counted and dropped
LOG = logging.getLogger("simulator")


class Line(NamedTuple):
    """What one line says. Instants are milliseconds, durations microseconds."""

    at_ms: int
    request_id: str
    sandbox: str
    operation: str | None
    method: str
    path: str
    status: int
    duration_us: int
    error: str | None


def as_json(line: Line) -> str:
    """One JSON object."""
    return orjson.dumps(
        {
            "at": iso(line.at_ms),
            "request_id": line.request_id,
            "sandbox": line.sandbox,
            "operation": line.operation,
            "method": line.method,
            "path": line.path,
            "status": line.status,
            "duration_ms": line.duration_us / 1000,
            **({"error": line.error} if line.error else {}),
        }
    ).decode()


def as_text(line: Line) -> str:
    """One line for people."""
    where = "" if line.sandbox == "default" else f" [{line.sandbox}]"
    operation = "" if line.operation in (None, f"{line.method} {line.path}") else f" ({line.operation})"
    what = f"{line.method} {line.path}{operation}"
    error = f"  {line.error}" if line.error else ""
    return f"{iso(line.at_ms)}{where} {line.status} {what}  {line.duration_us / 1000:.1f} ms  {line.request_id}{error}"


FORMS: dict[str, Callable[[Line], str] | None] = {"json": as_json, "console": as_text, "none": None}


class ExchangeLog:
    """Gathers lines and writes them in batches."""

    def __init__(self, form: str, out: TextIO | None = None) -> None:
        self._render = FORMS[form]
        self._out = out
        self._lines: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self.dropped = 0

    def add(self, line: Line) -> None:
        """Take a line."""
        if self._render is None:
            return
        if len(self._lines) >= LINES_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        lines, self._lines = self._lines, []
        if lines:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, lines)

    def _write(self, lines: list[Line]) -> None:
        render = self._render
        if render is None:
            return
        out = self._out or sys.stderr
        out.write("".join(render(line) + "\n" for line in lines))
        out.flush()

    async def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        lines, self._lines = self._lines, []
        if lines:
            self._write(lines)
        if self.dropped:
            LOG.warning("%d log lines were dropped: the terminal was slower than the requests", self.dropped)
