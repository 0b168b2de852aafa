"""`idempotency:` the same key gets the same answer.

Rules: a key belongs to whom and to what the scope says; the first request with it runs, and what it was answered is
kept in the same commit as what it did; until that exchange has ended the key is in flight; the same key with another
request is refused. What never came to a look at the key (401, and what stands before the look-up) is not kept.
Draft: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simulator.core.bodies import BadBody
from simulator.core.clock import Instant
from simulator.core.expressions import Names
from simulator.core.helpers import shown
from simulator.core.omit import OMIT
from simulator.core.places import Place, unknown_name
from simulator.core.profiles.idempotency import PROFILES
from simulator.core.records import Held, Lease
from simulator.core.refusals import ErrorModel, Refused, compile_error
from simulator.core.replies import HeaderLines, Reply, header_lines, legal_header
from simulator.core.templates import LiveScope, Value, compile_text, compile_value
from simulator.core.turns import Turn
from simulator.core.values import MS, Duration, wrong_at

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Part = Literal["operation", "query", "body"]
LookUp = Literal["after_contract", "before_contract", "before_limits"]
Demand = Literal["required", "optional", "none"]
QUOTED = re.compile(r'"(?:[ !#-\[\]-~]|\\["\\])*"')  # a String of RFC 9651 section 3.3.3
KEY_MAX = 255  # characters; the usual bound


class AnswerModel(BaseModel):
    """What is answered instead of running the request."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorModel = Field(description="What is answered; expressions may use `key`")


class ReplayModel(BaseModel):
    """How a request is answered whose key has been used before."""

    model_config = ConfigDict(extra="forbid")

    headers: dict[str, str] = Field(
        {}, description="Header fields that mark a replay; `original` has request_id, status, at, id"
    )
    error: ErrorModel | None = Field(None, description="An error in place of the first reply; `original` names it")


def _with_profile(value: Any) -> Any:
    """`stripe-v1` alone, or a mapping whose profile fills what it does not say."""
    given = {"profile": value} if isinstance(value, str) else value
    name = given.get("profile") if isinstance(given, dict) else None
    if not isinstance(name, str):
        return given
    if name not in PROFILES:
        raise wrong_at("profile", unknown_name("profile", name, PROFILES))
    return {**PROFILES[name], **given}


class IdempotencyModel(BaseModel):
    """How the service keeps a repeated request from being done twice."""

    model_config = ConfigDict(extra="forbid")

    profile: str | None = Field(None, description="A named way, whose parts may be changed here", examples=[*PROFILES])
    key: str = Field("{{ headers['Idempotency-Key'] }}", description="Where the key stands in a request")
    syntax: Literal["any", "quoted", "raw"] = Field(
        "any", description='"quoted" is the IETF draft\'s string, raw the bare token that SDKs send'
    )
    key_max: int = Field(KEY_MAX, ge=1, le=1024, description="The longest key")
    methods: list[Method] = Field(["POST", "PATCH"], description="Whose operations look at keys, unless they say")
    scope: Literal["client", "operation", "global"] = Field(
        "client", description="Whose keys they are: each client's, each client's per operation, or everybody's"
    )
    fingerprint: list[Part] = Field(["operation", "body"], description="What must be the same under the same key")
    look_up: LookUp = Field(
        "after_contract", description="When the key is looked at; what comes before is not replayed"
    )
    keep: Duration = Field(24 * MS["h"], description="How long a key is remembered", examples=["24h"])
    store: Literal["executed", "success", "all"] = Field(
        "executed", description="Which replies are kept: of what was begun, of what succeeded, or all after the look-up"
    )
    in_flight: Literal["wait"] | AnswerModel | None = Field(
        None, description="While the first still runs: 409, another error, or `wait` for its reply"
    )
    mismatch: AnswerModel | None = Field(None, description="The same key with another request: 422, or another error")
    replay: ReplayModel = Field(
        ReplayModel(headers={"Idempotent-Replayed": "true"}), description="How a repeated request is answered"
    )


