"""The JSON Schema: itself valid, true of what is shipped, and against whatever is broken in shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from simulator.core.places import Marks
from simulator.errors import Complaint
from simulator.scenario.document import Scenario
from simulator.scenario.schema import COMPOSITION, DIALECT, json_schema
from simulator.scenario.text import plain, read

SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)
ROOT = Path(__file__).parents[2]

# Wrong by how keys go together, which the schema does not say; the simulator does.
BEYOND_SCHEMA = {
    "clock-rate-without-scaled",
    "initial-without-states",
    "keys-of-other-verbs",
    "reply-and-replies",
    "scaled-clock-without-rate",
    "signal-and-after",
    "two-bodies",
    "two-verbs",
}


def document(path: Path) -> Any:
    """A file's data; None where the text itself is wrong."""
    complaints: list[Complaint] = []
    node = read(path.read_text(encoding="utf-8"), path.name, complaints)
    return None if node is None or complaints else plain(node, Marks(path.name))


def wrong_in_shape(data: Any) -> bool:
    try:
        Scenario.model_validate({key: value for key, value in data.items() if key not in COMPOSITION})
    except ValidationError:
        return True
    return False


BROKEN = {path.stem: document(path) for path in sorted((ROOT / "tests/scenario/broken").glob("*.yaml"))}
SHAPELESS = [name for name, data in BROKEN.items() if data is not None and wrong_in_shape(data)]


def keys(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property that the schema describes."""
    if isinstance(node, list):
        for part in node:
            yield from keys(part, path)
    if isinstance(node, dict):
        properties = node.get("properties", {})
        yield from ((f"{path}.{key}", part) for key, part in properties.items())
        for key, part in (*node.items(), *properties.items()):
            yield from keys(part, f"{path}.{key}")


def test_it_is_a_schema() -> None:
    assert SCHEMA["$schema"] == DIALECT
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_shipped_is_valid(path: Path) -> None:
    VALIDATOR.validate(document(path))


@pytest.mark.parametrize("name", SHAPELESS)
def test_what_is_broken_in_shape_is_refused_as_far_as_a_schema_can(name: str) -> None:
    assert VALIDATOR.is_valid(BROKEN[name]) == (name in BEYOND_SCHEMA)


def test_most_of_what_is_broken_in_shape_is_within_its_reach() -> None:
    assert len(SHAPELESS) - len(BEYOND_SCHEMA) > 30


@pytest.mark.parametrize("name", ["bad-methods", "extends-a-list"])
def test_what_is_checked_after_the_shape_is_refused_where_a_pattern_can_tell(name: str) -> None:
    assert not VALIDATOR.is_valid(BROKEN[name])


def test_every_key_is_described() -> None:
    assert [path for path, part in keys(SCHEMA) if not part.get("description")] == []


def test_no_mapping_lets_a_misspelt_key_pass() -> None:
    models = [part for part in SCHEMA["$defs"].values() if "properties" in part]
    assert [part["title"] for part in models if part["additionalProperties"] is not False] == []
    assert SCHEMA["additionalProperties"] is False


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"scenario": "x"}, True),
        ({}, False),
        ({"extends": "base.yaml"}, True),
        ({"include": "part.yaml"}, True),
        ({"include": ["part.yaml"]}, True),
        ({"include": [1]}, False),
        ({"scenario": "x", "extends": None}, False),
        ({"scenario": "x", "resources": {"job": {"states": {"A": None, "B": [], "C": {"rows": []}}}}}, True),
        ({"scenario": "x", "resources": {"job": {"states": {"A B": []}}}}, False),
        ({"scenario": "x", "clock": {"epoch": "2026-01-01T00:00:00Z"}}, True),
        ({"scenario": "x", "clock": {"epoch": "yesterday"}}, False),
    ],
)
def test_small_documents(data: dict[str, Any], valid: bool) -> None:
    assert VALIDATOR.is_valid(data) == valid


@pytest.mark.parametrize(
    ("after", "valid"),
    [
        ("250ms", True), ("1.5s", True), (0, True), (5, False), ("5 s", False),
        ({"uniform": ["1s", "3s"]}, True), ({"uniform": ["1s"]}, False),
        ({"normal": {"mean": "2s", "sd": "200ms"}}, True), ({"normal": {"mean": "2s"}}, False),
        ({"lognormal": {"median": "2s", "p99": "8s"}}, True), ({"exponential": {"mean": "2s"}}, True),
        ({"pareto": {"min": "50ms", "shape": 1.5}}, True), ({"pareto": {"min": "50ms", "shape": 0}}, False),
        ({}, False), ({"poisson": "1s"}, False),
    ],
)  # fmt: skip
def test_durations_and_distributions(after: Any, valid: bool) -> None:
    row = {"to": "A", "after": after}
    assert VALIDATOR.is_valid({"scenario": "x", "resources": {"job": {"states": {"A": [row]}}}}) == valid
