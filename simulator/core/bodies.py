"""What clients send: JSON, forms (with brackets), multipart with files, anything else as text; and gzip.

Rules: a body is read whole and is bounded before it gets here; whatever is wrong with it is a BadBody with a
sentence for the client; what comes out nests no deeper than can be stored and sent back.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from python_multipart.multipart import MultipartParser, parse_options_header

from simulator.core.omit import OMIT

DEPTH_MAX = 100  # of nested JSON; real bodies stay far below, and JSON writers give up at 254
FORM_FIELDS_MAX = 1000
FORM_DEPTH_MAX = 10
BRACKETS = re.compile(r"\[([^\[\]]*)\]")


class BadBody(Exception):  # noqa: N818 - becomes a reply, is no failure of ours
    """The body (or the query) cannot be understood; `kind` is the refusal."""

    def __init__(self, detail: str, kind: str = "invalid") -> None:
        self.kind = kind
        super().__init__(detail)


class Body(NamedTuple):
    """A parsed body: `data` for templates' `body`, and form and files where there are any."""

    data: Any = OMIT
    form: dict[str, Any] = {}  # noqa: RUF012 - never changed
    files: dict[str, Any] = {}  # noqa: RUF012 - never changed


def parse_body(content_type: str, raw: bytes) -> Body:
    """The body by its type; without a type JSON is tried. Raises BadBody."""
    if not raw:
        return Body()
    media, _, _ = content_type.partition(";")
    media = media.strip().lower()
    if media == "application/json" or media.endswith("+json"):
        return Body(parse_json(raw))
    if media == "application/x-www-form-urlencoded":
        form = parse_form(raw)
        return Body(form, form)
    if media == "multipart/form-data":
        return _parse_multipart(content_type, raw)
    return Body() if media else _guess(raw)


def parse_json(raw: bytes) -> Any:
    """JSON (RFC 8259). Raises BadBody with the line and column of the mistake."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _deeper(data, DEPTH_MAX):
        raise BadBody(f"The body is nested deeper than {DEPTH_MAX}.")
    return data


def parse_form(raw: bytes) -> dict[str, Any]:
    """URL-encoded fields; `items[0][price]=5` nests, `tags[]=a` appends. Raises BadBody."""
    pairs = raw.decode("utf-8", "replace").split("&", FORM_FIELDS_MAX)
    if len(pairs) > FORM_FIELDS_MAX:
        raise BadBody(f"The form has more than {FORM_FIELDS_MAX} fields.")
    form: dict[str, Any] = {}
    for name, value in parse_qsl("&".join(pairs), keep_blank_values=True, errors="replace"):
        _nest(form, name, value)
    return {key: _lists(value) for key, value in form.items()}


def inflate(encoding: str, raw: bytes, bytes_max: int) -> bytes:
    """A body without its content coding (gzip, deflate or identity). Raises BadBody."""
    for coding in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        if coding == "identity":
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise BadBody(
                f"The content coding {coding!r} is not supported; gzip and deflate are.", "unsupported_media_type"
            )
        raw = _inflated(raw, bytes_max)
    return raw


def _inflated(raw: bytes, bytes_max: int) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out by itself whether it is gzip or zlib
    try:
        made = unpacker.decompress(raw, bytes_max + 1)
    except zlib.error:
        raise BadBody("The body is not what its Content-Encoding says.") from None
    if len(made) > bytes_max:
        raise BadBody(f"The body is larger than {bytes_max} bytes when unpacked.", "too_large")
    if not unpacker.eof:
        raise BadBody("The compressed body ends too early.")
    return made


def _guess(raw: bytes) -> Body:
    """A body without a type: JSON where it is JSON."""
    try:
        return Body(parse_json(raw))
    except BadBody:
        return Body()


def _deeper(data: Any, most: int) -> bool:
    level = [data]
    for _ in range(most):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _nest(form: dict[str, Any], name: str, value: str) -> None:
    head, bracket, _ = name.partition("[")
    steps = BRACKETS.findall(name[len(head) :]) if bracket and head else []
    if len(steps) >= FORM_DEPTH_MAX:
        raise BadBody(f"The form's field {name[:80]!r} is nested deeper than {FORM_DEPTH_MAX}.")
    keys = [head, *steps] if steps else [name]
    inner = form
    for key in keys[:-1]:
        inner = inner.setdefault(_slot(inner, key), {})
        if not isinstance(inner, dict):
            raise BadBody(f"The form's field {name[:80]!r} is once a value and once a group.")
    last = _slot(inner, keys[-1])
    if isinstance(inner.get(last), dict):
        raise BadBody(f"The form's field {name[:80]!r} is once a value and once a group.")
    inner[last] = value


def _slot(inner: dict[str, Any], key: str) -> str:
    """`[]` means the next free number."""
    return str(len(inner)) if key == "" else key


def _lists(value: Any) -> Any:
    """A group whose keys are 0, 1, 2, … as a list."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(part) for key, part in value.items()}
    return list(inner.values()) if list(inner) == [str(index) for index in range(len(inner))] else inner


class _Parts:
    """Gathers what the multipart parser finds."""

    def __init__(self) -> None:
        self.form: dict[str, Any] = {}
        self.files: dict[str, Any] = {}
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data = bytearray()
        self.ended = False
        self._count = 0

    def callbacks(self) -> dict[str, Any]:
        """The parser's hooks."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: setattr(self, "_header", self._header + data[start:end]),
            "on_header_value": lambda data, start, end: setattr(self, "_value", self._value + data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": lambda: setattr(self, "ended", True),
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, bytearray()

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _end(self) -> None:
        self._count += 1
        if self._count > FORM_FIELDS_MAX:
            raise BadBody(f"The form has more than {FORM_FIELDS_MAX} fields.")
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        text = bytes(self._data).decode("utf-8", "replace")
        if b"filename" not in options:
            _nest(self.form, name, text)
            return
        self.files[name] = {
            "filename": options[b"filename"].decode("utf-8", "replace"),
            "content_type": self._headers.get(b"content-type", b"application/octet-stream").decode("latin-1"),
            "size": len(self._data),
            "text": text,
        }


def _parse_multipart(content_type: str, raw: bytes) -> Body:
    _, options = parse_options_header(content_type.encode("latin-1", "replace"))
    parts = _Parts()
    try:
        parser = MultipartParser(options[b"boundary"], parts.callbacks())  # type: ignore[arg-type]
        parser.write(raw)
        parser.finalize()
    except KeyError:
        raise BadBody("The multipart body's Content-Type has no boundary.") from None
    except BadBody:
        raise
    except Exception as error:  # the parser's own family of errors, and what hostile input makes of it
        raise BadBody(f"The multipart body cannot be read: {error}.") from None
    if not parts.ended:
        raise BadBody("The multipart body ends before its last boundary.")
    form = {key: _lists(value) for key, value in parts.form.items()}
    return Body({**form, **parts.files}, form, parts.files)
