"""Where in a scenario file something stands, so that every complaint can name its line.

A `Place` is a path of keys through the document; `marks` knows the line of each. Whoever compiles a part of
the document gets its place, goes down with `place / "key"`, and complains there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from simulator.errors import Complaint

Key = str | int
Path = tuple[Key, ...]


class Mark(NamedTuple):
    """A spot in a text. Lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Marks:
    """The spots of a document's keys and values, by their path."""

    __slots__ = ("file", "keys", "values")

    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}

    def value(self, path: Path) -> Mark:
        """Where the value at `path` starts; the nearest thing around it where there is none."""
        return self._nearest(self.values, path)

    def key(self, path: Path) -> Mark:
        """Where the key that leads to `path` is written, else where its value starts."""
        return self.keys.get(self.real(path)) or self._nearest(self.values, path)

    def real(self, path: Path) -> Path:
        """The path without the steps that only a model knows (the branch of a union, say)."""
        real: Path = ()
        for step in path:
            if (*real, step) in self.values:
                real = (*real, step)
        return real

    def _nearest(self, marks: dict[Path, Mark], path: Path) -> Mark:
        return marks.get(self.real(path)) or Mark(self.file, 0, 0)


class Place:
    """A path into the document, the marks to find its line, and the list that gathers complaints."""

    __slots__ = ("complaints", "marks", "path")

    def __init__(self, marks: Marks, complaints: list[Complaint], path: Path = ()) -> None:
        self.marks = marks
        self.complaints = complaints
        self.path = path

    def __truediv__(self, key: Key) -> Place:
        return Place(self.marks, self.complaints, (*self.path, key))

    def __str__(self) -> str:
        """`file:line:column` of the value; its path where the document never had lines."""
        mark = self.marks.value(self.path)
        return str(mark) if mark.line or not self.path else f"{mark.file}: {self.dotted}"

    @property
    def dotted(self) -> str:
        """The path as one word, for messages and for the names of draws."""
        return ".".join(map(str, self.path))

    def complain(self, what: str, *, at_key: bool = False, warning: bool = False) -> None:
        """Note a problem with the value here, or with its key. Without lines, the path says where."""
        mark = self.marks.key(self.path) if at_key else self.marks.value(self.path)
        if not mark.line and self.path:
            what = f"{self.dotted}: {what}"
        self.complaints.append(Complaint(mark.file, mark.line, mark.column, what, warning))

    def warn(self, what: str, *, at_key: bool = False) -> None:
        """Note something that is legal and probably not meant."""
        self.complain(what, at_key=at_key, warning=True)

    def unknown(self, kind: str, name: str, legal: Iterable[str], *, at_key: bool = False) -> None:
        """Complain of a name that does not exist, with the nearest one that does."""
        self.complain(unknown_name(kind, name, legal), at_key=at_key)


def nowhere(name: str = "<text>") -> Place:
    """A place outside any file, for values that arrive in other ways."""
    return Place(Marks(name), [])


def unknown_name(kind: str, name: str, legal: Iterable[str]) -> str:
    """`no state 'DON'; did you mean 'DONE'? There is OPEN or DONE`: the nearest name, and the legal ones."""
    names = list(legal)
    folded = {each.lower(): each for each in names}  # `closed` is one key away from CLOSED, not six
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    meant = f"did you mean {folded[near[0]]!r}? There" if near else "there"
    return f"no {kind} {name!r}; {meant} is {listed(names) if names else 'none'}"


def listed(names: Iterable[str], most: int = 12) -> str:
    """`a, b or c`, cut after `most`."""
    words = list(names)
    shown = words[:most]
    if len(words) > most:
        return f"{', '.join(shown)}, … ({len(words)} in all)"
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
