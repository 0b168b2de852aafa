"""What every store promises, asked of each of them."""

from __future__ import annotations

import pytest

from simulator.core.events import ExchangeEnded
from simulator.core.records import Changes, Entry, Lease, Record, Scan, field_of, sort_of
from simulator.stores.base import Space, Store
from tests.stores.making import (
    KIND,
    entered,
    event,
    exchange,
    ids,
    keep,
    moved,
    numbers,
    put,
    record,
    scanned,
    seen,
    stored,
)


async def test_what_was_put_is_seen_by_the_next_view(space: Space) -> None:
    job = record("a", pages=3)
    assert await put(space, job)
    assert await stored(space, "a") == job
    assert await stored(space, "b") is None


async def test_a_put_of_version_one_needs_that_there_is_none(space: Space) -> None:
    assert await put(space, record("a"))
    assert not await put(space, record("a", 2))
    found = await stored(space, "a")
    assert found is not None
    assert found.ordinal == 1


@pytest.mark.parametrize("version", [2, 3])
async def test_a_put_of_version_n_needs_version_n_minus_one_stored(space: Space, version: int) -> None:
    assert not await put(space, record("a")._replace(version=version))
    assert await stored(space, "a") is None
    first = record("a")
    assert await put(space, first)
    assert await put(space, moved(first))
    assert not await put(space, moved(first))


async def test_a_remove_needs_the_very_version_it_names(space: Space) -> None:
    first = record("a")
    second = moved(first)
    await put(space, first)
    await put(space, second)
    assert not await space.commit(Changes(removes=(first,)), space.view())
    assert await space.commit(Changes(removes=(second,)), space.view())
    assert await stored(space, "a") is None
    assert not await space.commit(Changes(removes=(second,)), space.view())


async def test_the_puts_of_one_commit_build_on_each_other(space: Space) -> None:
    first = record("a")
    second = moved(first, state="done")
    assert await put(space, first, second)
    assert await stored(space, "a") == second


async def test_an_id_may_be_used_again_after_its_record_is_gone(space: Space) -> None:
    old, new = record("a", 1, due_ms=10), record("a", 2, due_ms=20)
    await put(space, old)
    assert await space.commit(Changes(removes=(old,)), space.view())
    assert await put(space, new)
    assert await ids(space) == ["a"]
    assert [due.ordinal for due in await space.due(100, 10)] == [2]


async def test_a_conflict_writes_nothing_at_all(space: Space) -> None:
    await put(space, record("a"))
    puts = (record("b", 2), record("a"))
    entries, adds, events = (Entry("key", 1),), (("count", 1),), (event(1),)
    assert not await space.commit(Changes(puts, (), entries, adds, events), space.view())
    assert await stored(space, "b") is None
    assert await entered(space, "key") is None
    assert space.view().count("count") == 0
    assert await numbers(space) == []


async def test_entries_are_set_and_removed(space: Space) -> None:
    await space.commit(Changes(entries=(Entry("key", {"owner": "a"}), Entry("other", 0))), space.view())
    assert await entered(space, "key") == {"owner": "a"}
    assert await entered(space, "other") == 0
    await space.commit(Changes(entries=(Entry("key", None),)), space.view())
    assert await entered(space, "key") is None


async def test_counters_add_up(space: Space) -> None:
    await space.commit(Changes(adds=(("n", 1), ("n", 2))), space.view())
    await space.commit(Changes(adds=(("n", -1), ("m", 5))), space.view())
    view = space.view()
    assert (view.count("n"), view.count("m"), view.count("never")) == (2, 5, 0)


async def test_two_spaces_never_see_each_other(store: Store) -> None:
    one, two = await store.space("one", "boot"), await store.space("two", "boot")
    changes = Changes((record("a", due_ms=5),), (), (Entry("key", 1),), (("n", 1),), (event(1),))
    await keep(one, changes)
    assert await stored(two, "a") is None
    assert await entered(two, "key") is None
    assert two.view().count("n") == 0
    assert await ids(two) == []
    assert await two.due(100, 10) == []
    assert two.next_due_ms() is None
    assert await numbers(two) == []
    assert await put(two, record("a"))
    await two.reset()
    assert await stored(one, "a") is not None


