"""Paths of operations, and which operation a request means.

Rules: a path is matched segment by segment as it was sent, and only a matched value is unquoted, so that an
encoded slash stays inside its parameter; a literal beats a pattern, a pattern beats a parameter, a parameter
beats `{rest:path}`; what fits nothing is answered with the nearest that would have.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
NAME = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(:path)?\}")
SEGMENTS_MAX = 64  # of a path that is matched at all; longer ones match nothing

T = TypeVar("T")


class Segment(NamedTuple):
    """One step of a path: a literal, or a pattern with the names of its parameters."""

    text: str
    names: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None  # None for a literal and for a plain parameter
    rest: bool = False


class Match(NamedTuple, Generic[T]):
    """What a request means, and its path parameters."""

    target: T
    params: dict[str, str]


def parse_path(path: str) -> list[Segment]:
    """`/jobs/{id}:retry` as segments. Raises ValueError with what would be legal."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must begin with a slash")
    segments = [_segment(text) for text in path[1:].split("/")]
    if any(segment.rest for segment in segments[:-1]):
        raise ValueError("{name:path} takes the rest of the path, so it stands last")
    names = [name for segment in segments for name in segment.names]
    if len(names) != len(set(names)):
        raise ValueError(f"the parameters of {path!r} must have different names")
    return segments


def _segment(text: str) -> Segment:
    bare = NAME.sub("", text)
    if "{" in bare or "}" in bare:
        raise ValueError(f"{text!r}: a parameter is written {{name}} or {{name:path}}, a name begins with a letter")
    names = tuple(name for name, _ in NAME.findall(text))
    if not names:
        return Segment(text)
    if NAME.fullmatch(text):
        return Segment(text, names, None, text.endswith(":path}"))
    if ":path}" in text:
        raise ValueError(f"{text!r}: {{name:path}} stands alone in its segment")
    first, *between, last = map(re.escape, NAME.split(text)[::3])  # without the names: the literals around them
    # Each parameter ends where the next literal begins first; atomic, so that no hostile segment makes it try again.
    pattern = first + "".join(f"(?>(.+?){literal})" for literal in between) + "(.+)" + last
    return Segment(text, names, re.compile(pattern))


class _Node(Generic[T]):
    __slots__ = ("literals", "parameter", "patterns", "rest", "targets")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.patterns: list[tuple[Segment, _Node[T]]] = []
        self.parameter: _Node[T] | None = None
        self.rest: _Node[T] | None = None
        self.targets: dict[str, tuple[T, tuple[str, ...]]] = {}  # by method, with the names of the path's parameters


class Routes(Generic[T]):
    """A tree of paths; each leaf has a target for each method."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._all: list[tuple[str, str]] = []

    def add(self, method: str, path: str, target: T) -> T | None:
        """Hang a target into the tree; returns the target that stood there already, if one did."""
        segments = parse_path(path)
        node = self._root
        for segment in segments:
            node = _child(node, segment)
        there = node.targets.get(method)
        if there is not None:
            return there[0]
        node.targets[method] = target, tuple(name for segment in segments for name in segment.names)
        self._all.append((method, path))
        return None

    def match(self, method: str, path: str) -> Match[T] | None:
        """The target for this method and raw path."""
        for node, values in self._walk(path):
            found = node.targets.get(method)
            if found is not None:
                target, names = found
                return Match(target, dict(zip(names, [_unquoted(value) for value in values], strict=True)))
        return None

    def methods(self, path: str) -> list[str]:
        """Which methods this path knows; HEAD comes with GET."""
        found = dict.fromkeys(method for node, _ in self._walk(path) for method in node.targets)
        if "GET" in found:
            found.setdefault("HEAD", None)
        return [method for method in METHODS if method in found]

    def _walk(self, path: str) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
        steps = path[1:].split("/", SEGMENTS_MAX)
        return _descend(self._root, steps, 0, ())

    def nearest(self, method: str, path: str, most: int = 3) -> list[tuple[str, str]]:
        """The operations most like this request, each with what differs."""
        scored = sorted(
            ((_difference(method, path, *known), known) for known in self._all), key=lambda pair: pair[0][0]
        )
        return [(f"{m} {p}", differs) for (_, differs), (m, p) in scored[:most]]


def _child(node: _Node[T], segment: Segment) -> _Node[T]:
    if not segment.names:
        return node.literals.setdefault(segment.text, _Node())
    if segment.rest:
        node.rest = node.rest or _Node()
        return node.rest
    if segment.pattern is None:
        node.parameter = node.parameter or _Node()
        return node.parameter
    for known, child in node.patterns:
        if known.pattern is not None and known.pattern.pattern == segment.pattern.pattern:
            return child
    child = _Node()
    node.patterns.append((segment, child))
    node.patterns.sort(key=lambda pair: -len(NAME.sub("", pair[0].text)))  # the more literal text, the sooner
    return child


def _descend(
    node: _Node[T], steps: list[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
    if at == len(steps):
        yield node, values
        return
    step = steps[at]
    literal = node.literals.get(step)
    if literal is None and "%" in step:
        literal = node.literals.get(_unquoted(step))
    if literal is not None:
        yield from _descend(literal, steps, at + 1, values)
    for segment, child in node.patterns:
        found = segment.pattern.fullmatch(step) if segment.pattern else None
        if found is not None:
            yield from _descend(child, steps, at + 1, (*values, *found.groups()))
    if node.parameter is not None and step:
        yield from _descend(node.parameter, steps, at + 1, (*values, step))
    if node.rest is not None:
        yield node.rest, (*values, "/".join(steps[at:]))


def _unquoted(value: str) -> str:
    return unquote(value) if "%" in value else value


def _fits(step: str, known: str) -> bool:
    """Whether one step of a path is what an operation has there."""
    segment = _segment(known)
    if not segment.names:
        return _unquoted(step) == known
    return segment.rest or (bool(step) if segment.pattern is None else bool(segment.pattern.fullmatch(step)))


def _difference(method: str, path: str, known_method: str, known_path: str) -> tuple[float, str]:
    """How far a request is from an operation, and in what."""
    steps, known = path.strip("/").split("/"), known_path.strip("/").split("/")
    notes = [] if method == known_method else [f"the method is {known_method}, not {method}"]
    distance = 0.0 if method == known_method else 0.6
    for step, segment in zip(steps, known, strict=False):
        if _fits(step, segment):
            continue
        alike = 0.6 if "{" in segment else difflib.SequenceMatcher(None, step[:100], segment).ratio()
        distance += 1.0 - alike * 0.8
        notes.append(f"'{segment}', not '{step[:100]}'")
    slashes = [end != "/" and end.endswith("/") for end in (path, known_path)]
    if slashes[0] != slashes[1]:
        distance += 0.3
        notes.append("a slash at the end" if slashes[1] else "no slash at the end")
    if len(steps) < len(known) or (len(steps) > len(known) and not known_path.endswith(":path}")):
        distance += 0.9 * abs(len(steps) - len(known))
        notes.append(f"{len(known)} segments, not {len(steps)}")
    return distance, "; ".join(notes)
