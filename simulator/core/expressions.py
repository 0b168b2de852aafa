"""`{{ … }}`: one expression in Jinja's syntax, as a closure.

Jinja's parser says what was written; evaluation is ours, for three reasons: a dotted path costs a fraction of a
microsecond instead of fifteen, `body.items` is the client's field and never a Python method, and what is not
listed here cannot be reached at all. Names are checked when the scenario is loaded, values when they are met.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from simulator.core.chance import Draws
from simulator.core.helpers import (
    FILTERS,
    FUNCTIONS,
    ITEMS_MAX,
    MAPPING_METHODS,
    NUMBER_BITS_MAX,
    TESTS,
    TEXT_MAX,
    TEXT_METHODS,
    bounded,
    remainder,
    shown,
    weight,
)
from simulator.core.omit import OMIT, field, item
from simulator.core.places import Place, unknown_name

Scope = Mapping[str, Any]
Fn = Callable[[Scope], Any]


class Names:
    """The names that are legal at a place, and for some of them the fields they are known to have."""

    __slots__ = ("fields", "legal")

    def __init__(self, legal: frozenset[str], fields: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.legal = legal
        self.fields = fields or {}

    def plus(self, *names: str, **fields: tuple[str, ...]) -> Names:
        """These names and more."""
        return Names(self.legal | {*names, *fields}, {**self.fields, **fields})


class Compiler:
    """Turns Jinja's nodes into closures, notes what they use, and complains of what does not exist."""

    def __init__(self, place: Place, names: Names) -> None:
        self.place = place
        self.names = names
        self.used: set[str] = set()
        self.inputs: dict[str, None] = {}  # fields of the body, in the order they are named
        self.scans: list[
            tuple[str, tuple[str, ...]]
        ] = []  # of records() calls: the resource, the fields they filter by
        self.views = False  # whether it asks a record for its view
        self._draws = 0

    def compile(self, node: nodes.Node) -> Fn:
        """The closure for one node."""
        make = getattr(self, f"_{type(node).__name__.lower()}", None)
        if make is None:
            self.place.complain(f"{type(node).__name__} is not part of the expression language")
            return lambda _: OMIT
        made: Fn = make(node)
        return made

    def _const(self, node: nodes.Const) -> Fn:
        value = node.value
        if isinstance(value, int) and value.bit_length() > NUMBER_BITS_MAX:
            self.place.complain(f"a number of {value.bit_length()} bits; {NUMBER_BITS_MAX} is the most")
        return lambda _: value

    def _templatedata(self, node: nodes.TemplateData) -> Fn:
        value = node.data
        return lambda _: value

    def _name(self, node: nodes.Name) -> Fn:
        name = node.name
        if name == "chance":
            self.place.complain("chance is drawn from by calling one of its draws, such as chance.uuid4()")
        if name not in self.names.legal:
            self.place.complain(unknown_name("name", name, sorted(self.names.legal)))
        self.used.add(name)
        return operator.itemgetter(name)

    def _chance(self) -> Fn:
        self._draws += 1
        self.used.add("chance")
        label = f"{self.place.dotted}#{self._draws}"
        return lambda scope: scope["chance"](label)

    def _getattr(self, node: nodes.Getattr) -> Fn:
        name = node.attr
        self._check_field(node.node, name)
        if isinstance(node.node, nodes.Name) and node.node.name == "body":
            self.inputs[name] = None
        self.views = self.views or name == "view"
        if isinstance(node.node, nodes.Name) and node.node.name != "chance":
            self._name(node.node)
            root = node.node.name
            return lambda scope: field(scope[root], name)
        value = self.compile(node.node)
        return lambda scope: field(value(scope), name)

    def _check_field(self, node: nodes.Node, name: str) -> None:
        legal = self.names.fields.get(node.name) if isinstance(node, nodes.Name) else None
        if legal is not None and name not in legal:
            self.place.complain(unknown_name(f"field of {node.name}:", name, legal))  # type: ignore[attr-defined]

    def _getitem(self, node: nodes.Getitem) -> Fn:
        if isinstance(node.arg, nodes.Slice):
            return self._part(node.node, node.arg)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            self._check_field(node.node, node.arg.value)
        value, key = self.compile(node.node), self.compile(node.arg)
        return lambda scope: item(value(scope), key(scope))

    def _part(self, node: nodes.Node, cut: nodes.Slice) -> Fn:
        value = self.compile(node)
        ends = [self.compile(end) if end else (lambda _: None) for end in (cut.start, cut.stop, cut.step)]

        def run(scope: Scope) -> Any:
            whole = value(scope)
            return whole[slice(*(end(scope) for end in ends))] if isinstance(whole, str | list | tuple) else OMIT

        return run

    def _list(self, node: nodes.List) -> Fn:
        items = [self.compile(element) for element in node.items]
        return lambda scope: [value for value in (make(scope) for make in items) if value is not OMIT]

    _tuple = _list

    def _dict(self, node: nodes.Dict) -> Fn:
        pairs = [(self.compile(pair.key), self.compile(pair.value)) for pair in node.items]

        def run(scope: Scope) -> Any:
            made = ((shown(key(scope)), value(scope)) for key, value in pairs)
            return {key: value for key, value in made if value is not OMIT}

        return run

    def _condexpr(self, node: nodes.CondExpr) -> Fn:
        test, yes = self.compile(node.test), self.compile(node.expr1)
        no = self.compile(node.expr2) if node.expr2 else (lambda _: OMIT)
        return lambda scope: yes(scope) if test(scope) else no(scope)

    def _and(self, node: nodes.And) -> Fn:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope: left(scope) and right(scope)

    def _or(self, node: nodes.Or) -> Fn:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope: left(scope) or right(scope)

    def _not(self, node: nodes.Not) -> Fn:
        value = self.compile(node.node)
        return lambda scope: not value(scope)

    def _compare(self, node: nodes.Compare) -> Fn:
        first = self.compile(node.expr)
        rest = [(COMPARISONS[operand.op], self.compile(operand.expr)) for operand in node.ops]
        if len(rest) == 1:
            compare, other = rest[0]
            return lambda scope: compare(first(scope), other(scope))

        def run(scope: Scope) -> bool:
            left = first(scope)
            for compare, operand in rest:
                right = operand(scope)
                if not compare(left, right):
                    return False
                left = right
            return True

        return run

    def _binary(self, node: nodes.BinExpr) -> Fn:
        left, right = self.compile(node.left), self.compile(node.right)
        work = ARITHMETIC[type(node).__name__]
        return lambda scope: bounded(work(left(scope), right(scope)))

    _add = _sub = _mul = _div = _floordiv = _mod = _pow = _binary

    def _neg(self, node: nodes.Neg) -> Fn:
        value = self.compile(node.node)
        return lambda scope: -value(scope)

    def _pos(self, node: nodes.Pos) -> Fn:
        value = self.compile(node.node)
        return lambda scope: +value(scope)

    def _concat(self, node: nodes.Concat) -> Fn:
        parts = [self.compile(part) for part in node.nodes]
        return lambda scope: bounded("".join([shown(part(scope)) for part in parts]))

    def _filter(self, node: nodes.Filter) -> Fn:
        work = FILTERS.get(node.name)
        if work is None or node.node is None:
            self.place.complain(unknown_name("filter", node.name, sorted(FILTERS)))
            return lambda _: OMIT
        self.views = self.views or _says_view(node)
        value, arguments = self.compile(node.node), self._arguments(node)
        return lambda scope: bounded(_apply(work, [value(scope)], arguments(scope)))

    def _test(self, node: nodes.Test) -> Fn:
        work = TESTS.get(node.name)
        if work is None:
            self.place.complain(unknown_name("test", node.name, sorted(TESTS)))
            return lambda _: OMIT
        value, arguments = self.compile(node.node), self._arguments(node)
        return lambda scope: _apply(work, [value(scope)], arguments(scope))

    def _call(self, node: nodes.Call) -> Fn:
        self.views = self.views or _says_view(node)
        arguments = self._arguments(node)
        if isinstance(node.node, nodes.Getattr):
            return self._method(node.node, arguments)
        name = node.node.name if isinstance(node.node, nodes.Name) else "that"
        if name == "records":
            return self._records(node, arguments)
        work = FUNCTIONS.get(name)
        if work is None:
            self.place.complain(unknown_name("function", name, [*sorted(FUNCTIONS), "records"]))
            return lambda _: OMIT
        return lambda scope: bounded(_apply(work, [], arguments(scope)))

    def _records(self, node: nodes.Call, arguments: Arguments) -> Fn:
        kind = node.args[0] if node.args else None
        if not isinstance(kind, nodes.Const) or not isinstance(kind.value, str):
            self.place.complain("records() names its resource first, as in records('order', customer=id)")
            return lambda _: OMIT
        legal = self.names.fields.get("records()", ())
        if kind.value not in legal:
            self.place.complain(unknown_name("resource", kind.value, legal))
        self.scans.append((kind.value, tuple(pair.key for pair in node.kwargs)))
        self.used.add("records")

        def run(scope: Scope) -> Any:
            positional, named = arguments(scope)
            return scope["records"](*positional, **named)

        return run

    def _method(self, node: nodes.Getattr, arguments: Arguments) -> Fn:
        name = node.attr
        if isinstance(node.node, nodes.Name) and node.node.name == "chance":
            if name not in Draws.METHODS:
                self.place.complain(unknown_name("draw", name, Draws.METHODS))
            draws = self._chance()
            return lambda scope: _apply(getattr(draws(scope), name), [], arguments(scope))
        value = self.compile(node.node)
        if name not in TEXT_METHODS and name not in MAPPING_METHODS:
            self.place.complain(unknown_name("method", name, sorted({**TEXT_METHODS, **MAPPING_METHODS})))
        return lambda scope: bounded(_invoke(value(scope), name, arguments(scope)))

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> Arguments:
        if node.dyn_args or node.dyn_kwargs:
            self.place.complain("*arguments and **arguments are not part of the expression language")
        positional = [self.compile(argument) for argument in node.args]
        named = [(str(pair.key), self.compile(pair.value)) for pair in node.kwargs]
        return lambda scope: ([make(scope) for make in positional], {key: make(scope) for key, make in named})


