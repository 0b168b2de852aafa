"""Now, and the loop that wakes what is due: never early, in order, and asleep in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.core.clock import Clock
from simulator.core.events import ClockMoved, Event, TransitionApplied
from simulator.core.records import Changes, Entry, Record
from simulator.server import timekeeper
from simulator.server.app import App
from simulator.server.timekeeper import Machine, Pulse, restored, saved
from simulator.stores.memory import MemoryStore
from simulator.stores.sqlite import SqliteStore
from tests.live import documents, inside, started

NOW_MS = 1_000_000.0


class FakeMachine(Machine):
    """A machine whose time stands still until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.at_ms = NOW_MS

    def wall_ms(self) -> float:
        return self.at_ms


class FakeSpace:
    """Due moments as (due_ms, name), and what was noted."""

    def __init__(self) -> None:
        self.due_at: dict[str, int] = {}
        self.noted: list[Event] = []

    def next_due_ms(self) -> int | None:
        return min(self.due_at.values(), default=None)

    async def due(self, now_ms: int, most: int) -> list[Record]:
        rows = sorted((due, name) for name, due in self.due_at.items() if due <= now_ms)
        return [Record("k", name, 1, 1, "A", {}, 0, 0, 1, due, 0, "") for due, name in rows[:most]]

    def note(self, event: Event) -> None:
        self.noted.append(event)


class Sandbox:
    """What a pulse wakes, reduced to what it needs."""

    def __init__(self, machine: Machine, mode: Any = "real", rate: float = 1.0) -> None:
        self.space: Any = FakeSpace()
        self.clock = Clock(mode, rate, 0, NOW_MS)
        self.machine = machine
        self.open = 0
        self.holds: list[str] = []
        self.woken: list[tuple[str, int, int]] = []  # who, when it was due, what the clock showed
        self.saves = 0
        self.then: dict[str, dict[str, int]] = {}  # what becomes due when somebody is woken

    def now_ms(self) -> int:
        return self.clock.now_ms(self.machine.wall_ms())

    def held(self, _: float) -> list[str]:
        return self.holds

    async def wake(self, record: Record, now_ms: int, kept: tuple[Entry, ...] = ()) -> None:
        del self.space.due_at[record.id]
        self.space.due_at.update(self.then.pop(record.id, {}))
        self.woken.append((record.id, now_ms, self.now_ms()))

    async def save_clock(self) -> None:
        self.saves += 1