async def test_the_same_sandbox_is_the_same_space(store: Store) -> None:
    assert await store.space("one", "boot") is await store.space("one", "boot")


async def test_due_records_come_by_due_moment_then_kind_then_ordinal(space: Space) -> None:
    first, second, third = record("c", 1, due_ms=20), record("b", 2, due_ms=10), record("a", 3, due_ms=10)
    other = record("d", 9, due_ms=10)._replace(kind="documents.batch")
    await put(space, first, second, third, other, record("later", 5, due_ms=21), record("never", 6))
    assert space.next_due_ms() == 10
    assert [due.id for due in await space.due(20, 10)] == ["d", "b", "a", "c"]
    assert [due.id for due in await space.due(20, 2)] == ["d", "b"]
    assert await space.due(9, 10) == []


async def test_due_records_come_again_until_they_are_moved(space: Space) -> None:
    job = record("a", due_ms=10)
    await put(space, job)
    assert await space.due(10, 5) == await space.due(10, 5) == [job]
    await put(space, moved(job, due_ms=30))
    assert await space.due(10, 5) == []
    assert space.next_due_ms() == 30


async def test_a_moment_taken_back_and_set_again_comes_once(space: Space) -> None:
    job = record("a", due_ms=10)
    rest = moved(job, due_ms=None)
    again = moved(rest, due_ms=10)
    await put(space, job, rest, again)
    assert await space.due(10, 5) == [again]


async def test_a_removed_record_is_no_longer_due(space: Space) -> None:
    job = record("a", due_ms=10)
    await put(space, job)
    await space.commit(Changes(removes=(job,)), space.view())
    assert await space.due(100, 5) == []
    assert space.next_due_ms() is None


async def test_a_scan_goes_in_the_order_of_creation(space: Space) -> None:
    await put(space, record("b", 1), record("a", 2), record("c", 3))
    assert await ids(space) == ["b", "a", "c"]
    assert await ids(space, descending=True) == ["c", "a", "b"]
    assert await ids(space, kind="documents.other") == []


async def test_a_scan_sees_what_was_committed_just_now(space: Space) -> None:
    job = record("a")
    await put(space, job)
    assert (await scanned(space)).records == (job,)
    await put(space, moved(job, state="done"))
    assert await ids(space, where=(("state", "done"),)) == ["a"]
    assert await ids(space, where=(("state", "queued"),)) == []


async def test_filters_compare_text(space: Space) -> None:
    space.declare({KIND: ("n", "paid", "customer.name")})
    await put(
        space,
        record("a", 1, n=10, paid=True, customer={"name": "x"}),
        record("b", 2, n="10", paid=False, customer={"name": "y"}),
        record("c", 3, n=10.0, paid="true", customer={}),
        record("d", 4, n=10.5, paid=None, customer={"name": "x"}),
        record("e", 5, n=[10]),
    )
    assert await ids(space, where=(("n", "10"),)) == ["a", "b", "c"]
    assert await ids(space, where=(("n", "10.5"),)) == ["d"]
    assert await ids(space, where=(("paid", "true"),)) == ["a", "c"]
    assert await ids(space, where=(("customer.name", "x"),)) == ["a", "d"]
    assert await ids(space, where=(("customer.name", "x"), ("paid", "true"), ("state", "queued"))) == ["a"]
    assert await ids(space, where=(("id", "b"),)) == ["b"]
    assert await ids(space, where=(("id", "b"), ("n", "10")), by="n") == ["b"]
    assert await ids(space, where=(("n", ""),)) == []


async def test_numbers_order_before_texts_and_nothing_orders_as_the_empty_text(space: Space) -> None:
    space.declare({KIND: ("n",)})
    values: list[object] = ["b", 2, None, 10, "", -1.5, "B", True]
    await put(space, *(record(f"r{i}", i + 1, n=value) for i, value in enumerate(values)))
    upwards = ["r5", "r7", "r1", "r3", "r2", "r4", "r6", "r0"]
    assert await ids(space, by="n") == upwards
    assert await ids(space, by="n", descending=True) == upwards[::-1]


