"""Any sequence of changes, against a plain dict: every store says what the dict says, even when memory holds little."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulator.core.records import Changes, Entry, Record, field_of, sort_of, text_of
from simulator.stores.base import Space, Store
from simulator.stores.memory import MemoryStore
from simulator.stores.sqlite import SqliteStore
from simulator.stores.sqlite_space import Limits
from tests.stores.making import KIND, entered, event, ids, numbers, put, record, seen, stored

NAMES = st.sampled_from([f"r{number}" for number in range(12)])
VALUES = st.sampled_from([None, True, False, 1, 1.0, 2.5, -3, "1", "a", "ä", ""])
DUE = st.none() | st.integers(0, 20)
TINY = Limits(journal_events_max=1000, hot_max=4, wakes_max=8)


class Machine(RuleBasedStateMachine):
    """One sandbox, changed by rules, and the dict that says what must be there."""

    def make(self, folder: Path) -> Store:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.records: dict[str, Record] = {}
        self.entries: dict[str, int] = {}
        self.count = self.events = self.ordinal = 0
        self._open()

    def _open(self) -> None:
        async def opened() -> tuple[Store, Space]:
            store = self.make(self.folder)
            await store.open()
            space = await store.space("default", "boot")
            space.declare({KIND: ("n",)})
            return store, space

        self.store, self.space = self.runner.run(opened())

    def do(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def put(self, made: Record) -> None:
        async def commit() -> None:
            changes = Changes((made,), adds=(("n", 1),), events=(event(made.version),))
            assert await self.space.commit(changes, self.space.view())

        self.do(commit())
        self.records[made.id] = made
        self.count += 1
        self.events += 1

    @rule(name=NAMES, value=VALUES, due_ms=DUE)
    def write(self, name: str, value: object, due_ms: int | None) -> None:
        old = self.records.get(name)
        if old is None:
            self.ordinal += 1
            self.put(record(name, self.ordinal, due_ms=due_ms, n=value))
        else:
            state = f"s{old.version % 3}"
            self.put(old._replace(version=old.version + 1, due_ms=due_ms, fields={"n": value}, state=state))

    @rule(name=NAMES, off=st.sampled_from([-1, 1, 2]))
    def conflict(self, name: str, off: int) -> None:
        old = self.records.get(name)
        version = (old.version if old else 0) + 1 + off
        assert version == 0 or not self.do(put(self.space, record(name, 99)._replace(version=version)))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        old = self.records.pop(name, None)
        if old is not None:
            assert self.do(self.space.commit(Changes(removes=(old,)), self.space.view()))

    @rule(name=NAMES, value=st.none() | st.integers(1, 9))
    def enter(self, name: str, value: int | None) -> None:
        assert self.do(self.space.commit(Changes(entries=(Entry(name, value),)), self.space.view()))
        self.entries[name] = value or 0

    @rule()
    def note(self) -> None:
        async def noted() -> None:
            self.space.note(event(0))

        self.do(noted())
        self.events += 1

    @rule()
    def linger(self) -> None:
        self.do(asyncio.sleep(0.025))

    @rule(name=NAMES)
    def look(self, name: str) -> None:
        assert self.do(stored(self.space, name)) == self.records.get(name)
        assert (self.do(entered(self.space, name)) or 0) == self.entries.get(name, 0)

    @rule(now_ms=st.integers(0, 20), most=st.integers(1, 2))
    def due(self, now_ms: int, most: int) -> None:
        due = [each for each in self.records.values() if each.due_ms is not None and each.due_ms <= now_ms]
        due.sort(key=lambda each: (each.due_ms or 0, each.ordinal))
        assert self.do(self.space.due(now_ms, most)) == due[:most]

    @rule(by=st.sampled_from(["", "n", "state", "id"]), down=st.booleans(), value=st.none() | VALUES)
    def scan(self, by: str, down: bool, value: object) -> None:
        wanted = text_of(value)
        where = (("n", wanted),) if wanted is not None else ()
        found = [each for each in self.records.values() if not where or text_of(field_of(each, "n")) == wanted]
        found.sort(key=lambda each: _place(each, by), reverse=down)
        assert self.do(ids(self.space, by=by, where=where, descending=down)) == [each.id for each in found]

    @rule()
    def reset(self) -> None:
        self.do(self.space.reset())
        self.records, self.entries, self.count, self.events, self.ordinal = {}, {}, 0, 0, 0

    @rule()
    def journal(self) -> None:
        assert self.do(numbers(self.space)) == list(range(1, self.events + 1))

    @invariant()
    def next_is_never_too_late(self) -> None:
        nearest = min((each.due_ms for each in self.records.values() if each.due_ms is not None), default=None)
        told = self.space.next_due_ms()
        assert nearest is None or (told is not None and told <= nearest)

    @invariant()
    def counters_are_right(self) -> None:
        assert self.do(seen(self.space, lambda look: look.count("n"))) == self.count

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.do(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)


def _place(each: Record, by: str) -> tuple[int, float, str, int]:
    sort = sort_of(field_of(each, by)) if by else 0.0
    return (1, 0.0, sort, each.ordinal) if isinstance(sort, str) else (0, sort, "", each.ordinal)


class Memory(Machine):
    def make(self, folder: Path) -> Store:
        return MemoryStore()


class Temporary(Machine):
    def make(self, folder: Path) -> Store:
        return SqliteStore(limits=TINY, queue_max=5)


class Named(Machine):
    def make(self, folder: Path) -> Store:
        return SqliteStore(str(folder / "store.db"), limits=TINY, queue_max=5)

    @rule()
    def reopen(self) -> None:
        self.do(self.store.close())
        self._open()


TestMemory = Memory.TestCase
TestTemporary = Temporary.TestCase
TestNamed = Named.TestCase
TestMemory.settings = settings(max_examples=20, stateful_step_count=30)
TestTemporary.settings = settings(max_examples=40, stateful_step_count=50)
TestNamed.settings = settings(max_examples=40, stateful_step_count=50)
