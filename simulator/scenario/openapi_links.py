"""Links from the reply that names a new record to the operations on it, as OpenAPI 3.1 tells them.

Rules: a link gives every path parameter of its target, from the reply or from the request before it; where an
operation asks more of the record than its id, such as a state, no link leads there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jinja2 import nodes

from simulator.core.operations import OperationModel
from simulator.core.steps import verb_of
from simulator.core.templates import SYNTAX
from simulator.scenario.openapi_shapes import dotted, parsed


class Target(NamedTuple):
    """An operation that links may lead to, and which resource's id each of its path parameters is."""

    id: str
    service: str
    params: tuple[str, ...]
    ids: dict[str, str]

    @classmethod
    def of(
        cls, id_: str, service: str, own: Sequence[str], shown: Sequence[str], model: OperationModel
    ) -> Target | None:
        """The target; `own` are the path parameters as the scenario names them, `shown` as the document does."""
        if not all(_only_params(value) for value in model.where.values()):
            return None
        names = dict(zip(own, shown, strict=True))
        ids = {names[param]: resource for param, resource in _ids(model, own) if param in names}
        return cls(id_, service, tuple(shown), ids)


def links_to(
    service: str, params: Sequence[str], created: Iterable[tuple[str, str]], targets: Iterable[Target]
) -> dict[str, Any]:
    """The Link Objects of a reply that shows new records: resource, and the pointer to the id in the body."""
    made = {}
    for resource, pointer in created:
        for target in targets:
            given = {name: _given(name, target, resource, pointer, params) for name in target.params}
            fits = target.service == service and resource in target.ids.values()
            if fits and None not in given.values():
                values = {f"path.{name}": value for name, value in given.items()}
                made[target.id] = {"operationId": target.id, "parameters": values}
    return made


def _given(name: str, target: Target, resource: str, pointer: str, params: Sequence[str]) -> str | None:
    """Where a parameter's value comes from."""
    if target.ids.get(name) == resource:
        return f"$response.body#{pointer}"
    return f"$request.path.{name}" if name in params else None


def _ids(model: OperationModel, params: Sequence[str]) -> list[tuple[str, str]]:
    """Parameters of the path and the resource whose id each of them is."""
    verb, resource = verb_of(model)
    found = [(name, target) for target, text in _finds(model) if (name := _param(text))]
    if verb in ("read", "update", "delete", "signal") and resource is not None and params:
        name = ("id" if "id" in params else params[-1]) if model.id is None else _param(model.id)
        found += [(name, resource)] if name else []
    return found


def _finds(model: OperationModel) -> list[tuple[str, Any]]:
    pairs = []
    for name, given in model.find.items():
        pairs.append(next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else (name, given))
    return pairs


def _param(text: Any) -> str | None:
    """`{{ params.id }}` as `id`."""
    parts = parsed(text) if isinstance(text, str) else []
    name = dotted(parts[0]) if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None
    return name.removeprefix("params.") if name and name.startswith("params.") else None


def _only_params(value: Any) -> bool:
    """Whether a condition is kept by whoever follows the path."""
    if not isinstance(value, str):
        return False
    names = [node.name for node in SYNTAX.parse(value).find_all(nodes.Name)]
    return bool(names) and all(name == "params" for name in names)
