"""Scenario files on the disk, for the rooms that open none themselves.

Rules: a path counts from the file that names it; a name is shown the way the user would type it.
"""

from __future__ import annotations

import os
from pathlib import Path

from simulator.scenario.text import TEXT_BYTES_MAX


def read_file(path: str, relative_to: str | None = None) -> tuple[str, str]:
    """A file's name and its text. Raises OSError, or UnicodeDecodeError where it is not UTF-8.

    Of a file beyond the limit only a part is read: enough for the complaint that it is too large.
    """
    where = Path(path) if relative_to is None else Path(relative_to).parent / path
    with where.open("rb") as file:
        data = file.read(TEXT_BYTES_MAX + 1)
    text = data.decode("utf-8", "replace" if len(data) > TEXT_BYTES_MAX else "strict")
    return _name(where), text


def bundled(name: str) -> Path:
    """A scenario that comes with the simulator: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "bundled" / name
    return inside if inside.exists() else package.parent / "scenarios" / name


def _name(where: Path) -> str:
    """`lessons/../documents.yaml` as `documents.yaml`; relative where what the user typed was."""
    tidy = Path(os.path.normpath(where))
    same = tidy.resolve() == where.resolve()  # else a link on the way makes `..` mean something else
    return str(tidy if same else where)
