"""Pages begin where they were asked to, their links lead on, and no cursor works but the one that was given out."""

from __future__ import annotations

import base64
import contextlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.core.omit import OMIT
from simulator.core.pages import (
    OFFSET_MAX,
    PAGE_FIELDS,
    UNPAGED_MAX,
    Page,
    PageModel,
    asked,
    default_envelope,
    make_cursor,
    page_of,
    read_cursor,
)
from simulator.core.places import nowhere
from simulator.core.records import Found, Record, Scan
from simulator.core.refusals import Refused
from simulator.core.templates import EVERYWHERE, compile_value
from tests.core.compiled import scope

KEY, BINDING = b"k" * 32, b"b" * 8
SCAN = Scan("shop.order")
AFTERS = st.tuples(
    st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(1, 2**53),
)


def records(count: int) -> tuple[Record, ...]:
    return tuple(
        Record("shop.order", f"o{n}", n, 1, "NEW", {"price": 100 - n}, 0, 0, 1, None, None, "")
        for n in range(1, count + 1)
    )


def paged(model: PageModel, query: str, *, more: bool = False, total: int | None = None, scan: Scan = SCAN) -> Page:
    want = asked(model, scan, dict(parse_qsl(query)), KEY)
    return page_of(model, want, Found(records(2), more, total), ["a", "b"], "http://a.test/orders", query.encode(), KEY)


@given(AFTERS, st.binary(max_size=16), st.binary(min_size=1, max_size=64))
def test_a_cursor_says_what_was_put_in(after: tuple[float | str, int], binding: bytes, key: bytes) -> None:
    cursor = make_cursor(after, binding, key)
    assert read_cursor(cursor, binding, key) == after
    assert cursor.replace("-", "a").replace("_", "a").isalnum()


@given(AFTERS, st.data())
def test_a_tampered_cursor_leads_nowhere_else(after: tuple[float | str, int], data: Any) -> None:
    cursor = make_cursor(after, BINDING, KEY)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused):
        read_cursor(base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), BINDING, KEY)


@given(AFTERS)
def test_a_cursor_of_another_query_or_key_is_refused(after: tuple[float | str, int]) -> None:
    cursor = make_cursor(after, BINDING, KEY)
    for binding, key in ((b"other", KEY), (BINDING, b"other")):
        with pytest.raises(Refused, match="is not one that this list gave out for this query"):
            read_cursor(cursor, binding, key)


@given(st.text() | st.text("abcAZ09-_=", max_size=40))
def test_any_text_as_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_cursor(text, BINDING, KEY)
    assert refused.value.kind == "invalid"


@pytest.mark.parametrize(
    "other",
    [
        SCAN._replace(kind="shop.item"),
        SCAN._replace(where=(("state", "NEW"),)),
        SCAN._replace(by="price"),
        SCAN._replace(descending=True),
    ],
)
def test_a_cursor_is_good_only_for_the_list_it_came_from(other: Scan) -> None:
    cursor = paged(PageModel(), "", more=True).next_cursor
    assert asked(PageModel(), SCAN, {"cursor": cursor or ""}, KEY).scan.after == (0, 2)
    with pytest.raises(Refused):
        asked(PageModel(), other, {"cursor": cursor or ""}, KEY)


def test_a_cursor_may_be_the_id_of_the_last_record_seen() -> None:
    model, known = PageModel(cursor="id", parameter="starting_after"), {record.id: record for record in records(2)}
    scan = SCAN._replace(by="price")
    page = paged(model, "", more=True, scan=scan)
    assert (page.next_cursor, page.fields["next"]) == ("o2", "o2")
    want = asked(model, scan, {"starting_after": "o2"}, KEY, known.get)
    assert want.scan.after == (98.0, 2)
    assert asked(model, SCAN, {"starting_after": "o2"}, KEY, known.get).scan.after == (0, 2)
    with pytest.raises(Refused, match="'starting_after' is a record's id, and 'o3' is none"):
        asked(model, scan, {"starting_after": "o3"}, KEY, known.get)


