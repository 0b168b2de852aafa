"""A document whose shape is wrong, without its wrong spots, so that its names can be checked in the same run.

Rules: only what nothing else refers to is taken out; where that cannot be told, nothing is mended and the shape's own
complaints have to do, since a complaint that is only a consequence of another one misleads.
"""

from __future__ import annotations

import copy
import difflib
from typing import Any

from pydantic import ValidationError

from simulator.core.places import Marks, Path

NAMED = ("resources", "states", "record", "operations", "set", "find")  # what stands in these is referred to by name
STRUCTURE = (*NAMED, "scenario", "rows", "also")
LEAVES_ALIKE = 0.6  # how near an unknown key must come to one that matters, to be taken for it


def mended(data: dict[str, Any], error: ValidationError, marks: Marks) -> dict[str, Any] | None:
    """A copy without the spots that the error names; None where others may refer to them."""
    copied = copy.deepcopy(data)
    for fault in error.errors(include_url=False, include_input=False):
        path = marks.real(fault["loc"])
        if fault["type"] == "missing" or not _removable(path):
            return None
        _remove(copied, path)
    return copied


def _removable(path: Path) -> bool:
    """Whether nothing else in the document can refer to what stands there."""
    if len(path) < 2 or not isinstance(path[-1], str) or path[-2] in NAMED:
        return False
    return not difflib.get_close_matches(path[-1], STRUCTURE, n=1, cutoff=LEAVES_ALIKE)


def _remove(data: Any, path: Path) -> None:
    """Take out what stands there, unless it went with something around it."""
    *way, last = path
    for step in way:
        if isinstance(data, dict) and step not in data:
            return
        data = data[step]
    if isinstance(data, dict):
        data.pop(last, None)
