"""The SQLite store as a whole: what outlives it, what it survives, what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.core.records import Changes, Entry
from simulator.errors import StoreError
from simulator.stores import rows
from simulator.stores.sqlite import SqliteStore
from simulator.stores.sqlite_space import Limits
from tests.stores.making import KIND, entered, event, ids, keep, moved, numbers, put, record, seen, stored

ROOT = Path(__file__).parent.parent.parent


@contextlib.asynccontextmanager
async def opened(path: Path | None = None, limits: Limits | None = None) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path) if path else None, limits=limits)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_everything_is_there_after_reopening(path: Path) -> None:
    first = record("a", 1, due_ms=50, n=2)
    changes = Changes((first, record("b", 2, n=1)), (), (Entry("key", {"x": 1}, 99),), (("n", 2),), (event(1),))
    async with opened(path) as store:
        space = await store.space("default", "boot-1")
        space.declare({KIND: ("n",)})
        await keep(space, changes)
    async with opened(path) as store:
        assert await store.names() == ["default"]
        space = await store.space("default", "boot-2")
        assert space.next_due_ms() == 50
        assert await space.due(50, 5) == [first]
        assert space.view().count("n") == 2
        assert await entered(space, "key") == {"x": 1}
        assert await ids(space, by="n") == ["b", "a"]
        assert not await put(space, record("a"))
        assert await put(space, moved(first))
        space.note(event(2))
        assert [(each.number, each.boot) for each in await space.journal(0, 9)] == [(1, "boot-1"), (2, "boot-2")]


async def test_fields_declared_by_another_run_cover_what_this_one_stored(path: Path) -> None:
    async with opened(path) as store:
        space = await store.space("default", "boot")
        space.declare({KIND: ("n", "m")})
        await keep(space, Changes((record("a", 1, n=2, m=2),)))
    async with opened(path) as store:  # does not know m, so what it writes is not in that index
        space = await store.space("default", "boot")
        space.declare({KIND: ("n",)})
        await keep(space, Changes((record("b", 2, n=1, m=1),)))
    async with opened(path) as store:
        space = await store.space("default", "boot")
        await keep(space, Changes((record("c", 3, n=0, m=0),)))
        space.declare({KIND: ("n", "m")})
        assert await ids(space, by="n") == ["c", "b", "a"]
        assert await ids(space, by="m") == ["c", "b", "a"]


async def test_what_kept_returned_for_is_on_disk_before_anybody_closes(path: Path) -> None:
    async with opened(path) as store:
        space = await store.space("default", "boot")
        await keep(space, Changes(puts=(record("a"),)))
        assert any(b'"documents.job","a"' in copy for copy in contents(path.parent))


async def test_a_temporary_store_has_no_name_and_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    async with opened() as store:
        space = await store.space("default", "boot")
        view = space.view()
        for step in (space.commit(Changes(puts=(record("a"),)), view), space.kept(view)):
            with pytest.raises(StopIteration):
                step.send(None)
        assert not store.waits
    assert contents(tmp_path) == []


async def test_two_stores_cannot_serve_one_file(path: Path) -> None:
    async with opened(path):
        with pytest.raises(StoreError, match="another process serves this file"):
            await SqliteStore(str(path)).open()
    async with opened(path):
        pass


WRITING = """
import asyncio, sys
from simulator.core.records import Changes, Entry
from simulator.stores.sqlite import SqliteStore
from tests.stores.making import event, record

async def client(space, name):
    number = 0
    while True:
        number += 1
        job = record(f"{name}-{number}", number, due_ms=number)
        view = space.view()
        changes = Changes((job,), (), (Entry(job.id, number),), ((name, 1),), (event(number),))
        assert await space.commit(changes, view)
        await space.kept(view)
        print(name, number, flush=True)

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    space = await store.space("default", "killed")
    await asyncio.gather(*(client(space, name) for name in "abcd"))

asyncio.run(main())
"""


async def killed_while_writing(path: Path) -> dict[str, int]:
    """Start a process that writes, kill it with no warning; what it was told is kept, by client."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITING, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    told: dict[str, int] = {}
    for _ in range(300):
        name, number = (await process.stdout.readline()).split()
        told[name.decode()] = int(number)
    process.send_signal(signal.SIGKILL)
    for line in (await process.stdout.read()).splitlines():
        name, number = line.split()
        told[name.decode()] = int(number)
    await process.wait()
    return told


async def test_whatever_was_acknowledged_survives_being_killed(path: Path) -> None:
    told = await killed_while_writing(path)
    assert sorted(told) == list("abcd")
    async with opened(path) as store:
        space = await store.space("default", "after")
        view = space.view()
        for name, number in told.items():
            assert view.count(name) >= number
            for each in range(1, number + 1):
                assert await stored(space, f"{name}-{each}") is not None
                assert await entered(space, f"{name}-{each}") == each
        written = sum(view.count(name) for name in "abcd")
        assert len(await space.due(2**40, 64)) == 64
        assert await numbers(space, most=10_000) == list(range(1, written + 1))
        space.note(event(0))
        (last,) = await space.journal(written, 5)
        assert (last.number, last.boot) == (written + 1, "after")


async def test_a_killed_process_leaves_no_temporary_file(tmp_path: Path) -> None:
    script = WRITING.replace("sys.argv[1]", "None").replace("print(", "await asyncio.sleep(0); print(")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"SQLITE_TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    await process.stdout.readline()
    process.kill()
    await process.stdout.read()
    await process.wait()
    assert contents(tmp_path) == []


