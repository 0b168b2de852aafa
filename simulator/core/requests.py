"""A request, as templates and verbs see it.

Rules: nothing is parsed before somebody asks; a field the client did not send is `omit`; names of header fields
are compared without case, and `headers.x_tenant` means `X-Tenant`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from simulator.core.bodies import Body, parse_body
from simulator.core.omit import OMIT

QUERY_FIELDS_MAX = 1000  # names in one query; parse_qsl refuses more


class Headers:
    """The header fields of a request; repeated ones joined by a comma (RFC 9110 section 5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        fields: dict[str, str] = {}
        for name, value in raw:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            fields[key] = f"{fields[key]}, {text}" if key in fields else text
        self._fields = fields

    def get(self, name: str) -> str | None:
        """The field of this (lower-case) name."""
        return self._fields.get(name)

    def template_field(self, name: str) -> Any:
        """`headers['Idempotency-Key']`, `headers.prefer`, `headers.x_tenant`."""
        key = name.lower()
        found = self._fields.get(key)
        return self._fields.get(key.replace("_", "-"), OMIT) if found is None else found

    def template_json(self) -> dict[str, str]:
        """All fields, for `{{ headers }}` itself."""
        return self._fields


class Request:
    """One request. `base` is where the service stands for this client: scheme, host and prefix."""

    def __init__(
        self,
        method: str,
        path: str,
        query_string: bytes,
        raw_headers: list[tuple[bytes, bytes]],
        raw: bytes,
        base: str,
        request_id: str = "",
        params: dict[str, str] | None = None,
        address: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.raw_headers = raw_headers
        self.raw = raw
        self.base = base
        self.request_id = request_id
        self.params = params or {}
        self.holder = request_id  # names it among all that hold something; the shell gives one that never comes again
        self.address = address  # where the client connected from, without its port

    @cached_property
    def headers(self) -> Headers:
        """The header fields."""
        return Headers(self.raw_headers)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's names and values; of repeated names the last. Raises BadBody where there are too many."""
        return parse_query(self.query_string)

    @cached_property
    def parsed(self) -> Body:
        """The body by its content type. Raises BadBody."""
        return parse_body(self.headers.get("content-type") or "", self.raw)

    @property
    def body(self) -> Any:
        """What the body says: JSON's value, or a form's fields; omit where there is none."""
        return self.parsed.data

    def template_json(self) -> dict[str, Any]:
        """The request as a whole, for `{{ request }}` itself."""
        return {name: FIELDS[name](self) for name in ("id", "method", "path", "query", "headers", "body")}

    def template_field(self, name: str) -> Any:
        """`request.method` and the other fields of templates.REQUEST_FIELDS."""
        return FIELDS[name](self) if name in FIELDS else OMIT


FIELDS = {
    "method": lambda request: request.method,
    "path": lambda request: request.path,
    "query": lambda request: request.query,
    "headers": lambda request: request.headers,
    "body": lambda request: request.parsed.data,
    "form": lambda request: request.parsed.form,
    "files": lambda request: request.parsed.files,
    "raw": lambda request: request.raw.decode("utf-8", "replace"),
    "text": lambda request: request.raw.decode("utf-8", "replace"),
    "url": lambda request: request.base + request.path + _question(request.query_string),
    "id": lambda request: request.request_id,
    "address": lambda request: request.address,
}


def parse_query(query_string: bytes) -> dict[str, str]:
    """Names and values of a query; what is not UTF-8 becomes U+FFFD."""
    if not query_string:
        return {}
    text = query_string.decode("utf-8", "replace")
    pairs = text.split("&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX]  # what follows a thousand names is not looked at
    return dict(parse_qsl("&".join(pairs), keep_blank_values=True, errors="replace"))


def _question(query_string: bytes) -> str:
    return "?" + query_string.decode("latin-1") if query_string else ""
