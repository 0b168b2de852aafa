"""What a piece of a scenario can give, as JSON Schema 2020-12, and what it reads of a request.

Rules: a schema promises only what every evaluation keeps, and what cannot be told is `{}`; what may be omitted is
never required; nothing is evaluated, only the text of expressions is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from jinja2 import nodes
from pydantic import BaseModel

from simulator.core.templates import SYNTAX, static

Schema = dict[str, Any]


class Shape(NamedTuple):
    """The schema of a value, and whether the value may be left out."""

    schema: Schema
    omits: bool = False


Known = Mapping[str, Shape]  # of names, dotted

ANY = Shape({}, True)
NOTHING = Shape({"not": {}}, True)  # always omitted
SOMETHING = Shape({})
TEXT = Shape({"type": "string"})
WHOLE = Shape({"type": "integer"})
NUMBER = Shape({"type": ["number", "null"]})  # JSON has no infinity, it becomes null
TRUTH = Shape({"type": "boolean"})
MANY = Shape({"type": "array"})
INSTANT = Shape({"type": "string", "format": "date-time"})
INSTANT_FIELDS = {
    "iso": Shape({"type": "string", "format": "date-time"}),
    "date": Shape({"type": "string", "format": "date"}),
    "http": TEXT,
    "epoch": WHOLE,
    "epoch_ms": WHOLE,
}
EVERYWHERE: Known = {"now": INSTANT, "base_url": TEXT, "omit": NOTHING}
FILTERS = {
    **dict.fromkeys(("b64decode", "b64encode", "capitalize", "hash", "join", "lower", "replace", "string"), TEXT),
    **dict.fromkeys(("title", "tojson", "trim", "upper", "urlencode"), TEXT),
    **dict.fromkeys(("count", "int", "length"), WHOLE),
    **dict.fromkeys(("float", "round", "sum"), NUMBER),
    **dict.fromkeys(("items", "keys", "list", "map", "reject", "rejectattr", "select", "selectattr"), MANY),
    **dict.fromkeys(("sort", "split", "unique", "values"), MANY),
}
DRAWS = {
    **dict.fromkeys(("base62", "digits", "hex", "ulid", "uuid4"), TEXT),
    "integer": WHOLE,
}
FUNCTIONS = {"hash": TEXT, "join": TEXT, "map": MANY, "range": MANY, "records": MANY, "sum": NUMBER}
PARTS = ("query", "headers", "body")
BODIES = ("body", "form", "files", "text", "raw")


def shape(data: Any, known: Known = EVERYWHERE) -> Shape:
    """The shape of any piece of the document that may hold expressions; `known` are the names that can be told."""
    if isinstance(data, str):
        return _text(data, known)
    if isinstance(data, dict):
        return _mapping(data, known)
    if isinstance(data, list):
        parts = [shape(element, known) for element in data]
        return Shape({"type": "array", "items": either(*parts).schema} if parts else {"type": "array", "maxItems": 0})
    return literal(data)


def literal(value: Any) -> Shape:
    """A value that is always the same. A number that JSON cannot carry is only told by its type."""
    far = isinstance(value, int) and not -(2**63) <= value < 2**64
    return WHOLE if far else Shape({"const": value})


def object_of(parts: Mapping[str, Shape]) -> Shape:
    """An object with these members."""
    told = {key: part for key, part in parts.items() if part.schema != NOTHING.schema}
    required = [key for key, part in told.items() if not part.omits]
    schema: Schema = {"type": "object", "properties": {key: part.schema for key, part in told.items()}}
    return Shape(schema | ({"required": required} if required else {}))


def either(*shapes: Shape) -> Shape:
    """One of these."""
    schemas = distinct(part.schema for part in shapes if part.schema != NOTHING.schema)
    if TEXT.schema in schemas:
        schemas = [schema for schema in schemas if not _one_text(schema)]
    omits = any(part.omits for part in shapes)
    if not schemas:
        return NOTHING
    if {} in schemas or len(schemas) == 1:
        return Shape({} if {} in schemas else schemas[0], omits)
    values = [literals(schema) for schema in schemas]
    if all(values):
        return Shape({"enum": distinct(value for some in values for value in some)}, omits)
    return Shape({"anyOf": schemas}, omits)


def _one_text(schema: Schema) -> bool:
    """Whether it only admits texts that it lists."""
    return bool(literals(schema)) and all(isinstance(value, str) for value in literals(schema))


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values, each once; to JSON, true is not 1."""
    return list({orjson.dumps(value): value for value in values}.values())


