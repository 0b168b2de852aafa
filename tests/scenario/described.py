"""A scenario at play together with its OpenAPI document, and the question whether an answer is one it describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from simulator.core.routes import NAME
from simulator.scenario.document import Scenario
from simulator.scenario.openapi import Played, openapi
from simulator.scenario.parse import parse_data, parse_text
from tests.core.world import BASE, Answer, World

Json = dict[str, Any]


class Described(World):
    """A world whose every answer must stand in its document."""

    def __init__(self, *documents: str | Mapping[str, Any], **more: Any) -> None:
        super().__init__(*documents, **more)
        scenarios = [scenario_of(each) for each in documents]
        pairs = zip(scenarios, self.services, strict=True)
        self.document = openapi([Played(scenario, service) for scenario, service in pairs], BASE)

    def ask(self, method: str, url: str, body: Any = None, **more: Any) -> Answer:
        """Send a request; the answer is one that the document describes."""
        answer = self.send(method, url, body, **more)
        match = self.engine.match(method, url.partition("?")[0])
        assert match is not None, f"{method} {url} is no operation"
        service, operation = match.target
        path = ("" if operation.absolute else service.prefix) + operation.path
        told = undescribed(self.document, self.operation(method, path), answer)
        assert told is None, f"{method} {url} → {answer.status} {answer.body.decode()}: {told}"
        return answer

    def operation(self, method: str, path: str) -> Json:
        """The document's operation for a path as the scenario writes it."""
        same = [key for key in self.document["paths"] if NAME.sub("{}", key) == NAME.sub("{}", path)]
        assert len(same) == 1, f"{path} has {len(same)} paths in the document"
        found: Json = self.document["paths"][same[0]][method.lower()]
        return found

    def response(self, method: str, path: str, status: int | str) -> Json:
        """One response of an operation, wherever it stands."""
        return resolved(self.document, self.operation(method, path)["responses"][str(status)])

    def schema(self, method: str, path: str, status: int | str) -> Json:
        """The schema of a response's one kind of body."""
        ((_, content),) = self.response(method, path, status)["content"].items()
        return resolved(self.document, content["schema"])

    def parameter(self, method: str, path: str, name: str) -> Json:
        """One parameter of an operation."""
        (found,) = [each for each in self.operation(method, path).get("parameters", ()) if each["name"] == name]
        told: Json = found
        return told


def scenario_of(document: str | Mapping[str, Any]) -> Scenario:
    """A scenario's model, of a document as World takes it."""
    if isinstance(document, str):
        return parse_text(document, "test.yaml").scenario
    return parse_data({"scenario": "shop", **document}, "test.yaml").scenario


def resolved(document: Json, told: Json) -> Json:
    """What a reference of the document leads to."""
    if "$ref" not in told:
        return told
    for step in told["$ref"].removeprefix("#/").split("/"):
        document = document[step]
    return document


def undescribed(document: Json, operation: Json, answer: Answer) -> str | None:
    """What of an answer the document does not describe."""
    responses = operation["responses"]
    if str(answer.status) not in responses and "default" not in responses:
        return f"there is {', '.join(responses)}"
    told = resolved(document, responses.get(str(answer.status)) or responses["default"])
    for name, header in told.get("headers", {}).items():
        value = answer.header(name)
        if value is None and header.get("required"):
            return f"{name} is missing"
        if value is not None and not valid(document, header["schema"], value):
            return f"{name} is {value!r}"
    return _body(document, told.get("content", {}), answer)


def _body(document: Json, content: Json, answer: Answer) -> str | None:
    media = (answer.header("Content-Type") or "").partition(";")[0]
    if not answer.body:
        return None
    if media not in content and "*/*" not in content:
        return f"{media} is not {' or '.join(content) or 'a body at all'}"
    body = answer.json if media.endswith("json") else answer.body.decode()
    schema = (content.get(media) or content["*/*"])["schema"]
    return None if valid(document, schema, body) else f"the body is not {orjson.dumps(schema).decode()}"


def valid(document: Json, schema: Any, value: Any) -> bool:
    """Whether a value keeps a schema of the document."""
    whole = {"allOf": [schema], "components": document.get("components", {})}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid(value)
