"""YAML text to a tree of nodes that know their file, line and column, and from there to plain data.

Rules: values mean what YAML 1.2's core schema says, whichever library reads them (so `on` and `12:30:00` are text);
whatever a text may hold, it is read or complained of, and nothing is raised; complaints are gathered, and only what
leaves no tree to go on with ends the reading. The parser's events are followed one by one rather than composed by
the library, so that depth, size and aliases are bounded while the text is read, not after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

import yaml

from simulator.core.places import Mark, Marks, Path, unknown_name
from simulator.core.records import Json
from simulator.errors import Complaint

TEXT_BYTES_MAX = 4 * 2**20  # a hundred times the longest scenario anybody wrote by hand
NODES_MAX = 100_000  # aliases written out: a short text must not become a large document
DEPTH_MAX = 100  # far below Python's own limit, so that recursion over a document is safe
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1  # what JSON replies can carry

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in: ten times as fast
TAGS = "tag:yaml.org,2002:"
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SURROGATE = re.compile("[\ud800-\udfff]")
INTEGER = re.compile(r"[-+]?[0-9]+")
RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
WORDS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
ASIDE = re.compile(r"\"(?:\\.|[^\"\\])*\"|(?<!\w)'[^']*'|(?:^|(?<=\s))#.*")  # quoted text and comments
BRACES = re.compile(r"(?:^|[\s\[{,])(\{\{.*?\}\}|\{\{.*)")  # an expression where a value may begin, outside quotes

UNQUOTED = "YAML takes unquoted braces for a mapping"
SYNTAX_HELP = (
    ("indentation space is expected", "a tab indents this line; YAML allows only spaces there"),
    ("mapping values are not allowed|sequence entries are not allowed", "this cannot stand here; check the indentation"
     " of this line and the one before, and quote a value that holds ': ' or begins with '- '"),
    ("could not find expected ':'", "this line is neither 'key: value' nor part of the value before; add the ':',"
     " or indent it"),
    ("unexpected end of stream", "a quote that opens here is never closed"),
    ("escape", "inside double quotes a backslash begins an escape; double it, or use single quotes"),
    ("',' or '}'", "expected ',' or '}' in the mapping that '{' opens; quote a value that holds any of [ ] { } ,"),
    ("',' or ']'", "expected ',' or ']' in the list that '[' opens; quote a value that holds any of [ ] { } ,"),
    ("expected '-' indicator", "a list stands here, and this line is no item of it; begin it with '- ', or indent it"),
    ("expected key|block end", "expected a key here; check the indentation, and quote the whole of a value that is"
     " partly quoted or braced"),
    ("alphabetic or numeric", "a value that begins with '*' or '&' is an alias or an anchor to YAML; quote it"),
    ("tag", "this '!' begins a tag, which scenarios do not use; quote the value if it is meant as text"),
    ("document start|directive", "this belongs to no document; check the indentation of this line and the first"),
    ("node content", "a value should begin here; quote it if it is meant as text, and close what is open"),
)  # fmt: skip


class Node(NamedTuple):
    """A value and where it stands. `size` counts the nodes in it, aliases written out; `height` its levels."""

    mark: Mark
    content: bool | int | float | str | list[Node] | dict[str, Pair] | None
    size: int = 1
    height: int = 1


class Pair(NamedTuple):
    """One entry of a mapping: where its key stands, and its value."""

    key: Mark
    node: Node


def sequence(mark: Mark, items: list[Node]) -> Node:
    """A list as a node."""
    return Node(mark, items, 1 + sum(item.size for item in items), 1 + max((item.height for item in items), default=0))


def mapping(mark: Mark, pairs: dict[str, Pair]) -> Node:
    """A mapping as a node."""
    nodes = [pair.node for pair in pairs.values()]
    return Node(mark, pairs, 1 + sum(node.size for node in nodes), 1 + max((node.height for node in nodes), default=0))


def read(text: str, file: str, complaints: list[Complaint]) -> Node | None:
    """The document as a tree whose top is a mapping; None where there is none to go on with.

    Complaints may also be added where a tree is given back: duplicate keys, say, leave one worth checking.
    """
    text = text.removeprefix("\ufeff")
    if spoilt := _unreadable(text):
        complaints.append(Complaint(file, *spoilt))
        return None
    root = _Builder(text, file, complaints).build()
    if root is None or isinstance(root.content, dict):
        return root
    what = "the file is empty" if root.content is None else f"expected a mapping at the top, got {kind_of(root)}"
    complaints.append(Complaint(*root.mark, f"{what}; a scenario is a mapping and begins with 'scenario: its-name'"))
    return None


def plain(node: Node, marks: Marks, path: Path = ()) -> Json:
    """The tree as plain data, every part its own copy; `marks` learns where each key and value stands."""
    marks.values[path] = node.mark
    if isinstance(node.content, dict):
        marks.keys |= {(*path, key): pair.key for key, pair in node.content.items()}
        return {key: plain(pair.node, marks, (*path, key)) for key, pair in node.content.items()}
    if isinstance(node.content, list):
        return [plain(item, marks, (*path, i)) for i, item in enumerate(node.content)]
    return node.content


def core(text: str) -> bool | int | float | str | None:
    """An unquoted scalar by YAML 1.2's core schema. Raises ValueError for a number that JSON cannot carry."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if INTEGER.fullmatch(text) or RADIX.fullmatch(text):
        return _integer(text)
    if FLOAT.fullmatch(text) and isfinite(number := float(text)):
        return number
    if FLOAT.fullmatch(text) or NO_NUMBER.fullmatch(text):
        raise ValueError(f"{text} is no number that JSON can carry; write a finite one, or quote it if it is text")
    return text


