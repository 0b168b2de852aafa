"""What an operation takes, as OpenAPI 3.1 parameters and request bodies.

Rules: what `accepts` says is told as it stands there; what expressions only read is told without a promise; where
several variants answer, what one of them does without is not required.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import nodes

from simulator.core.accepts import Contract
from simulator.core.operations import OperationModel, OrderModel, Variant
from simulator.core.pages import OFFSET_MAX, PageModel
from simulator.core.resources import ResourceModel
from simulator.core.steps import Step
from simulator.core.templates import static
from simulator.scenario.openapi_answers import JSON, WRITES
from simulator.scenario.openapi_shapes import Reads, Schema, Shape, dotted, either, parsed, reads

TEXT = {"type": "string"}
SAID_ELSEWHERE = ("accept", "authorization", "content-type")  # header fields that OpenAPI tells in other ways
MEDIA = {
    "body": JSON,
    "form": "application/x-www-form-urlencoded",
    "files": "multipart/form-data",
    "text": "text/plain",
    "raw": "text/plain",
}
READ = ("when", "id", "find", "where", "set", "refuse", "order", "also", "reply", "replies", "cost")
VALUES = ("const", "enum", "default", "examples")  # keywords of a schema that hold values, not schemas
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")  # that hold schemas by names
Parameters = list["Parameter"]


class Parameter(NamedTuple):
    """One parameter beside the path's."""

    name: str
    where: str  # query or header
    schema: Any
    required: bool = False
    sentence: str = ""
    empty: bool = False  # whether an empty value means what an absent one does

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same as another."""
        return self.where, self.name.lower() if self.where == "header" else self.name

    def plain(self) -> dict[str, Any]:
        """The Parameter Object."""
        told: dict[str, Any] = {"name": self.name, "in": self.where}
        return {
            **told,
            **({"description": self.sentence} if self.sentence else {}),
            **({"required": True} if self.required else {}),
            **({"allowEmptyValue": True} if self.empty else {}),
            "schema": self.schema,
        }


class Taken(NamedTuple):
    """What one variant takes."""

    parameters: tuple[Parameter, ...]
    body: Mapping[str, Any]  # schemas by media type
    body_required: bool = False


def taken(
    model: OperationModel, variant: Variant, resources: Mapping[str, ResourceModel], more: Iterable[Parameter] = ()
) -> Taken:
    """What a variant takes; `more` parameters come before those that expressions read."""
    seen = what_it_reads(model, variant, resources)
    contract = variant.accepts
    found: dict[tuple[str, str], Parameter] = {}
    candidates = [
        *_contract_parameters(contract),
        *_page_parameters(model.page),
        *_order_parameter(model.order),
        *_conditions(variant),
        *more,
        *(Parameter(name, "query", TEXT) for name in seen.query),
        *(Parameter(name.replace("_", "-"), "header", TEXT) for name in seen.headers),
    ]
    for parameter in candidates:
        if parameter.where != "header" or parameter.key[1] not in SAID_ELSEWHERE:
            found.setdefault(parameter.key, parameter)
    body = _body(contract, seen)
    return Taken(tuple(found.values()), body, contract is not None and contract.body is not None)


def what_it_reads(model: OperationModel, variant: Variant, resources: Mapping[str, ResourceModel]) -> Reads:
    """What the expressions of a variant read of a request."""
    pieces = [getattr(model, name, None) for name in READ]
    for step in (variant.step, *variant.also):
        if step.resource is not None:
            pieces += _pieces(step, resources[step.resource.name])
    return reads(*pieces)


def _pieces(step: Step, resource: ResourceModel) -> list[Any]:
    """What of a resource is evaluated while a request is answered."""
    rows = [row for state in resource.states.values() for row in state.rows if row.signal]
    moved = [piece for row in rows for piece in (row.when, row.set)] if step.verb in ("read", *WRITES) else []
    if step.verb == "create":
        return [resource.id, resource.record, resource.initial]
    return [resource.record, *moved] if step.verb == "update" and not step.set else moved


def _contract_parameters(contract: Contract | None) -> Iterator[Parameter]:
    if contract is None:
        return
    for where, part in (("query", contract.query), ("header", contract.headers)):
        schema = part.schema if part is not None else None
        if isinstance(schema, dict):
            required = schema.get("required", ())
            for name, each in schema.get("properties", {}).items():
                sentence = each.get("description", "") if isinstance(each, dict) else ""
                yield Parameter(name, where, each, name in required, sentence)


def _page_parameters(page: PageModel | None) -> Iterator[Parameter]:
    if page is None:
        return
    size = {"type": "integer", "minimum": 1, "maximum": OFFSET_MAX, "default": page.size}
    most = f"How many at most; more than {page.max} gives {page.max}"
    yield Parameter(page.size_parameter, "query", size, sentence=most, empty=True)
    if page.style == "cursor":
        which = "The id of the last one seen" if page.cursor == "id" else "What the page before gave to go on with"
        yield Parameter(page.name, "query", TEXT, sentence=which)
        return
    least = 0 if page.style == "offset" else page.first
    where = {"type": "integer", "minimum": least, "maximum": OFFSET_MAX, "default": least}
    yield Parameter(page.name, "query", where, sentence="Where the page begins", empty=True)


def _order_parameter(order: str | OrderModel) -> Iterator[Parameter]:
    """The parameter that chooses an order, where `by` is that parameter and perhaps what stands for it."""
    if isinstance(order, str) or static(order.by):
        return
    parts = parsed(order.by)
    name, other = _chosen_by(parts[0]) if len(parts) == 1 else (None, None)
    if name is None or not name.startswith("query.") or name.count(".") != 1:
        return
    fields = [*order.fields, "ordinal"]
    values = [*fields, *(f"-{field}" for field in fields)]
    default = {"default": other} if other in values else {}
    schema = {"type": "string", "enum": values, **default}
    yield Parameter(name.removeprefix("query."), "query", schema, sentence="What to order by", empty=True)


def _chosen_by(node: nodes.Node) -> tuple[str | None, Any]:
    """`query.sort or 'name'` as its parts."""
    chosen, other = node, None
    if isinstance(node, nodes.Or):
        chosen, other = node.left, node.right
    elif isinstance(node, nodes.Filter) and node.name in ("d", "default") and node.node is not None and node.args:
        chosen, other = node.node, node.args[0]
    return dotted(chosen), other.value if isinstance(other, nodes.Const) else None


def _conditions(variant: Variant) -> Iterator[Parameter]:
    """Conditional requests (RFC 9110 section 13.1)."""
    verbs = [step.verb for step in (variant.step, *variant.also)]
    if variant.etag and variant.step.verb == "read":
        yield Parameter("If-None-Match", "header", TEXT, sentence="The ETag that is known; 304 if it still holds")
    if variant.etag and any(verb in WRITES for verb in verbs):
        must = variant.etag == "required"
        yield Parameter("If-Match", "header", TEXT, must, "The ETag that was read; 412 if it holds no longer")


def _body(contract: Contract | None, seen: Reads) -> dict[str, Any]:
    """The schemas of the body, by media type."""
    if contract is not None and (contract.body is not None or contract.content_types):
        schema: Any = {} if contract.body is None else contract.body.schema
        return dict.fromkeys(contract.content_types or (JSON,), schema)
    fields: Schema = {"properties": {name: {} for name in seen.body}} if seen.body else {}
    made: dict[str, Any] = {}
    for form in seen.bodies:
        made[MEDIA[form]] = fields if form == "body" else made.get(MEDIA[form], {})
    return made


def parameters(variants: Sequence[Taken]) -> list[dict[str, Any]]:
    """The parameters of an operation beside its path's, of all its variants together."""
    together: dict[tuple[str, str], list[Parameter]] = {}
    for each in variants:
        for parameter in each.parameters:
            together.setdefault(parameter.key, []).append(parameter)
    made = []
    for same in together.values():
        required = len(same) == len(variants) and all(parameter.required for parameter in same)
        made.append(same[0]._replace(schema=_one_of([each.schema for each in same]), required=required).plain())
    return made


