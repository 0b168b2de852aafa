"""Bodies that are not what was signed, and bodies that are, in a spelling nobody expects.

Rules: what was JSON stays JSON; the tampered body never says the same; the respaced one always does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s"\[\]{},:]+')
SPACED = {"{": "{ ", "}": " }", "[": "[  ", "]": "\t]", ",": " ,\n", ":": " :  "}
PARTS = re.compile(r"\\.|[^ -~]|/", re.DOTALL)  # of a JSON string: an escape that stays, or what can become one
LETTERS = re.compile(rb"(?<!%)(?<!%.)[0-9A-Za-z]")  # none inside %C3: half a character is lost in many ways


def tamper(body: bytes, unit: float) -> bytes:
    """The body with one thing changed: a value where it is JSON, else a letter or digit. `unit` (0 to 1) says which."""
    try:
        root = [orjson.loads(body)]
        spots = list(_spots(root))
        holder, key = spots[int(unit * len(spots))]
        holder[key] = _other(holder[key])
        return orjson.dumps(root[0])
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the latter: nested deeper than orjson writes
        return _misspelt(body, unit)


def respaced(body: bytes) -> bytes:
    r"""The same JSON with odd white space, and `\u` and `\/` escapes where none are needed. Other bodies stay."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return f" {''.join(_odd(token) for token in TOKENS.findall(body.decode()))}\n".encode()


def _spots(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Where the values stand that hold no others, as (list or dict, key)."""
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        if isinstance(value, dict | list) and value:
            yield from _spots(value)
        else:
            yield holder, key


def _other(value: Any) -> Any:
    """Another value of the same type, where there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value - 1 if value > 0 else value + 1
    if isinstance(value, float):
        return -value or 1.0
    if isinstance(value, str):
        return value[:-1] + ("1" if value.endswith("0") else "0")
    return {"tampered": True} if isinstance(value, dict) else [True] if isinstance(value, list) else False


def _misspelt(body: bytes, unit: float) -> bytes:
    spots = [match.start() for match in LETTERS.finditer(body)]
    if not spots:
        return body + b"0"
    at = spots[int(unit * len(spots))]
    old = body[at : at + 1]
    first, second = (b"0", b"1") if old.isdigit() else (b"a", b"b")
    return body[:at] + (second if old.lower() == first else first) + body[at + 1 :]


def _odd(token: str) -> str:
    if not token.startswith('"'):
        return SPACED.get(token, token)
    inner = token[1:-1]
    if inner[:1].isalnum():
        return f'"{_escaped(inner[0])}{PARTS.sub(lambda part: _part(part[0]), inner[1:])}"'
    return f'"{PARTS.sub(lambda part: _part(part[0]), inner)}"'


def _part(part: str) -> str:
    if len(part) == 2:
        return part
    return "\\/" if part == "/" else _escaped(part)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
