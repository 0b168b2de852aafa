"""`page:` cursor, offset and page number, and the Link header.

Rules: paging goes by key, not by snapshot: what is created or deleted meanwhile neither repeats nor hides the
others (offset and page number count live, as they do everywhere); a cursor is opaque, signed, and good only for
the query it was made for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.core.omit import OMIT
from simulator.core.records import Found, Record, Scan, field_of, sort_of
from simulator.core.refusals import Refused
from simulator.core.values import wrong_at

PARAMETERS = {"cursor": "cursor", "offset": "offset", "number": "page"}
PAGE_FIELDS = (
    "items",
    "size",
    "next",
    "has_more",
    "total",
    "pages",
    "offset",
    "number",
    "next_url",
    "first_url",
    "prev_url",
)
OFFSET_MAX = 10_000_000  # beyond any list; keeps a hostile number out of the store
UNPAGED_MAX = 1000  # records on the one page of a list without `page`
MAC_BYTES = 8


class PageModel(BaseModel):
    """How a list is cut into pages."""

    model_config = ConfigDict(extra="forbid")

    style: Literal["cursor", "offset", "number"] = Field("cursor", description="What the client sends to get on")
    size: int = Field(20, ge=1, le=UNPAGED_MAX, description="Records on a page")
    max: int = Field(100, ge=1, le=UNPAGED_MAX, description="The most a client can ask for; more gives this many")
    size_parameter: str = Field("limit", description="The query parameter that asks for a size")
    cursor: Literal["opaque", "id"] = Field(
        "opaque", description="What a cursor is: a signed token, or the id of the last record seen"
    )
    parameter: str | None = Field(None, description="The query parameter: `cursor`, `offset` or `page` by default")
    first: int = Field(1, ge=0, le=1, description="The number of the first page, for style number")
    link: bool = Field(False, description="Send a Link header (RFC 8288) with next, first and prev")

    @model_validator(mode="after")
    def _size_within_max(self) -> PageModel:
        if self.size > self.max:
            raise wrong_at("size", f"size {self.size} is above max {self.max}; raise max or lower size")
        if self.cursor == "id" and self.style != "cursor":
            raise wrong_at("cursor", f"cursor goes with style cursor, not {self.style}; take it out")
        return self

    @property
    def name(self) -> str:
        """The query parameter that says where the page begins."""
        return self.parameter or PARAMETERS[self.style]


class Asked(NamedTuple):
    """Which page a request asks for."""

    scan: Scan
    size: int
    offset: int
    number: int
    cursor: str | None
    binding: bytes  # what a cursor of this list is bound to


Find = Callable[[str], Record | None]


def asked(
    model: PageModel | None, scan: Scan, query: Mapping[str, str], key: bytes, find: Find = lambda _: None
) -> Asked:
    """The page a query means, as a scan; `find` looks up the record of an id. Raises Refused."""
    if model is None:
        return Asked(scan._replace(most=UNPAGED_MAX), UNPAGED_MAX, 0, 1, None, b"")
    size = min(_whole(query, model.size_parameter, model.size, 1), model.max)
    scan = scan._replace(most=size, total=scan.total)
    binding = hashlib.blake2b(repr(scan[:4]).encode(), digest_size=8).digest()
    if model.style == "cursor":
        cursor = query.get(model.name)
        after = _after(model, scan.by, cursor, binding, key, find) if cursor else None
        return Asked(scan._replace(after=after), size, 0, 1, cursor or None, binding)
    if model.style == "offset":
        offset = _whole(query, model.name, 0, 0)
        return Asked(scan._replace(offset=offset), size, offset, offset // size + 1, None, binding)
    number = _whole(query, model.name, model.first, model.first)
    offset = min((number - model.first) * size, OFFSET_MAX)
    return Asked(scan._replace(offset=offset), size, offset, number, None, binding)


class Page(NamedTuple):
    """The answer to a list: `page` in templates, the Link header, and the cursor that leads on."""

    fields: dict[str, Any]
    link: bytes | None
    next_cursor: str | None


def page_of(
    model: PageModel | None,
    want: Asked,
    found: Found,
    items: list[Any],
    url: str,
    query_string: bytes,
    key: bytes,
    stays: bool = False,
) -> Page:
    """The page that was found. `url` is the list's own address, without its query; `stays` leads here once more."""
    cursor = None
    if model and model.style == "cursor" and found.more:
        cursor = want.cursor if stays else _next_cursor(model, want, found, key)
    steps = _steps(model, want, found, cursor, stays)
    links = {rel: _address(url, query_string, model, step) for rel, step in steps.items()} if model else {}
    fields = {
        "items": items,
        "size": want.size,
        "next": steps.get("next", OMIT),
        "has_more": found.more,
        "total": OMIT if found.total is None else found.total,
        "pages": OMIT if found.total is None else -(-found.total // want.size),
        "offset": want.offset,
        "number": want.number,
        **{f"{rel}_url": links.get(rel, OMIT) for rel in ("next", "first", "prev")},
    }
    header = ", ".join(f'<{address}>; rel="{rel}"' for rel, address in links.items())
    return Page(fields, header.encode() if model and model.link and header else None, cursor)


def default_envelope(model: PageModel | None) -> Any:
    """The body of a list whose operation says none."""
    if model is None:
        return "{{ page.items }}"
    if model.style == "cursor":
        return {"items": "{{ page.items }}", "next_cursor": "{{ page.next }}", "has_more": "{{ page.has_more }}"}
    place = "offset" if model.style == "offset" else "number"
    shown = {"offset": "offset", "number": "page"}[place]
    return {
        "items": "{{ page.items }}",
        "total": "{{ page.total }}",
        shown: f"{{{{ page.{place} }}}}",
        "size": "{{ page.size }}",
    }


def make_cursor(after: tuple[float | str, int], binding: bytes, key: bytes) -> str:
    """An opaque, signed token for 'behind this record, in this list'."""
    body = orjson.dumps(after)
    return base64.urlsafe_b64encode(_mac(body, binding, key) + body).decode().rstrip("=")


def read_cursor(cursor: str, binding: bytes, key: bytes) -> tuple[float | str, int]:
    """What `make_cursor` put in. Raises Refused where the token is not ours or is for another query."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if hmac.compare_digest(raw[:MAC_BYTES], _mac(raw[MAC_BYTES:], binding, key)):
            value, ordinal = orjson.loads(raw[MAC_BYTES:])
            return value, ordinal
    except (ValueError, binascii.Error):
        pass
    raise Refused("invalid", "The page token is not one that this list gave out for this query.")


def _mac(body: bytes, binding: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body + binding, key=key, digest_size=MAC_BYTES).digest()


def _after(model: PageModel, by: str, cursor: str, binding: bytes, key: bytes, find: Find) -> tuple[float | str, int]:
    """Behind which record the page begins. Raises Refused."""
    if model.cursor == "opaque":
        return read_cursor(cursor, binding, key)
    last = find(cursor)
    if last is None:
        raise Refused("invalid", f"The query parameter {model.name!r} is a record's id, and {cursor[:80]!r} is none.")
    return _position(last, by)


def _position(record: Record, by: str) -> tuple[float | str, int]:
    return sort_of(field_of(record, by)) if by else 0, record.ordinal


def _next_cursor(model: PageModel, want: Asked, found: Found, key: bytes) -> str:
    last = found.records[-1]
    return last.id if model.cursor == "id" else make_cursor(_position(last, want.scan.by), want.binding, key)


def _steps(model: PageModel | None, want: Asked, found: Found, cursor: str | None, stays: bool) -> dict[str, Any]:
    """For each link relation, the value of the page parameter; None means without it."""
    if model is None:
        return {}
    if model.style == "cursor":
        return ({"next": cursor} if cursor else {}) | ({"first": None} if want.cursor else {})
    unit = want.size if model.style == "offset" else 1
    here = want.offset if model.style == "offset" else want.number
    begin = 0 if model.style == "offset" else model.first
    on = {"next": here + (0 if stays else unit)} if found.more else {}
    back = {"first": begin, "prev": max(here - unit, begin)} if here > begin else {}
    return on | back


def _address(url: str, query_string: bytes, model: PageModel, step: Any) -> str:
    pairs = [
        (name, value)
        for name, value in parse_qsl(query_string.decode("utf-8", "replace"), keep_blank_values=True)
        if name != model.name
    ]
    query = urlencode([*pairs, *([] if step is None else [(model.name, step)])])
    return f"{url}?{query}" if query else url


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not least <= int(text) <= OFFSET_MAX:
        raise Refused(
            "invalid",
            f"The query parameter {name!r} is a whole number from {least} to {OFFSET_MAX}, not {text[:40]!r}.",
        )
    return int(text)
