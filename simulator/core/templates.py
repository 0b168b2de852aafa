"""`{{ … }}` in replies, records and conditions: text, lists and mappings of a scenario as closures.

Rules: a text that is one expression keeps the value's own type; `omit` removes the key or element that holds it;
`{if, then, else}` and `{for, in, do}` branch and repeat; all that can be known at load time is settled there, and
what fails later fails as a TemplateError that names the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from simulator.core.bodies import BadBody
from simulator.core.chance import Draws
from simulator.core.clock import Instant
from simulator.core.expressions import Compiler, Fn, Names, Scope
from simulator.core.helpers import ITEMS_MAX, bounded, shown
from simulator.core.omit import OMIT
from simulator.core.places import Place, nowhere
from simulator.core.records import Behind, NotLoaded
from simulator.errors import TemplateError

SYNTAX = Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 - only its parser is used
PATH = re.compile(r"\{\{ *([a-z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*) *\}\}")
DEPTH_MAX = 50  # of nested structures; documents are not meant to be deeper

EVERYWHERE = Names(
    frozenset({"now", "chance", "base_url", "omit"}),
    {"now": Instant.FIELDS, "chance": Draws.METHODS},
)
REQUEST_FIELDS = ("method", "path", "query", "headers", "body", "form", "files", "raw", "text", "url", "id", "address")
REQUEST = ("request", "params", "query", "headers", "body", "client")
RECORD = ("id", "state", "record", "view", "ordinal")


class Value:
    """A compiled piece of the document. `of(scope)` gives its value, `constant` says that it is always the same."""

    __slots__ = ("constant", "inputs", "of", "scans", "used", "views")

    def __init__(self, of: Fn, *, constant: bool = False, compiler: Compiler | None = None) -> None:
        self.of = of
        self.constant = constant
        self.used: frozenset[str] = frozenset(compiler.used) if compiler else frozenset()
        self.scans: tuple[tuple[str, tuple[str, ...]], ...] = tuple(compiler.scans) if compiler else ()
        self.inputs: tuple[str, ...] = tuple(compiler.inputs) if compiler else ()
        self.views = compiler.views if compiler else False

    def with_parts(self, parts: Iterable[Value]) -> Value:
        """The same, and it uses what its parts use."""
        parts = list(parts)
        self.used = frozenset().union(self.used, *(part.used for part in parts))
        self.scans = (*self.scans, *(scan for part in parts for scan in part.scans))
        self.inputs = (*self.inputs, *(name for part in parts for name in part.inputs))
        self.views = self.views or any(part.views for part in parts)
        return self


def constant(value: Any) -> Value:
    """A value without any expression."""
    return Value(lambda _: value, constant=True)


def compile_value(data: Any, place: Place, names: Names, depth: int = 0) -> Value:
    """Any piece of the document that may hold expressions. Complaints go to the place."""
    if isinstance(data, str):
        return compile_text(data, place, names)
    if depth > DEPTH_MAX:
        place.complain(f"nested deeper than {DEPTH_MAX}")
        return constant(None)
    if isinstance(data, dict):
        return _mapping(data, place, names, depth)
    if isinstance(data, list):
        return _list(data, place, names, depth)
    return constant(data)


def compile_text(text: str, place: Place, names: Names) -> Value:
    """A text: without `{{` itself, as one expression the value of that, else its parts joined."""
    if "{{" not in text and "{%" not in text:
        return constant(text)
    compiler = Compiler(place, names)
    try:
        parts = _parse(text, place)
        made = [compiler.compile(part) for part in parts]
    except RecursionError:
        place.complain(f"{text.strip()[:60]!r}… is nested too deeply; take it apart")
        return constant(None)
    if PATH.fullmatch(text.strip()) and len(parts) == 1:
        return Value(made[0], compiler=compiler)  # a dotted path cannot fail, so nothing needs to watch it
    if len(made) == 1 and not isinstance(parts[0], nodes.TemplateData):
        return Value(_watched(made[0], text, place), compiler=compiler)
    return Value(_watched(lambda scope: _join(made, scope), text, place), compiler=compiler)


def compile_condition(data: Any, place: Place, names: Names) -> Value:
    """A `when`: an expression that holds or not."""
    data = data.strip() if isinstance(data, str) else data
    value = compile_value(data, place, names)
    if not isinstance(data, bool) and not (isinstance(data, str) and _alone(data)):
        place.complain(f"{data!r} is no condition; write an expression, such as \"{{{{ state == 'DONE' }}}}\"")
    return value


def static(text: str) -> bool:
    """Whether a text holds no expression."""
    return "{{" not in text


def _alone(text: str) -> bool:
    """Whether a text is one expression and nothing else; with a word beside it, it would be a text and always hold."""
    try:
        return "{{" in text and len(_parse(text, nowhere())) == 1
    except RecursionError:
        return True  # it has been complained of


def _parse(text: str, place: Place) -> list[nodes.Node]:
    try:
        body = SYNTAX.parse(text).body
    except (TemplateSyntaxError, ValueError) as error:  # a ValueError is Python's, of a number too long to read
        place.complain(f"{text.strip()!r} is no expression: {getattr(error, 'message', error)}")
        return [nodes.Const(None)]
    if any(not isinstance(part, nodes.Output) for part in body):
        place.complain("{% … %} is not part of the language; branch with {if, then, else}, repeat with {for, in, do}")
        return [nodes.Const(None)]
    return [part for output in body for part in output.nodes]  # type: ignore[attr-defined]


def _join(parts: list[Fn], scope: Scope) -> str:
    return str(bounded("".join([shown(part(scope)) for part in parts])))


def _watched(run: Fn, text: str, place: Place) -> Fn:
    """Failures of the expression become a TemplateError that names its line."""
    where = str(place)

    def watched(scope: Scope) -> Any:
        try:
            return run(scope)
        except (BadBody, Behind, NotLoaded, TemplateError):
            raise
        except Exception as error:
            why = str(error) or type(error).__name__
            hint = "; a field that is used here is absent: write it with `| default(…)`" if "'Omit'" in why else ""
            raise TemplateError(where, f"{text.strip()[:200]} failed: {why}{hint}") from error

    return watched


def _mapping(data: dict[str, Any], place: Place, names: Names, depth: int) -> Value:
    if "if" in data and "then" in data:
        return _if(data, place, names, depth)
    if "for" in data and "in" in data:
        return _for(data, place, names, depth)
    keys = {key: compile_text(key, place / key / "key", names) for key in data}
    values = {key: compile_value(value, place / key, names, depth + 1) for key, value in data.items()}
    parts = [*keys.values(), *values.values()]
    if all(part.constant for part in parts):
        return constant(data)
    if all(key.constant for key in keys.values()):
        pairs = [(key, value.of) for key, value in values.items()]
        return Value(lambda scope: _object(pairs, scope)).with_parts(parts)
    drawn = [(keys[key].of, values[key].of) for key in data]
    return Value(lambda scope: _object([(shown(key(scope)), value) for key, value in drawn], scope)).with_parts(parts)


def _object(pairs: list[tuple[str, Fn]], scope: Scope) -> dict[str, Any]:
    made = {}
    for key, make in pairs:
        value = make(scope)
        if value is not OMIT:
            made[key] = value
    return made


def _list(data: list[Any], place: Place, names: Names, depth: int) -> Value:
    parts = [compile_value(element, place / index, names, depth + 1) for index, element in enumerate(data)]
    if all(part.constant for part in parts):
        return constant(data)
    makers = [part.of for part in parts]
    return Value(lambda scope: [v for v in [make(scope) for make in makers] if v is not OMIT]).with_parts(parts)


def _if(data: dict[str, Any], place: Place, names: Names, depth: int) -> Value:
    _only(data, ("if", "then", "else"), place)
    test = compile_condition(data["if"], place / "if", names)
    yes = compile_value(data["then"], place / "then", names, depth + 1)
    no = compile_value(data["else"], place / "else", names, depth + 1) if "else" in data else constant(OMIT)
    run = lambda scope: yes.of(scope) if test.of(scope) else no.of(scope)  # noqa: E731 - as the rest of this file
    return Value(run).with_parts([test, yes, no])


def _for(data: dict[str, Any], place: Place, names: Names, depth: int) -> Value:
    _only(data, ("for", "in", "do"), place)
    name = data["for"]
    if not isinstance(name, str) or not name.isidentifier() or "do" not in data:
        place.complain('a repetition is {for: name, in: "{{ list }}", do: …}')
        return constant([])
    if name in names.legal:
        (place / "for").complain(f"the name {name!r} is taken here; choose another")
    many = compile_value(data["in"], place / "in", names, depth + 1)
    each = compile_value(data["do"], place / "do", names.plus(name, "loop", loop=("index", "index0")), depth + 1)
    return Value(_repeated(name, many.of, each.of)).with_parts([many, each])


def _repeated(name: str, many: Fn, each: Fn) -> Fn:
    def run(scope: Scope) -> list[Any]:
        found = many(scope)
        elements = list(found) if isinstance(found, list | tuple | dict) else []
        made = []
        for index, element in enumerate(elements[:ITEMS_MAX]):
            inner = scope.inner({name: element, "loop": {"index": index + 1, "index0": index}}, index)  # type: ignore[attr-defined]
            value = each(inner)
            if value is not OMIT:
                made.append(value)
        return made

    return run


def _only(data: dict[str, Any], legal: tuple[str, ...], place: Place) -> None:
    for key in data:
        if key not in legal:
            (place / key).unknown("key", key, legal, at_key=True)


class LiveScope(dict[str, Any]):
    """The values of names while something is decided; those with a maker are made when first asked for."""

    __slots__ = ("makers", "owner")

    def __init__(self, values: dict[str, Any], makers: Mapping[str, Callable[[Any], Any]], owner: Any) -> None:
        super().__init__(values)
        self.makers = makers
        self.owner = owner  # whom the makers ask

    def __missing__(self, name: str) -> Any:
        maker = self.makers.get(name)
        value = OMIT if maker is None else maker(self)
        self[name] = value
        return value

    def inner(self, values: dict[str, Any], index: int) -> LiveScope:
        """A scope inside this one, for one turn of a repetition, whose draws are its own."""
        outer = self["chance"]
        return LiveScope({**self, **values, "chance": lambda label: outer(f"{label}/{index}")}, self.makers, self.owner)
