"""`simulator schema`: the language for editors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner

from simulator.cli.main import main
from tests.live import DOCUMENTS, LIGHT, ORDERS


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    result = CliRunner().invoke(main, ["schema"])
    assert (result.exit_code, result.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def test_it_is_json_schema_2020_12(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize(
    "text", [DOCUMENTS.read_text(), ORDERS.read_text(), LIGHT], ids=["documents", "orders", "light"]
)
def test_what_may_start_validates(schema: dict[str, Any], text: str) -> None:
    errors = [
        f"{list(each.instance_path)}: {each.message}"
        for each in jsonschema_rs.Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    ]
    assert errors == []


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"scenario": "x", "operatons": {}},
        {"scenario": "x", "operations": {"FETCH /a": {"reply": {}}}},
        {"scenario": "x", "operations": {"GET /a": {"reed": "b"}}},
        {"scenario": "x", "operations": {"GET /a": {"reply": {"status": 700}}}},
    ],
)
def test_what_may_not_start_does_not(schema: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid(wrong)


def test_every_key_says_what_it_is_for(schema: dict[str, Any]) -> None:
    assert [key for key, each in schema["properties"].items() if "description" not in each and "$ref" not in each] == []
