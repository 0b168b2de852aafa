"""Sandboxes: all the running copies of the loaded scenarios.

Rules: they share compiled scenarios and nothing else; `default` always exists; one that nobody has used for a while is
deleted; those of an earlier run are taken up again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from simulator.core.clock import ClockSettings, parse_clock
from simulator.core.records import Entry
from simulator.errors import OperatorError, ScenarioError
from simulator.scenario.parse import Draft, parse_data
from simulator.server.sandbox import Sandbox
from simulator.server.timekeeper import Machine
from simulator.settings import SANDBOXES_MAX, Settings
from simulator.stores.base import Store

LOG = logging.getLogger("simulator")


class Sandboxes:
    """All of them."""

    def __init__(self, store: Store, machine: Machine, settings: Settings) -> None:
        self.store = store
        self.machine = machine
        self.settings = settings
        self._all: dict[str, Sandbox] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def default(self) -> Sandbox:
        """The one that needs no prefix."""
        return self._all["default"]

    def get(self, id_: str) -> Sandbox | None:
        """The sandbox of this name."""
        return self._all.get(id_)

    def all(self) -> list[Sandbox]:
        """Every one, the oldest first."""
        return list(self._all.values())

    async def open(self, drafts: list[Draft]) -> None:
        """Open the store and begin the default sandbox, and those that the store still has."""
        await self.store.open()
        clock = parse_clock(self.settings.clock) if self.settings.clock else None
        await self._begin("default", drafts, self.settings.seed, clock)
        for name in await self.store.names():
            if name != "default":
                await self._revive(name, drafts)
        self._sweep()

    async def create(self, drafts: list[Draft], seed: int | None, clock: ClockSettings | None) -> Sandbox:
        """A new sandbox. Raises OperatorError where there are too many."""
        if len(self._all) >= SANDBOXES_MAX:
            raise OperatorError(f"there are {SANDBOXES_MAX} sandboxes; delete some first", 429)
        sandbox = await self._begin(self.machine.name(), drafts, seed, clock)
        told = {
            "seed": seed,
            "clock": clock.plain() if clock else None,
            "scenarios": [draft.data for draft in drafts],
        }
        await sandbox.remember(Entry("sandbox", told))
        return sandbox

    async def delete(self, id_: str) -> bool:
        """Delete one and all it holds."""
        if id_ == "default" or id_ not in self._all:
            return False
        sandbox = self._all.pop(id_)
        await sandbox.pulse.stop()
        await self.store.drop(id_)
        return True

    async def close(self) -> None:
        """Stop every clock and close the store."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for sandbox in self.all():
            await sandbox.pulse.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()

    async def _begin(self, id_: str, drafts: list[Draft], seed: int | None, clock: ClockSettings | None) -> Sandbox:
        space = await self.store.space(id_, self.machine.boot)
        sandbox = Sandbox(id_, space, self.machine, self.settings, self.store.waits)
        if seed is None and any(draft.scenario.seed is None for draft in drafts):
            seed = await self._kept_seed(sandbox, drafts)
        sandbox.play(drafts, seed)
        await sandbox.states_stay(drafts)
        await sandbox.begin(clock)
        self._all[id_] = sandbox
        return sandbox

    async def _kept_seed(self, sandbox: Sandbox, drafts: list[Draft]) -> int | None:
        """The seed that was drawn when this store was new: a restart must not change what is still to be drawn."""
        if any(draft.scenario.seed is not None for draft in drafts):
            return None
        kept: Any = await sandbox.seen(lambda look: look.entry("seed"), sandbox.space.view(), 0)
        seed = kept if isinstance(kept, int) else self.machine.seed()
        await sandbox.remember(Entry("seed", seed))
        return seed

    async def _revive(self, name: str, known: list[Draft]) -> None:
        """A sandbox of an earlier run, with the scenarios it was made with; one that cannot be read is dropped.

        `known` are the operator's own, whose secrets may come from the environment.
        """
        space = await self.store.space(name, self.machine.boot)
        probe = Sandbox(name, space, self.machine, self.settings, self.store.waits)
        told: Any = await probe.seen(lambda look: look.entry("sandbox"), space.view(), 0)
        if not isinstance(told, dict):
            await self.store.drop(name)
            return
        try:
            same = [next((draft for draft in known if draft.data == data), None) for data in told["scenarios"]]
            drafts = [
                draft or parse_data(data, f"sandbox {name}")
                for draft, data in zip(same, told["scenarios"], strict=True)
            ]
        except ScenarioError as error:
            LOG.warning("sandbox %s is dropped, this version cannot play its scenario: %s", name, error)
            await self.store.drop(name)
            return
        clock = ClockSettings.model_validate(told["clock"]) if told["clock"] else None
        sandbox = await self._begin(name, drafts, told["seed"], clock)
        sandbox.remembered["sandbox"] = Entry("sandbox", told)

    def _sweep(self) -> None:
        """Delete sandboxes that nobody has used for a while."""
        now_ms = self.machine.wall_ms()
        for sandbox in self.all():
            if (
                sandbox.id != "default"
                and not sandbox.open
                and now_ms - sandbox.used_ms > self.settings.sandbox_idle_ms
            ):
                LOG.info("sandbox %s was idle and is deleted", sandbox.id)
                task = asyncio.get_running_loop().create_task(self._forget(sandbox.id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        wait_s = min(max(self.settings.sandbox_idle_ms / 2000, 0.5), 60.0)
        self._sweeper = asyncio.get_running_loop().call_later(wait_s, self._sweep)

    async def _forget(self, id_: str) -> None:
        await self.delete(id_)