async def test_a_sandbox_that_was_being_dropped_is_gone_after_a_crash(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SLICE", 1)
    async with opened(path) as store:
        space = await store.space("doomed", "boot")
        await keep(space, Changes((record("a"),), (), (Entry("k", 1),), (("n", 1),), (event(1),)))
        await store.ask(lambda db: db.execute("UPDATE space SET name=NULL"))
    async with opened(path) as store:
        assert await store.names() == []
        assert await store.ask(lambda db: db.execute("SELECT count(*) FROM record").fetchone()[0]) == 0


async def test_a_file_without_its_key_is_let_go_again(path: Path) -> None:
    async with opened(path) as store:
        await store.ask(lambda db: db.execute("DROP TABLE meta"))
    store = SqliteStore(str(path))
    with pytest.raises(StoreError, match="no such table"):
        await store.open()
    await store.close()


async def fill_the_disk(store: SqliteStore) -> None:
    pages = await store.ask(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store.ask(lambda db: db.execute(f"PRAGMA max_page_count={pages + 2}").fetchone())


async def make_room(store: SqliteStore) -> None:
    await store.ask(lambda db: db.execute("PRAGMA max_page_count=1000000").fetchone())


@pytest.mark.parametrize("named", [True, False])
async def test_after_a_full_disk_it_goes_on_from_what_is_stored(path: Path, named: bool) -> None:
    async with opened(path if named else None) as store:
        space = await store.space("default", "boot")
        job = record("kept", 1, due_ms=10)
        await keep(space, Changes((job,), (), (Entry("key", 1),), (("n", 1),), (event(1),)))
        await numbers(space)
        await fill_the_disk(store)
        view = space.view()
        changes = Changes(
            (moved(job, due_ms=5), record("lost", 2, due_ms=1, text="x" * 100_000)),
            (),
            (Entry("key", 2),),
            (("n", 1),),
            (event(2),),
        )
        assert await space.commit(changes, view)
        with pytest.raises(StoreError, match="disk is full; make room"):
            await numbers(space)
        with pytest.raises(StoreError, match="disk is full"):
            await space.kept(view)
        assert await stored(space, "kept") == job
        assert await stored(space, "lost") is None
        assert await entered(space, "key") == 1
        assert await seen(space, lambda look: look.count("n")) == 1
        assert space.next_due_ms() == 10
        assert await space.due(20, 5) == [job]
        assert await numbers(space) == [1]
        await make_room(store)
        assert await put(space, moved(job))
        space.note(event(2))
        assert await numbers(space) == [1, 2]


async def test_closing_tells_what_could_not_be_written_and_lets_go_all_the_same(path: Path) -> None:
    store = SqliteStore(str(path))
    await store.open()
    space = await store.space("default", "boot")
    await fill_the_disk(store)
    await put(space, record("lost", text="x" * 100_000))
    with pytest.raises(StoreError, match="disk is full"):
        await store.close()
    async with opened(path) as again:
        assert await again.names() == []


async def test_while_the_database_is_gone_everybody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as store:
        space = await store.space("default", "boot")
        job = record("a", due_ms=10)
        await keep(space, Changes((job,), adds=(("n", 1),)))
        await ids(space)
        real = store.ask

        async def gone(*_: object) -> None:
            raise StoreError("gone")

        monkeypatch.setattr(store, "ask", gone)
        await put(space, record("b"))
        with pytest.raises(StoreError, match="gone"):
            await ids(space)
        for step in (stored(space, "a"), seen(space, lambda look: look.count("n")), put(space, record("c"))):
            with pytest.raises(StoreError, match="gone"):
                await step
        for late in (space.due(10, 5), space.journal(0, 5)):
            with pytest.raises(StoreError, match="gone"):
                await late
        assert space.next_due_ms() is not None
        space.note(event(1))
        monkeypatch.setattr(store, "ask", real)
        assert await space.due(10, 5) == [job]
        assert await stored(space, "b") is None
        assert await seen(space, lambda look: look.count("n")) == 1


async def test_a_closed_store_says_so() -> None:
    async with opened() as store:
        space = await store.space("default", "boot")
        await put(space, record("a"))
    with pytest.raises(StoreError, match="gone"):
        await put(space, record("b"))
    with pytest.raises(StoreError, match="the store is closed"):
        await store.names()
    assert space.next_due_ms() is None
    space.note(event(1))
    await store.close()


async def test_whoever_holds_a_dropped_sandbox_is_told() -> None:
    async with opened() as store:
        space = await store.space("one", "boot")
        await put(space, record("a"))
        await store.drop("one")
        space.note(event(1))
        with pytest.raises(StoreError, match="'one' is gone"):
            await stored(space, "a")
        with pytest.raises(StoreError, match="'one' is gone"):
            await put(space, record("b"))
        assert await store.names() == []


async def test_dropping_a_sandbox_that_is_just_being_opened_leaves_nothing_half_open(path: Path) -> None:
    async with opened(path) as store:
        await keep(await store.space("one", "boot"), Changes(puts=(record("a"),)))
    async with opened(path) as store:
        opening = asyncio.ensure_future(store.space("one", "boot"))
        await asyncio.sleep(0)
        await store.drop("one")
        with pytest.raises(StoreError, match="'one' is gone"):
            await opening
        assert await stored(await store.space("one", "boot"), "a") is None


async def test_closing_writes_what_nobody_waited_for(path: Path) -> None:
    async with opened(path) as store:
        space = await store.space("default", "boot")
        space.note(event(1))
    async with opened(path) as store:
        assert await numbers(await store.space("default", "boot")) == [1]
