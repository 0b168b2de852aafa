"""`reply:` status, headers and body, literally as the scenario says.

Rules: a reply is a plan, complete before its first byte; a reply without expressions is bytes from load time on;
header names keep the case they were written in; what a client sent cannot end a header line.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from simulator.core.expressions import Names, Scope
from simulator.core.helpers import as_json, shown
from simulator.core.omit import OMIT
from simulator.core.places import Place
from simulator.core.templates import Value, compile_text, compile_value, constant, static
from simulator.core.values import wrong_at
from simulator.errors import TemplateError

HeaderLines = tuple[tuple[bytes, bytes], ...]
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LINE_BREAKERS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
BODYLESS = frozenset({204, 304})
JSON_TYPE = (b"Content-Type", b"application/json")
TEXT_TYPE = (b"Content-Type", b"text/plain; charset=utf-8")
BYTES_TYPE = (b"Content-Type", b"application/octet-stream")


class Reply(NamedTuple):
    """What goes over the wire. `body` is whole; `headers` lack Date and Content-Length, which the shell adds."""

    status: int
    headers: HeaderLines
    body: bytes


def _possible(status: Any) -> Any:
    """A status, where it can be told before a request comes."""
    if isinstance(status, int | str) and (isinstance(status, int) or static(status)):
        number = int(status) if str(status).isdecimal() else 0
        if not 200 <= number <= 599:
            raise ValueError(f"{status!r} is no status that a reply can have; there is 200 to 599")
    return status


STATUS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 200, "maximum": 599},
        {"type": "string", "pattern": r"\{\{|^[2-5][0-9][0-9]$"},
        {"type": "null"},
    ]
}
Status = Annotated[int | str | None, AfterValidator(_possible), WithJsonSchema(STATUS_SCHEMA)]


class ReplyModel(BaseModel):
    """A reply: a status, headers, and one kind of body."""

    model_config = ConfigDict(extra="forbid")

    status: Status = Field(None, description="200 to 599, or an expression", examples=[202])
    headers: dict[str, str | int | list[str]] = Field({}, description="Header fields; a list repeats the field")
    body: Any = Field(None, description="JSON; expressions anywhere in it")
    text: str | None = Field(None, description="A body that is text; say its type in headers")
    bytes: str | None = Field(None, description="A body of bytes, in base64")

    @model_validator(mode="after")
    def _one_body(self) -> ReplyModel:
        given = [key for key in ("body", "text", "bytes") if key in self.model_fields_set]
        if len(given) > 1:
            raise wrong_at(given[1], f"a reply has one body, not {' and '.join(given)}")
        return self


class CompiledReply:
    """A reply whose expressions are closures; `render` makes it a Reply."""

    def __init__(
        self, status: Value, headers: list[tuple[bytes, Value]], body: Value | None, form: str, where: str
    ) -> None:
        self._status = status
        self._headers = headers
        self._body = body
        self._form = form
        self._where = where
        self.values = [status, *(value for _, value in headers), *([body] if body else [])]
        self.has_type = any(name.lower() == b"content-type" for name, _ in headers)
        self.fixed: Reply | None = None
        if all(value.constant for value in self.values) and body is not None:
            self.fixed = self.render({})

    def render(self, scope: Scope, default_status: int = 200, default_body: Any = OMIT) -> Reply:
        """The reply for this scope; the defaults stand where the scenario says nothing."""
        if self.fixed is not None and (default_status == self.fixed.status or self._status.of(scope) is not None):
            return self.fixed
        status = self._status_of(scope, default_status)
        body, kind = self._body_of(scope, default_body)
        headers = [] if self.has_type or kind is None or status in BODYLESS else [kind]
        for name, value in self._headers:
            headers.extend(header_lines(name, value.of(scope), self._where))
        return Reply(status, tuple(headers), b"" if status in BODYLESS else body)

    def _status_of(self, scope: Scope, default: int) -> int:
        status = self._status.of(scope)
        if status is None or status is OMIT:
            return default
        if isinstance(status, str) and len(status) == 3 and status.isascii() and status.isdigit():
            status = int(status)
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise TemplateError(self._where, f"{status!r} is no status that a reply can have; there is 200 to 599")
        return status

    def _body_of(self, scope: Scope, default: Any) -> tuple[bytes, tuple[bytes, bytes] | None]:
        value = self._body.of(scope) if self._body is not None else default
        if value is OMIT:
            return b"", None
        if self._form == "text":
            return shown_at(value, self._where).encode("utf-8", "replace"), TEXT_TYPE
        if self._form == "bytes":
            return value, BYTES_TYPE
        return json_bytes(value, self._where), JSON_TYPE


def json_bytes(value: Any, where: str) -> bytes:
    """A value as JSON. Raises TemplateError where it has no form in JSON."""
    try:
        return as_json(value)
    except TypeError as error:
        raise TemplateError(where, f"this has no form in JSON: {error}") from None


def shown_at(value: Any, where: str) -> str:
    """A value as text. Raises TemplateError where it has none."""
    try:
        return shown(value)
    except TypeError as error:
        raise TemplateError(where, f"this has no form as text: {error}") from None


def header_lines(name: bytes, value: Any, where: str) -> list[tuple[bytes, bytes]]:
    """A header field's lines: one, one for each element of a list, or none for omit and null."""
    if value is OMIT or value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [(name, header_bytes(shown_at(each, where))) for each in values if each is not OMIT]


def header_bytes(text: str) -> bytes:
    """A field value (RFC 9110 section 5.5): no line breaks or controls, Latin-1 where that is enough, else UTF-8."""
    clean = CONTROLS.sub(" ", text.translate(LINE_BREAKERS)).strip()
    try:
        return clean.encode("latin-1")
    except UnicodeEncodeError:
        return clean.encode("utf-8", "replace")


def compile_reply(model: ReplyModel, place: Place, names: Names) -> CompiledReply:
    """A reply's expressions as closures; complaints go to the place."""
    status = compile_value(model.status, place / "status", names)
    headers = [
        (name.encode("latin-1", "replace"), compile_value(value, place / "headers" / name, names))
        for name, value in model.headers.items()
        if legal_header(name, place / "headers" / name)
    ]
    form = next((key for key in ("body", "text", "bytes") if key in model.model_fields_set), "body")
    body = _body(model, form, place, names)
    try:
        return CompiledReply(status, headers, body, form, str(place / form))
    except TemplateError as error:  # of a reply that is fixed, before anybody asks for it
        (place / form).complain(error.what)
        return CompiledReply(status, headers, constant(None), form, str(place / form))


def _body(model: ReplyModel, form: str, place: Place, names: Names) -> Value | None:
    if form not in model.model_fields_set:
        return None
    if form == "text":
        return compile_text(model.text or "", place / "text", names)
    if form == "bytes":
        try:
            return constant(base64.b64decode(model.bytes or "", validate=True))
        except ValueError:  # binascii.Error is one, and so is what it says of letters beyond ASCII
            (place / "bytes").complain(
                "this is not base64 (RFC 4648 section 4); write letters, digits, + and /, padded with = to fours"
            )
            return constant(b"")
    return compile_value(model.body, place / "body", names)


def legal_header(name: str, place: Place) -> bool:
    """Whether a scenario may send this header field; complaints go to the place."""
    if not TOKEN.fullmatch(name):
        place.complain(
            f"{name!r} is no header name; letters, digits and hyphens are (RFC 9110 section 5.1)", at_key=True
        )
        return False
    if name.lower() in ("content-length", "transfer-encoding", "connection", "date"):
        place.complain(f"{name} is written by the server itself; take it out", at_key=True)
        return False
    return True
