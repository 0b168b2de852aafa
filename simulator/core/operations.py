"""`operations:` which request is which, and what it does.

Rules: an operation does one main thing (create, read, list, update, delete or signal), or none and only replies;
`also` does more; the first variant whose `when` holds is taken; everything that can be is settled at load time.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.core.accepts import Accepts, Contract, compile_accepts
from simulator.core.auth import Endpoint
from simulator.core.costs import compile_cost
from simulator.core.expressions import Names
from simulator.core.idempotency import Demand
from simulator.core.pages import PAGE_FIELDS, PageModel, default_envelope
from simulator.core.places import Place
from simulator.core.replies import CompiledReply, ReplyModel, compile_reply
from simulator.core.resources import Name, Resource, joined_names, record_names, request_names
from simulator.core.routes import METHODS, parse_path
from simulator.core.steps import VERBS, Step, VerbModel, compile_step, field_at, verb_of
from simulator.core.templates import Value, compile_text, static
from simulator.core.values import DrawnDuration, Span, wrong_at

STATUS = {"create": 201, "delete": 204}
ALSO_MAX = 20


def _as_pairs(value: Any) -> Any:
    """`unique: [email, [account, name]]`: each alone or together."""
    return [[each] if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


def _as_list(value: Any) -> Any:
    """One scope, or several."""
    return [value] if isinstance(value, str) else value


def _as_schemes(value: Any) -> Any:
    """`none`, a name, or several."""
    return [] if value == "none" else [value] if isinstance(value, str) else value


SchemeNames = Annotated[list[Name], BeforeValidator(_as_schemes, json_schema_input_type=Name | list[Name])]
Verbs = list[VerbModel]
Scopes = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Replies = list[ReplyModel]
Groups = Annotated[list[list[Name]], BeforeValidator(_as_pairs, json_schema_input_type=list[Name | list[Name]])]


class OrderModel(BaseModel):
    """An order that the client may choose."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(
        description="A field, `-field` for descending, or an expression", examples=["{{ query.sort or '-total' }}"]
    )
    fields: list[str] = Field([], description="The fields a client may choose from")


class OperationModel(VerbModel):
    """One kind of request that the service answers."""

    summary: str = Field("", description="For people")
    unique: Groups = Field([], description="Fields, or groups of fields, that no two records may share")
    order: str | OrderModel = Field("newest", description="newest, oldest, a field, or `-field`")
    page: PageModel | None = Field(None, description="How a list is cut into pages")
    accepts: Accepts | None = Field(None, description="What clients may send: JSON Schema of the body, or of its parts")
    auth: SchemeNames | None = Field(None, description="Schemes that are taken, or `none`; by default any of `auth`")
    scopes: Scopes = Field([], description="What the credentials must allow", examples=[["jobs.write"]])
    idempotency: Demand | None = Field(None, description="required, optional or none; by default as its method's")
    cost: float | str | None = Field(None, description="What one request costs its client, or an expression")
    latency: DrawnDuration | None = Field(None, description="How long it takes, in place of the service's `latency`")
    etag: Literal[False, True, "required"] = Field(
        False, description="Send ETag and honour If-Match and If-None-Match; `required` demands If-Match on writes"
    )
    also: Verbs = Field([], max_length=ALSO_MAX, description="What else is done, all or nothing")
    reply: ReplyModel | None = Field(None, description="The reply; by default the record's view")
    replies: Replies = Field([], description="A reply for each request in turn")
    after_last: Literal["last", "again"] = Field("last", description="What follows the last of `replies`")

    @model_validator(mode="after")
    def _fits_together(self) -> OperationModel:
        verb = verb_of(self)[0]
        if self.reply is not None and self.replies:
            raise wrong_at("replies", "reply or replies, not both; take out one of them")
        if verb is None and self.reply is None and not self.replies:
            raise ValueError(f"an operation does something or replies: one of {', '.join(VERBS)}, reply or replies")
        for key in ("set", "id", "etag"):
            if verb is None and getattr(self, key):
                raise wrong_at(key, f"{key} needs a record: one of create, read, update, delete or signal")
        if self.etag and verb == "list":
            raise wrong_at("etag", "etag is for one record, not for a list; take it out")
        for key, needs in (("page", "list"), ("order", "list"), ("unique", "create")):
            if key in self.model_fields_set and verb != needs:
                raise wrong_at(key, f"{key} goes with {needs}, and this operation does not {needs}; take it out")
        return self


def _as_variants(value: Any) -> Any:
    if value == []:
        raise ValueError("a list of variants needs at least one; write it, or take the operation out")
    return value if isinstance(value, list) else [value]


Variants = Annotated[
    list[OperationModel],
    BeforeValidator(_as_variants, json_schema_input_type=OperationModel | list[OperationModel]),
    Field(min_length=1),
]
Operations = dict[str, Variants]


class Order(NamedTuple):
    """A compiled order: the field's name with or without a minus, and what may be chosen."""

    by: Value
    fields: frozenset[str]


class Variant(NamedTuple):
    """One compiled way to answer an operation."""

    step: Step
    also: tuple[Step, ...]
    order: Order | None
    page: PageModel | None
    counts: bool  # whether a list must say how many there are
    accepts: Contract | None
    auth: tuple[str, ...] | None  # names of schemes; none of them: public
    scopes: tuple[str, ...]
    idempotency: Demand | None
    cost: Value | None
    etag: bool | str
    unique: tuple[tuple[str, ...], ...]
    replies: tuple[CompiledReply, ...]
    again: bool
    status: int
    reads_body: bool