def kind_of(node: Node) -> str:
    """What a node is, in the words of a message."""
    if isinstance(node.content, dict | list):
        return "a mapping" if isinstance(node.content, dict) else "a list"
    return "nothing" if node.content is None else short(node.content)


def short(value: object, most: int = 60) -> str:
    """A scalar as a message shows it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    word = repr(value)
    return word if len(word) <= most else f"{word[:most]}…"


def shown(text: str, most: int = 60) -> str:
    """A text as it is written, on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text[2:] if base != 10 else text
    number = int(digits, base) if len(digits) <= 100 else INTEGER_MAX + 1  # Python refuses thousands of digits
    if INTEGER_MIN <= number <= INTEGER_MAX:
        return number
    raise ValueError(f"{short(text)} is beyond the whole numbers that JSON carries (64 bits); quote it if it is text")


def _unreadable(text: str) -> tuple[int, int, str] | None:
    """What is wrong with the characters themselves, with line and column."""
    if len(text) > TEXT_BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        return 1, 1, f"the file is larger than {TEXT_BYTES_MAX // 2**20} MiB; `include` smaller parts, or serve files"
    if found := UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
        return line, column, f"YAML may not hold the character U+{ord(found[0]):04X}; write it as an escape in quotes"
    return None


class _Enough(Exception):  # noqa: N818 - a way out, not an error
    """What is left of the text is not worth reading; the complaint is already made."""


class _Frame:
    """A list or mapping whose end has not come yet. A mapping's children are keys and values in turn."""

    __slots__ = ("children", "complaints", "start")

    def __init__(self, start: Any, complaints: int) -> None:
        self.start = start
        self.complaints = complaints  # how many there were before it
        self.children: list[Node] = []

    @property
    def wants_key(self) -> bool:
        return isinstance(self.start, yaml.MappingStartEvent) and len(self.children) % 2 == 0


