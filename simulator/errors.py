"""Every error of the simulator, as one tree that says whose fault it is.

SimulatorError
├── ScenarioError       the file's: complaints, each with file, line, column and remedy
├── OperatorError       the command line's or the control plane's: a flag, a port, a name that is not there
├── TemplateError       the file's, found only while a request was answered: carries the line of the expression
└── StoreError          the machine's: the disk is full, the file is not ours, the database is gone
"""

from __future__ import annotations

from typing import NamedTuple


class Complaint(NamedTuple):
    """One thing wrong in a scenario file. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    what: str
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {'warning: ' if self.warning else ''}{self.what}"


class SimulatorError(Exception):
    """Whatever the simulator itself complains about."""


class ScenarioError(SimulatorError):
    """A scenario that may not start; `complaints` holds every problem found, in the file's order."""

    def __init__(self, complaints: list[Complaint]) -> None:
        self.complaints = complaints
        super().__init__("\n".join(map(str, complaints)))


class OperatorError(SimulatorError):
    """A flag, a port or a name given by the person who runs the simulator is wrong.

    `status` is what the control plane answers when the name came over HTTP.
    """

    def __init__(self, what: str, status: int = 400) -> None:
        self.status = status
        super().__init__(what)


class TemplateError(SimulatorError):
    """An expression of the scenario failed while it was evaluated, for example a division by zero.

    `where` is the expression's `file:line:column`.
    """

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(f"{where}: {what}")


class StoreError(SimulatorError):
    """Records could not be read or kept. A client is told 503 and may try again."""
