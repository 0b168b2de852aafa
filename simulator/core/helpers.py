"""What expressions can call: filters, tests, functions, and the methods of texts and mappings.

Rules: nothing here reaches a Python attribute, a file, a clock or a die; what could grow is bounded; a list is
never changed in place.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import orjson

from simulator.core.omit import OMIT, field, item

TEXT_MAX = 1 << 20  # characters of one text that an expression makes; replies are not meant to be larger
ITEMS_MAX = 10_000  # elements of one list that an expression makes
NUMBER_BITS_MAX = 4096  # of one whole number; far beyond what JSON can carry, and still quick to work with
DIGITS_MAX = 400  # to round to; no number has more before or behind its point
HASHES = ("md5", "sha1", "sha256", "sha384", "sha512", "blake2b")


def bounded(value: Any) -> Any:
    """The value, unless it has grown beyond what an expression may make. Raises ValueError."""
    if isinstance(value, str | bytes) and len(value) > TEXT_MAX:
        raise ValueError(f"a text of {len(value)} characters; {TEXT_MAX} is the most")
    if isinstance(value, list) and len(value) > ITEMS_MAX:
        raise ValueError(f"a list of {len(value)} elements; {ITEMS_MAX} is the most")
    if isinstance(value, int) and value.bit_length() > NUMBER_BITS_MAX:
        raise ValueError(f"a number of {value.bit_length()} bits; {NUMBER_BITS_MAX} is the most")
    return value


def weight(value: Any) -> int:
    """Characters and elements in all, shared ones each time they are met; counts no further than TEXT_MAX."""
    total, left = 0, [value]
    while left and total <= TEXT_MAX:
        part = left.pop()
        total += len(part) if isinstance(part, str | list | dict) else 1
        if isinstance(part, list | dict):
            left.extend(part.values() if isinstance(part, dict) else part)
    return total


def shown(value: Any) -> str:
    """A value inside a longer text: texts as they are, null and omit as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is OMIT:
        return ""
    return as_json(value).decode()


def as_json(value: Any, option: int = 0) -> bytes:
    """A value as JSON. Raises TypeError where it has no form there, and whatever a record's view raises."""
    try:
        return orjson.dumps(value, default=plain, option=option)
    except TypeError as error:
        if error.__cause__ is not None:  # orjson wraps what `plain` raised; a view may ask for records, say
            raise error.__cause__ from None
        raise