Words = Annotated[
    IdempotencyModel, BeforeValidator(_with_profile, json_schema_input_type=IdempotencyModel | Literal[tuple(PROFILES)])
]
"""The key in a scenario: the model, or a profile's name."""


class Call(NamedTuple):
    """One thing that a client wants, told by its key."""

    key: str | None
    entry: str  # names the entry that its answer is kept in
    required: bool


class Idempotency:
    """A service's way to be idempotent."""

    def __init__(self, model: IdempotencyModel, place: Place, names: Names) -> None:
        """Complaints go to the place."""
        self._model = model
        self._where = str(place)
        self.look_up_at: LookUp = model.look_up
        self._key = compile_text(model.key, place / "key", names)
        inner = names.plus("key", original=("request_id", "status", "at", "id"))
        self._waits = model.in_flight == "wait"
        in_flight = model.in_flight.error if isinstance(model.in_flight, AnswerModel) else None
        mismatch = model.mismatch.error if model.mismatch else None
        self._in_flight = compile_error(in_flight, "idempotency_in_flight", place / "in_flight" / "error", inner)
        self._mismatch = compile_error(mismatch, "idempotency_mismatch", place / "mismatch" / "error", inner)
        self._replay_error = compile_error(model.replay.error, "conflict", place / "replay" / "error", inner)
        self._marks: tuple[tuple[bytes, Value], ...] = tuple(
            (name.encode(), compile_value(value, place / "replay" / "headers" / name, inner))
            for name, value in model.replay.headers.items()
            if legal_header(name, place / "replay" / "headers" / name)
        )

    def demand(self, method: str, said: Demand | None) -> Demand:
        """What an operation demands; where it says nothing, what its method does."""
        return said or ("optional" if method in self._model.methods else "none")

    def identify(self, turn: Turn, scope: LiveScope, operation: str, demand: Demand) -> Call | None:
        """The call that the request belongs to, None where keys mean nothing here. Raises Refused."""
        if demand == "none":
            return None
        try:
            key = self._read(shown(self._key.of(scope)))
        except BadBody:  # it is refused where bodies are read; a key in it cannot be told
            key = None
        turn.facts["key"] = key
        whose = () if self._model.scope == "global" else (turn.client,)
        what = (operation,) if self._model.scope == "operation" else ()
        name = orjson.dumps([whose, what, key])
        entry = f"{turn.service.name}/key/{hashlib.blake2b(name, digest_size=16).hexdigest()}"
        return Call(key, entry, demand == "required")

    def waiting(self, turn: Turn, call: Call) -> None:
        """Raises Held where the request is to wait for the first one with its key; before it takes anything."""
        if self._waits and call.key is not None and turn.look.holders(call.entry):
            raise Held(call.entry)

    def look_up(self, turn: Turn, scope: LiveScope, call: Call) -> Reply | None:
        """The reply that was kept for the key; None where this request is the first. Raises Refused and Held."""
        if call.key is None:
            if call.required:
                turn.facts["idempotency"] = "missing"
                raise Refused("idempotency_key_missing", "This operation needs an idempotency key, and none came.")
            return None
        if turn.look.holders(call.entry):
            return self._busy(turn, scope, call)
        kept = turn.entry(call.entry)
        if kept is None or kept["until"] <= turn.now_ms:
            turn.facts["idempotency"] = "first"
            turn.leases.append(Lease(call.entry, turn.request.holder if turn.request else ""))
            return None
        if kept["print"] != self._print(turn):
            turn.facts["idempotency"] = "mismatch"
            raise Refused(
                "idempotency_mismatch", f"The idempotency key {call.key!r} came with another request before."
            ).said(self._mismatch, _inside(scope, call, kept))
        turn.facts["idempotency"] = "replayed"
        return self._replay(_inside(scope, call, kept), kept)

    def remember(self, turn: Turn, call: Call, reply: Reply, begun: bool, record_id: str | None) -> None:
        """Keep what was answered, where the service keeps such replies. `begun`: it came to behaviour."""
        store = self._model.store
        if (store == "executed" and not begun) or (store == "success" and reply.status >= 300):
            return
        until = turn.now_ms + self._model.keep
        turn.keep(call.entry, {"until": until, "print": self._print(turn), **_plain(turn, reply, record_id)}, until)

    def _read(self, text: str) -> str | None:
        """The key's value, None where there is none. Raises Refused."""
        text, syntax = text.strip(), self._model.syntax
        quoted = QUOTED.fullmatch(text) is not None
        if not text:
            return None
        if syntax == "quoted" and not quoted:
            raise Refused("invalid", f"The idempotency key {text[:KEY_MAX]} is no quoted string (RFC 9651).")
        key = text[1:-1].replace('\\"', '"').replace("\\\\", "\\") if quoted and syntax != "raw" else text
        if not 1 <= len(key) <= self._model.key_max:
            raise Refused("invalid", f"An idempotency key has 1 to {self._model.key_max} characters, not {len(key)}.")
        return key

    def _busy(self, turn: Turn, scope: LiveScope, call: Call) -> Reply | None:
        if self._waits:
            raise Held(call.entry)
        turn.facts["idempotency"] = "in_flight"
        detail = f"The first request with the idempotency key {call.key!r} is still running."
        raise Refused("idempotency_in_flight", detail).said(self._in_flight, _inside(scope, call, {}))

    def _replay(self, scope: LiveScope, kept: dict[str, Any]) -> Reply:
        if self._replay_error is not None:
            detail = f"This was done before, by request {kept['request_id']}."
            raise Refused("conflict", detail).said(self._replay_error, scope)
        headers: list[tuple[bytes, bytes]] = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in kept["headers"]]
        for name, value in self._marks:
            headers += header_lines(name, value.of(scope), self._where)
        body = kept["body"].encode() if "body" in kept else base64.b64decode(kept["bytes"])
        return Reply(kept["status"], tuple(headers), body)

    def _print(self, turn: Turn) -> str:
        """A digest of what must be the same under the same key."""
        request, made = turn.request, hashlib.blake2b(digest_size=16)
        if request is None:
            return ""
        for part in self._model.fingerprint:
            if part == "operation":
                made.update(f"{request.method} {request.path}\0".encode("utf-8", "surrogateescape"))
            elif part == "query":
                made.update(orjson.dumps(sorted(request.query.items())) + b"\0")
            else:
                made.update(_canonical(turn) + b"\0")
        return made.hexdigest()


