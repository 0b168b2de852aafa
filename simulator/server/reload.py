"""`--reload`: a scenario whose file changes is taken up without a restart.

Rules: records stay, open exchanges finish with what they began with; a broken file changes nothing and its
complaint is printed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.scenario.parse import Draft
from simulator.server.app import App

LOG = logging.getLogger("simulator")
DEBOUNCE_MS = 100  # editors write a file in several steps


class Reloader:
    """Watches the scenarios' folders, since what a file extends or includes matters too."""

    def __init__(self, paths: tuple[str, ...], parse: Callable[[str], Draft]) -> None:
        self._paths = paths
        self._folders = {str(Path(path).resolve().parent) for path in paths}
        self._parse = parse
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, app: App) -> None:
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(self._watch(app))

    async def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, app: App) -> None:
        from watchfiles import awatch

        async for changes in awatch(*self._folders, debounce=DEBOUNCE_MS, stop_event=self._stop, recursive=False):
            if any(path.endswith((".yaml", ".yml")) for _, path in changes):
                await self.reload(app)

    async def reload(self, app: App) -> None:
        """Take the files up again, all or none."""
        sandbox = app.sandboxes.default
        try:
            drafts = [await asyncio.to_thread(self._parse, path) for path in self._paths]
            if [draft.digest for draft in drafts] == [draft.digest for draft in sandbox.drafts.values()]:
                return
            await sandbox.reload(drafts)
        except SimulatorError as error:
            LOG.error("not reloaded, the old scenario goes on:\n%s", error)
            return
        LOG.warning("reloaded %s", ", ".join(self._paths))
