"""The nearest due moments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.stores.wakes import NOTHING_YET, WAKES_MAX, Row, Wakes


def row(due_ms: int, ordinal: int = 1) -> Row:
    return due_ms, "kind", ordinal, f"id-{ordinal}"


def never(row: Row) -> bool:
    return False


def test_an_empty_heap_has_no_next() -> None:
    assert Wakes().next_ms(never) is None


def test_due_rows_come_in_order_and_stay() -> None:
    wakes = Wakes()
    for due_ms in (30, 10, 20):
        wakes.add(row(due_ms))
    assert wakes.nearest(20, 9, never) == [row(10), row(20)]
    assert wakes.nearest(20, 1, never) == [row(10)]
    assert wakes.next_ms(never) == 10


def test_stale_and_double_rows_go() -> None:
    wakes = Wakes()
    for due_ms in (10, 20, 20, 30):
        wakes.add(row(due_ms))
    stale = row(10).__eq__
    assert wakes.next_ms(stale) == 20
    assert wakes.nearest(99, 9, stale) == [row(20), row(30)]
    assert len(wakes.heap) == 2


def test_the_heap_is_bounded_and_the_horizon_says_where_it_ends() -> None:
    wakes = Wakes(most=8)
    for ordinal in range(1000):
        wakes.add(row(5, ordinal))
        assert len(wakes.heap) <= 8
    assert wakes.horizon is not None
    assert not wakes.beyond(4)
    assert wakes.beyond(5)


def test_of_two_hundred_thousand_rows_the_nearest_are_kept() -> None:
    wakes = Wakes()
    for number in range(200_000):
        wakes.add(row(number * 7919 % 200_000, number))
    assert len(wakes.heap) <= WAKES_MAX
    assert [due_ms for due_ms, *_ in wakes.nearest(99, 100, never)] == list(range(100))


def test_a_drained_heap_says_when_to_look_into_the_file() -> None:
    wakes = Wakes(horizon=row(50))
    assert wakes.next_ms(never) == 50


def test_what_comes_while_the_file_is_read_is_not_lost() -> None:
    wakes = Wakes(most=8, horizon=row(10))
    after = wakes.refilling()
    assert after == row(10)
    wakes.add(row(15, 2))
    wakes.add(row(99, 3))
    wakes.refilled(after, [row(20, 4)], complete=False)
    assert wakes.horizon == row(20, 4)
    assert sorted(wakes.heap) == [row(15, 2), row(20, 4)]
    assert wakes.refilling() is not None
    wakes.abandoned()
    wakes.add(row(98, 3))
    assert len(wakes.heap) == 2


def test_an_answer_that_is_out_of_date_is_dropped() -> None:
    wakes = Wakes(most=4, horizon=row(10))
    after = wakes.refilling()
    assert after is not None
    for ordinal in range(5):
        wakes.add(row(1, ordinal))
    shrunk = wakes.horizon
    wakes.refilled(after, [row(20)], complete=True)
    assert wakes.horizon == shrunk


def test_nothing_to_ask_when_all_is_here() -> None:
    assert Wakes().refilling() is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 1000)), unique_by=lambda pair: pair[1], max_size=60))
def test_draining_a_small_heap_and_a_file_gives_every_row_in_order(pairs: list[tuple[int, int]]) -> None:
    file = sorted(row(*pair) for pair in pairs)
    wakes = Wakes(most=8, horizon=NOTHING_YET)
    drained: list[Row] = []
    while True:
        near = wakes.nearest(100, 3, drained.__contains__)
        if near:
            drained += near
        elif (after := wakes.refilling()) is not None:
            later = [each for each in file if each > after]
            wakes.refilled(after, later[:4], complete=len(later) < 4)
        else:
            break
    assert drained == file