def test_a_client_may_change_the_size_on_the_way() -> None:
    cursor = paged(PageModel(), "limit=2", more=True).next_cursor
    want = asked(PageModel(), SCAN, {"cursor": cursor or "", "limit": "50"}, KEY)
    assert (want.scan.after, want.scan.most, want.cursor) == ((0, 2), 50, cursor)


def test_a_cursor_carries_the_value_that_the_list_is_ordered_by() -> None:
    cursor = paged(PageModel(), "", more=True, scan=SCAN._replace(by="price")).next_cursor
    assert asked(PageModel(), SCAN._replace(by="price"), {"cursor": cursor or ""}, KEY).scan.after == (98.0, 2)


@pytest.mark.parametrize(
    ("written", "query", "most", "offset", "number"),
    [
        ({}, {}, 20, 0, 1),
        ({}, {"limit": "5", "cursor": ""}, 5, 0, 1),
        ({"max": 50}, {"limit": "500"}, 50, 0, 1),
        ({"size_parameter": "per_page"}, {"per_page": "7", "limit": "x"}, 7, 0, 1),
        ({"style": "offset"}, {"offset": "40"}, 20, 40, 3),
        ({"style": "offset", "parameter": "skip"}, {"skip": "0", "limit": ""}, 20, 0, 1),
        ({"style": "number"}, {"page": "3"}, 20, 40, 3),
        ({"style": "number", "first": 0}, {"page": "3"}, 20, 60, 3),
        ({"style": "number", "first": 0}, {}, 20, 0, 0),
        ({"style": "number", "max": 1000, "size": 1000}, {"page": str(OFFSET_MAX)}, 1000, OFFSET_MAX, OFFSET_MAX),
    ],
)
def test_a_query_asks_for_a_page(
    written: dict[str, Any], query: dict[str, str], most: int, offset: int, number: int
) -> None:
    want = asked(PageModel.model_validate(written), SCAN, query, KEY)
    assert (want.scan.most, want.size, want.scan.offset, want.offset, want.number) == (
        most,
        most,
        offset,
        offset,
        number,
    )


def test_a_list_without_page_is_one_page() -> None:
    want = asked(None, SCAN, {"limit": "x"}, KEY)
    assert (want.scan, want.size) == (SCAN._replace(most=UNPAGED_MAX), UNPAGED_MAX)
    page = page_of(None, want, Found(records(2), True), ["a"], "http://a.test", b"", KEY)
    assert (page.fields["items"], page.fields["has_more"], page.link, page.next_cursor) == (["a"], True, None, None)


@pytest.mark.parametrize(
    "text", ["0", "-1", "x", "1.5", "+1", " 1", "1e3", "٣", "²", "9" * 12, "9" * 10_000, str(OFFSET_MAX + 1), "1_0"]
)
def test_a_number_that_no_page_has_is_refused(text: str) -> None:
    for name, model in (("limit", PageModel()), ("page", PageModel(style="number"))):
        with pytest.raises(Refused, match=f"'{name}' is a whole number from 1 to {OFFSET_MAX}") as refused:
            asked(model, SCAN, {name: text}, KEY)
        assert len(str(refused.value)) < 200


@given(st.text(max_size=20))
def test_any_offset_is_taken_or_refused(text: str) -> None:
    with contextlib.suppress(Refused):
        assert 0 <= asked(PageModel(style="offset"), SCAN, {"offset": text}, KEY).offset <= OFFSET_MAX