def literals(schema: Schema) -> list[Any]:
    """The values that a schema admits, where it lists them."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _mapping(data: dict[str, Any], known: Known) -> Shape:
    if "if" in data and "then" in data:
        return either(shape(data["then"], known), shape(data["else"], known) if "else" in data else NOTHING)
    if "for" in data and "in" in data:
        each = shape(data.get("do"), known).schema
        return Shape({"type": "array", "items": each})
    if not all(static(key) for key in data):
        return Shape({"type": "object"})
    return object_of({key: shape(value, known) for key, value in data.items()})


def _text(text: str, known: Known) -> Shape:
    if static(text):
        return Shape({"const": text})
    parts = parsed(text)
    return TEXT if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData) else _of(parts[0], known)


def parsed(text: str) -> list[nodes.Node]:
    """The literals and expressions that a text is made of."""
    return [part for output in SYNTAX.parse(text).body for part in output.nodes]  # type: ignore[attr-defined]


def _of(node: nodes.Node, known: Known) -> Shape:
    tell = TOLD.get(type(node))
    return ANY if tell is None else tell(node, known)


def dotted(node: nodes.Node) -> str | None:
    """`query.sort` and `query['sort']` as a dotted name; None for what is no name."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        name, field = dotted(node.node), node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        name, field = dotted(node.node), node.arg.value
    else:
        return None
    return None if name is None else f"{name}.{field}"


def _name(node: nodes.Node, known: Known) -> Shape:
    name = dotted(node)
    if name is None:
        return _looked_up(node, known)
    if name in known:
        return known[name]
    base, _, field = name.rpartition(".")
    return INSTANT_FIELDS.get(field, NOTHING) if known.get(base) is INSTANT else ANY


def _looked_up(node: nodes.Node, known: Known) -> Shape:
    """`{400: 'a', 401: 'b'}[…]` gives one of them, or nothing."""
    if not isinstance(node, nodes.Getitem) or not isinstance(node.node, nodes.Dict):
        return ANY
    return either(NOTHING, *(_of(pair.value, known) for pair in node.node.items))


def _filter(node: nodes.Filter, known: Known) -> Shape:
    if node.name not in ("d", "default") or node.node is None or node.kwargs:
        return FILTERS.get(node.name, ANY)
    other = _of(node.args[0], known) if node.args else literal("")
    return either(_of(node.node, known)._replace(omits=False), other)


def _either_side(node: nodes.And | nodes.Or, known: Known) -> Shape:
    """Where the left side of an `or` is omitted, the right one counts."""
    left, right = _of(node.left, known), _of(node.right, known)
    return either(left._replace(omits=False) if isinstance(node, nodes.Or) else left, right)


def _condition(node: nodes.CondExpr, known: Known) -> Shape:
    return either(_of(node.expr1, known), _of(node.expr2, known) if node.expr2 else NOTHING)


def _call(node: nodes.Call, _: Known) -> Shape:
    name = dotted(node.node) or ""
    return DRAWS.get(name.removeprefix("chance."), ANY) if name.startswith("chance.") else FUNCTIONS.get(name, ANY)


Tell = Callable[[Any, Known], Shape]
TOLD: dict[type[nodes.Node], Tell] = {
    nodes.Const: lambda node, _: literal(node.value),
    nodes.Name: _name,
    nodes.Getattr: _name,
    nodes.Getitem: _name,
    nodes.Filter: _filter,
    nodes.And: _either_side,
    nodes.Or: _either_side,
    nodes.CondExpr: _condition,
    nodes.Call: _call,
    nodes.Concat: lambda *_: TEXT,
    nodes.List: lambda *_: MANY,
    nodes.Tuple: lambda *_: MANY,
    nodes.Dict: lambda *_: Shape({"type": "object"}),
    **dict.fromkeys((nodes.Compare, nodes.Not, nodes.Test), lambda *_: TRUTH),
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv), lambda *_: SOMETHING),
    **dict.fromkeys((nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos), lambda *_: SOMETHING),
}


class Reads(NamedTuple):
    """What expressions read of a request: names of query parameters, of header fields, of fields of the body."""

    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    bodies: tuple[str, ...] = ()  # which forms of the body: body, form, files, text, raw


def reads(*data: Any) -> Reads:
    """What these pieces of the document read of a request."""
    names = distinct(name for piece in data for text in _texts(piece) for name in _names(text))
    fields: dict[str, dict[str, None]] = {part: {} for part in PARTS}
    bodies: dict[str, None] = {}
    for name in names:
        root, _, rest = name.removeprefix("request.").partition(".")
        if root in fields and rest:
            fields[root][rest.split(".")[0]] = None
        if root == "body" or (root in BODIES and name.startswith("request.")):
            bodies[root] = None
    query, headers, body = (tuple(fields[part]) for part in PARTS)
    return Reads(query, headers, body, tuple(bodies))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        if not static(data):
            yield data
    elif isinstance(data, BaseModel):
        yield from (text for name in type(data).model_fields for text in _texts(getattr(data, name)))
    elif isinstance(data, dict):
        yield from (text for key, value in data.items() for text in (*_texts(key), *_texts(value)))
    elif isinstance(data, list):
        yield from (text for value in data for text in _texts(value))


def _names(text: str) -> Iterator[str]:
    """Every dotted name in a text, in the order in which they stand there; the longer before what it is made of."""
    for node in SYNTAX.parse(text).find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        name = dotted(node)
        if name is not None:
            yield name
