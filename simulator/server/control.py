"""The control plane under /_simulator: who may ask, which desk answers, and how errors are told.

Rules: every error is a problem (RFC 9457) that says what would be legal; `health` alone is open to all.
"""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match as RouteMatch
from starlette.routing import Route

from simulator.core.clock import iso
from simulator.errors import OperatorError, ScenarioError, SimulatorError, StoreError
from simulator.server.control_clock import ClockDesk
from simulator.server.control_faults import FaultsDesk
from simulator.server.control_journal import JournalDesk
from simulator.server.control_openapi import OpenAPIDesk
from simulator.server.control_records import RecordsDesk
from simulator.server.control_sandboxes import SandboxesDesk
from simulator.server.desk import Handler, sandbox_of
from simulator.server.guard import refused
from simulator.server.problems import answer, problem
from simulator.server.sandboxes import Sandboxes
from simulator.settings import Settings

AT = "/_simulator"
DESKS = (ClockDesk, FaultsDesk, JournalDesk, RecordsDesk, SandboxesDesk, OpenAPIDesk)


class Control:
    """The control plane."""

    def __init__(self, sandboxes: Sandboxes, settings: Settings) -> None:
        self._settings = settings
        self.desks = tuple(desk(sandboxes, settings) for desk in DESKS)

    def application(self, lifespan: Any = None) -> Starlette:
        """The Starlette application."""
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.table()]
        routes.append(Route(f"{AT}/health", self.health, methods=["GET"]))
        handlers: dict[Any, Any] = {HTTPException: _http_problem, Exception: _unexpected}
        made = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
        made.router.redirect_slashes = False  # a redirect would lead out of the sandbox, and past the guard
        return made

    def table(self) -> list[tuple[str, str, Handler]]:
        """Everything but `health`: method, path, handler."""
        told = [(method, f"{AT}/{path}", handler) for desk in self.desks for method, path, handler in desk.table()]
        return [("GET", AT, self.index), ("POST", f"{AT}/reset", self.reset), *told]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            no = refused(request, self._settings)
            if no is not None:
                return no
            try:
                return await handler(request)
            except ScenarioError as error:
                return _scenario_problem(error)
            except OperatorError as error:
                return problem(error.status, str(error))
            except StoreError as error:
                return problem(503, str(error))
            except SimulatorError as error:
                return problem(422, str(error))

        return guarded

    async def index(self, _: Request) -> Response:
        """What there is."""
        return answer({"operations": [f"{method} {path}" for method, path, _ in self.table()]})

    async def health(self, request: Request) -> Response:
        """Whether it is up, and what it plays."""
        sandbox = sandbox_of(request)
        names = list(sandbox.engine.services)
        return answer({"status": "up", "scenarios": names, "sandbox": sandbox.id, "now": iso(sandbox.now_ms())})

    async def reset(self, request: Request) -> Response:
        """Forget every record and the journal; start the clock again."""
        await sandbox_of(request).reset()
        return Response(status_code=204)


def _scenario_problem(error: ScenarioError) -> Response:
    faults = [{"file": c.file, "line": c.line, "column": c.column, "detail": c.what} for c in error.complaints]
    return problem(422, f"the scenario has {len(faults)} problem{'s' if faults[1:] else ''}: {error}", errors=faults)


async def _http_problem(request: Request, error: HTTPException) -> Response:
    made = problem(error.status_code, f"{request.method} {request.url.path}: GET /_simulator lists what there is.")
    if error.status_code == 405:  # several routes have this path, each with its own methods
        fit = [each for each in request.app.routes if each.matches(request.scope)[0] != RouteMatch.NONE]
        made.headers["Allow"] = ", ".join(sorted({method for each in fit for method in each.methods}))
    return made


async def _unexpected(_: Request, _error: Exception) -> Response:
    return problem(500, "the simulator failed; its log says where")
