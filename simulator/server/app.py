"""The ASGI application: who is handed what.

Rules: a path under /_simulator is the control plane's, one under /_sandbox/{id} means that sandbox, everything else
is the simulated service; the data plane is asked first and directly.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from simulator.errors import SimulatorError
from simulator.scenario.parse import Draft
from simulator.server.api import DataPlane, Message, Receive, Scope, Send
from simulator.server.control import Control
from simulator.server.line import Limits, Wiring
from simulator.server.logs import ExchangeLog
from simulator.server.problems import problem
from simulator.server.sandbox import Sandbox
from simulator.server.sandboxes import Sandboxes
from simulator.server.timekeeper import Machine
from simulator.settings import Settings
from simulator.stores.base import Store

SANDBOX = re.compile(r"/_sandbox/([A-Za-z0-9_-]+)(/.*)?")
CONTROL = "/_simulator"


class App:
    """One simulator: a store, its sandboxes, the two planes."""

    def __init__(
        self,
        drafts: list[Draft],
        store: Store,
        settings: Settings,
        on_start: Callable[[App], None] | None = None,
        on_stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.machine = Machine()
        self.log = ExchangeLog(settings.log_format)
        self.sandboxes = Sandboxes(store, self.machine, settings)
        self._drafts = drafts
        self._on_start = on_start
        self._on_stop = on_stop
        self.failure: SimulatorError | None = None  # why it did not start
        self.wiring = Wiring(
            self.machine, Limits(settings.head_timeout_ms, settings.body_timeout_ms, settings.hang_max_ms)
        )
        self._data = DataPlane(settings, self.machine, self.log, self.wiring)
        self._control = Control(self.sandboxes, settings).application(self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._control(scope, receive, self._tersely(send))
            return
        raw_path = scope.get("raw_path")
        path = scope["path"] if raw_path is None else raw_path.decode("latin-1")
        if not path.startswith("/_s"):
            await self._data(self.sandboxes.default, scope, receive, send, path)
            return
        await self._special(scope, receive, send, path)

    async def _special(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """A control plane, or a sandbox that is not the default one."""
        sandbox: Sandbox | None = self.sandboxes.default
        found, prefix = SANDBOX.fullmatch(path), ""
        if found is not None:
            prefix = f"/_sandbox/{found[1]}"  # the default one may be called by its name, too
            sandbox, path = self.sandboxes.get(found[1]), found[2] or "/"
            if sandbox is None:
                await problem(404, f"no sandbox {found[1]!r}; POST /_simulator/sandboxes makes one")(
                    scope, receive, send
                )
                return
        if sandbox is not None and (path == CONTROL or path.startswith(CONTROL + "/")):
            inner = dict(scope, sandbox=sandbox, path=scope["path"].removeprefix(prefix), root_path="")
            await self._control(inner, receive, send)
        elif sandbox is not None:
            await self._data(sandbox, scope, receive, send, path)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        try:
            await self.start()
        except SimulatorError as error:
            self.failure = error
            raise
        try:
            yield
        finally:
            await self.stop()

    def _tersely(self, send: Send) -> Send:
        """Why it did not start, whoever started it says in a sentence; the server need not print a traceback."""

        async def terse(message: Message) -> None:
            await send({"type": message["type"]} if self.failure is not None else message)

        return terse

    async def start(self) -> None:
        """Open the store and start the clocks."""
        try:
            await self.sandboxes.open(self._drafts)
        except BaseException:
            await self.sandboxes.close()  # else the store's thread would keep the process from ending
            raise
        if self._on_start is not None:
            self._on_start(self)

    async def stop(self) -> None:
        """Stop the clocks, write what is left, close the store."""
        if self._on_stop is not None:
            await self._on_stop()
        await self.sandboxes.close()
        await self.log.close()
