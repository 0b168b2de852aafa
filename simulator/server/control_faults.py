"""The control plane's faults: seen, added, changed, switched on and off while the service runs.

Rules: a fault has the same form here as in a file; what is changed takes effect with the next request and outlives a
restart; a reset goes back to the file's. Bodies of PATCH are merge patches (RFC 7396).
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.core.bodies import BadBody, parse_json
from simulator.core.faults import FaultModel
from simulator.core.places import Marks, Place, unknown_name
from simulator.errors import Complaint, OperatorError
from simulator.scenario.shape import complain_of
from simulator.server.desk import Desk, Table, only, sandbox_of
from simulator.server.problems import answer
from simulator.server.sandbox import Sandbox


class FaultsDesk(Desk):
    """Faults."""

    def table(self) -> Table:
        """What this desk answers."""
        return [
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_fault),
            ("PATCH", "faults/{name}", self.change_fault),
            ("DELETE", "faults/{name}", self.delete_fault),
        ]

    async def faults(self, request: Request) -> Response:
        """Every fault, and how often it has struck."""
        sandbox = sandbox_of(request)
        told = [await _told(sandbox, name, model) for name in sandbox.engine.services for model in sandbox.faults(name)]
        return answer({"faults": told})

    async def add_fault(self, request: Request) -> Response:
        """One more; `?scenario=` says whose where several are played."""
        only(request, "scenario")
        sandbox = sandbox_of(request)
        service = request.query_params.get("scenario") or next(iter(sandbox.engine.services))
        if service not in sandbox.engine.services:
            raise OperatorError(unknown_name("scenario", service, sandbox.engine.services), 404)
        model = _model(await self._document(request))
        models = sandbox.faults(service)
        if any(model.name == other.name for other in models):
            raise OperatorError(f"there is a fault {model.name!r} already; PATCH faults/{model.name} changes it", 409)
        await sandbox.misbehave(service, [*models, model])
        return answer(await _told(sandbox, service, model), 201)

    async def change_fault(self, request: Request) -> Response:
        """Change one, or switch it: `{"enabled": false}`."""
        changes = await self._document(request)
        sandbox, service, models, index = _named(request)
        model = _model(_merged(_plain(models[index]), changes))
        await sandbox.misbehave(service, [*models[:index], model, *models[index + 1 :]])
        return answer(await _told(sandbox, service, model))

    async def delete_fault(self, request: Request) -> Response:
        """Take one away."""
        sandbox, service, models, index = _named(request)
        await sandbox.misbehave(service, [*models[:index], *models[index + 1 :]])
        return Response(status_code=204)

    async def _document(self, request: Request) -> Any:
        try:
            return parse_json(await self.raw(request))
        except BadBody as error:
            raise OperatorError(str(error)) from None


def _named(request: Request) -> tuple[Sandbox, str, list[FaultModel], int]:
    sandbox, name = sandbox_of(request), request.path_params["name"]
    known: list[str] = []
    for service in sandbox.engine.services:
        models = sandbox.faults(service)
        for index, model in enumerate(models):
            if model.name == name:
                return sandbox, service, models, index
            known.append(model.name)
    raise OperatorError(unknown_name("fault", name, known), 404)


def _model(document: Any) -> FaultModel:
    try:
        return FaultModel.model_validate(document)
    except ValidationError as error:
        complaints: list[Complaint] = []
        complain_of(error, Place(Marks("body"), complaints), FaultModel)
        raise OperatorError("; ".join(dict.fromkeys(each.what for each in complaints)), 422) from None


def _merged(base: Any, patch: Any) -> Any:
    """RFC 7396: mappings merge, `null` removes, anything else replaces."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    made = {**base, **{key: _merged(base.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in made.items() if value is not None}


def _plain(model: FaultModel) -> dict[str, Any]:
    return model.model_dump(exclude_unset=True, mode="json")


async def _told(sandbox: Sandbox, service: str, model: FaultModel) -> dict[str, Any]:
    prefix = f"fault/{service}/{model.name}/fired/"
    fired: dict[str, int] = {}  # each strike is counted once in every scope that somebody asks for
    for name, count in (await sandbox.space.counts(prefix)).items():
        scope = name.removeprefix(prefix).partition("/")[0]
        fired[scope] = fired.get(scope, 0) + count
    return {**_plain(model), "scenario": service, "fired": max(fired.values(), default=0)}
