"""What the stores' tests make and do: records, events, and decisions that fetch what they want to see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from simulator.core.events import ControlChanged, ExchangeEnded
from simulator.core.records import Changes, Found, Json, NotLoaded, Record, Scan
from simulator.stores.base import Space, View

KIND = "documents.job"
T = TypeVar("T")


def record(name: str, ordinal: int = 1, *, due_ms: int | None = None, **fields: Json) -> Record:
    """A record as it is created."""
    return Record(KIND, name, ordinal, 1, "queued", fields, 1000, 1000, 1, due_ms, 0, "http://localhost")


def moved(old: Record, **changed: Any) -> Record:
    """Its next version."""
    return old._replace(version=old.version + 1, **changed)


def event(number: int, at_ms: int = 0) -> ControlChanged:
    return ControlChanged(at_ms, number, "noted", str(number))


def exchange(**changed: Any) -> ExchangeEnded:
    """A request that carried a credential."""
    headers = [(b"host", b"localhost"), (b"Authorization", b"Bearer sk_test_secret")]
    plain: dict[str, Any] = dict.fromkeys(ExchangeEnded._fields, 0)
    texts = dict.fromkeys(("digest", "request_id", "peer", "method", "target", "closed"), "")
    empty: dict[str, Any] = dict.fromkeys(("records", "items", "nearest"), ())
    bodies = {"headers": headers, "reply_headers": headers, "body": b"asked", "reply_body": b"told"}
    return ExchangeEnded(**{**plain, **texts, **empty, **bodies, **changed})


async def seen(space: Space, look: Callable[[View], T], view: View | None = None) -> T:
    """What a decision sees, once all it wants to see is there."""
    view = view or space.view()
    while True:
        try:
            return look(view)
        except NotLoaded as missing:
            for need in missing.needs:
                await space.load(need, view)


async def stored(space: Space, name: str) -> Record | None:
    return await seen(space, lambda view: view.record(KIND, name))


async def entered(space: Space, key: str) -> Json:
    return await seen(space, lambda view: view.entry(key))


async def scanned(space: Space, **question: Any) -> Found:
    scan = Scan(**{"kind": KIND, **question})
    return await seen(space, lambda view: view.scan(scan))


async def ids(space: Space, **question: Any) -> list[str]:
    return [found.id for found in (await scanned(space, **question)).records]


async def put(space: Space, *records: Record) -> bool:
    """Commit these, whatever is there."""
    return await space.commit(Changes(puts=records), space.view())


async def keep(space: Space, changes: Changes) -> None:
    """Commit and wait until it is kept."""
    view = space.view()
    assert await space.commit(changes, view)
    await space.kept(view)


async def numbers(space: Space, after: int = 0, most: int = 1000) -> list[int]:
    return [numbered.number for numbered in await space.journal(after, most)]
