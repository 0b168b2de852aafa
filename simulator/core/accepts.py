"""`accepts:` what clients may send: JSON Schema 2020-12 for the body, and for query and headers.

Rules: schemas are compiled when the scenario is loaded and reach for nothing outside it; every violation is listed,
each with where it is; the texts of forms, of a query and of headers are judged as the numbers and booleans that their
schema asks for, and a form's fields are those from then on.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simulator.core.bodies import Body
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.refusals import Refused
from simulator.core.requests import Request

Schema = dict[str, Any] | bool
PARTS = ("body", "query", "headers", "content_type")
VIOLATIONS_MAX = 50  # that one refusal lists; whoever sent more learns enough from these
READABLE = re.compile(r"application/(?:json|[^;]*\+json|x-www-form-urlencoded)|multipart/form-data")
WHOLE = re.compile(r"-?\d{1,18}")
DECIMAL = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?")
WORDS = {"true": True, "false": False}


def _as_parts(value: Any) -> Any:
    """A bare schema is the body's."""
    return value if isinstance(value, dict) and value and set(value) <= set(PARTS) else {"body": value}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


ContentTypes = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]


class AcceptsModel(BaseModel):
    """The contract of an operation. A schema alone is the body's."""

    model_config = ConfigDict(extra="forbid")

    body: Schema | None = Field(None, description="JSON Schema of the body")
    query: Schema | None = Field(None, description="JSON Schema of the query: an object of its parameters")
    headers: Schema | None = Field(None, description="JSON Schema of the headers: an object of lower-case names")
    content_type: ContentTypes = Field([], description="The media types that are taken; others get 415")


Accepts = Annotated[AcceptsModel, BeforeValidator(_as_parts, json_schema_input_type=AcceptsModel | Schema)]
"""A contract in a model."""


class Part(NamedTuple):
    """One compiled schema: the validator, and the schema itself for what texts are meant to be."""

    validator: Any
    schema: Schema


class Contract(NamedTuple):
    """A compiled `accepts`."""

    body: Part | None
    query: Part | None
    headers: Part | None
    content_types: tuple[str, ...]


def compile_accepts(model: AcceptsModel | None, place: Place) -> Contract | None:
    """The contract; complaints about a schema go to its place."""
    if model is None:
        return None
    parts = {name: _part(getattr(model, name), place / name) for name in ("body", "query", "headers")}
    return Contract(**parts, content_types=tuple(each.lower() for each in model.content_type))


def check(contract: Contract, request: Request) -> None:
    """Raises Refused with every violation of the contract."""
    _check_type(contract, request)
    violations: list[dict[str, str]] = []
    if contract.query is not None:
        violations += _violations(contract.query, typed(request.query, contract.query.schema), "parameter")
    if contract.headers is not None:
        sent = request.headers.template_json()
        violations += _violations(contract.headers, typed(sent, contract.headers.schema), "header")
    if contract.body is not None:
        violations += _check_body(contract.body, request)
    if violations:
        more = f" (and {len(violations) - 1} more)" if violations[1:] else ""
        field = field_of(violations[0])
        detail = f"The request breaks the contract: {f'{field}: ' if field else ''}{violations[0]['detail']}{more}."
        members = {"errors": violations[:VIOLATIONS_MAX], **({"param": field} if field else {})}
        raise Refused("contract", detail, members)


def field_of(violation: dict[str, str]) -> str:
    """Which field a violation is about, with dots between the steps to it; empty where it is the whole."""
    pointer = violation.get("pointer", "")[2:].replace("/", ".").replace("~1", "/").replace("~0", "~")
    return pointer or violation.get("parameter") or violation.get("header") or ""


def typed(value: Any, schema: Any) -> Any:
    """Texts as the numbers and booleans that the schema asks for, where they can be read so."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, str):
        kinds = schema.get("type", "string")
        return _read(value, [kinds] if isinstance(kinds, str) else kinds)
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        return {key: typed(part, known.get(key, rest)) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part, schema.get("items")) for part in value]
    return value


def _read(text: str, kinds: list[str]) -> Any:
    if "string" in kinds:
        return text
    if "integer" in kinds and WHOLE.fullmatch(text):
        return int(text)
    if "number" in kinds and DECIMAL.fullmatch(text):
        return float(text)
    return WORDS.get(text, text) if "boolean" in kinds else text


def _part(schema: Schema | None, place: Place) -> Part | None:
    if schema is None:
        return None
    import jsonschema_rs  # only scenarios with a contract pay for it

    try:
        return Part(jsonschema_rs.Draft202012Validator(schema, validate_formats=True, retriever=_nothing), schema)
    except jsonschema_rs.ValidationError as error:
        spot = place
        for step in error.instance_path:
            spot = spot / step
        spot.complain(f"this is no JSON Schema (2020-12): {_why(error.message)}")
    except ValueError as error:
        place.complain(f"this is no JSON Schema (2020-12): {_why(str(error))}")
    return None


def _why(message: str) -> str:
    """The first line; of what `_nothing` raised, only its own words."""
    return message.splitlines()[0].rpartition("ValueError: ")[2]


def _nothing(uri: str) -> Any:
    """A schema reaches for nothing outside its scenario, neither files nor the network."""
    raise ValueError(f"{uri!r} lies outside the scenario; write it under $defs")


def _check_type(contract: Contract, request: Request) -> None:
    if not request.raw or (contract.body is None and not contract.content_types):
        return
    media = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    wanted = contract.content_types
    if (wanted and media not in wanted) or (not wanted and media and not READABLE.fullmatch(media)):
        taken = ", ".join(wanted) or "JSON and forms"
        raise Refused("unsupported_media_type", f"The content type is {media or 'missing'}; {taken} can be read here.")


def _check_body(part: Part, request: Request) -> list[dict[str, str]]:
    data, form, files = request.parsed
    if data is OMIT:
        return [{"detail": "a body is required", "pointer": "#"}]
    if data is form or files:
        data = typed(data, part.schema)
        request.parsed = Body(data, data, files)
    return _violations(part, data, "pointer")


def _violations(part: Part, value: Any, where: str) -> list[dict[str, str]]:
    if part.validator.is_valid(value):
        return []
    found = []
    for error in part.validator.iter_errors(value):
        spot = _pointer(error.instance_path) if where == "pointer" else ".".join(map(str, error.instance_path))
        found.append({"detail": error.message, **({where: spot} if spot else {})})
        if len(found) > VIOLATIONS_MAX:
            break
    return found


def _pointer(path: list[str | int]) -> str:
    """A JSON Pointer (RFC 6901) as a fragment."""
    return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
