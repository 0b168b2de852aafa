"""What the journal shows in place of secrets, by where they stand: fields of headers, query, forms and JSON.

Rules: it does not matter what became of the request, nor how a value was written; what stands in a place for secrets
is told by its digest alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import unquote, unquote_plus

Digest = Callable[[str], str]

FORM_SECRETS = frozenset(
    {"client_secret", "refresh_token", "access_token", "token", "password", "code", "assertion", "client_assertion"}
)
"""Fields of OAuth's forms and replies (RFC 6749, 7009, 7521, 7662)."""
JSON_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:\s*)"((?:[^"\\]|\\.)*)("?)')


def hidden_query(target: str, names: Collection[str], digest: Digest) -> str:
    """A request's target whose query parameters of these names show digests."""
    path, question, query = target.partition("?")
    return path + question + _pairs(query, names, digest, unquote) if question and names else target


def hidden_cookies(value: str, names: Collection[str], digest: Digest) -> str:
    """A Cookie field whose cookies of these names show digests."""
    parts = []
    for part in value.split(";"):
        name, equals, rest = part.partition("=")
        parts.append(f"{name}={digest(rest)}" if equals and name.strip() in names else part)
    return ";".join(parts)


def hidden_body(body: str, digest: Digest, names: Collection[str] = FORM_SECRETS) -> str:
    """A form, or JSON, whose fields of these names show digests."""

    def one(match: re.Match[str]) -> str:
        name, between, value, end = match.groups()
        return f'"{name}"{between}"{digest(value)}{end}' if name in names else match[0]

    return _pairs(JSON_PAIR.sub(one, body), names, digest, unquote_plus)  # whatever it says that it is


def _pairs(text: str, names: Collection[str], digest: Digest, read: Callable[[str], str]) -> str:
    parts = []
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        parts.append(f"{name}={digest(read(value))}" if equals and value and read(name) in names else pair)
    return "&".join(parts)
