"""`extends:` and `include:`: a scenario put together from parts, so that a variation is ten lines.

Rules: parts are merged as JSON merge patches (RFC 7396): mappings merge, lists and scalars replace, `null` removes;
first what is extended, then what is included in its order, then the document's own keys. Merging happens on the
trees, so every key and value keeps the file and line it came from. No file is opened here: texts come from a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from math import isfinite
from typing import NamedTuple

from simulator.core.places import Mark, Marks, Place, unknown_name
from simulator.core.records import Json
from simulator.errors import Complaint
from simulator.scenario.text import DEPTH_MAX, NODES_MAX, Node, Pair, kind_of, mapping, plain, read, sequence, short

Reader = Callable[[str, str | None], tuple[str, str]]
"""`reader(path, relative_to)` gives a name and the text. Raises OSError, or UnicodeDecodeError where it is no UTF-8."""

Document = tuple[dict[str, Json], Marks]

CHAIN_MAX = 10  # files that extend files; nobody can follow more
PARTS_MAX = 100  # files in one scenario


class _Part(NamedTuple):
    """A file that a document asks for: by which key, and where that stands."""

    key: str
    path: str
    mark: Mark


def load(name: str, reader: Reader, complaints: list[Complaint]) -> Document | None:
    """The document in a file, with all that it extends and includes; None where a part of it cannot be read."""
    try:
        resolved, text = reader(name, None)
    except (OSError, ValueError) as error:
        complaints.append(Complaint(name, 0, 0, _why(error, name)))
        return None
    return load_text(text, resolved, complaints, reader)


def load_text(text: str, name: str, complaints: list[Complaint], reader: Reader | None = None) -> Document | None:
    """The document in a text; without a reader it may not extend or include anything."""
    node = read(text, name, complaints)
    return None if node is None else _Composer(reader, complaints).document(node, name)


def load_data(data: Json, name: str, complaints: list[Complaint], reader: Reader | None = None) -> Document | None:
    """The document in data that never was YAML (JSON over HTTP). It has no lines: complaints name the path instead."""
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else short(data)
        complaints.append(Complaint(name, 0, 0, f"expected a mapping that begins with 'scenario', got {what}"))
        return None
    known = len(complaints)
    node = _tree(data, Place(Marks(name), complaints))
    return _Composer(reader, complaints).document(node, name) if len(complaints) == known else None


def merge(base: Node, patch: Node, complaints: list[Complaint]) -> Node:
    """The base with the patch over it (RFC 7396). A `null` that finds nothing to remove is a complaint."""
    if not isinstance(patch.content, dict):
        return patch
    pairs = dict(_pairs(base))
    for key, pair in patch.content.items():
        if pair.node.content is not None:
            under = pairs[key].node if key in pairs else Node(pair.node.mark, None)
            pairs[key] = Pair(pair.key, merge(under, pair.node, complaints))
        elif pairs.pop(key, None) is None:
            file, line, column = pair.key
            complaints.append(Complaint(file, line, column, _removes_nothing(key, list(pairs))))
    return mapping(patch.mark, pairs)


class _RefusedError(Exception):
    """A part cannot be had; says why, in words that follow the key that asks for it."""


class _Composer:
    """One loading: which files are being read, and which are done."""

    def __init__(self, reader: Reader | None, complaints: list[Complaint]) -> None:
        self.reader = reader
        self.complaints = complaints
        self.chain: list[str] = []  # the files being read, each asked for by the one before
        self.done: dict[str, Node | None] = {}
        self.whole = True

    def document(self, node: Node, name: str) -> Document | None:
        top = self._compose(node, name)
        if self.whole and top.size > NODES_MAX:
            self._complain(top.mark, f"more than {NODES_MAX} values with all its parts; make it shorter")
        if not self.whole:
            return None
        marks = Marks(name)
        data: dict[str, Json] = plain(top, marks)
        return data, marks

    def _compose(self, node: Node, name: str) -> Node:
        """The document over all it asks for."""
        self.chain.append(name)
        layers = [self._layer(part, name) for part in self._asked(node)]
        self.chain.pop()
        pairs = _pairs(node)
        layers.append(mapping(node.mark, {key: pairs[key] for key in pairs if key not in ("extends", "include")}))
        found = [layer for layer in layers if layer is not None]
        if not self.whole:
            return found[-1]  # merging over half a base would only add misleading complaints
        return reduce(lambda base, patch: merge(base, patch, self.complaints), found)

    def _asked(self, node: Node) -> Iterator[_Part]:
        for key in ("extends", "include"):
            if key in _pairs(node):
                asked = _pairs(node)[key].node
                for item in asked.content if key == "include" and isinstance(asked.content, list) else [asked]:
                    if isinstance(item.content, str) and item.content:
                        yield _Part(key, item.content, item.mark)
                    else:
                        legal = (
                            "a path, or for several files `include`" if key == "extends" else "a path or a list of them"
                        )
                        self._complain(item.mark, f"`{key}` expects {legal}, got {kind_of(item)}", key)

    def _layer(self, part: _Part, asker: str) -> Node | None:
        try:
            return self._part(part, asker)
        except _RefusedError as refused:
            self._complain(part.mark, f"`{part.key}` {refused}", part.key)
            return None

    def _part(self, part: _Part, asker: str) -> Node | None:
        """What a part holds, with all that it asks for itself."""
        if self.reader is None:
            raise _RefusedError("reads files, and this document came without any; send it whole")
        try:
            name, text = self.reader(part.path, asker if part.mark.line else None)
        except (OSError, ValueError) as error:
            raise _RefusedError(f"names {short(part.path)}: {_why(error, part.path)}") from None
        if name in self.chain:
            ring = " → ".join([*self.chain[self.chain.index(name) :], name])
            raise _RefusedError(f"goes in a ring: {ring}; take one of them out")
        if name not in self.done:
            self.done[name] = self._read(name, text)
        return self.done[name]

    def _read(self, name: str, text: str) -> Node | None:
        if len(self.chain) >= CHAIN_MAX:
            chain = " → ".join([*self.chain, name])
            raise _RefusedError(f"makes a chain of more than {CHAIN_MAX} files: {chain}; put some of them together")
        if len(self.done) >= PARTS_MAX:
            raise _RefusedError(f"makes more than {PARTS_MAX} files; put some of them together")
        node = read(text, name, self.complaints)
        self.whole = self.whole and node is not None
        return None if node is None else self._compose(node, name)

    def _complain(self, mark: Mark, what: str, key: str = "") -> None:
        self.whole = False
        self.complaints.append(Complaint(*mark, what if mark.line or not key else f"{key}: {what}"))


def _pairs(node: Node) -> dict[str, Pair]:
    return node.content if isinstance(node.content, dict) else {}


def _tree(data: Json, place: Place) -> Node:
    """Data as nodes without lines."""
    mark = place.marks.value(place.path)
    if isinstance(data, dict | list | tuple) and len(place.path) >= DEPTH_MAX:
        place.complain(f"nested deeper than {DEPTH_MAX} levels; make it flatter")
        return Node(mark, None)
    if isinstance(data, dict):
        return mapping(mark, {str(key): Pair(mark, _tree(value, place / str(key))) for key, value in data.items()})
    if isinstance(data, list | tuple):
        return sequence(mark, [_tree(item, place / index) for index, item in enumerate(data)])
    if data is None or isinstance(data, bool | int | str) or (isinstance(data, float) and isfinite(data)):
        return Node(mark, data)
    place.complain(f"expected what JSON can carry, got {short(data)}")
    return Node(mark, None)


def _removes_nothing(key: str, there: list[str]) -> str:
    missing = unknown_name("key", key, there)
    end = "" if missing.endswith("?") else ";"
    return f'null removes a key, here none: {missing}{end} for an empty value write {{}}, [] or "{{{{ none }}}}"'


def _why(error: OSError | ValueError, path: str) -> str:
    """Why a file could not be read, and what to do about it."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"this is not UTF-8 text (byte 0x{byte:02x} at offset {error.start}); save it as UTF-8"
    if isinstance(error, FileNotFoundError):
        where = str(error.filename or path)
        return "there is no such file; check the path" if where == path else f"there is no file {where}; check the path"
    return f"it cannot be read ({getattr(error, 'strerror', None) or error})"
