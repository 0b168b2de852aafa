"""`consistency:` reads that still see the past, and what is kept so that they can.

Rules: the service itself is never behind, only what reads and lists show; of each record that can be shown late, the
version before its last change is kept as long as somebody may see it; a fault that says `stale` sees it at once.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.records import Entry, Record
from simulator.core.values import MS, Duration

STALE_KEPT_MS = MS["d"]  # that a fault can look back


class ConsistencyModel(BaseModel):
    """How long reads see the past after a write."""

    model_config = ConfigDict(extra="forbid")

    lag: Duration = Field(0, description="How long a read still sees what was there before", examples=["2s"])
    before: Literal["not_found", "stale"] = Field(
        "not_found", description="Of a new record: not there yet, or there at once, and only changes come late"
    )
    lists: Duration | None = Field(None, description="How long lists do; as `lag` by default")


class Consistency(NamedTuple):
    """A compiled consistency, in milliseconds."""

    lag_ms: int
    hides: bool  # new records
    lists_ms: int


def compile_consistency(model: ConsistencyModel | None) -> Consistency | None:
    """What a resource says; None where it is never behind."""
    if model is None:
        return None
    return Consistency(model.lag, model.before == "not_found", model.lag if model.lists is None else model.lists)


def past_key(record: Record) -> str:
    """Names the entry that keeps a record's past."""
    return f"past/{record.kind}/{record.id}"


def past_of(before: Record | None, record: Record, kept_ms: int) -> Entry:
    """The entry that keeps what there was before this version."""
    kept: dict[str, Any] = {"at": record.updated_ms, "made": record.created_ms, "next": record.version}
    if before is not None:
        kept |= {name: getattr(before, name) for name in ("state", "fields", "updated_ms", "version")}
    return Entry(past_key(record), kept, record.updated_ms + kept_ms)


def seen(record: Record, kept: Any, now_ms: int, lag_ms: int, *, hides: bool, stale: bool) -> Record | None:
    """The record as a late look sees it; None where it sees none. `kept` is the value of the past's entry."""
    if hides and now_ms < record.created_ms + lag_ms:
        return None
    if kept is None or (kept["made"], kept["next"]) != (record.created_ms, record.version):
        return record  # nothing is kept of this one; another may have had its id
    if not (stale or now_ms < kept["at"] + lag_ms):
        return record
    if "version" not in kept:
        return None if stale else record
    return record._replace(**{name: kept[name] for name in ("state", "fields", "updated_ms", "version")})