class Operation(NamedTuple):
    """A compiled operation: `METHOD /path` and its variants."""

    name: str
    method: str
    path: str
    params: tuple[str, ...]
    variants: tuple[Variant, ...]
    latency: Span | None = None  # of the first variant that says one
    endpoint: Endpoint | None = None  # where the simulator itself answers, such as a token's

    @property
    def absolute(self) -> bool:
        """Whether the path counts from the server's root."""
        return self.endpoint is not None and self.endpoint.absolute


def split_name(name: str, place: Place) -> tuple[str, str, tuple[str, ...]] | None:
    """`POST /jobs/{id}` as method, path and parameters; complaints go to the place."""
    method, _, path = name.partition(" ")
    if method not in METHODS or method in ("HEAD", "OPTIONS") or not path:
        hint = "; HEAD and OPTIONS are answered by themselves" if method in ("HEAD", "OPTIONS") else ""
        legal = "write a method (GET, POST, PUT, PATCH, DELETE) and a path, such as 'GET /jobs/{id}'"
        place.complain(f"{name!r} is no operation; {legal}{hint}", at_key=True)
        return None
    if path != path.strip() or "?" in path or "#" in path:
        query = "leave out what follows '?' or '#', and let `when` look at `query`"
        why = query if path == path.strip() else "write one space before it, and none behind it"
        place.complain(f"{path!r} is no path that a request can have; {why}", at_key=True)
        return None
    try:
        segments = parse_path(path)
    except ValueError as error:
        place.complain(str(error), at_key=True)
        return None
    return method, path, tuple(parameter for segment in segments for parameter in segment.names)


def compile_operation(
    name: str, variants: list[OperationModel], place: Place, resources: dict[str, Resource]
) -> Operation | None:
    """An operation's expressions as closures; complaints go to the place."""
    split = split_name(name, place)
    if split is None:
        return None
    method, path, params = split
    made = tuple(_variant(model, place / index, params, resources) for index, model in enumerate(variants))
    for index, model in enumerate(variants[:-1]):
        if model.when is None:
            (place / (index + 1)).warn("this variant is never reached: the one before it has no `when`")
    latency = next((model.latency for model in variants if model.latency is not None), None)
    return Operation(name, method, path, params, made, latency)


def _variant(model: OperationModel, place: Place, params: tuple[str, ...], resources: dict[str, Resource]) -> Variant:
    names = Names(
        request_names(params).legal | {"records"}, {**request_names(params).fields, "records()": tuple(resources)}
    )
    step = compile_step(model, place, names, params, resources)
    names = names.plus(*model.find)
    inner = _inner_names(model, step, names, resources)
    also = tuple(
        compile_step(each, place / "also" / i, inner, params, resources, more=True) for i, each in enumerate(model.also)
    )
    if step.verb == "list":
        inner = inner.plus(page=PAGE_FIELDS)
    replies = _replies(model, place, inner)
    values = [value for reply in replies for value in reply.values]
    return Variant(
        step=step,
        also=also,
        order=_order(model, place / "order", names, step.resource) if step.verb == "list" else None,
        page=model.page,
        counts=step.verb == "list" and _counts(model),
        accepts=compile_accepts(model.accepts, place / "accepts"),
        auth=None if model.auth is None else tuple(model.auth),
        scopes=tuple(model.scopes),
        idempotency=model.idempotency,
        cost=compile_cost(model.cost, place / "cost", names),
        etag=model.etag,
        unique=tuple(tuple(group) for group in model.unique),
        replies=replies,
        again=model.after_last == "again",
        status=STATUS.get(step.verb or "", 200),
        reads_body=any("body" in value.used for value in values),
    )


def _inner_names(model: OperationModel, step: Step, names: Names, resources: dict[str, Resource]) -> Names:
    """What a reply may name: the request's names, and the record's where there is one."""
    if step.resource is not None and step.verb != "list":
        names = joined_names(names, record_names(step.resource.known, tuple(resources)))
    return names.plus(*(target for also in model.also if (target := verb_of(also)[1])))


def _replies(model: OperationModel, place: Place, names: Names) -> tuple[CompiledReply, ...]:
    if model.replies:
        return tuple(compile_reply(each, place / "replies" / i, names) for i, each in enumerate(model.replies))
    given = model.reply or ReplyModel()
    if model.list is not None and not given.model_fields_set & {"body", "text", "bytes"}:
        given = ReplyModel(status=given.status, headers=given.headers, body=default_envelope(model.page))
    return (compile_reply(given, place / "reply", names),)


def _counts(model: OperationModel) -> bool:
    """Whether anything in the reply asks how many there are in all."""
    said = repr((model.reply, model.replies, default_envelope(model.page)))
    return "page.total" in said or "page.pages" in said


def _order(model: OperationModel, place: Place, names: Names, resource: Resource | None) -> Order | None:
    if isinstance(model.order, str):
        known = {"newest": "-ordinal", "oldest": "ordinal"}.get(model.order, model.order)
        if not static(known):
            place.complain('an order that clients choose is written {by: "{{ … }}", fields: [name, …]}')
            return None
        field_at(place, known.lstrip("-"), resource, ("newest", "oldest"))
        return Order(compile_text(known, place, names), frozenset({known.lstrip("-")}))
    for index, name in enumerate(model.order.fields):
        field_at(place / "fields" / index, name, resource)
    by = compile_text(model.order.by, place / "by", names)
    own = model.order.by.lstrip("-") if by.constant else None
    if own is not None:
        field_at(place / "by", own, resource)
    return Order(by, frozenset([*model.order.fields, *([] if own is None else [own])]))