Arguments = Callable[[Scope], tuple[list[Any], dict[str, Any]]]


def _apply(work: Callable[..., Any], first: list[Any], arguments: tuple[list[Any], dict[str, Any]]) -> Any:
    positional, named = arguments
    return work(*first, *positional, **named)


def _invoke(value: Any, name: str, arguments: tuple[list[Any], dict[str, Any]]) -> Any:
    """A method of a text or a mapping; of nothing, nothing."""
    if value is OMIT:
        return OMIT
    methods = TEXT_METHODS if isinstance(value, str) else MAPPING_METHODS if isinstance(value, dict) else {}
    if name not in methods:
        raise TypeError(f"{shown(value)[:40]!r} has no method {name}()")
    return _apply(methods[name], [value], arguments)


def _says_view(node: nodes.Node) -> bool:
    return any(
        isinstance(const.value, str) and "view" in const.value.split(".") for const in node.find_all(nodes.Const)
    )


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """What cannot be ordered is neither above nor below: a client's text where a number was due is no failure."""

    def run(left: Any, right: Any) -> bool:
        try:
            return bool(compare(left, right))
        except TypeError:
            return False

    return run


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if not isinstance(right, list | tuple | dict):
        return False
    return left in right if not isinstance(right, dict) or isinstance(left, str) else False


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > NUMBER_BITS_MAX:
        raise ValueError(f"{base} ** {exponent} is beyond any number that JSON can carry")
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError(f"{base} ** {exponent} is no real number")
    return power


def _times(left: Any, right: Any) -> Any:
    for sized, factor in ((left, right), (right, left)):
        if isinstance(sized, str | list) and isinstance(factor, int):
            most = TEXT_MAX if isinstance(sized, str) else ITEMS_MAX
            if len(sized) * factor > most or weight(sized) * factor > TEXT_MAX:
                raise ValueError(f"{len(sized)} times {factor} is more than {most}, or its elements are too large")
    return left * right


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": _ordered(operator.lt),
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
    "in": _within,
    "notin": lambda left, right: not _within(left, right),
}

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": _times,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": remainder,
    "Pow": _power,
}
