"""How the control plane shows what a sandbox holds."""

from __future__ import annotations

from typing import Any

from simulator.core.clock import iso
from simulator.core.costs import account_prefixes
from simulator.core.costs import accounts as sums
from simulator.core.records import Record
from simulator.scenario.parse import Draft
from simulator.server.sandbox import Sandbox


def record(record: Record) -> dict[str, Any]:
    """A record with what the service itself may not show of it."""
    return {
        "id": record.id,
        "state": record.state,
        "record": record.fields,
        "ordinal": record.ordinal,
        "version": record.version,
        "created_at": iso(record.created_ms),
        "updated_at": iso(record.updated_ms),
        "next_at": None if record.due_ms is None else iso(record.due_ms),
    }


def played(sandbox: Sandbox, draft: Draft) -> dict[str, Any]:
    """A scenario as it is played here."""
    service = sandbox.engine.services[draft.name]
    return {
        "name": draft.name,
        "summary": draft.scenario.summary,
        "digest": draft.digest,
        "seed": service.seed,
        "prefix": sandbox.prefix + service.prefix,
        "operations": [
            f"{each.method} {sandbox.prefix}{'' if each.absolute else service.prefix}{each.path}"
            for each in service.operations
        ],
        "document": draft.data,
    }


async def accounts(sandbox: Sandbox) -> dict[str, Any]:
    """What each client's requests cost, by scenario and operation."""
    rows: list[dict[str, Any]] = []
    for name in sandbox.engine.services:
        counters: dict[str, int] = {}
        for prefix in account_prefixes(name):
            counters.update(await sandbox.space.counts(prefix))
        rows += [{"scenario": name, **row} for row in sums(counters, name)]
    return {"accounts": rows, "cost": round(sum(row["cost"] for row in rows), 6)}


async def clock(sandbox: Sandbox) -> dict[str, Any]:
    """What time it is, and what comes next."""
    next_ms, now_ms = await sandbox.pulse.next_ms(), sandbox.now_ms()
    return {
        "mode": sandbox.clock.mode,
        "rate": sandbox.clock.rate,
        "now": iso(now_ms),
        "now_ms": now_ms,
        "next_due": None if next_ms is None else iso(next_ms),
        "holds": sandbox.held(sandbox.machine.wall_ms()),
        "wakings": sandbox.pulse.wakings,
    }
