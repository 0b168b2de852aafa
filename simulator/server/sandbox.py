"""A sandbox: one running, isolated copy of the loaded scenarios, with records, clock, seed and journal of its own.

Rules: a decision is taken again until all it wants to see is there and nobody wrote meanwhile; what a restart needs is
kept as entries; a reset forgets the rest.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from simulator.core.clock import Clock, ClockSettings, pace, started
from simulator.core.engine import Engine
from simulator.core.events import BootStarted, ClockMoved, ControlChanged, TransitionFailed
from simulator.core.faults import FAULTS_MAX, FaultModel, compile_faults
from simulator.core.places import Marks, Place
from simulator.core.records import Behind, Changes, Entry, Held, Look, NotLoaded, Record, Scan
from simulator.core.resources import ONLY_STATE, ResourceModel, request_names
from simulator.core.skew import Skew
from simulator.errors import Complaint, OperatorError, StoreError
from simulator.scenario.parse import Draft
from simulator.scenario.together import clock_of, mounts_of, services_of
from simulator.server.timekeeper import Machine, Pulse, restored, saved
from simulator.settings import Settings
from simulator.stores.base import Space, View

TRIES = 8  # to commit, when others write the same records
ROUNDS_MAX = 2000  # of fetching what a decision wants to see; a list of a thousand views stays far below
UNMATCHED_KEPT = 100
HOLD_MS_MAX = 600_000.0
HELD_S_MAX = 60.0  # that a request waits for another with its key; clients give up sooner
LOG = logging.getLogger("simulator")

T = TypeVar("T")


class Unmatched(NamedTuple):
    """A request that met no operation."""

    at_ms: int
    method: str
    target: str
    status: int
    nearest: tuple[str, ...]


class Sandbox:
    """One running copy."""

    def __init__(self, id_: str, space: Space, machine: Machine, settings: Settings, waits: bool) -> None:
        self.id = id_
        self.space = space
        self.waits = waits
        self.machine = machine
        self.engine = Engine([])
        self.drafts: dict[str, Draft] = {}
        self.seed: int | None = None  # overrides the scenarios' own
        self.clock = Clock("manual", 0.0, 0, 0.0)  # stands still until it begins: nothing may be run by it before
        self.clock_settings: ClockSettings | None = None  # what it began with, for reset
        self.open = 0  # exchanges under way
        self.exchanges = space.view().count("exchanges")
        self.unmatched: deque[Unmatched] = deque(maxlen=UNMATCHED_KEPT)
        self.used_ms = machine.wall_ms()
        self.pulse = Pulse(self, machine, settings.jump_idle_ms)
        self._holds: dict[str, float] = {}
        self.remembered: dict[str, Entry] = {}  # what a reset does not forget
        self._mounts: dict[str, str] = {}
        self._faults: dict[str, list[FaultModel]] = {}  # that were changed while it ran, by service

    @property
    def prefix(self) -> str:
        """Where it stands in the server."""
        return "" if self.id == "default" else f"/_sandbox/{self.id}"

    def now_ms(self) -> int:
        """Service time."""
        return self.clock.now_ms(self.machine.wall_ms())

    def play(self, drafts: list[Draft], seed: int | None) -> None:
        """Play these scenarios from now on. Open exchanges finish with what they began with. Raises OperatorError."""
        mounts = mounts_of(drafts, self._mounts)
        services = services_of(drafts, seed, self.machine.seed(), mounts)
        before = {name: draft.data.get("faults") for name, draft in self.drafts.items()}
        self.drafts = {draft.name: draft for draft in drafts}
        self.seed = seed
        self._mounts = mounts
        self.engine = Engine(services, self.engine.skew)
        for draft in drafts:
            if draft.name in self._faults and draft.data.get("faults") != before.get(draft.name):
                del self._faults[draft.name]  # the new document says what misbehaves now
        for name, models in [*self._faults.items()]:
            self._keep_faults(name, models)
        self.space.declare({kind: fields for service in services for kind, fields in service.scanned().items()})

    def seeds(self) -> dict[str, int]:
        """The seed that each scenario plays with."""
        return {name: service.seed for name, service in self.engine.services.items()}

    async def decide(self, decide: Callable[[View], T], changes: Callable[[T], Changes], now_ms: int) -> tuple[T, View]:
        """Decide, fetching what the decision wants to see, and commit it. Raises StoreError."""
        for _ in range(TRIES):
            view = self.space.view()
            decision = await self.seen(decide, view, now_ms)
            made = changes(decision)
            if await self.space.commit(made, view):
                self.pulse.arm()
                _tell_failures(made)
                return decision, view
        raise StoreError("too many others write the same records; try again")

    async def seen(self, decide: Callable[[View], T], view: View, now_ms: int, *, settling: bool = False) -> T:
        """Decide once everything it wants to see is there. Raises StoreError, and TimeoutError of a wait for others."""
        for _ in range(ROUNDS_MAX):
            try:
                return decide(view)
            except NotLoaded as missing:
                if not settling and any(isinstance(need, Scan) for need in missing.needs) and self._overdue(now_ms):
                    await self.pulse.settle(now_ms)
                for need in missing.needs:
                    await self.space.load(need, view)
            except Behind:
                await self.pulse.settle(now_ms)
            except Held as held:
                await asyncio.wait_for(self.space.leases.freed(held.name), HELD_S_MAX)
        raise StoreError(f"a decision wanted to see more than {ROUNDS_MAX} things")

    def _overdue(self, now_ms: int) -> bool:
        """Whether something should have happened; if not, nobody need wait for a clock that is being moved."""
        next_ms = self.space.next_due_ms()
        return next_ms is not None and next_ms <= now_ms

    async def wake(self, record: Record, now_ms: int, kept: tuple[Entry, ...] = ()) -> None:
        """Run one record's moment, and keep these entries with it."""
        for _ in range(TRIES):
            view = self.space.view()
            move = functools.partial(self._moved, record, now_ms, self.machine.wire_us())
            changes = await self.seen(move, view, now_ms, settling=True)
            if await self.space.commit(changes._replace(entries=(*changes.entries, *kept)), view):
                _tell_failures(changes)
                return
            current = await self.seen(functools.partial(_record, record.kind, record.id), view, now_ms, settling=True)
            if current is None or current.due_ms != record.due_ms:
                return  # somebody else has moved it meanwhile
            record = current

    def _moved(self, record: Record, now_ms: int, wire_us: int, look: Look) -> Changes:
        return self.engine.wake(record, look, now_ms, wire_us)

    async def write(self, changes: Changes) -> None:
        """Write what needs no decision."""
        view = self.space.view()
        await self.space.commit(changes, view)
        await self.space.kept(view)
        self.pulse.arm()

    def faults(self, service: str) -> list[FaultModel]:
        """The faults that a service has now."""
        changed = self._faults.get(service)
        return list(self.drafts[service].scenario.faults) if changed is None else changed

    async def misbehave(self, service: str, models: list[FaultModel]) -> None:
        """Give a service these faults in place of its scenario's. Raises OperatorError where one cannot be."""
        self._use_faults(service, models)
        kept = {
            name: [model.model_dump(exclude_unset=True, mode="json") for model in each]
            for name, each in self._faults.items()
        }
        await self.write(Changes(entries=(Entry("faults", kept),)))
        self.note("faults", f"{service}: {', '.join(model.name for model in models if model.enabled)}")

    def _keep_faults(self, service: str, faults: list[Any]) -> None:
        """Take up faults that were given while it ran; where they do not fit any more, the scenario's own stand."""
        if service not in self.engine.services:
            return
        try:
            self._use_faults(service, [FaultModel.model_validate(each) for each in faults])
        except (OperatorError, ValidationError) as error:
            self._faults.pop(service, None)
            LOG.warning("the faults that %s was given while it ran are dropped: %s", service, error)

    def _use_faults(self, service: str, models: list[FaultModel]) -> None:
        if len(models) > FAULTS_MAX:
            raise OperatorError(f"there are {FAULTS_MAX} faults already; delete some first", 422)
        complaints: list[Complaint] = []
        names = [operation.name for operation in self.engine.services[service].operations]
        compiled = compile_faults(models, Place(Marks("fault"), complaints), request_names(), names)
        if complaints:
            raise OperatorError("; ".join(dict.fromkeys(each.what for each in complaints)), 422)
        self._faults[service] = models
        self.engine.services[service].misbehave(compiled)
        self.engine.faults[service] = compiled

    def shown_ms(self) -> int:
        """Service time as clients see it."""
        return self.engine.skew.shown_ms(self.now_ms())

    async def mislead(self, skew: Skew) -> None:
        """From now on clients see this clock; a restart keeps its errors."""
        self.engine.skew = skew
        await self.write(Changes(entries=(_kept_skew(skew),)))

    async def save_clock(self) -> None:
        """Keep the clock, so that a restart goes on from here."""
        await self.write(Changes(entries=(saved(self.clock),)))

    async def remember(self, entry: Entry) -> None:
        """Keep what a restart needs, and a reset does not forget."""
        self.remembered[entry.key] = entry
        await self.write(Changes(entries=(entry,)))

    def note(self, what: str, detail: str) -> None:
        """Journal a change that came from outside the simulated service."""
        self.space.note(ControlChanged(self.now_ms(), self.machine.wire_us(), what, detail))

    def hold(self, for_ms: float, lease: str | None = None) -> str:
        """Keep a jumping clock from leaping for a while. Renews the lease where one is given."""
        name = lease or self.machine.name()
        self._holds[name] = self.machine.wall_ms() + min(for_ms, HOLD_MS_MAX)
        return name

    def release(self, lease: str) -> bool:
        """Let it leap again."""
        return self._holds.pop(lease, None) is not None

    def held(self, wall_ms: float) -> list[str]:
        """The leases that have not run out."""
        self._holds = {name: until for name, until in self._holds.items() if until > wall_ms}
        return list(self._holds)

    async def replace(self, draft: Draft) -> None:
        """Play another version of a scenario, or one more, and keep the records. Raises OperatorError."""
        drafts = [draft if each.name == draft.name else each for each in self.drafts.values()]
        if draft.name not in self.drafts:
            drafts.append(draft)
        await self.reload(drafts)
        told = self.remembered.get("sandbox")
        if told is not None:  # else a restart would play what it was made with, to records of the new scenario
            await self.remember(Entry("sandbox", {**told.value, "scenarios": [each.data for each in drafts]}))

    async def reload(self, drafts: list[Draft]) -> None:
        """Play these scenarios and keep the records. Raises OperatorError where records sit in states that are gone."""
        await self.states_stay(drafts)
        self.play(drafts, self.seed)
        self.note("scenario_loaded", ", ".join(f"{draft.name} {draft.digest}" for draft in drafts))
        self.pulse.arm()

    async def states_stay(self, drafts: list[Draft]) -> None:
        """Raises OperatorError where records sit in states that these scenarios have not; remembers those they have."""
        kept: Any = await self.seen(lambda look: look.entry("states"), self.space.view(), 0)
        new = {f"{d.name}.{name}": states_of(model) for d in drafts for name, model in d.scenario.resources.items()}
        for kind, states in (kept or {}).items():
            for state in states:
                if state not in new.get(kind, ()) and await self._any_in(kind, state):
                    raise OperatorError(
                        f"records of {kind} are in state {state!r}, which the scenario has not; "
                        "keep the state, move or delete the records, or reset",
                        409,
                    )
        if kept != new:
            await self.remember(Entry("states", new))

    async def _any_in(self, kind: str, state: str) -> bool:
        scan = Scan(kind, (("state", state),), most=1)
        found = await self.seen(lambda look: look.scan(scan), self.space.view(), 0, settling=True)
        return bool(found.records)

    async def begin(self, clock: ClockSettings | None) -> None:
        """Start the clock, or take it up where it was kept, and journal the boot."""
        view = self.space.view()
        kept = restored(await self.seen(lambda look: look.entry("clock"), view, 0))
        wall_ms = self.machine.wall_ms()
        settings = clock or clock_of(self.drafts.values()) or ClockSettings()
        self.clock_settings = settings
        self.clock = started(settings, wall_ms)
        if kept is not None:
            rate = pace(settings.mode, settings.rate)
            self.clock = (
                kept if (kept.mode, kept.rate) == (settings.mode, rate) else kept.paced(settings.mode, rate, wall_ms)
            )
        faults: Any = await self.seen(lambda look: look.entry("faults"), view, 0)
        for name, documents in (faults or {}).items():
            self._keep_faults(name, documents)
        told: Any = await self.seen(lambda look: look.entry("skew"), view, 0)
        self.engine.skew = self._first_skew() if told is None else _skew(told)
        if told is None:
            await self.mislead(self.engine.skew)
        digest = "+".join(draft.digest for draft in self.drafts.values())
        seed = next(iter(self.seeds().values()), 0)
        wire_us = self.machine.wire_us()
        self.space.note(BootStarted(self.now_ms(), wire_us, self.machine.boot, seed, digest))
        self.space.note(ClockMoved(self.now_ms(), wire_us, self.now_ms(), self.clock.mode, self.clock.rate, "started"))
        if settings.mode != "real":
            await self.save_clock()
        self.pulse.arm(anew=True)

    def _first_skew(self) -> Skew:
        """How wrong the clock is in the beginning; whoever chooses a pace by a flag leaves that to the scenario."""
        given = self.clock_settings or ClockSettings()
        wrong = given if given.plain_skew() else clock_of(self.drafts.values()) or given
        return wrong.skew(self.now_ms())

    async def reset(self) -> None:
        """As it was in the beginning: no records, no journal, the clock at its start."""
        async with self.pulse.paused():
            await self.space.reset()
            self.unmatched.clear()
            self.exchanges = 0
            self._faults.clear()
            self.engine.faults.clear()
            self.clock = started(self.clock_settings or ClockSettings(), self.machine.wall_ms())
            self.engine.skew = self._first_skew()
            self.note("reset", "")
        clock = () if self.clock.mode == "real" else (saved(self.clock),)
        entries = (*self.remembered.values(), *clock, _kept_skew(self.engine.skew))
        await self.write(Changes(entries=entries))


def _record(kind: str, id_: str, look: Look) -> Record | None:
    return look.record(kind, id_)


def _kept_skew(skew: Skew) -> Entry:
    return Entry("skew", [*skew])


def _skew(told: list[Any]) -> Skew:
    began_ms, offset_ms, drift, jumps, freeze_ms = told
    return Skew(began_ms, offset_ms, drift, tuple((at, by) for at, by in jumps), freeze_ms)


def _tell_failures(changes: Changes) -> None:
    """Timed transitions have no client to tell."""
    for event in changes.events:
        if type(event) is TransitionFailed:
            LOG.error("%s: %s %s stays %s: %s", event.where, event.record_kind, event.id, event.from_state, event.what)


def states_of(model: ResourceModel) -> list[str]:
    """The states that records of a resource can be in."""
    return list(model.states) or [ONLY_STATE]
