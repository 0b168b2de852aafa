"""The bytes of a reply and the records of its page, as a fault leaves them: planned before the first byte is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simulator.core.chance import Chance
from simulator.core.damage import (
    Connection,
    ConnectionModel,
    Damage,
    Pages,
    Remains,
    bytes_per_s,
    cut_at,
    damages,
    remains,
    spoil_asked,
    spoil_page,
)
from simulator.core.pages import Asked, PageModel, asked, page_of
from simulator.core.records import Found, Record, Scan

CONNECTION: TypeAdapter[Any] = TypeAdapter(Connection)
KEY = b"k" * 32
MANY = [Record("shop.job", f"j{n}", n, 1, "", {}, 0, 0, 1, None, None, "") for n in range(1, 8)]
THENS: st.SearchStrategy[Any] = st.sampled_from(["close", "reset", "hang"])
DRIPS = st.integers(1, 10**6).map(lambda per_s: Damage("drip", bytes_per_s=per_s))
LENGTHS = st.tuples(st.booleans(), THENS).map(lambda drawn: Damage("length", longer=drawn[0], then=drawn[1]))
SHARES = st.tuples(st.floats(0, 0.999), THENS).map(lambda drawn: Damage("truncate", share=drawn[0], then=drawn[1]))
CUTS = st.tuples(st.integers(0, 2000), THENS).map(lambda drawn: Damage("truncate", at=drawn[0], then=drawn[1]))
DAMAGES = st.lists(DRIPS | LENGTHS | SHARES | CUTS, max_size=4)


def left(connection: Any, length: int = 100, named: str = "faults/a/request/1") -> Remains:
    return remains(damages(CONNECTION.validate_python(connection), Chance(7), named), length)


@pytest.mark.parametrize("ending", ["reset", "close", "hang"])
def test_a_connection_may_end_without_a_reply(ending: Any) -> None:
    assert left(ending) == Remains(0, ending=ending, silent=True)


def test_garbage_is_no_reply_and_the_same_with_the_same_seed() -> None:
    made = left("garbage")
    assert (made.silent, made.ending, len(made.raw)) == (True, "close", 65)
    assert made.raw[:1] not in (b"H", b"h")
    assert made == left("garbage")
    assert made != left("garbage", named="faults/a/request/2")


@pytest.mark.parametrize(("cut", "sent"), [(0.5, 50), (0, 0), (0.999, 99), ("20B", 20), (20, 20)])
def test_a_body_is_cut_at_a_share_or_at_a_byte_and_declared_whole(cut: Any, sent: int) -> None:
    assert left({"truncate": cut}) == Remains(sent, 100, ending="close")


@pytest.mark.parametrize("cut", ["1kB", 100])
def test_a_cut_behind_the_end_leaves_the_body_whole(cut: Any) -> None:
    assert left({"truncate": cut}) == Remains(100, ending="close")


@pytest.mark.parametrize("then", ["close", "reset", "hang"])
@pytest.mark.parametrize("suffers", [{"truncate": 0.5}, {"length": "longer"}])
def test_after_it_the_connection_ends_as_it_is_told(suffers: dict[str, Any], then: str) -> None:
    assert left({**suffers, "then": then}).ending == then


@pytest.mark.parametrize(("length", "told"), [(100, 150), (1, 2), (0, 1)])
def test_a_longer_length_announces_bytes_that_never_come(length: int, told: int) -> None:
    assert left({"length": "longer"}, length) == Remains(length, told, ending="close")


@pytest.mark.parametrize(("length", "told"), [(100, 50), (1, 0), (0, 1)])
def test_a_shorter_length_leaves_bytes_over(length: int, told: int) -> None:
    assert left({"length": "shorter"}, length) == Remains(length, told, ending="close")


def test_a_wrong_length_is_drawn_longer_or_shorter() -> None:
    told = [left({"length": "wrong"}, named=f"faults/a/request/{n}").declared for n in range(1, 30)]
    assert {*told} == {50, 150}


@pytest.mark.parametrize(
    ("pace", "per_s"), [("100/s", 100), ("1kB/s", 1000), ("1/s", 1), ("90/m", 1), ("1MiB/s", 2**20)]
)
def test_a_drip_has_its_pace_and_leaves_the_body_whole(pace: str, per_s: int) -> None:
    assert left({"drip": pace}) == Remains(100, bytes_per_s=per_s)


@given(DAMAGES, st.integers(0, 10_000))
def test_of_several_damages_the_worst_is_felt(found: list[Damage], length: int) -> None:
    made = remains(found, length)
    cuts = [int(length * cut.share) if cut.share is not None else cut.at for cut in found if cut.kind == "truncate"]
    assert made.sent == min([length, *(cut for cut in cuts if cut is not None)])
    assert made.bytes_per_s == min((damage.bytes_per_s for damage in found if damage.kind == "drip"), default=None)
    assert (made.ending != "normal") == any(damage.kind != "drip" for damage in found)
    if not any(damage.kind == "length" for damage in found):
        assert (made.sent if made.declared is None else made.declared) == length


@given(DAMAGES, st.sampled_from(["reset", "close", "hang", "garbage"]), DAMAGES)
def test_what_leaves_no_reply_leaves_nothing_else(before: list[Damage], kind: Any, after: list[Damage]) -> None:
    assert remains([*before, Damage(kind), *after], 100) == remains([Damage(kind)], 100)


def test_what_is_not_damaged_goes_out_whole() -> None:
    assert remains((), 100) == Remains(100)


@pytest.mark.parametrize("value", ["1/m", "0.5/s", "100/15m", "fast", 5])
def test_what_is_no_pace_of_a_drip_is_told(value: object) -> None:
    with pytest.raises(ValueError, match=r"less than a byte a second|is no rate"):
        bytes_per_s(value)


@pytest.mark.parametrize("value", [1.5, 1.0, -1, -0.5, True, None, "half", [1]])
def test_what_is_no_cut_is_told(value: object) -> None:
    with pytest.raises(ValueError, match=r"is no (share|size)"):
        cut_at(value)


@pytest.mark.parametrize(
    ("connection", "why"),
    [
        ({}, "one or more of truncate, drip and length"),
        ({"then": "hang"}, "one or more of truncate, drip and length"),
        ({"drip": "100/s", "then": "hang"}, "then goes with truncate or length"),
        ({"drip": "100"}, "'100' is no rate"),
    ],
)
def test_a_connection_that_suffers_nothing_is_told(connection: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ConnectionModel.model_validate(connection)
    assert why in str(caught.value)


@pytest.mark.parametrize("connection", ["reset", {"truncate": 0.5, "then": "reset"}, {"drip": "1kB/s"}])
def test_a_connection_is_dumped_as_it_was_written(connection: Any) -> None:
    assert CONNECTION.dump_python(CONNECTION.validate_python(connection), exclude_unset=True) == connection


def page(model: PageModel, query: dict[str, str], *kinds: tuple[Pages, float]) -> tuple[list[str], dict[str, Any]]:
    """The ids on a page of seven records, and what the page says of itself."""
    want = asked(model, Scan("shop.job"), query, KEY, lambda id_: next(r for r in MANY if r.id == id_))
    changed = spoil_asked([kind for kind, _ in kinds], want)
    found = look(changed)
    shown = spoil_page(kinds, want, found, model.style == "cursor")
    ids = [record.id for record in shown.records]
    made = page_of(model, changed, shown.found, ids, "http://a.test/jobs", b"", KEY)
    return ids, {**made.fields, "stays": shown.stays}


def look(want: Asked) -> Found:
    after = want.scan.after[1] if want.scan.after else 0
    left = [record for record in MANY if record.ordinal > after][want.scan.offset :]
    return Found(tuple(left[: want.scan.most]), len(left) > want.scan.most)


def walk(model: PageModel, *kinds: tuple[Pages, float], sick: int, most: int = 10) -> list[list[str]]:
    """The pages that a client sees who follows the links; the one numbered `sick` is struck."""
    pages: list[list[str]] = []
    query: dict[str, str] = {}
    while len(pages) < most:
        ids, said = page(model, query, *(kinds if len(pages) + 1 == sick else ()))
        pages.append(ids)
        if not said["has_more"]:
            break
        query = query if said["stays"] else {model.name: str(said["next"])}
    return pages


BY_CURSOR = PageModel(style="cursor", size=3)
BY_ID = PageModel(style="cursor", size=3, cursor="id")
BY_OFFSET = PageModel(style="offset", size=3)
BY_NUMBER = PageModel(style="number", size=3)
EVERY = pytest.mark.parametrize("model", [BY_CURSOR, BY_ID, BY_OFFSET, BY_NUMBER])


@EVERY
def test_a_page_that_is_not_struck_is_whole(model: PageModel) -> None:
    assert walk(model, sick=0) == [["j1", "j2", "j3"], ["j4", "j5", "j6"], ["j7"]]


@EVERY
@pytest.mark.parametrize("sick", [1, 2, 3])
def test_a_duplicate_is_seen_twice_and_nothing_is_lost(model: PageModel, sick: int) -> None:
    seen = [id_ for ids in walk(model, ("duplicate", 0.5), sick=sick) for id_ in ids]
    assert len(seen) == 8
    assert {*seen} == {record.id for record in MANY}


def test_a_duplicate_is_the_last_of_the_page_before() -> None:
    assert walk(BY_OFFSET, ("duplicate", 0.5), sick=2)[1] == ["j3", "j4", "j5", "j6"]
    assert walk(BY_CURSOR, ("duplicate", 0.5), sick=1)[1] == ["j3", "j4", "j5"]


def test_a_page_of_one_record_cannot_begin_with_the_last_of_the_one_before() -> None:
    pages = walk(PageModel(style="cursor", size=1), ("duplicate", 0.5), sick=1)
    assert pages[:2] == [["j1", "j1"], ["j2"]]


def test_without_another_page_the_first_record_is_shown_twice() -> None:
    assert walk(BY_CURSOR, ("duplicate", 0.5), sick=3)[2] == ["j7", "j7"]
    assert walk(BY_OFFSET, ("duplicate", 0.5), sick=1)[0] == ["j1", "j1", "j2", "j3"]


@EVERY
@given(unit=st.floats(0, 0.999), sick=st.integers(1, 3))
def test_a_missing_record_is_on_no_page(model: PageModel, unit: float, sick: int) -> None:
    healthy, pages = walk(model, sick=0), walk(model, ("missing", unit), sick=sick)
    assert len({*healthy[sick - 1]} - {*pages[sick - 1]}) == 1
    assert [ids for n, ids in enumerate(pages, 1) if n != sick] == [
        ids for n, ids in enumerate(healthy, 1) if n != sick
    ]


@EVERY
def test_an_empty_page_leads_on_and_nothing_is_lost(model: PageModel) -> None:
    assert walk(model, ("empty", 0.5), sick=2) == [["j1", "j2", "j3"], [], ["j4", "j5", "j6"], ["j7"]]
    assert walk(model, ("empty", 0.5), sick=3) == [["j1", "j2", "j3"], ["j4", "j5", "j6"], [], ["j7"]]


def test_a_first_page_has_no_cursor_that_leads_to_it_so_it_is_not_emptied() -> None:
    assert walk(BY_CURSOR, ("empty", 0.5), sick=1)[0] == ["j1", "j2", "j3"]
    assert walk(BY_OFFSET, ("empty", 0.5), sick=1)[0] == []


@EVERY
def test_a_page_repeats_for_ever(model: PageModel) -> None:
    query: dict[str, str] = {}
    seen = []
    for _ in range(5):
        ids, said = page(model, query, ("repeat", 0.5))
        seen.append(ids)
        assert said["has_more"]
        query = {model.name: str(said["next"])}
    assert seen == [["j1", "j2", "j3"]] * 5


@pytest.mark.parametrize("kind", ["duplicate", "missing", "empty", "repeat"])
def test_a_list_without_records_stays_as_it_is(kind: Pages) -> None:
    want = asked(BY_OFFSET, Scan("shop.job"), {}, KEY)
    nothing = Found((), False)
    assert spoil_page([(kind, 0.5)], want, nothing, False)[:2] == ((), nothing)


def test_several_faults_spoil_a_page_one_after_the_other() -> None:
    ids, _ = page(BY_CURSOR, {}, ("missing", 0), ("duplicate", 0.5))
    assert ids == ["j2", "j3"]
    ids, _ = page(BY_OFFSET, {}, ("missing", 0), ("duplicate", 0.5))
    assert ids == ["j2", "j2", "j3"]