def request_body(variants: Sequence[Taken]) -> dict[str, Any] | None:
    """The body of an operation, of all its variants together; None where nobody looks at one."""
    media = dict.fromkeys(name for each in variants for name in each.body)
    if not media:
        return None
    content = {name: {"schema": _one_of([each.body[name] for each in variants if name in each.body])} for name in media}
    required = all(each.body_required for each in variants)
    return {"content": content, **({"required": True} if required else {})}


def _one_of(schemas: list[Any]) -> Any:
    """Any of these schemas; a boolean is one, too."""
    told = either(*(Shape({} if schema is True else {"not": {}} if schema is False else schema) for schema in schemas))
    return schemas[0] if len(schemas) == 1 else told.schema


def at_home(contract: Contract | None, name: str, schemas: dict[str, Schema]) -> Contract | None:
    """The contract, where a schema that refers to itself stands under `components`: there, `#` means the document."""
    if contract is None:
        return None
    parts = {}
    for where in ("body", "query", "headers"):
        part = getattr(contract, where)
        at = free_name(f"{name}_{where}", schemas)
        moved: Any = _moved(part.schema, f"#/components/schemas/{at}") if part is not None else None
        if part is not None and moved != part.schema:
            schemas[at] = moved
            parts[where] = part._replace(schema={"$ref": f"#/components/schemas/{at}"} if where == "body" else moved)
    return contract._replace(**parts)


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """The name, or where another has it already, one like it."""
    number = 1
    while (free := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return free


def _moved(schema: Any, at: str) -> Any:
    """The schema with its references to itself leading to where it stands."""
    if isinstance(schema, list):
        return [_moved(part, at) for part in schema]
    if not isinstance(schema, dict) or "$id" in schema:
        return schema
    made = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            made[key] = {name: _moved(part, at) for name, part in value.items()}
        elif key == "$ref" and (value == "#" or str(value).startswith("#/")):
            made[key] = at + value[1:]
        else:
            made[key] = value if key in VALUES else _moved(value, at)
    return made