@pytest.mark.parametrize("by", ["", "id", "state", "n"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_put_together_are_the_whole_list(space: Space, by: str, descending: bool) -> None:
    space.declare({KIND: ("n",)})
    records = [record(f"r{i * 7 % 10}", i + 1, n=("x", 1, None, "y")[i % 4]) for i in range(10)]
    await put(space, *(each._replace(state=f"s{each.ordinal % 3}") for each in records))
    whole = await ids(space, by=by, descending=descending)
    paged: list[str] = []
    after, more = None, True
    while more:
        found = await scanned(space, by=by, descending=descending, after=after, most=3, total=True)
        assert found.total == 10
        paged += [each.id for each in found.records]
        last, more = found.records[-1], found.more
        after = (_sort(last, by), last.ordinal)
    assert paged == whole
    assert sorted(paged) == [f"r{i}" for i in range(10)]


def _sort(last: Record, by: str) -> float | str:
    return sort_of(field_of(last, by)) if by else "whatever"


async def test_a_page_can_begin_at_an_offset(space: Space) -> None:
    await put(space, *(record(f"r{i}", i) for i in range(1, 6)))
    found = await scanned(space, offset=1, most=2)
    assert [each.id for each in found.records] == ["r2", "r3"]
    assert found.more
    assert found.total is None
    assert not (await scanned(space, offset=3, most=2)).more
    assert (await scanned(space, offset=9, most=2, total=True)) == ((), False, 5)


async def test_scanning_by_a_field_that_nobody_declared_is_refused(space: Space) -> None:
    space.declare({KIND: ("paid",)})
    with pytest.raises(ValueError, match=r"'price'.*paid"):
        space.view().scan(Scan(KIND, (("price", "1"),)))
    with pytest.raises(ValueError, match="'price'"):
        space.view().scan(Scan(KIND, by="price"))


async def test_fields_declared_later_cover_what_is_already_there(space: Space) -> None:
    await put(space, record("a", 1, n=2, m=1), record("b", 2, n=1, m=1))
    assert await ids(space) == ["a", "b"]
    space.declare({KIND: ("n",)})
    assert await ids(space, by="n") == ["b", "a"]
    space.declare({KIND: ("m",)})
    await put(space, record("c", 3, n=0, m=1))
    assert await ids(space, where=(("m", "1"),)) == ["a", "b", "c"]
    space.declare({KIND: ("n", "m")})
    assert await ids(space, by="n", where=(("m", "1"),)) == ["c", "b", "a"]


async def test_the_journal_counts_from_one_without_gaps(space: Space) -> None:
    space.note(event(1))
    await space.commit(Changes(events=(event(2), event(3))), space.view())
    space.note(event(4))
    found = await space.journal(0, 10)
    assert [(each.number, each.boot, each.event) for each in found] == [(n, "boot-1", event(n)) for n in range(1, 5)]
    assert await numbers(space, after=2) == [3, 4]
    assert await numbers(space, after=1, most=2) == [2, 3]
    assert await numbers(space, after=4) == []


async def test_the_journal_can_be_asked_for_some_kinds_only(space: Space) -> None:
    for number in range(1, 7):
        space.note(event(number) if number % 3 else exchange())
    only = await space.journal(0, 10, frozenset({"exchange"}))
    assert [each.number for each in only] == [3, 6]
    assert [each.number for each in await space.journal(3, 1, frozenset({"control"}))] == [4]


async def test_the_journal_shows_no_credentials(space: Space) -> None:
    space.note(exchange())
    (found,) = await space.journal(0, 1)
    assert isinstance(found.event, ExchangeEnded)
    credential = str(list(found.event.headers)[1][1])
    assert credential.startswith("digest:")
    assert "sk_test_secret" not in repr(found)
    assert found.event.body == "asked"  # type: ignore[comparison-overlap]


async def test_the_journal_keeps_about_the_newest(space: Space) -> None:
    for number in range(1, 351):
        space.note(event(number))
        if number % 50 == 0:
            await numbers(space)
    kept = await numbers(space)
    assert kept == list(range(kept[0], 351))
    assert 100 <= len(kept) <= 200


async def test_reset_forgets_everything(space: Space, store: Store) -> None:
    changes = Changes((record("a", due_ms=5),), (), (Entry("key", 1),), (("n", 1),), (event(1),))
    for written in (False, True):
        await keep(space, changes)
        if written:
            await numbers(space)
        await space.reset()
        assert await stored(space, "a") is None
        assert await entered(space, "key") is None
        assert space.view().count("n") == 0
        assert await ids(space) == []
        assert space.next_due_ms() is None
        assert await space.due(100, 5) == []
        assert await numbers(space) == []
    await keep(space, changes)
    assert await numbers(space) == [1]
    assert await store.names() == ["default"]


async def test_a_declared_field_stays_declared_after_a_reset(space: Space) -> None:
    space.declare({KIND: ("n",)})
    await put(space, record("a", n=1))
    await space.reset()
    await put(space, record("b", 1, n=2), record("c", 2, n=1))
    assert await ids(space, by="n") == ["c", "b"]


async def test_a_dropped_sandbox_is_gone_and_can_begin_anew(store: Store) -> None:
    one = await store.space("one", "boot")
    await keep(one, Changes((record("a"),), (), (), (("n", 1),), (event(1),)))
    assert await store.names() == ["one"]
    await store.drop("one")
    assert await store.names() == []
    again = await store.space("one", "boot")
    assert again is not one
    assert await stored(again, "a") is None
    assert again.view().count("n") == 0
    await store.drop("never there")


async def test_a_sandbox_with_nothing_stored_has_no_name(store: Store) -> None:
    space = await store.space("one", "boot")
    assert await store.names() == []
    space.note(event(1))
    assert await store.names() == ["one"]


async def test_whatever_a_scenario_computes_can_be_kept(space: Space) -> None:
    await put(space, record("ä/ /\x00", 1, big=10**30, text="\ud83d", nested={"a": [None, True, 1.5]}))
    await ids(space)
    found = await stored(space, "ä/ /\x00")
    assert found is not None
    assert found.fields["nested"] == {"a": [None, True, 1.5]}


async def test_a_garbled_name_names_nothing(space: Space) -> None:
    await put(space, record("a"))
    await ids(space)
    assert await stored(space, "\udc80") is None
    assert await entered(space, "\udc80") is None
    assert await ids(space, where=(("id", "\udc80"),)) == []
    assert (await scanned(space, where=(("state", "\udc80"),), total=True)).total == 0


async def test_a_view_that_has_looked_sees_its_own_commit(space: Space) -> None:
    view = space.view()
    assert await seen(space, lambda look: look.record(KIND, "a"), view) is None
    await space.commit(Changes(puts=(record("a"),)), view)
    assert await seen(space, lambda look: look.record(KIND, "a"), view) == record("a")
    await space.kept(view)


async def test_what_an_exchange_holds_is_seen_until_it_lets_go(space: Space) -> None:
    one, other = Lease("key", "req_1"), Lease("key", "req_2")
    assert await space.commit(Changes(leases=(one,)), space.view())
    assert await space.commit(Changes(leases=(other,)), space.view())
    assert space.view().holders("key") == ("req_1", "req_2")
    space.leases.release((one,))
    assert space.view().holders("key") == ("req_2",)


async def test_a_conflict_holds_nothing(space: Space) -> None:
    assert not await space.commit(Changes((record("a")._replace(version=2),), leases=(Lease("k", "r"),)), space.view())
    assert space.view().holders("k") == ()


async def test_a_reset_lets_go_of_everything(space: Space) -> None:
    await space.commit(Changes(leases=(Lease("key", "req_1"),)), space.view())
    await space.reset()
    assert space.view().holders("key") == ()


async def test_counters_are_found_by_how_they_begin(space: Space) -> None:
    await space.commit(Changes(adds=(("cost/a", 1), ("cost/b", 2), ("other", 3))), space.view())
    assert await space.counts("cost/") == {"cost/a": 1, "cost/b": 2}
    assert await space.counts("none/") == {}
