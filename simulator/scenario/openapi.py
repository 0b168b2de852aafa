"""The OpenAPI 3.1 document of what a sandbox plays.

Rules: the document is true: what a service can answer to a request it describes, and what it does not promise the
document does not require; the same scenarios give the same document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from simulator.core.auth import Endpoint
from simulator.core.operations import Operation, OperationModel, Variant
from simulator.core.replies import ReplyModel
from simulator.core.resources import ResourceModel
from simulator.core.routes import NAME
from simulator.core.service import Service
from simulator.core.steps import VerbModel, verb_of
from simulator.scenario.document import Scenario
from simulator.scenario.openapi_answers import (
    ALWAYS,
    Answer,
    Envelope,
    Fault,
    faults,
    page_names,
    record_names,
    replies,
    responses,
)
from simulator.scenario.openapi_gates import (
    endpoint_said,
    faults_before,
    limit_faults,
    limit_replies,
    marks,
    parameters_before,
    security,
)
from simulator.scenario.openapi_inputs import Taken, at_home, free_name, parameters, request_body, taken
from simulator.scenario.openapi_links import Target, links_to
from simulator.scenario.openapi_shapes import EVERYWHERE, NOTHING, TEXT, Known, Schema, Shape, shape

VERSION = "3.1.0"
WORD = re.compile(r"[A-Za-z0-9]+")
SUMMARIES = {
    "create": "Create a {0}",
    "read": "Show a {0}",
    "list": "List every {0}",
    "update": "Change a {0}",
    "delete": "Remove a {0}",
    "signal": "Send a {0} the signal {1}",
}


class Played(NamedTuple):
    """A scenario and the service that it became."""

    scenario: Scenario
    service: Service


def openapi(played: Iterable[Played], base_url: str) -> dict[str, Any]:
    """The document of these services together; `base_url` is where the sandbox stands, without their prefixes."""
    services = list(played)
    made = Document(base_url, alone=len(services) == 1)
    for each in services:
        made.describe(each)
    names = [each.service.name for each in services]
    summary = "; ".join(dict.fromkeys(each.service.summary for each in services if each.service.summary))
    info = {"title": ", ".join(names), **({"summary": summary} if summary else {})}
    return {
        "openapi": VERSION,
        "info": {**info, "version": "+".join(each.service.digest for each in services)},
        "servers": [{"url": base_url}],
        **({} if made.alone else {"tags": [{"name": name} for name in names]}),
        "paths": made.paths(),
        "components": made.components(),
    }


class Item(NamedTuple):
    """One operation while the document is made: a method on a path, and all that answers it."""

    id: str
    path: str  # as OpenAPI writes it
    params: dict[str, bool]  # and whether it is the rest of the path
    summaries: list[str]
    tag: str
    answers: list[Answer]
    taken: list[Taken]
    created: list[tuple[str, str]]  # resource, and the pointer to its id in the reply
    more: dict[str, Any]  # of the Operation Object


class Voice(NamedTuple):
    """How one service is described: its models, its compiled parts, and what names its components."""

    scenario: Scenario
    service: Service
    envelope: Envelope
    label: str  # before the names of components, where several services share them
    views: Mapping[str, Shape]


class Document:
    """Gathers what services say of themselves."""

    def __init__(self, base_url: str, *, alone: bool) -> None:
        self.alone = alone
        self._base_url = base_url
        self._security: dict[str, Any] = {}
        self._items: dict[tuple[str, str], Item] = {}
        self._paths: dict[str, str] = {}  # by what makes a path the same as another
        self._targets: list[Target] = []
        self._schemas: dict[str, Schema] = {}
        self._responses: dict[str, dict[str, Any]] = {}

    def describe(self, played: Played) -> None:
        """Add one service."""
        scenario, service = played
        label = "" if self.alone else f"{service.name}."
        voice = Voice(scenario, service, Envelope(scenario.errors), label, self._views(scenario, label))
        if service.auth is not None:
            schemes = {label + name: _at(self._base_url, told) for name, told in service.auth.described().items()}
            self._security.update(schemes)
        plain = [operation for operation in service.operations if operation.endpoint is None]
        for operation, models in zip(plain, scenario.operations.values(), strict=True):
            self._describe(voice, operation, models)
        for operation in service.operations:
            if operation.endpoint is not None:
                self._describe_endpoint(voice, operation, operation.endpoint)

    def _views(self, scenario: Scenario, label: str) -> dict[str, Shape]:
        """What clients see of each resource, under `components`."""
        views = {}
        for name, model in scenario.resources.items():
            told = shape(_view(model), {**EVERYWHERE, **record_names(model, _fields_set(scenario, name))})
            self._schemas[label + name] = told.schema
            views[name] = Shape({"$ref": f"#/components/schemas/{label}{name}"}, told.omits)
        return views

    def _describe(self, voice: Voice, operation: Operation, models: list[OperationModel]) -> None:
        item = self._item(voice, operation)
        item.more.setdefault("security", security(voice.scenario, models, voice.label))
        for pair in zip(models, operation.variants, strict=True):
            self._variant(voice, operation, item, *pair)
        item.answers.extend(limit_replies(voice.scenario, voice.service, operation.name))
        target = Target.of(item.id, voice.service.name, operation.params, [*item.params], models[0])
        self._targets += [target] if target else []

    def _variant(self, voice: Voice, operation: Operation, item: Item, model: OperationModel, variant: Variant) -> None:
        scenario, service, name, method = voice.scenario, voice.service, operation.name, operation.method
        local = variant._replace(accepts=at_home(variant.accepts, voice.label + item.id, self._schemas))
        resource = variant.step.resource
        view = NOTHING if resource is None else voice.views[resource.name]
        known = _known(voice, model, variant, view)
        before = faults_before(scenario, service, name, method, (model, variant))
        found = [*faults(scenario.errors, model, variant, service.unique), *before]
        said = replies(model, variant, known, view, marks(scenario, service, name, method, variant))
        item.answers.extend((*said, *voice.envelope.answers(found)))
        more = parameters_before(scenario, service, method, (model, variant))
        item.taken.append(taken(model, local, scenario.resources, more))
        item.summaries.append(model.summary or _summary(model, variant))
        item.created.extend(_created(voice, model, variant))

    def _describe_endpoint(self, voice: Voice, operation: Operation, endpoint: Endpoint) -> None:
        """A request that a scheme of `auth` answers itself."""
        item = self._item(voice, operation)
        told, answers = endpoint_said(endpoint)
        item.more.update(told)
        scenario, service = voice.scenario, voice.service
        found = [Fault(kind, getattr(scenario.errors, kind)) for kind in ALWAYS]
        found += limit_faults(scenario, service, operation.name, special=True)
        item.answers.extend((*answers, *voice.envelope.answers(found)))
        item.answers.extend(limit_replies(scenario, service, operation.name, special=True))

    def _item(self, voice: Voice, operation: Operation) -> Item:
        """The operation's place in the document. Two paths that OpenAPI cannot tell apart share one."""
        path = ("" if operation.absolute else voice.service.prefix) + operation.path
        template = self._paths.setdefault(NAME.sub("{}", path), NAME.sub(r"{\1}", path))
        key = (template, operation.method.lower())
        if key not in self._items:
            words = [operation.method.lower(), *WORD.findall(operation.path)]
            rests = [bool(rest) for _, rest in NAME.findall(path)]
            params = dict(zip((name for name, _ in NAME.findall(template)), rests, strict=True))
            id_ = free_name("_".join(words), {item.id: item for item in self._items.values()})
            item = Item(id_, template, params, [], voice.service.name, [], [], [], {})
            self._items[key] = item
        return self._items[key]

    def paths(self) -> dict[str, Any]:
        """The Paths Object."""
        made: dict[str, dict[str, Any]] = {}
        for (path, method), item in self._items.items():
            made.setdefault(path, {})[method] = self._operation(item)
        return made

    def _operation(self, item: Item) -> dict[str, Any]:
        body = request_body(item.taken)
        told = [_path_parameter(*each) for each in item.params.items()] + parameters(item.taken)
        return {
            "operationId": item.id,
            "summary": "; ".join(dict.fromkeys(filter(None, item.summaries))) or item.id,
            **({} if self.alone else {"tags": [item.tag]}),
            **({"parameters": told} if told else {}),
            **({"requestBody": body} if body else {}),
            **{key: part for key, part in item.more.items() if part is not None},
            "responses": self._said(item),
        }

    def _said(self, item: Item) -> dict[str, Any]:
        """The responses; those that others give, too, stand under `components`."""
        label = "" if self.alone else f"{item.tag}."
        made = responses(item.answers)
        links = links_to(item.tag, [*item.params], item.created, self._targets)
        for status, response in made.items():
            kinds = {answer.fault for answer in item.answers if str(answer.status) == status}
            if links and status.startswith("2"):
                response["links"] = links
            if len(kinds) == 1 and not kinds & {"", "own"}:
                made[status] = self._shared(label + kinds.pop(), response)
        return made

    def _shared(self, name: str, response: dict[str, Any]) -> dict[str, Any]:
        there = self._responses.setdefault(name, response)
        return {"$ref": f"#/components/responses/{name}"} if there == response else response

    def components(self) -> dict[str, Any]:
        """The Components Object."""
        made = {"schemas": self._schemas, "responses": self._responses, "securitySchemes": self._security}
        return {name: part for name, part in made.items() if part}


