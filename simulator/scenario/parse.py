"""Scenario text in, a checked draft out; a draft becomes a service where the server says.

Rules: all problems are found in one go and stand in the file's order; a draft has no problems, perhaps warnings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from simulator.core.places import Marks, Place
from simulator.core.service import Service
from simulator.errors import Complaint, ScenarioError
from simulator.scenario.compile import compile_scenario
from simulator.scenario.compose import Document, Reader, load, load_data, load_text
from simulator.scenario.document import Scenario
from simulator.scenario.lint import lint
from simulator.scenario.mend import mended
from simulator.scenario.shape import complain_of

Environment = Mapping[str, str]
NO_ENVIRONMENT: Environment = {}  # for documents that come over the network: they may not read the operator's


class Draft(NamedTuple):
    """A scenario without problems, not yet given its seed and its place in the server."""

    scenario: Scenario
    data: dict[str, Any]  # the document, with all that it extends and includes
    marks: Marks
    digest: str  # of the data in its order, which decides the first state, and the bytes of replies
    warnings: tuple[Complaint, ...]

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.scenario.scenario


def parse(name: str, reader: Reader, environment: Environment = NO_ENVIRONMENT) -> Draft:
    """The scenario in a file; its secrets may name the environment. Raises ScenarioError with every problem in it."""
    complaints: list[Complaint] = []
    return _loaded(load(name, reader, complaints), complaints, environment)


def parse_text(text: str, name: str) -> Draft:
    """The scenario in a text that came without a file, so it is whole. Raises ScenarioError."""
    complaints: list[Complaint] = []
    return _loaded(load_text(text, name, complaints), complaints)


def parse_data(data: Any, name: str) -> Draft:
    """The scenario in a document that is data already. Raises ScenarioError."""
    complaints: list[Complaint] = []
    return _loaded(load_data(data, name, complaints), complaints)


def service_of(draft: Draft, seed: int, mount: str = "/") -> Service:
    """The service that a draft describes."""
    return compile_scenario(draft.scenario, Place(draft.marks, []), draft.digest, seed, mount)


def _loaded(document: Document | None, complaints: list[Complaint], environment: Environment = NO_ENVIRONMENT) -> Draft:
    """The draft; what is said of a spot whose text was wrong already would only be a consequence, and is left out."""
    found: list[Complaint] = []
    draft = None if document is None else _draft(*document, found, environment)
    spots = {complaint[:3] for complaint in complaints}
    complaints += [complaint for complaint in found if complaint[:3] not in spots]
    if draft is None or not all(complaint.warning for complaint in complaints):
        raise ScenarioError(_sorted(complaints))
    return draft._replace(warnings=tuple(_sorted(complaints)))


def _draft(data: dict[str, Any], marks: Marks, complaints: list[Complaint], environment: Environment) -> Draft | None:
    place = Place(marks, complaints)
    try:
        scenario = Scenario.model_validate(data, context={"environment": environment})
    except ValidationError as error:
        complain_of(error, place, Scenario)
        _complain_of_names(data, error, marks, complaints, environment)
        return None
    digest = hashlib.blake2b(orjson.dumps(data), digest_size=8).hexdigest()
    service = compile_scenario(scenario, place, digest, 0)
    if all(complaint.warning for complaint in complaints):
        lint(service, place)
    return Draft(scenario, data, marks, digest, ())


def _complain_of_names(
    data: dict[str, Any], error: ValidationError, marks: Marks, complaints: list[Complaint], environment: Environment
) -> None:
    """What else is wrong beside the shape, as far as it can be told without what is wrong there."""
    rest = mended(data, error, marks)
    if rest is None:
        return
    try:
        scenario = Scenario.model_validate(rest, context={"environment": environment})
    except ValidationError:
        return  # what is wrong now may only be so because something was taken out
    found: list[Complaint] = []
    compile_scenario(scenario, Place(marks, found), "", 0)
    complaints.extend(complaint for complaint in found if not complaint.warning)


def _sorted(complaints: list[Complaint]) -> list[Complaint]:
    return sorted(dict.fromkeys(complaints))