@pytest.mark.parametrize(
    ("style", "query", "more", "links"),
    [
        ("offset", "", False, {}),
        ("offset", "", True, {"next": "offset=20"}),
        ("offset", "offset=40", True, {"next": "offset=60", "first": "offset=0", "prev": "offset=20"}),
        ("offset", "offset=5", False, {"first": "offset=0", "prev": "offset=0"}),
        ("number", "", True, {"next": "page=2"}),
        ("number", "page=3", True, {"next": "page=4", "first": "page=1", "prev": "page=2"}),
        ("number", "page=1", False, {}),
        ("cursor", "", False, {}),
    ],
)
def test_links_lead_on_and_back(style: Any, query: str, more: bool, links: dict[str, str]) -> None:
    page = paged(PageModel(style=style, link=True), query, more=more)
    urls = {rel: f"http://a.test/orders?{step}" for rel, step in links.items()}
    assert {rel: page.fields[f"{rel}_url"] for rel in ("next", "first", "prev")} == {
        rel: urls.get(rel, OMIT) for rel in ("next", "first", "prev")
    }
    header = ", ".join(f'<{url}>; rel="{rel}"' for rel, url in urls.items())
    assert page.link == (header.encode() if links else None)


def test_links_keep_the_rest_of_the_query() -> None:
    page = paged(PageModel(style="offset"), "state=a%26b&offset=20&q=%C3%A9>;&limit=20&empty=", more=True)
    query = dict(parse_qsl(urlsplit(page.fields["next_url"]).query, keep_blank_values=True))
    assert query == {"state": "a&b", "q": "é>;", "limit": "20", "empty": "", "offset": "40"}
    assert not set(page.fields["next_url"]) & set("<>; \r\n")


@given(st.binary(max_size=40))
def test_no_query_breaks_the_link_header(query: bytes) -> None:
    model = PageModel(style="number", link=True)
    want = asked(model, SCAN, {"page": "2"}, KEY)
    page = page_of(model, want, Found(records(1), True), [], "http://a.test/orders", query, KEY)
    assert page.link is not None
    assert page.link.count(b"<") == page.link.count(b">") == page.link.count(b"; rel=") == 3
    assert not set(page.link) & set(b"\r\n\0")


def test_following_the_next_links_of_cursors_goes_forward() -> None:
    model = PageModel(link=True)
    first = paged(model, "state=NEW", more=True)
    query = urlsplit(first.fields["next_url"]).query
    assert dict(parse_qsl(query)) == {"state": "NEW", "cursor": first.fields["next"]}
    second = paged(model, query, more=False)
    assert (second.next_cursor, second.fields["next"], second.fields["next_url"]) == (None, OMIT, OMIT)
    assert second.fields["first_url"] == "http://a.test/orders?state=NEW"
    assert paged(model, f"cursor={first.next_cursor}").fields["first_url"] == "http://a.test/orders"


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (None, OMIT)])
def test_pages_are_counted_where_the_total_is_known(total: int | None, pages: object) -> None:
    fields = paged(PageModel(), "", total=total).fields
    assert (fields["total"], fields["pages"]) == (OMIT if total is None else total, pages)
    assert tuple(fields) == PAGE_FIELDS


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (None, ["a", "b"]),
        (PageModel(), {"items": ["a", "b"], "has_more": False}),
        (PageModel(style="offset"), {"items": ["a", "b"], "total": 5, "offset": 0, "size": 20}),
        (PageModel(style="number"), {"items": ["a", "b"], "total": 5, "page": 1, "size": 20}),
    ],
)
def test_a_list_that_says_nothing_has_an_envelope(model: PageModel | None, body: object) -> None:
    place = nowhere()
    value = compile_value(default_envelope(model), place, EVERYWHERE.plus(page=PAGE_FIELDS))
    want = asked(model, SCAN, {}, KEY)
    page = page_of(model, want, Found(records(2), False, 5), ["a", "b"], "http://a.test", b"", KEY)
    assert not place.complaints
    assert value.of(scope(page=page.fields)) == body


@pytest.mark.parametrize(
    "written",
    [
        {"size": 0},
        {"size": 101},
        {"max": 1001},
        {"first": 2},
        {"style": "page"},
        {"sise": 1},
        {"style": "offset", "cursor": "id"},
    ],
)
def test_a_page_that_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PageModel.model_validate(written)
