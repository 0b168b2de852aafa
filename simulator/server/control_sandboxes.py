"""The control plane's scenarios and sandboxes: what is played, and isolated copies of it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.clock import iso
from simulator.core.places import unknown_name
from simulator.errors import OperatorError
from simulator.scenario.parse import Draft, parse_data, parse_text
from simulator.server import told
from simulator.server.control_bodies import NewSandbox
from simulator.server.desk import Desk, Table, sandbox_of
from simulator.server.problems import answer, problem
from simulator.server.sandbox import Sandbox


class SandboxesDesk(Desk):
    """Scenarios and sandboxes."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "scenario", self.scenario),
            ("PUT", "scenarios/{name}", self.put_scenario),
            ("GET", "sandboxes", self.list_sandboxes),
            ("POST", "sandboxes", self.create_sandbox),
            ("DELETE", "sandboxes/{id}", self.delete_sandbox),
        ]

    async def scenario(self, request: Request) -> Response:
        """What is played."""
        sandbox = sandbox_of(request)
        return answer({"scenarios": [told.played(sandbox, draft) for draft in sandbox.drafts.values()]})

    async def put_scenario(self, request: Request) -> Response:
        """Play a document, in place of the scenario of its name or beside the others."""
        sandbox, name = sandbox_of(request), request.path_params["name"]
        text = (await self.raw(request)).decode("utf-8", "replace")
        draft = await asyncio.to_thread(parse_text, text, name)
        if draft.name != name:
            raise OperatorError(f"the document is the scenario {draft.name!r}; put it to scenarios/{draft.name}")
        await sandbox.replace(draft)
        played = told.played(sandbox, draft)
        del played["document"]  # whoever sent it has it
        return answer({**played, "warnings": [str(warning) for warning in draft.warnings]})

    async def list_sandboxes(self, request: Request) -> Response:
        """Every sandbox."""
        return answer({"sandboxes": [self._sandbox_told(request, sandbox) for sandbox in self.sandboxes.all()]})

    async def create_sandbox(self, request: Request) -> Response:
        """A sandbox of its own for somebody's test."""
        body = await self.body(request, NewSandbox, empty={})
        default = self.sandboxes.default
        drafts = list(default.drafts.values())
        if body.scenarios is not None:
            drafts = [await _draft_of(default, each, index) for index, each in enumerate(body.scenarios)]
        if not drafts or len({draft.name for draft in drafts}) < len(drafts):
            raise OperatorError("a sandbox plays one scenario or several of different names")
        sandbox = await self.sandboxes.create(drafts, body.seed, body.clock)
        return answer(self._sandbox_told(request, sandbox), 201)

    async def delete_sandbox(self, request: Request) -> Response:
        """Delete a sandbox and all it holds."""
        id_ = request.path_params["id"]
        if id_ == "default":
            raise OperatorError("the default sandbox stays; POST /_simulator/reset empties it", 409)
        return Response(status_code=204) if await self.sandboxes.delete(id_) else problem(404, f"no sandbox {id_!r}")

    def _sandbox_told(self, request: Request, sandbox: Sandbox) -> dict[str, Any]:
        base = self.origin(request, sandbox)
        seeds = sandbox.seeds()
        return {
            "id": sandbox.id,
            "base_url": base,
            "control_url": f"{base}/_simulator",
            "seed": next(iter(seeds.values())) if len(set(seeds.values())) == 1 else seeds,
            "clock": sandbox.clock.mode,
            "now": iso(sandbox.now_ms()),
        }


async def _draft_of(default: Sandbox, given: str | dict[str, Any], index: int) -> Draft:
    if isinstance(given, dict):
        return await asyncio.to_thread(parse_data, given, f"scenarios[{index}]")
    if given not in default.drafts:
        raise OperatorError(unknown_name("scenario", given, default.drafts), 404)
    return default.drafts[given]
