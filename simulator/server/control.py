"""The control plane under /_simulator: health, clock, journal, records, scenarios, sandboxes.

Rules: every body is checked before anything changes; every error is a problem (RFC 9457) that says what would be
legal; a request means the sandbox under whose prefix it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match as RouteMatch
from starlette.routing import Route

from simulator.core.bodies import BadBody, parse_json
from simulator.core.clock import INSTANT_MS_MAX, iso, pace
from simulator.core.events import KINDS, as_dict
from simulator.core.places import Marks, Place, unknown_name
from simulator.core.records import Record, Scan
from simulator.errors import Complaint, OperatorError, ScenarioError, SimulatorError, StoreError
from simulator.scenario.parse import Draft, parse_data, parse_text
from simulator.scenario.shape import complain_of
from simulator.server import told
from simulator.server.control_bodies import ClockMove, Hold, Move, NewSandbox, RecordBody
from simulator.server.guard import refused
from simulator.server.problems import answer, problem
from simulator.server.sandboxes import Sandbox, Sandboxes
from simulator.settings import Settings

PAGE_MAX = 10_000  # events or records in one reply
Handler = Callable[[Request], Awaitable[Response]]


class Control:
    """The control plane's handlers."""

    def __init__(self, sandboxes: Sandboxes, settings: Settings) -> None:
        self._sandboxes = sandboxes
        self._settings = settings

    def application(self, lifespan: Any = None) -> Starlette:
        """The Starlette application."""
        routes = [Route(path, self._guarded(handler), methods=methods) for path, methods, handler in self._table()]
        routes.append(Route("/_simulator/health", self.health, methods=["GET"]))
        handlers: dict[Any, Any] = {HTTPException: _http_problem, Exception: _unexpected}
        made = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
        made.router.redirect_slashes = False  # a redirect would lead out of the sandbox, and past the guard
        return made

    def _table(self) -> list[tuple[str, list[str], Handler]]:
        at = "/_simulator/"
        return [
            ("/_simulator", ["GET"], self.index),
            (at + "reset", ["POST"], self.reset),
            (at + "clock", ["GET"], self.clock),
            (at + "clock", ["POST"], self.move_clock),
            (at + "clock/hold", ["POST"], self.hold),
            (at + "journal", ["GET"], self.journal),
            (at + "unmatched", ["GET"], self.unmatched),
            (at + "records/{resource}", ["GET"], self.records),
            (at + "records/{resource}/{id}", ["GET"], self.record),
            (at + "records/{resource}/{id}", ["PUT"], self.put_record),
            (at + "records/{resource}/{id}", ["DELETE"], self.delete_record),
            (at + "records/{resource}/{id}/move", ["POST"], self.move_record),
            (at + "scenario", ["GET"], self.scenario),
            (at + "scenarios/{name}", ["PUT"], self.put_scenario),
            (at + "sandboxes", ["GET"], self.list_sandboxes),
            (at + "sandboxes", ["POST"], self.create_sandbox),
            (at + "sandboxes/{id}", ["DELETE"], self.delete_sandbox),
        ]

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
        return answer({"operations": [f"{method} {path}" for path, methods, _ in self._table() for method in methods]})

    async def health(self, request: Request) -> Response:
        """Whether it is up, and what it plays."""
        sandbox = _sandbox(request)
        names = list(sandbox.engine.services)
        return answer({"status": "up", "scenarios": names, "sandbox": sandbox.id, "now": iso(sandbox.now_ms())})

    async def reset(self, request: Request) -> Response:
        """Forget every record and the journal; start the clock again."""
        await _sandbox(request).reset()
        return Response(status_code=204)

    async def clock(self, request: Request) -> Response:
        """What time it is, and what is next."""
        return answer(await told.clock(_sandbox(request)))

    async def move_clock(self, request: Request) -> Response:
        """Advance the clock, or change its pace."""
        sandbox, move = _sandbox(request), await self._body(request, ClockMove)
        if move.mode is not None:
            wall_ms = sandbox.machine.wall_ms()
            await sandbox.pulse.pace(sandbox.clock.paced(move.mode, pace(move.mode, move.rate), wall_ms))
        else:
            await sandbox.pulse.advance(await _goal(sandbox, move), "control")
        await sandbox.save_clock()
        return answer(await told.clock(sandbox))

    async def hold(self, request: Request) -> Response:
        """Keep a jumping clock from leaping."""
        sandbox, hold = _sandbox(request), await self._body(request, Hold)
        if hold.release is not None:
            return (
                Response(status_code=204)
                if sandbox.release(hold.release)
                else problem(404, f"no lease {hold.release!r}")
            )
        return answer({"lease": sandbox.hold(hold.for_, hold.lease)})

    async def journal(self, request: Request) -> Response:
        """Events after a number, oldest first."""
        _only(request, "after", "most", "kind")
        kinds = [kind for text in request.query_params.getlist("kind") for kind in text.split(",") if kind]
        for kind in kinds:
            if kind not in KINDS:
                raise OperatorError(unknown_name("kind", kind, KINDS))
        after, most = _number(request, "after", 0), min(_number(request, "most", 1000), PAGE_MAX)
        events = await _sandbox(request).space.journal(after, most, frozenset(kinds) or None)
        rows = [{**as_dict(each.number, each.event), "at": iso(each.event.at_ms), "boot": each.boot} for each in events]
        return answer({"events": rows, "next": rows[-1]["number"] if rows else after})

    async def unmatched(self, request: Request) -> Response:
        """The last requests that met no operation, with the nearest ones."""
        rows = [{**each._asdict(), "at": iso(each.at_ms)} for each in _sandbox(request).unmatched]
        return answer({"unmatched": rows})

    async def records(self, request: Request) -> Response:
        """Records of a resource, in the order of their creation."""
        _only(request, "after", "most", "state")
        sandbox = _sandbox(request)
        kind = sandbox.engine.kind_of(request.path_params["resource"])
        after, most = _number(request, "after", 0), min(_number(request, "most", 1000), PAGE_MAX)
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
        body = await self._body(request, RecordBody)
        now_ms, origin = sandbox.now_ms(), self._origin(request, sandbox)
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
        move = await self._body(request, Move)
        now_ms = sandbox.now_ms()
        _, view = await sandbox.decide(
            lambda look: sandbox.engine.force(kind, id_, move.to, move.signal, look, now_ms), lambda made: made, now_ms
        )
        await sandbox.space.kept(view)
        sandbox.note("record_moved", f"{kind}/{id_}")
        return answer(told.record(await _look_up(sandbox, kind, id_)))

    async def scenario(self, request: Request) -> Response:
        """What is played."""
        sandbox = _sandbox(request)
        return answer({"scenarios": [told.played(sandbox, draft) for draft in sandbox.drafts.values()]})

    async def put_scenario(self, request: Request) -> Response:
        """Play a document, in place of the scenario of its name or beside the others."""
        sandbox, name = _sandbox(request), request.path_params["name"]
        text = (await self._raw(request)).decode("utf-8", "replace")
        draft = await asyncio.to_thread(parse_text, text, name)
        if draft.name != name:
            raise OperatorError(f"the document is the scenario {draft.name!r}; put it to scenarios/{draft.name}")
        await sandbox.replace(draft)
        played = told.played(sandbox, draft)
        del played["document"]  # whoever sent it has it
        return answer({**played, "warnings": [str(warning) for warning in draft.warnings]})

    async def list_sandboxes(self, request: Request) -> Response:
        """Every sandbox."""
        return answer({"sandboxes": [self._sandbox_told(request, sandbox) for sandbox in self._sandboxes.all()]})

    async def create_sandbox(self, request: Request) -> Response:
        """A sandbox of its own for somebody's test."""
        body = await self._body(request, NewSandbox, empty={})
        default = self._sandboxes.default
        drafts = list(default.drafts.values())
        if body.scenarios is not None:
            drafts = [await _draft_of(default, each, index) for index, each in enumerate(body.scenarios)]
        if not drafts or len({draft.name for draft in drafts}) < len(drafts):
            raise OperatorError("a sandbox plays one scenario or several of different names")
        sandbox = await self._sandboxes.create(drafts, body.seed, body.clock)
        return answer(self._sandbox_told(request, sandbox), 201)

    async def delete_sandbox(self, request: Request) -> Response:
        """Delete a sandbox and all it holds."""
        id_ = request.path_params["id"]
        if id_ == "default":
            raise OperatorError("the default sandbox stays; POST /_simulator/reset empties it", 409)
        return Response(status_code=204) if await self._sandboxes.delete(id_) else problem(404, f"no sandbox {id_!r}")

    def _sandbox_told(self, request: Request, sandbox: Sandbox) -> dict[str, Any]:
        base = self._origin(request, sandbox)
        seeds = sandbox.seeds()
        return {
            "id": sandbox.id,
            "base_url": base,
            "control_url": f"{base}/_simulator",
            "seed": next(iter(seeds.values())) if len(set(seeds.values())) == 1 else seeds,
            "clock": sandbox.clock.mode,
            "now": iso(sandbox.now_ms()),
        }

    def _origin(self, request: Request, sandbox: Sandbox) -> str:
        return (
            self._settings.public_url or f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        ) + sandbox.prefix

    async def _body(self, request: Request, model: type[Any], empty: Any = None) -> Any:
        """The body as a model. Raises OperatorError with every fault of it."""
        raw = await self._raw(request)
        try:
            data = empty if not raw and empty is not None else parse_json(raw)
            return model.model_validate(data)
        except BadBody as error:
            raise OperatorError(str(error)) from None
        except ValidationError as error:
            complaints: list[Complaint] = []
            complain_of(error, Place(Marks("body"), complaints), model)
            raise OperatorError("; ".join(dict.fromkeys(each.what for each in complaints)), 422) from None

    async def _raw(self, request: Request) -> bytes:
        raw = bytearray()
        async for part in request.stream():
            raw += part
            if len(raw) > self._settings.body_max_bytes:
                raise OperatorError(f"the body is larger than {self._settings.body_max_bytes} bytes", 413)
        return bytes(raw)


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.scope["sandbox"]
    sandbox.used_ms = sandbox.machine.wall_ms()
    return sandbox


def _named(request: Request) -> tuple[Sandbox, str, str]:
    sandbox = _sandbox(request)
    return sandbox, sandbox.engine.kind_of(request.path_params["resource"]), request.path_params["id"]


async def _look_up(sandbox: Sandbox, kind: str, id_: str) -> Record:
    now_ms = sandbox.now_ms()
    await sandbox.pulse.settle(now_ms)
    found = await sandbox.seen(lambda look: look.record(kind, id_), sandbox.space.view(), now_ms)
    if found is None:
        raise OperatorError(f"no {kind} {id_!r}", 404)
    return found


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


async def _draft_of(default: Sandbox, given: str | dict[str, Any], index: int) -> Draft:
    if isinstance(given, dict):
        return await asyncio.to_thread(parse_data, given, f"scenarios[{index}]")
    if given not in default.drafts:
        raise OperatorError(unknown_name("scenario", given, default.drafts), 404)
    return default.drafts[given]


def _only(request: Request, *names: str) -> None:
    """Refuse a query parameter that would be ignored."""
    for name in request.query_params:
        if name not in names:
            raise OperatorError(unknown_name("query parameter", name, names))


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise OperatorError(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


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
