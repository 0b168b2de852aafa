"""The JSON Schema of a scenario file, for editors and for checks before a file reaches the simulator."""

from __future__ import annotations

from typing import Any

from simulator.scenario.document import Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPOSITION = {
    "extends": {"type": "string", "description": "A scenario that this one changes; a path beside this file"},
    "include": {
        "description": "Parts to merge in; paths beside this file",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    },
}


def json_schema() -> dict[str, Any]:
    """The schema of the language, as of JSON Schema 2020-12."""
    schema: dict[str, Any] = _closed(Scenario.model_json_schema(mode="validation"))
    schema["properties"] |= COMPOSITION
    schema["if"] = {"anyOf": [{"required": ["extends"]}, {"required": ["include"]}]}
    schema["else"] = {"required": schema.pop("required")}
    return {"$schema": DIALECT, **schema}


def _closed(schema: Any) -> Any:
    """Where keys must match a pattern, pydantic's schema lets the others pass as anything; here they are refused."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    return closed | {"additionalProperties": False} if "patternProperties" in closed else closed