def compile_idempotency(model: IdempotencyModel | None, place: Place, names: Names) -> Idempotency:
    """The service's way to be idempotent; without one, the draft's for operations that ask. Complaints go to place."""
    return Idempotency(model or IdempotencyModel(methods=[]), place, names)


def _canonical(turn: Turn) -> bytes:
    """The body so that two ways to write the same are equal."""
    request = turn.request
    if request is None:
        return b""
    try:
        data = request.body
    except BadBody:
        return request.raw
    return request.raw if data is OMIT else orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def _plain(turn: Turn, reply: Reply, record_id: str | None) -> dict[str, Any]:
    """A reply as JSON, with what names it."""
    told = {
        "status": reply.status,
        "headers": _texts(reply.headers),
        "request_id": turn.request.request_id if turn.request else "",
        "at_ms": turn.now_ms,
        "id": record_id,
    }
    try:
        return {**told, "body": reply.body.decode()}
    except UnicodeDecodeError:
        return {**told, "bytes": base64.b64encode(reply.body).decode()}


def _texts(headers: HeaderLines) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _inside(scope: LiveScope, call: Call, kept: dict[str, Any]) -> LiveScope:
    original = {
        "request_id": kept.get("request_id", OMIT),
        "status": kept.get("status", OMIT),
        "at": Instant(kept["at_ms"]) if kept else OMIT,
        "id": OMIT if kept.get("id") is None else kept["id"],
    }
    return LiveScope({**scope, "key": call.key, "original": original}, scope.makers, scope.owner)