class Timers:
    """The event loop's timers, that ring when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._later)

    def _later(self, delay_s: float, call: Callable[[], None]) -> Any:
        row = (delay_s, call)
        self.waiting.append(row)

        class Handle:
            def cancel(_) -> None:  # noqa: N805 - the outer self is wanted
                if row in self.waiting:
                    self.waiting.remove(row)

        return Handle()

    async def ring(self) -> float:
        """Let the earliest ring, and let what it began end."""
        delay_s, call = min(self.waiting, key=lambda row: row[0])
        self.waiting.remove((delay_s, call))
        call()
        for _ in range(50):
            await asyncio.sleep(0)
        return delay_s


def pulse_of(mode: Any = "real", rate: float = 1.0, **due_at: int) -> tuple[Pulse, Sandbox, FakeMachine]:
    machine = FakeMachine()
    sandbox = Sandbox(machine, mode, rate)
    sandbox.space.due_at.update(due_at)
    return Pulse(sandbox, machine, 250), sandbox, machine


def test_a_machines_time_never_goes_back_and_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # somebody sets the machine's clock
    seen = [machine.wall_ms() for _ in range(1000)]
    assert seen == sorted(seen)
    assert seen[0] > 1_600_000_000_000
    wires = [machine.wire_us() for _ in range(1000)]
    assert wires == sorted(wires)


def test_names_boots_and_seeds_are_each_runs_own() -> None:
    one, two = Machine(), Machine()
    assert one.boot != two.boot
    assert len({each.name() for each in (one, two) for _ in range(100)}) == 200
    assert one.seed() == one.seed() != two.seed()


async def test_a_timer_that_rings_early_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, machine = pulse_of(a=1000)
    timers = Timers(monkeypatch)
    pulse.arm()
    machine.at_ms += 999
    assert await timers.ring() == 1.0
    assert sandbox.woken == []
    machine.at_ms += 0.5
    await timers.ring()
    assert sandbox.woken == []
    machine.at_ms += 0.5
    await timers.ring()
    assert sandbox.woken == [("a", 1000, 1000)]
    assert pulse.wakings == 3
    assert timers.waiting == []


async def test_one_timer_waits_for_the_next_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, _ = pulse_of(a=3000)
    timers = Timers(monkeypatch)
    for _ in range(10):
        pulse.arm()
    assert [delay for delay, _ in timers.waiting] == [3.0]
    sandbox.space.due_at["b"] = 2000
    pulse.arm()
    assert [delay for delay, _ in timers.waiting] == [2.0]
    sandbox.space.due_at.clear()
    pulse.arm()
    assert timers.waiting == []


async def test_a_long_wait_is_looked_at_again_each_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, machine = pulse_of(a=2**50)
    timers = Timers(monkeypatch)
    pulse.arm()
    for number in range(3):
        machine.at_ms += 3_600_000
        assert await timers.ring() == 3600.0
        assert pulse.wakings == number + 1
    assert sandbox.woken == []


async def test_a_scaled_clock_waits_accordingly_and_a_still_one_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers(monkeypatch)
    pulse_of("scaled", 60.0, a=60_000)[0].arm()
    assert [delay for delay, _ in timers.waiting] == [1.0]
    pulse_of("manual", 0.0, a=60_000)[0].arm()
    assert len(timers.waiting) == 1


async def test_what_is_late_runs_at_once_and_the_lateness_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, machine = pulse_of(a=1000, b=1500)
    timers = Timers(monkeypatch)
    machine.at_ms += 1700
    pulse.arm()
    assert await timers.ring() == 0.0
    assert sandbox.woken == [("a", 1000, 1700), ("b", 1500, 1700)]
    assert pulse.late_ms == 700


async def test_an_advance_runs_moments_in_time_order_at_their_own_instants() -> None:
    """Also those that only become due on the way, before others that were due from the start."""
    pulse, sandbox, _ = pulse_of("manual", 0.0, a=100, c=300, e=500, f=501)
    sandbox.then = {"a": {"b": 200, "d": 400}}
    await pulse.advance(500, "control")
    assert sandbox.woken == [("a", 100, 100), ("b", 200, 200), ("c", 300, 300), ("d", 400, 400), ("e", 500, 500)]
    (moved,) = sandbox.space.noted
    assert isinstance(moved, ClockMoved)
    assert (moved.from_ms, moved.at_ms, moved.cause) == (0, 500, "control")
    assert list(sandbox.space.due_at) == ["f"]


async def test_an_advance_lets_others_work_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timekeeper, "SLICE", 10)
    pulse, sandbox, _ = pulse_of("manual", 0.0, **{f"r{number:03}": number for number in range(100)})
    seen = []
    task = asyncio.create_task(pulse.advance(1000, "control"))
    while not task.done():
        seen.append((sandbox.now_ms(), len(sandbox.woken)))
        await asyncio.sleep(0)
    await task
    assert len(seen) >= 10
    assert seen == sorted(seen)


async def test_another_pace_sets_the_timer_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, machine = pulse_of("manual", 0.0, a=60_000)
    timers = Timers(monkeypatch)
    await pulse.pace(sandbox.clock.paced("scaled", 60.0, machine.wall_ms()))
    assert [delay for delay, _ in timers.waiting] == [1.0]
    await pulse.pace(sandbox.clock.paced("manual", 0.0, machine.wall_ms()))
    assert timers.waiting == []


async def leaping(monkeypatch: pytest.MonkeyPatch, **due_at: int) -> tuple[Pulse, Sandbox, FakeMachine, Timers]:
    pulse, sandbox, machine = pulse_of("jump", 1.0, **due_at)
    timers = Timers(monkeypatch)
    pulse.arm()
    return pulse, sandbox, machine, timers


async def test_a_jumping_clock_leaps_after_the_pause_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    _, sandbox, machine, timers = await leaping(monkeypatch, a=60_000)
    machine.at_ms += 249
    assert await timers.ring() == 0.25
    assert sandbox.woken == []
    machine.at_ms += 1
    await timers.ring()
    assert sandbox.woken == [("a", 60_000, 60_000)]
    assert sandbox.saves == 1
    assert sandbox.space.noted[-1].cause == "jump"


@pytest.mark.parametrize("reason", ["open", "holds"])
async def test_a_jumping_clock_waits_the_whole_pause_after_its_last_reason(
    monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    _, sandbox, machine, timers = await leaping(monkeypatch, a=60_000)
    setattr(sandbox, reason, ["x"])
    for _ in range(4):
        machine.at_ms += 250
        assert await timers.ring() == 0.25
    setattr(sandbox, reason, [])
    machine.at_ms += 249
    await timers.ring()
    assert sandbox.woken == []
    machine.at_ms += 1
    await timers.ring()
    assert [name for name, _, _ in sandbox.woken] == ["a"]


async def test_a_jumping_clock_with_nothing_to_leap_to_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    _, sandbox, machine, timers = await leaping(monkeypatch, a=60_000)
    sandbox.space.due_at.clear()
    machine.at_ms += 250
    await timers.ring()
    assert [delay for delay, _ in timers.waiting] == [60.0]  # the timer, and nobody listens any more
    assert sandbox.now_ms() == 250


async def test_once_stopped_nothing_rings_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, _, timers = await leaping(monkeypatch, a=60_000)
    assert len(timers.waiting) == 2
    await pulse.stop()
    assert timers.waiting == []
    sandbox.space.due_at["b"] = 1
    pulse.arm()
    assert timers.waiting == []


async def test_stopping_waits_for_the_moment_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, _ = pulse_of(a=0)
    gate, wake = asyncio.Event(), sandbox.wake

    async def slowly(record: Record, now_ms: int, kept: tuple[Entry, ...] = ()) -> None:
        await gate.wait()
        await wake(record, now_ms, kept)

    monkeypatch.setattr(sandbox, "wake", slowly)
    timers = Timers(monkeypatch)
    pulse.arm()
    await timers.ring()
    stopping = asyncio.create_task(pulse.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    gate.set()
    await stopping
    assert len(sandbox.woken) == 1


async def test_a_moment_between_two_looks_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse, sandbox, _ = pulse_of(a=0)
    sandbox.then = {"a": {"b": 0, "c": 5000}}
    timers = Timers(monkeypatch)
    pulse.arm()
    await timers.ring()
    assert [name for name, _, _ in sandbox.woken] == ["a", "b"]
    assert [delay for delay, _ in timers.waiting] == [5.0]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_hundred_thousand_pending_moments_cause_no_wakings(kind: str, tmp_path: Path) -> None:
    """An hour ahead; meanwhile one that is near is run in its time, by a single waking."""
    store = MemoryStore() if kind == "memory" else SqliteStore(str(tmp_path / "pending.db"))
    async with started(documents(), store=store) as app, inside(app) as client:
        sandbox = app.sandboxes.default
        far_ms = sandbox.now_ms() + 3_600_000
        rows = [
            Record("documents.job", f"j{n}", n, 1, "PROCESSING", {}, 0, 0, 1, far_ms + n, 0, "")
            for n in range(1, 100_001)
        ]
        for at in range(0, len(rows), 5000):
            await sandbox.write(Changes(puts=tuple(rows[at : at + 5000])))
        before = sandbox.pulse.wakings
        await client.put("/_simulator/records/job/near", json={"state": "CREATED"})  # for 50 ms
        async with asyncio.timeout(20):
            while not await _moved_by_time(app):  # noqa: ASYNC110 - the fact lies in the simulator, which sets no event
                await asyncio.sleep(0.01)
        assert 1 <= sandbox.pulse.wakings - before <= 3  # and those that rang early, if any
        assert sandbox.pulse.late_ms < 1000
        assert (await sandbox.pulse.next_ms() or 0) < far_ms  # the near one is due again, in seconds


async def _moved_by_time(app: App) -> bool:
    """Whether the near one has moved; asked of the journal, for a look at the record would move it."""
    events = await app.sandboxes.default.space.journal(0, 100, frozenset({"transition"}))
    return any(isinstance(each.event, TransitionApplied) and each.event.cause == "after" for each in events)


def test_a_clock_is_kept_and_taken_up_again() -> None:
    clock = Clock("scaled", 60.0, 5, 7.0)
    assert saved(clock).key == "clock"
    assert restored(saved(clock).value) == clock
    for wrong in (None, [], ["real"], {"mode": "real"}):
        assert restored(wrong) is None