class _Builder:
    """Follows the parser's events and builds the tree."""

    def __init__(self, text: str, file: str, complaints: list[Complaint]) -> None:
        self.text = text
        self.file = file
        self.complaints = complaints
        self.stack: list[_Frame] = []
        self.anchors: dict[str, Node | None] = {}  # None: its end has not come yet
        self.last = text.count("\n")
        self.nodes = 0
        self.documents = 0
        self.root: Node | None = None

    def build(self) -> Node | None:
        try:
            for event in self._events():
                self._take(event)
        except _Enough:
            return None
        return self.root or Node(Mark(self.file, 1, 1), None)

    def _events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.text, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError) as error:  # the Python loader's int() and chr()
            self._complain(Mark(self.file, 1, 1), f"this is not YAML: {short(str(error), 200)}")
            raise _Enough from None

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            if not event.value.isascii() and SURROGATE.search(event.value):  # only yaml's Python loader lets it pass
                self._complain(
                    self._mark(event.start_mark), "half a surrogate pair is no character; write both halves as one"
                )
            self._add(self._key(event) if self.stack and self.stack[-1].wants_key else self._scalar(event), event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event), event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._complain(self._mark(event.start_mark), "a second document begins here; give each its own file")
            raise _Enough

    def _add(self, node: Node, event: Any) -> None:
        self.nodes += node.size if isinstance(event, yaml.AliasEvent) else 1
        if self.nodes > NODES_MAX:
            self._complain(
                self._mark(event.start_mark), f"more than {NODES_MAX} values, aliases written out; make it shorter"
            )
            raise _Enough
        if isinstance(event, yaml.ScalarEvent) and event.anchor:
            self.anchors[event.anchor] = node
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.root = node

    def _open(self, event: Any) -> None:
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", TAGS + kind):
            self._unknown_tag(event)
        if len(self.stack) >= DEPTH_MAX:
            self._complain(self._mark(event.start_mark), f"nested deeper than {DEPTH_MAX} levels; make it flatter")
            raise _Enough
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(event, len(self.complaints)))

    def _close(self, event: Any) -> None:
        frame = self.stack.pop()
        if isinstance(frame.start, yaml.MappingStartEvent):
            node = self._unquoted(frame, event) or self._mapping(frame)
        else:
            node = sequence(self._mark(frame.start.start_mark), frame.children)
        if frame.start.anchor:
            self.anchors[frame.start.anchor] = node
        self._add(node, event)

    def _unquoted(self, frame: _Frame, end: Any) -> Node | None:
        """`{{ x }}` without quotes, which YAML reads as a mapping in a mapping: taken as the text that was meant."""
        start = frame.start.start_mark.index
        if not self.text.startswith("{{", start) or not isinstance(frame.children[0].content, dict):
            return None
        text = self.text[start : end.end_mark.index]
        quote = "'" if '"' in text else '"'
        mark = self._mark(frame.start.start_mark)
        del self.complaints[frame.complaints :]  # of what stands between the braces
        self._complain(mark, f"{UNQUOTED}; quote the expression: {quote}{shown(text)}{quote}")
        return Node(mark, text)

    def _mapping(self, frame: _Frame) -> Node:
        pairs: dict[str, Pair] = {}
        for key, value in zip(frame.children[::2], frame.children[1::2], strict=True):
            if key.content is None:
                continue  # complained of where it was read
            if not isinstance(key.content, str):
                self._complain(key.mark, f"a key must be text, got {kind_of(key)}; quote it if it is meant as text")
            elif key.content in pairs:
                first = pairs[key.content].key.line
                self._complain(key.mark, f"the key {key.content!r} stands here twice, first on line {first}; keep one")
            else:
                pairs[key.content] = Pair(key.mark, value)
        return mapping(self._mark(frame.start.start_mark), pairs)

    def _key(self, event: Any) -> Node:
        """A key is the text it is written with: `200:` is '200', and `null:` is a name like any other."""
        mark = self._mark(event.start_mark)
        if event.implicit[0] and event.value == "<<":
            self._complain(mark, "'<<' merges no longer (YAML 1.2); write the keys out, or use `extends` or `include`")
            return Node(mark, None)
        if event.implicit[0] and event.value in ("", "~"):
            self._complain(mark, "a key is missing before this colon; write one")
            return Node(mark, None)
        if not event.implicit[0] and event.tag and not event.tag.startswith(TAGS):
            self._unknown_tag(event)
        return Node(mark, event.value)

    def _scalar(self, event: Any) -> Node:
        mark = self._mark(event.start_mark)
        try:
            if event.implicit[0] and event.tag is None:
                return Node(mark, core(event.value))
            return Node(mark, self._tagged(event))
        except ValueError as error:
            self._complain(mark, str(error))
            return Node(mark, event.value)

    def _tagged(self, event: Any) -> bool | int | float | str | None:
        """A quoted or tagged scalar."""
        name = (event.tag or "!").removeprefix(TAGS)
        if name in ("!", "str"):
            return str(event.value)
        value = core(event.value)
        if name == "float" and type(value) is int:
            return float(value)
        if {"null": type(None), "bool": bool, "int": int, "float": float}.get(name) is type(value):
            return value
        self._unknown_tag(event)
        return str(event.value)

    def _alias(self, event: Any) -> Node:
        """What an anchor names, written out at the alias."""
        mark = self._mark(event.start_mark)
        if event.anchor not in self.anchors:
            self._complain(mark, unknown_name("anchor", event.anchor, self.anchors) + "; quote it if it is text")
            return Node(mark, None)
        target = self.anchors[event.anchor]
        if target is None:
            self._complain(mark, f"the alias *{event.anchor} holds itself; use an anchor only outside its own value")
            return Node(mark, None)
        if len(self.stack) + target.height > DEPTH_MAX:
            self._complain(mark, f"nested deeper than {DEPTH_MAX} levels by this alias; make it flatter")
            raise _Enough
        return target._replace(mark=mark)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        spot: Any = error.problem_mark
        if error.context_mark and (spot.index >= len(self.text.rstrip()) or "expected ':'" in str(error.problem)):
            spot = error.context_mark  # not the end of the text or the next line, but what is left open there
        lines = self.text.split("\n")
        mark = self._mark(spot)
        for line in dict.fromkeys((mark.line, self._mark(error.context_mark or spot).line)):
            if found := BRACES.search(ASIDE.sub(lambda aside: "·" * len(aside[0]), lines[line - 1])):
                start, end = found.span(1)
                mark = Mark(self.file, line, start + 1)
                self.complaints[:] = [complaint for complaint in self.complaints if complaint[:3] != mark]
                self._complain(
                    mark, f"{UNQUOTED}; quote the whole value that holds {shown(lines[line - 1][start:end])}"
                )
                raise _Enough
        self._complain(mark, _syntax_help(str(error.problem), lines[mark.line - 1][mark.column - 1 : mark.column]))
        raise _Enough

    def _unknown_tag(self, event: Any) -> None:
        name = event.tag.replace(TAGS, "!!")
        self._complain(
            self._mark(event.start_mark),
            f"the tag {short(name)} does not fit here; remove it, or quote all if it is text",
        )

    def _mark(self, spot: Any) -> Mark:
        """The parser's spot as ours; what it finds behind the last line stands on it."""
        return Mark(self.file, min(spot.line, self.last) + 1, spot.column + 1)

    def _complain(self, mark: Mark, what: str) -> None:
        self.complaints.append(Complaint(*mark, what))


def _syntax_help(problem: str, at: str) -> str:
    """Why the parser stopped, in the words of somebody who writes scenarios."""
    if "cannot start any token" in problem:
        if at == "\t":
            return "a tab stands where YAML allows only spaces; replace it"
        return f"a value may not begin with {at!r}; quote it"
    for words, help_ in SYNTAX_HELP:
        if re.search(words, problem):
            return help_
    return f"this is not YAML: {problem}"
