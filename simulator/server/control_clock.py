"""The control plane's clock: what time it is, moving it, keeping it from leaping."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.clock import INSTANT_MS_MAX, iso, pace
from simulator.errors import OperatorError
from simulator.server import told
from simulator.server.control_bodies import ClockMove, Hold
from simulator.server.desk import Desk, Table, sandbox_of
from simulator.server.problems import answer, problem
from simulator.server.sandbox import Sandbox


class ClockDesk(Desk):
    """The clock."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "clock", self.clock),
            ("POST", "clock", self.move_clock),
            ("POST", "clock/hold", self.hold),
        ]

    async def clock(self, request: Request) -> Response:
        """What time it is, and what is next."""
        return answer(await told.clock(sandbox_of(request)))

    async def move_clock(self, request: Request) -> Response:
        """Advance the clock, or change its pace."""
        sandbox, move = sandbox_of(request), await self.body(request, ClockMove)
        if move.mode is not None:
            wall_ms = sandbox.machine.wall_ms()
            await sandbox.pulse.pace(sandbox.clock.paced(move.mode, pace(move.mode, move.rate), wall_ms))
        else:
            await sandbox.pulse.advance(await _goal(sandbox, move), "control")
        await sandbox.save_clock()
        return answer(await told.clock(sandbox))

    async def hold(self, request: Request) -> Response:
        """Keep a jumping clock from leaping."""
        sandbox, hold = sandbox_of(request), await self.body(request, Hold)
        if hold.release is not None:
            return (
                Response(status_code=204)
                if sandbox.release(hold.release)
                else problem(404, f"no lease {hold.release!r}")
            )
        return answer({"lease": sandbox.hold(hold.for_, hold.lease)})


async def _goal(sandbox: Sandbox, move: ClockMove) -> int:
    """The instant to move to. Raises OperatorError where it lies in the past or beyond the calendar."""
    now_ms = sandbox.now_ms()
    if move.advance_to == "next":
        next_ms = await sandbox.pulse.next_ms()
        return now_ms if next_ms is None else max(next_ms, now_ms)
    goal = now_ms + move.advance if move.advance is not None else move.advance_to
    if not isinstance(goal, int) or goal < now_ms:
        raise OperatorError(f"a clock never goes back; it shows {iso(now_ms)}", 409)
    if goal > INSTANT_MS_MAX:
        raise OperatorError(f"a clock ends with the year 9999; it shows {iso(now_ms)}")
    return goal
