"""What a fault does to a reply's body: no JSON any more, a proxy's page, or a drift from the contract.

Rules: a drift changes what it names and nothing else; what is no JSON does not drift; a reply without a body has
nothing to spoil; the status stays.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, model_validator

from simulator.core.damage import Written
from simulator.core.expressions import Names
from simulator.core.helpers import as_json
from simulator.core.omit import OMIT
from simulator.core.places import Place, listed
from simulator.core.replies import BODYLESS, Reply, json_bytes
from simulator.core.templates import LiveScope, Value, compile_value
from simulator.core.values import written, wrong_at

INDEX_DIGITS_MAX = 9  # of a position in a list; longer ones are no position


def _path(text: str) -> str:
    if not all(text.split(".")):
        raise ValueError(f"{text!r} is no path; write names with dots between them, such as data.status or items.*.id")
    return text


Path = Annotated[str, AfterValidator(_path)]
Paths = list[Path]


class DriftModel(Written):
    """How a reply differs from what the contract says. In a path `*` is each element, a number is one."""

    drop: Paths = Field([], description="Fields that are gone", examples=[["data.status"]])
    rename: dict[Path, str] = Field({}, description="Fields that have another name", examples=[{"items.*.id": "uid"}])
    null: Paths = Field([], description="Fields that are null")
    retype: Paths = Field([], description="Fields of another type: 5 becomes '5', '5' becomes 5, an object a list")
    enum: dict[Path, Any] = Field({}, description="Fields with a new value", examples=[{"status": "PAUSED"}])
    add: dict[Path, Any] = Field({}, description="Fields that nobody knows; expressions anywhere in them")

    @model_validator(mode="after")
    def _changes_something(self) -> DriftModel:
        if not any(getattr(self, key) for key in DRIFTS):
            raise ValueError(f"a drift has one of {listed(DRIFTS)}")
        for path in self.rename:
            if path.endswith("*"):
                raise wrong_at("rename", f"{written(path)} has no name of its own; say which field is renamed")
        return self


DRIFTS = ("drop", "rename", "null", "retype", "enum", "add")


class BodyModel(Written):
    """What is wrong with the body, where it is still JSON."""

    drift: DriftModel = Field(description="The reply differs from what the contract says")


Body = Literal["malformed", "html"] | BodyModel
Spoiler = Callable[[Reply, LiveScope], Reply]


def compile_body(model: Body, place: Place, names: Names) -> Spoiler:
    """What is done to a reply's body; complaints go to the place."""
    if isinstance(model, BodyModel):
        return _drift(model.drift, place / "drift", names)
    spoil = {"malformed": malformed, "html": html}[model]
    return lambda reply, _: reply if _bodyless(reply) else spoil(reply)


def _bodyless(reply: Reply) -> bool:
    """Whether there is nothing to spoil."""
    return reply.status in BODYLESS or not reply.body


def malformed(reply: Reply) -> Reply:
    """The reply with a body that no parser of JSON takes, whole on the wire and nearly right."""
    text = reply.body.rstrip()
    cut = text[:-1] if text.endswith((b"}", b"]", b'"')) else b"{" + text
    return reply._replace(body=b"{" + cut if _parses(cut) else cut)


def _parses(text: bytes) -> bool:
    try:
        json.loads(text)  # the most lenient parser at hand: it also takes NaN
    except (ValueError, RecursionError):
        return False
    return True


def html(reply: Reply) -> Reply:
    """The reply as a proxy in between might have made it."""
    phrase = HTTPStatus(reply.status).phrase if reply.status in STATUSES else "Error"
    page = f"<!DOCTYPE html>\n<html>\n<head><title>{reply.status} {phrase}</title></head>\n"
    page += f"<body>\n<center><h1>{reply.status} {phrase}</h1></center>\n</body>\n</html>\n"
    headers = tuple(line for line in reply.headers if line[0].lower() != b"content-type")
    return Reply(reply.status, (*headers, (b"Content-Type", b"text/html; charset=utf-8")), page.encode())


STATUSES = frozenset(int(status) for status in HTTPStatus)


def _drift(model: DriftModel, place: Place, names: Names) -> Spoiler:
    changes = [
        *((path, _dropped) for path in model.drop),
        *((path, _renamed(name)) for path, name in model.rename.items()),
        *((path, _changed(lambda _: None)) for path in model.null),
        *((path, _changed(retyped)) for path in model.retype),
        *((path, _changed(_always(value))) for path, value in model.enum.items()),
    ]
    steps = [(path.split("."), change) for path, change in changes]
    added = [(path.split("."), compile_value(each, place / "add" / path, names)) for path, each in model.add.items()]
    where = str(place)

    def spoil(reply: Reply, scope: LiveScope) -> Reply:
        if _bodyless(reply):
            return reply
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return reply
        for path, change in steps:
            for holder, key in reversed(_spots(document, path)):
                change(holder, key)
        for path, value in added:
            _add(document, path, value, scope)
        return reply._replace(body=json_bytes(document, where))

    return spoil


Change = Callable[[Any, Any], None]


def _dropped(holder: Any, key: Any) -> None:
    del holder[key]


def _renamed(name: str) -> Change:
    """The field keeps its place among the others; one that has the name already gives way."""

    def change(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            fields = [
                (name if each == key else each, value)
                for each, value in holder.items()
                if each in (key,) or each != name
            ]
            holder.clear()
            holder.update(fields)

    return change


def _changed(make: Callable[[Any], Any]) -> Change:
    def change(holder: Any, key: Any) -> None:
        holder[key] = make(holder[key])

    return change


def _always(value: Any) -> Callable[[Any], Any]:
    """The value, its own copy each time: a later drift may change what is in it."""
    return lambda _: copy.deepcopy(value)


def retyped(value: Any) -> Any:
    """The same in another type of JSON: a number as text, a text as number or list, an object as list, and so on."""
    if isinstance(value, str):
        return _number(value)
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return {str(index): each for index, each in enumerate(value)}
    return "" if value is None else as_json(value).decode()


def _number(text: str) -> Any:
    """What a text says, where that is a number; else the text in a list."""
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    return number if isinstance(number, int | float) and not isinstance(number, bool) else [text]


def _add(document: Any, path: list[str], value: Value, scope: LiveScope) -> None:
    made = value.of(scope)
    if made is OMIT:
        return
    made = copy.deepcopy(made) if value.constant else made
    for holder in _values(document, path[:-1]):
        if isinstance(holder, dict) and path[-1] != "*":
            holder[path[-1]] = made
        else:
            for key in _keys(holder, path[-1]):
                holder[key] = made


def _spots(document: Any, path: list[str]) -> list[tuple[Any, Any]]:
    """Where a path leads: what holds it, and the key there."""
    return [(holder, key) for holder in _values(document, path[:-1]) for key in _keys(holder, path[-1])]


def _values(document: Any, path: list[str]) -> list[Any]:
    values = [document]
    for step in path:
        values = [holder[key] for holder in values for key in _keys(holder, step)]
    return values


def _keys(holder: Any, step: str) -> list[Any]:
    """The keys that one step of a path means."""
    if isinstance(holder, dict):
        return list(holder) if step == "*" else [step] if step in holder else []
    if not isinstance(holder, list):
        return []
    if step == "*":
        return list(range(len(holder)))
    number = step.isascii() and step.isdigit() and len(step) <= INDEX_DIGITS_MAX
    return [int(step)] if number and int(step) < len(holder) else []
