"""What a signature adds to a request: header fields, parameters of its URL, fields of its JSON body.

Rules: additions come in two turns, those that are signed themselves before those that show the signature; a header
field that the webhook has already stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from simulator.core.canonical import Message, Payload
from simulator.core.helpers import as_json, shown
from simulator.core.omit import OMIT
from simulator.core.replies import header_lines
from simulator.core.tampering import respaced
from simulator.core.templates import LiveScope, Value

HeaderPairs = list[tuple[bytes, bytes]]


class Outgoing:
    """A request on its way through the signatures. `odd` keeps its body in odd spacing."""

    __slots__ = ("added", "body", "headers", "method", "odd", "url")

    def __init__(self, url: str, method: str, headers: HeaderPairs, body: bytes, odd: bool = False) -> None:
        self.url, self.method, self.headers = url, method, headers
        self.odd = odd
        self.body = respaced(body) if odd else body
        self.added: HeaderPairs = []

    def message(self) -> Message:
        """The request as it is now."""
        return Message(self.method, sent(self.url), (*self.headers, *self.added), self.body)

    def add(self, name: str, lines: HeaderPairs) -> None:
        """Add the lines of a header field, unless the webhook has the field itself; no line twice."""
        own = any(each.lower() == name.lower().encode() for each, _ in self.headers)
        self.added.extend(line for line in lines if not own and line not in self.added)


class Additions(NamedTuple):
    """Values by dotted path in the body, by parameter of the URL, by header field."""

    fields: tuple[tuple[str, Value], ...] = ()
    query: tuple[tuple[str, Value], ...] = ()
    headers: tuple[tuple[str, Value], ...] = ()

    def put(self, out: Outgoing, scope: LiveScope, where: str) -> None:
        """Add them, and let the scope know body and URL. Raises ValueError where the body can hold no fields."""
        if self.fields:
            body = with_fields(out.body, [(path, value.of(scope)) for path, value in self.fields])
            out.body = respaced(body) if out.odd else body
        scope["payload"] = Payload(out.body)
        for name, value in self.query:
            out.url = with_query(out.url, name, value.of(scope))
        scope["url"] = sent(out.url)
        for field, value in self.headers:
            out.add(field, header_lines(field.encode(), value.of(scope), where))

    def split(self, names: frozenset[str]) -> tuple[Additions, Additions]:
        """Those that use none of the names, and the others."""
        early, late = (
            [[pair for pair in kind if bool(pair[1].used & names) is turn] for kind in self] for turn in (False, True)
        )
        return Additions(*map(tuple, early)), Additions(*map(tuple, late))

    def used(self) -> frozenset[str]:
        """The names that the values use."""
        return frozenset().union(*(value.used for kind in self for _, value in kind))


def sent(url: str) -> str:
    """What is sent of a URL: a fragment stays with the sender (RFC 9110 section 7.1)."""
    return url.partition("#")[0]


def with_query(url: str, name: str, value: Any) -> str:
    """The URL with one more parameter; as it was where the value is omitted."""
    if value is OMIT or value is None:
        return url
    base, hash_, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{quote(name, safe='')}={quote(shown(value), safe='')}{hash_}{fragment}"


def with_fields(body: bytes, fields: list[tuple[str, Any]]) -> bytes:
    """The JSON body with fields set by dotted path. Raises ValueError where it is no object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ValueError("body_fields stand in a JSON object, and the webhook's body is none")
    for path, value in fields:
        if value is not OMIT:
            *above, last = path.split(".")
            holder = document
            for key in above:
                if not isinstance(holder.get(key), dict):
                    holder[key] = {}
                holder = holder[key]
            holder[last] = value
    return as_json(document)
