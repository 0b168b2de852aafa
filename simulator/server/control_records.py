"""The control plane's records: what the service keeps, seen and changed from outside."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.records import Record, Scan
from simulator.errors import OperatorError
from simulator.server import told
from simulator.server.control_bodies import Move, RecordBody
from simulator.server.desk import PAGE_MAX, Desk, Table, number, only, sandbox_of
from simulator.server.problems import answer
from simulator.server.sandbox import Sandbox


class RecordsDesk(Desk):
    """Records."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "records/{resource}", self.records),
            ("GET", "records/{resource}/{id}", self.record),
            ("PUT", "records/{resource}/{id}", self.put_record),
            ("DELETE", "records/{resource}/{id}", self.delete_record),
            ("POST", "records/{resource}/{id}/move", self.move_record),
        ]

    async def records(self, request: Request) -> Response:
        """Records of a resource, in the order of their creation."""
        only(request, "after", "most", "state")
        sandbox = sandbox_of(request)
        kind = sandbox.engine.kind_of(request.path_params["resource"])
        after, most = number(request, "after", 0), min(number(request, "most", 1000), PAGE_MAX)
        state = request.query_params.get("state")
        where = (("state", state),) if state else ()
        scan = Scan(kind, where, after=(0, after), most=most)
        found = await sandbox.seen(lambda look: look.scan(scan), sandbox.space.view(), sandbox.now_ms())
        rows = [told.record(record) for record in found.records]
        return answer({"records": rows, "next": (rows[-1]["ordinal"] if rows else after) if found.more else None})

    async def record(self, request: Request) -> Response:
        """One record, as it is now."""
        sandbox, kind, id_ = _named(request)
        return answer(told.record(await _look_up(sandbox, kind, id_)))

    async def put_record(self, request: Request) -> Response:
        """Put a record: seed data, or another state of affairs."""
        sandbox, kind, id_ = _named(request)
        body = await self.body(request, RecordBody)
        now_ms, origin = sandbox.now_ms(), self.origin(request, sandbox)
        _, view = await sandbox.decide(
            lambda look: sandbox.engine.seed(kind, id_, body.record, body.state, look, now_ms, origin),
            lambda made: made,
            now_ms,
        )
        await sandbox.space.kept(view)
        sandbox.note("record_put", f"{kind}/{id_}")
        return answer(told.record(await _look_up(sandbox, kind, id_)))

    async def delete_record(self, request: Request) -> Response:
        """Remove a record."""
        sandbox, kind, id_ = _named(request)
        now_ms = sandbox.now_ms()
        _, view = await sandbox.decide(
            lambda look: sandbox.engine.remove(kind, id_, look, now_ms), lambda made: made, now_ms
        )
        await sandbox.space.kept(view)
        return Response(status_code=204)

    async def move_record(self, request: Request) -> Response:
        """Force a record into a state, or send it a signal."""
        sandbox, kind, id_ = _named(request)
        move = await self.body(request, Move)
        now_ms = sandbox.now_ms()
        _, view = await sandbox.decide(
            lambda look: sandbox.engine.force(kind, id_, move.to, move.signal, look, now_ms), lambda made: made, now_ms
        )
        await sandbox.space.kept(view)
        sandbox.note("record_moved", f"{kind}/{id_}")
        return answer(told.record(await _look_up(sandbox, kind, id_)))


def _named(request: Request) -> tuple[Sandbox, str, str]:
    sandbox = sandbox_of(request)
    return sandbox, sandbox.engine.kind_of(request.path_params["resource"]), request.path_params["id"]


async def _look_up(sandbox: Sandbox, kind: str, id_: str) -> Record:
    now_ms = sandbox.now_ms()
    await sandbox.pulse.settle(now_ms)
    found = await sandbox.seen(lambda look: look.record(kind, id_), sandbox.space.view(), now_ms)
    if found is None:
        raise OperatorError(f"no {kind} {id_!r}", 404)
    return found
