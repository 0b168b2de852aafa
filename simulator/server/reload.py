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
    """Watches the folders of the scenarios and of all that they extend or include."""

    def __init__(self, paths: tuple[str, ...], parse: Callable[[str], Draft]) -> None:
        self._paths = paths
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

        while not self._stop.is_set():
            folders = self._folders(app)
            async for changes in awatch(*folders, debounce=DEBOUNCE_MS, stop_event=self._stop, recursive=False):
                if any(path.endswith((".yaml", ".yml")) for _, path in changes):
                    await self.reload(app)
                if self._folders(app) != folders:
                    break

    def _folders(self, app: App) -> set[str]:
        drafts = app.sandboxes.default.drafts.values()
        files = {mark.file for draft in drafts for mark in draft.marks.values.values()}
        return {str(Path(file).resolve().parent) for file in {*self._paths, *files}}

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