def plain(value: Any) -> Any:
    """A value of a type of ours as JSON: an instant as RFC 3339, a record as its view. Raises TypeError."""
    view = getattr(type(value), "template_json", None)
    if view is not None:
        return view(value)
    if value is OMIT:
        return None
    if hasattr(type(value), "template_field"):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def hashed(text: Any, algorithm: str = "sha256", encoding: str = "hex") -> str:
    """A digest of a text: algorithm md5, sha1, sha256, …; encoding hex or base64."""
    if algorithm not in HASHES:
        raise ValueError(f"no algorithm {algorithm!r}; there is {', '.join(HASHES)}")
    digest = hashlib.new(algorithm, shown(text).encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    if encoding not in ("hex", "base64"):
        raise ValueError(f"no encoding {encoding!r}; there is hex and base64")
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def mapped(items: Iterable[Any], attribute: str, default: Any = OMIT) -> list[Any]:
    """Each element's field (dotted); elements without it are left out, or give the default."""
    found = (dotted(element, attribute) for element in items)
    made = [value if value is not OMIT else default for value in found if value is not OMIT or default is not OMIT]
    _fits(weight(default) * sum(value is default for value in made) if default is not OMIT else 0)
    return made


def dotted(value: Any, path: str) -> Any:
    """`a.b.0` of a value."""
    for part in path.split("."):
        value = item(value, int(part)) if part.isdigit() and not isinstance(value, dict) else field(value, part)
    return value


def joined(items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    """The elements as one text."""
    texts = [shown(value) for value in (mapped(items, attribute) if attribute else items)]
    _fits(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def replaced(value: Any, old: str, new: str) -> str:
    """The text with each `old` made `new`."""
    text = shown(value)
    _fits(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def padded(text: str, width: int) -> str:
    """The text with zeros before it."""
    _fits(width)
    return text.zfill(width)


def _fits(characters: int) -> None:
    """Refuse before the memory is taken."""
    if characters > TEXT_MAX:
        raise ValueError(f"a text of {characters} characters; {TEXT_MAX} is the most")


def summed(items: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
    """The sum of numbers, or of a field of each element."""
    if not isinstance(start, int | float):
        raise TypeError(f"sum adds numbers, and {shown(start)[:40]!r} is none")
    return sum((value for value in (mapped(items, attribute) if attribute else items) if value is not OMIT), start)


def sort(items: Iterable[Any], reverse: bool = False, attribute: str | None = None) -> list[Any]:
    """The elements in order, by a field of each where one is named."""
    return sorted(items, key=(lambda element: dotted(element, attribute)) if attribute else None, reverse=reverse)


def selected(items: Iterable[Any], attribute: str, *equal: Any) -> list[Any]:
    """The elements whose field holds, or equals the value given."""
    return [x for x in items if (dotted(x, attribute) == equal[0] if equal else dotted(x, attribute))]


def rejected(items: Iterable[Any], attribute: str, *equal: Any) -> list[Any]:
    """The elements that `selected` leaves."""
    return [x for x in items if not (dotted(x, attribute) == equal[0] if equal else dotted(x, attribute))]


def default(value: Any, other: Any = "", boolean: bool = False) -> Any:
    """The other value where this one is omitted; with `true`, also where it is false or empty."""
    return other if value is OMIT or (boolean and not value) else value


def unique(items: Iterable[Any]) -> list[Any]:
    """The elements, each once, in the order they came."""
    kept: dict[Any, Any] = {}
    for element in items:
        kept.setdefault(_identity(element), element)
    return list(kept.values())


def _identity(value: Any) -> Any:
    """What equal values share and a dict can hold, so that a long list is not compared with itself."""
    if isinstance(value, list | dict):
        return as_json(value, orjson.OPT_SORT_KEYS)
    return value


def remainder(left: Any, right: Any) -> Any:
    """The remainder of numbers. Python's text formatting by % is not part of the language."""
    if isinstance(left, str):
        raise TypeError("% takes the remainder of numbers; join texts with ~")
    return left % right


def numbers(*ends: int) -> list[int]:
    """`range`, as a list."""
    span = range(*ends)
    if len(span) > ITEMS_MAX:
        raise ValueError(f"a range of {len(span)} numbers; {ITEMS_MAX} is the most")
    return list(span)


def whole(value: Any, other: Any = 0) -> int:
    """A whole number out of a text or a number; the other where there is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        try:
            return int(float(value))
        except (TypeError, ValueError, OverflowError):
            return int(other)


def decimal(value: Any, other: Any = 0.0) -> float:
    """A number out of a text; the other where there is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float(other)


def rounded(value: Any, digits: int = 0) -> Any:
    """A number to so many digits; to a whole number without."""
    if abs(digits) > DIGITS_MAX:
        raise ValueError(f"round to {digits} digits; {DIGITS_MAX} is the most")
    return round(value, digits) if digits else round(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "b64decode": lambda text: base64.b64decode(text, validate=True).decode(),
    "b64encode": lambda text: base64.b64encode(shown(text).encode()).decode(),
    "capitalize": lambda text: shown(text).capitalize(),
    "count": len,
    "d": default,
    "default": default,
    "first": lambda items: next(iter(items), OMIT),
    "float": decimal,
    "hash": hashed,
    "int": whole,
    "items": lambda mapping: [list(pair) for pair in mapping.items()] if isinstance(mapping, dict) else [],
    "join": joined,
    "keys": lambda mapping: list(mapping) if isinstance(mapping, dict) else [],
    "last": lambda items: item(list(items), -1),
    "length": len,
    "list": lambda items: list(items),
    "lower": lambda text: shown(text).lower(),
    "map": mapped,
    "max": lambda items: max(items, default=OMIT),
    "min": lambda items: min(items, default=OMIT),
    "reject": rejected,
    "rejectattr": rejected,
    "replace": replaced,
    "reverse": lambda items: items[::-1] if isinstance(items, str) else list(items)[::-1],
    "round": rounded,
    "select": selected,
    "selectattr": selected,
    "sort": sort,
    "split": lambda text, separator=None: shown(text).split(separator),
    "string": shown,
    "sum": summed,
    "title": lambda text: shown(text).title(),
    "tojson": lambda value: as_json(value).decode(),
    "trim": lambda text: shown(text).strip(),
    "unique": unique,
    "upper": lambda text: shown(text).upper(),
    "urlencode": lambda text: quote(shown(text), safe=""),
    "values": lambda mapping: list(mapping.values()) if isinstance(mapping, dict) else [],
}

TESTS: dict[str, Callable[..., bool]] = {
    "defined": lambda value: value is not OMIT,
    "undefined": lambda value: value is OMIT,
    "omitted": lambda value: value is OMIT,
    "none": lambda value: value is None,
    "null": lambda value: value is None,
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "mapping": lambda value: isinstance(value, dict),
    "sequence": lambda value: isinstance(value, list),
    "iterable": lambda value: isinstance(value, list | dict | str),
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "even": lambda value: remainder(value, 2) == 0,
    "odd": lambda value: remainder(value, 2) == 1,
    "divisibleby": lambda value, by: remainder(value, by) == 0,
    "in": lambda value, container: value in container,
    "eq": lambda value, other: value == other,
    "ne": lambda value, other: value != other,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "hash": hashed,
    "join": joined,
    "map": mapped,
    "max": max,
    "min": min,
    "range": numbers,
    "sum": summed,
}

TEXT_METHODS: dict[str, Callable[..., Any]] = {
    "count": str.count,
    "endswith": str.endswith,
    "find": str.find,
    "isdigit": str.isdigit,
    "lower": str.lower,
    "lstrip": str.lstrip,
    "removeprefix": str.removeprefix,
    "removesuffix": str.removesuffix,
    "replace": replaced,
    "rstrip": str.rstrip,
    "split": str.split,
    "splitlines": str.splitlines,
    "startswith": str.startswith,
    "strip": str.strip,
    "title": str.title,
    "upper": str.upper,
    "zfill": padded,
}

MAPPING_METHODS: dict[str, Callable[..., Any]] = {
    "get": lambda mapping, key, other=OMIT: mapping.get(key, other),
    "items": FILTERS["items"],
    "keys": FILTERS["keys"],
    "values": FILTERS["values"],
}
