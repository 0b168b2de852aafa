"""How the control plane shows what a sandbox holds."""

from __future__ import annotations

from typing import Any

from simulator.core.clock import iso
from simulator.core.records import Record
from simulator.scenario.parse import Draft
from simulator.server.sandboxes import Sandbox


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
        "operations": [f"{o.method} {sandbox.prefix}{service.prefix}{o.path}" for o in service.operations],
        "document": draft.data,
    }


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
