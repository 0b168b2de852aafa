"""Leases: what an open exchange holds until it ends, a key in flight or a place under a limit of concurrency.

Rules: a lease belongs to the process that took it and dies with it, so a crash frees them all and nothing of them
is ever written to a file.
"""

from __future__ import annotations

import asyncio

from simulator.core.records import Lease


class Leases:
    """Who holds what, in this process."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[str, ...]] = {}
        self._freed: dict[str, asyncio.Event] = {}

    def holders(self, name: str) -> tuple[str, ...]:
        """Those who hold this, in the order they came."""
        return self._holders.get(name, ())

    def take(self, leases: tuple[Lease, ...]) -> None:
        """Note the holders."""
        for name, holder in leases:
            self._holders[name] = (*self.holders(name), holder)

    def release(self, leases: tuple[Lease, ...]) -> None:
        """Let go of what is held; what is not, was forgotten by a reset."""
        for name, holder in leases:
            left = tuple(each for each in self.holders(name) if each != holder)
            if left:
                self._holders[name] = left
            else:
                self._holders.pop(name, None)
            self._tell(name)

    def clear(self) -> None:
        """Nobody holds anything any more."""
        names, self._holders = [*self._holders], {}
        for name in names:
            self._tell(name)

    async def freed(self, name: str) -> None:
        """Return once somebody lets go of this, or at once where nobody holds it."""
        if name in self._holders:
            await self._freed.setdefault(name, asyncio.Event()).wait()

    def _tell(self, name: str) -> None:
        event = self._freed.pop(name, None)
        if event is not None:
            event.set()
