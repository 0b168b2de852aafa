"""What a request is to a limit: whether it falls under it, whose it is, and how much it weighs.

Rules: two different values never make the same key; a body that cannot be read asks for nothing here, it is refused
where bodies are read; what a client sends as a count is a number or counts as one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from simulator.core.bodies import BadBody
from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.rates import COUNT_MAX
from simulator.core.replies import shown_at
from simulator.core.requests import Request
from simulator.core.templates import LiveScope, Value, compile_text, constant, static
from simulator.core.turns import Turn
from simulator.errors import TemplateError

ASKED = frozenset({"body", "query", "headers", "params", "request"})  # what clients decide
PART_MAX = 64  # characters of a value in a key; longer ones are told by their digest

Part = Callable[[Turn, LiveScope, str], str]


def weights_of(
    chosen: Sequence[str] | None, weights: Mapping[str, int], place: Place, operations: Sequence[str]
) -> dict[str, int]:
    """For each operation that falls under a limit, what its count is multiplied by; complaints go to the place.

    `chosen` and the keys of `weights` are names or patterns; of several that fit, the first in `weights` wins.
    """
    made = dict.fromkeys(operations, 1)
    if chosen is not None:
        fit = [_fitting(pattern, place / "operations" / index, operations) for index, pattern in enumerate(chosen)]
        made = {name: 1 for names in fit for name in names}
    for pattern, weight in reversed([*weights.items()]):
        for name in _fitting(pattern, place / "weights" / pattern, operations, at_key=True):
            if name in made:
                made[name] = weight
    return made


def _fitting(pattern: str, place: Place, operations: Sequence[str], at_key: bool = False) -> list[str]:
    found = [name for name in operations if name == pattern or fnmatchcase(name, pattern)]
    if not found:
        place.unknown("operation", pattern, operations, at_key=at_key)
    return found


def compile_per(texts: Sequence[str], place: Place, names: Names) -> tuple[Part, ...]:
    """What each value of `per` adds to the key; complaints go to the place."""
    return tuple(_part(text, place / index, names) for index, text in enumerate(texts))


def _part(text: str, place: Place, names: Names) -> Part:
    if text in PARTS:
        return PARTS[text]
    if static(text):
        place.unknown("`per`", text, [*PARTS, 'an expression such as "{{ headers.x_tenant }}"'])
    value, where = compile_text(text, place, names), str(place)
    return lambda _, scope, __: safe(shown_at(read(value, scope, ""), where))


def _client(turn: Turn, scope: LiveScope, operation: str) -> str:
    """Whoever the credentials name; where none are asked for, where the request comes from."""
    return safe(turn.client) if turn.client else "@" + PARTS["address"](turn, scope, operation)


PARTS: dict[str, Part] = {
    "client": _client,
    "operation": lambda _, __, operation: safe(operation),
    "address": lambda turn, _, __: safe(turn.request.address) if turn.request else "",
    "service": lambda _, __, ___: "",
}


def safe(text: str) -> str:
    """A value in a key: no other value looks like it, and none has a slash."""
    if len(text) <= PART_MAX:
        return quote(text, safe=" ", errors="surrogatepass")
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def compile_count(text: str, place: Place, names: Names) -> Value:
    """What one request counts, before its operation's weight; complaints go to the place."""
    if text == "requests":
        return constant(1)
    if text == "bytes":
        return Value(_length)
    if static(text):
        place.unknown("count", text, ["requests", "bytes", 'an expression such as "{{ body.tokens }}"'])
    return compile_text(text, place, names)


def _length(scope: Any) -> int:
    request: Request | None = scope.owner.request
    return len(request.raw) if request else 0


def weight_of(count: Value, factor: int, scope: LiveScope) -> int:
    """How much the request weighs: the count, rounded up, times its operation's weight."""
    try:
        given = read(count, scope, 1)
    except TemplateError:
        if not count.used & ASKED:
            raise
        given = 1  # nobody escapes a limit by what he sends
    counts = isinstance(given, int | float) and not isinstance(given, bool) and given == given  # NaN is no number
    number: float = given if counts else 1
    return min(math.ceil(min(max(number, 0), COUNT_MAX)) * factor, COUNT_MAX)


def read(value: Value, scope: LiveScope, otherwise: Any) -> Any:
    """A value; the other one where it asks for a body that cannot be read. Raises TemplateError."""
    try:
        return value.of(scope)
    except (BadBody, TemplateError) as error:
        if isinstance(error, BadBody) or isinstance(error.__cause__, BadBody):
            return otherwise
        raise
