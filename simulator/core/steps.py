"""One verb of an operation: what is done to a record, and how that record is found.

Rules: one verb at a time; the same words stand in an operation and under its `also`; names are checked when the
scenario is loaded.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.refusals import Refuse, RefuseModel, compile_refuse
from simulator.core.resources import Name, Resource, joined_names, record_names
from simulator.core.templates import Value, compile_condition, compile_text, compile_value
from simulator.core.values import written, wrong_at

VERBS = ("create", "read", "list", "update", "delete", "signal")


def _resource_signal(text: str) -> str:
    if DOTTED.fullmatch(text) is None:
        raise ValueError(f"a signal is written resource.signal, such as job.cancel, not {text!r}")
    return text


DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\.[A-Za-z_][A-Za-z0-9_-]*")
Signal = Annotated[
    str, AfterValidator(_resource_signal), WithJsonSchema({"type": "string", "pattern": f"^{DOTTED.pattern}$"})
]


Refusals = list[RefuseModel]


class VerbModel(BaseModel):
    """What is done to a record: one verb and how its record is found."""

    model_config = ConfigDict(extra="forbid")

    create: Name | None = Field(None, description="Create a record of this resource")
    read: Name | None = Field(None, description="Show one record")
    list: Name | None = Field(None, description="Show many, page by page")
    update: Name | None = Field(None, description="Change fields: those in `set`, else those that read the body")
    delete: Name | None = Field(None, description="Remove one record, or take its `deleted` row")
    signal: Signal | None = Field(None, description="Send a signal, as `resource.signal`", examples=["job.cancel"])
    id: str | None = Field(None, description="Which record; by default the last path parameter")
    find: dict[Name, Any] = Field({}, description="Other records to bind by id; a missing one is not_found")
    where: dict[str, Any] = Field({}, description="Fields the record must have; for a list, the filter")
    set: dict[Name, Any] = Field({}, description="Fields to set")
    refuse: Refusals = Field([], description="The service's own refusals, in order, before anything is done")
    when: Any = Field(None, description="Only where this expression holds")

    @model_validator(mode="after")
    def _one_verb(self) -> VerbModel:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) > 1:
            raise wrong_at(
                given[1], f"one thing at a time, not {' and '.join(given)}; put what comes second under `also`"
            )
        return self


def verb_of(model: VerbModel) -> tuple[str | None, str | None]:
    """The verb and the name of its resource."""
    for verb in VERBS:
        given = getattr(model, verb)
        if given is not None:
            return verb, given.split(".")[0] if verb == "signal" else given
    return None, None


class Step(NamedTuple):
    """One compiled verb."""

    verb: str | None
    resource: Resource | None
    signal: str
    id: Value | None
    find: tuple[tuple[str, Resource, Value], ...]
    where: tuple[tuple[str, Value], ...]
    set: tuple[tuple[str, Value], ...]
    refuse: tuple[Refuse, ...]
    when: Value | None
    place: str


def compile_step(
    model: VerbModel,
    place: Place,
    names: Names,
    params: tuple[str, ...],
    resources: dict[str, Resource],
    more: bool = False,
) -> Step:
    """A verb's expressions as closures; complaints go to the place. `more`: it stands under `also`."""
    verb, target = verb_of(model)
    if more and verb in (None, "read", "list"):
        place.complain("also does something: one of create, update, delete or signal")
    resource = resources.get(target) if target else None
    if target and resource is None:
        (place / str(verb)).unknown("resource", target, resources)
    signal = model.signal.split(".")[1] if model.signal else ""
    if resource and signal and signal not in resource.signals:
        (place / "signal").unknown(f"signal of {target}", signal, sorted(resource.signals))
    early = Names(names.legal - {"client"}, names.fields)  # a variant is chosen before its credentials are looked at
    before, names = names, names.plus(*model.find)
    held = joined_names(names, record_names(resource.known, tuple(resources))) if resource and verb != "list" else names
    return Step(
        verb=verb,
        resource=resource,
        signal=signal,
        id=_id(model, verb, place, names, params, more),
        find=_find(model, place / "find", names, resources),
        where=tuple(
            (key, compile_value(each, field_at(place / "where" / key, key, resource), names))
            for key, each in model.where.items()
        ),
        set=tuple((key, compile_value(each, place / "set" / key, held)) for key, each in model.set.items()),
        refuse=compile_refuse(model.refuse, place / "refuse", names if verb == "create" else held),
        when=None if model.when is None else compile_condition(model.when, place / "when", before if more else early),
        place=str(place),
    )


def _id(
    model: VerbModel, verb: str | None, place: Place, names: Names, params: tuple[str, ...], more: bool
) -> Value | None:
    if verb in (None, "list"):
        return None
    if model.id is not None:
        return compile_text(model.id, place / "id", names)
    if verb == "create":
        return None
    if more or not params:
        place.complain(
            f'{verb} needs to know which record: id: "{{{{ … }}}}"' + ("" if more else ", or a path parameter")
        )
        return None
    name = "id" if "id" in params else params[-1]
    return compile_text(f"{{{{ params.{name} }}}}", place / "id", names)


def _find(
    model: VerbModel, place: Place, names: Names, resources: dict[str, Resource]
) -> tuple[tuple[str, Resource, Value], ...]:
    found = []
    for name, given in model.find.items():
        target, text = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else (name, given)
        if target not in resources:
            (place / name).unknown("resource", target, resources, at_key=target == name)
        elif not isinstance(text, str):
            (place / name).complain(
                f'{written(text)} names no record; write an id, such as {name}: "{{{{ params.{name}_id }}}}"'
            )
        else:
            found.append((name, resources[target], compile_text(text, place / name, names)))
    return tuple(found)


def field_at(place: Place, name: str, resource: Resource | None, more: tuple[str, ...] = ()) -> Place:
    """The place of a field's value, after a look whether there is such a field. `more` is legal beside the fields."""
    stored = [known for known in resource.known if known != "view"] if resource is not None else []
    if resource is not None and name.split(".")[0] not in stored:
        place.unknown(f"field of {resource.name}:", name, (*more, *stored), at_key=True)
    return place