def _at(base_url: str, scheme: dict[str, Any]) -> dict[str, Any]:
    """A scheme whose tokens come from here: its URLs stand in full, since a sandbox has a prefix."""
    flows = {
        name: {key: base_url + value if key.endswith("Url") else value for key, value in flow.items()}
        for name, flow in scheme.get("flows", {}).items()
    }
    return {**scheme, "flows": flows} if flows else scheme


def _view(model: ResourceModel) -> Any:
    """What clients see, as `resources` has it where the scenario says nothing."""
    if "view" in model.model_fields_set:
        return model.view
    state = {"state": "{{ state }}"} if model.states else {}
    return {"id": "{{ id }}", **state, **{key: f"{{{{ record.{key} }}}}" for key in model.record}}


def _fields_set(scenario: Scenario, resource: str) -> Iterator[str]:
    """Fields that operations set on records of a resource."""
    for variants in scenario.operations.values():
        for variant in variants:
            for step in (variant, *variant.also):
                if verb_of(step)[1] == resource:
                    yield from step.set


def _known(voice: Voice, model: OperationModel, variant: Variant, view: Shape) -> Known:
    """What can be told of the names that a variant's replies may use; not of those that it binds itself."""
    resource, verb = variant.step.resource, variant.step.verb
    names: dict[str, Shape] = {**EVERYWHERE, **{f"request.{name}": TEXT for name in ("method", "path", "url", "id")}}
    if resource is not None and verb == "list":
        names |= page_names(model.page.style if model.page else None, view)
    elif resource is not None:
        more = _fields_set(voice.scenario, resource.name)
        names |= {**record_names(voice.scenario.resources[resource.name], more), "view": view, "record": view}
    bound = {*model.find, *(verb_of(step)[1] for step in model.also)}
    return {name: told for name, told in names.items() if name.split(".")[0] not in bound}


def _summary(model: VerbModel, variant: Variant) -> str:
    verb, resource = verb_of(model)
    return SUMMARIES[verb].format(resource, variant.step.signal) if verb else ""


def _created(voice: Voice, model: OperationModel, variant: Variant) -> Iterator[tuple[str, str]]:
    """Where in the reply of a creation the new record's id stands, as a pointer (RFC 6901)."""
    resource, reply = variant.step.resource, model.reply or ReplyModel()
    if variant.step.verb != "create" or resource is None or model.replies:
        return
    said = _view(voice.scenario.resources[resource.name])
    if reply.model_fields_set & {"body", "text", "bytes"} and reply.body != "{{ view }}":
        said = reply.body
    if isinstance(said, dict):
        yield from ((resource.name, f"/{key}") for key, value in said.items() if value == "{{ id }}" and "/" not in key)


def _path_parameter(name: str, rest: bool) -> dict[str, Any]:
    schema: Schema = {"type": "string"} if rest else {"type": "string", "minLength": 1}
    more = {"description": "The rest of the path, slashes included"} if rest else {}
    return {"name": name, "in": "path", **more, "required": True, "schema": schema}
