"""The control plane's facts: the journal, requests that met nothing, accounts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.clock import iso
from simulator.core.events import KINDS, as_dict
from simulator.core.places import unknown_name
from simulator.errors import OperatorError
from simulator.server import told
from simulator.server.desk import PAGE_MAX, Desk, Table, number, only, sandbox_of
from simulator.server.problems import answer


class JournalDesk(Desk):
    """What happened."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "journal", self.journal),
            ("GET", "unmatched", self.unmatched),
            ("GET", "accounts", self.accounts),
        ]

    async def journal(self, request: Request) -> Response:
        """Events after a number, oldest first."""
        only(request, "after", "most", "kind")
        kinds = [kind for text in request.query_params.getlist("kind") for kind in text.split(",") if kind]
        for kind in kinds:
            if kind not in KINDS:
                raise OperatorError(unknown_name("kind", kind, KINDS))
        after, most = number(request, "after", 0), min(number(request, "most", 1000), PAGE_MAX)
        events = await sandbox_of(request).space.journal(after, most, frozenset(kinds) or None)
        rows = [{**as_dict(each.number, each.event), "at": iso(each.event.at_ms), "boot": each.boot} for each in events]
        return answer({"events": rows, "next": rows[-1]["number"] if rows else after})

    async def unmatched(self, request: Request) -> Response:
        """The last requests that met no operation, with the nearest ones."""
        rows = [{**each._asdict(), "at": iso(each.at_ms)} for each in sandbox_of(request).unmatched]
        return answer({"unmatched": rows})

    async def accounts(self, request: Request) -> Response:
        """What each client's requests cost."""
        return answer(await told.accounts(sandbox_of(request)))
