"""Whatever comes when, a bucket admits no more than its definition, and what it says of waiting is exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.buckets import (
    PERIODS,
    Bucket,
    SlidingWindow,
    Slots,
    State,
    TokenBucket,
    Windows,
    bucket_of,
    charged,
    every,
    token_bucket,
)
from simulator.core.clock import EPOCH, INSTANT_MS_MAX
from simulator.core.rates import COUNT_MAX, quota, rate, window
from simulator.core.values import DURATION_MS_MAX

NOW_MS = 1_767_225_600_123
DAY_MS = 86_400_000
CAPACITIES = st.integers(1, 12)
TOKENS = st.builds(TokenBucket, CAPACITIES, st.integers(1, 9), st.integers(1, 90))
FIXED = st.builds(lambda most, length: Windows(most, every(length)), CAPACITIES, st.integers(1, 60))
CALENDARS = st.builds(lambda most, unit: Windows(most, PERIODS[unit]), CAPACITIES, st.sampled_from(list(PERIODS)))
SLIDING = st.builds(SlidingWindow, CAPACITIES, st.integers(1, 300))
BUCKETS: st.SearchStrategy[Bucket] = st.one_of(TOKENS, FIXED, CALENDARS, SLIDING)
ARRIVALS = st.lists(st.tuples(st.integers(0, 40) | st.sampled_from([0, 0, 1, 300]), st.integers(1, 5)), max_size=40)
LONG = st.lists(st.tuples(st.integers(0, 40 * DAY_MS), st.integers(1, 5)), max_size=20)


def played(bucket: Bucket, arrivals: list[tuple[int, int]], begin_ms: int = NOW_MS) -> list[tuple[int, int]]:
    """The instants and weights that were admitted of arrivals, each a gap and a weight."""
    state: State = None
    now_ms, admitted = begin_ms, []
    for gap_ms, weight in arrivals:
        now_ms += gap_ms
        if bucket.wait_ms(state, now_ms, weight) == 0:
            state = bucket.taken(state, now_ms, now_ms, weight)
            admitted.append((now_ms, weight))
    return admitted


def queued(bucket: Bucket, arrivals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same where everybody is made to wait: the instants at which they are let go."""
    state: State = None
    now_ms, let_go = NOW_MS, []
    for gap_ms, weight in arrivals:
        now_ms += gap_ms
        wait_ms = bucket.wait_ms(state, now_ms, weight)
        if wait_ms is not None:
            state = bucket.taken(state, now_ms, now_ms + wait_ms, weight)
            let_go.append((now_ms + wait_ms, weight))
    return let_go


def states(bucket: Bucket, arrivals: list[tuple[int, int]], charge: bool = False) -> list[tuple[State, int]]:
    """Every state on the way, with its instant; with `charge`, refused ones cost too."""
    state: State = None
    now_ms, seen = NOW_MS, [(state, NOW_MS)]
    for gap_ms, weight in arrivals:
        now_ms += gap_ms
        if bucket.wait_ms(state, now_ms, weight) == 0:
            state = bucket.taken(state, now_ms, now_ms, weight)
        elif charge:
            state = charged(bucket, state, now_ms, weight)
        seen.append((state, now_ms))
    return seen


def most_in_any_window(admitted: list[tuple[int, int]], length_ms: int) -> int:
    """The largest sum in any half-open window of this length."""
    sums = [sum(w for at, w in admitted if end_ms - length_ms < at <= end_ms) for end_ms, _ in admitted]
    return max(sums, default=0)


Play = Callable[[Any, list[tuple[int, int]]], list[tuple[int, int]]]
both = pytest.mark.parametrize("play", [played, queued])


@both
@given(TOKENS, ARRIVALS)
def test_a_token_bucket_admits_no_more_than_burst_and_rate_in_any_time(
    play: Play, bucket: TokenBucket, arrivals: list[tuple[int, int]]
) -> None:
    admitted = sorted(play(bucket, arrivals))
    for index, (begin_ms, _) in enumerate(admitted):
        total = 0
        for end_ms, weight in admitted[index:]:
            total += weight
            assert total <= bucket.capacity + Fraction(bucket.amount * (end_ms - begin_ms), bucket.per_ms)


@both
@given(CAPACITIES, st.integers(1, 60), ARRIVALS)
def test_a_fixed_window_admits_no_more_than_its_number_between_multiples_of_its_length(
    play: Play, most: int, length_ms: int, arrivals: list[tuple[int, int]]
) -> None:
    sums: Counter[int] = Counter()
    for at_ms, weight in play(Windows(most, every(length_ms)), arrivals):
        sums[at_ms // length_ms] += weight
    assert max(sums.values(), default=0) <= most


@both
@given(SLIDING, ARRIVALS)
def test_a_sliding_window_admits_no_more_than_its_number_wherever_it_begins(
    play: Play, bucket: SlidingWindow, arrivals: list[tuple[int, int]]
) -> None:
    assert most_in_any_window(play(bucket, arrivals), bucket.length_ms) <= bucket.capacity


NAMES: dict[str, Callable[[datetime], Any]] = {
    "h": lambda at: at.strftime("%F %H"),
    "d": lambda at: at.date(),
    "w": lambda at: at.isocalendar()[:2],
    "month": lambda at: (at.year, at.month),
    "y": lambda at: at.year,
}


@both
@given(CAPACITIES, st.sampled_from(list(PERIODS)), LONG)
def test_a_quota_is_that_of_the_calendar_in_utc(
    play: Play, most: int, unit: str, arrivals: list[tuple[int, int]]
) -> None:
    sums: Counter[Any] = Counter()
    for at_ms, weight in play(Windows(most, PERIODS[unit]), arrivals):
        sums[NAMES[unit](datetime.fromtimestamp(at_ms / 1000, UTC))] += weight
    assert max(sums.values(), default=0) <= most


@given(st.integers(0, INSTANT_MS_MAX), st.sampled_from(list(PERIODS)))
def test_a_period_of_the_calendar_holds_what_has_its_name_and_nothing_else(now_ms: int, unit: str) -> None:
    start, end = PERIODS[unit](now_ms)
    assert start <= now_ms < end
    if start > 0 and end < INSTANT_MS_MAX:
        edges = (start - 1, start, now_ms, end - 1, end)
        before, *inside, after = (NAMES[unit](EPOCH + timedelta(milliseconds=ms)) for ms in edges)
        assert before != inside[0] == inside[1] == inside[2] != after


def test_the_last_month_ends_where_the_calendar_does() -> None:
    for unit in ("month", "y"):
        assert PERIODS[unit](INSTANT_MS_MAX)[1] == INSTANT_MS_MAX + 1
        assert PERIODS[unit](INSTANT_MS_MAX + 1) == PERIODS[unit](INSTANT_MS_MAX)


@given(BUCKETS, ARRIVALS, st.integers(0, 50), st.integers(1, 14), st.booleans())
def test_who_waits_exactly_what_it_was_told_is_admitted_and_nobody_earlier(
    bucket: Bucket, arrivals: list[tuple[int, int]], later_ms: int, weight: int, charge: bool
) -> None:
    for state, at_ms in states(bucket, arrivals, charge):
        now_ms = at_ms + later_ms
        wait_ms = bucket.wait_ms(state, now_ms, weight)
        assert (wait_ms is None) == (weight > bucket.capacity)
        if wait_ms is not None:
            assert bucket.wait_ms(state, now_ms + wait_ms, weight) == 0
            assert bucket.wait_ms(state, now_ms + wait_ms + later_ms, weight) == 0
            if wait_ms:
                assert bucket.wait_ms(state, now_ms + wait_ms - 1, weight) == 1


@given(BUCKETS, ARRIVALS, st.integers(0, 50), st.booleans())
def test_what_remains_is_what_would_be_admitted_now(
    bucket: Bucket, arrivals: list[tuple[int, int]], later_ms: int, charge: bool
) -> None:
    for state, at_ms in states(bucket, arrivals, charge):
        level = bucket.level(state, at_ms + later_ms)
        assert 0 <= level.remaining <= bucket.capacity
        assert level.remaining == max(bucket.capacity - bucket.used(state, at_ms + later_ms), 0)
        assert not level.remaining or bucket.wait_ms(state, at_ms + later_ms, level.remaining) == 0
        assert bucket.wait_ms(state, at_ms + later_ms, level.remaining + 1) != 0


@given(BUCKETS, ARRIVALS, st.integers(0, 50), st.booleans())
def test_more_remains_when_it_says_and_all_of_it_when_it_is_reset(
    bucket: Bucket, arrivals: list[tuple[int, int]], later_ms: int, charge: bool
) -> None:
    for state, at_ms in states(bucket, arrivals, charge):
        now_ms = at_ms + later_ms
        level = bucket.level(state, now_ms)
        assert level.reset_ms is not None
        assert level.next_ms is not None
        assert 0 <= level.next_ms <= level.reset_ms
        assert bucket.level(state, now_ms + level.reset_ms).remaining == bucket.capacity
        if level.remaining < bucket.capacity:
            assert bucket.level(state, now_ms + level.next_ms).remaining > level.remaining
            assert bucket.level(state, now_ms + level.next_ms - 1).remaining == level.remaining
            assert bucket.used(state, now_ms + level.reset_ms - 1) > 0


@given(BUCKETS, ARRIVALS, st.integers(0, 500), st.integers(1, 5))
def test_a_state_whose_time_has_come_is_no_state(
    bucket: Bucket, arrivals: list[tuple[int, int]], later_ms: int, weight: int
) -> None:
    state, at_ms = states(bucket, arrivals)[-1]
    now_ms = max(bucket.level(state, at_ms).expires_ms, at_ms) + later_ms
    assert bucket.wait_ms(state, now_ms, weight) == bucket.wait_ms(None, now_ms, weight)
    assert bucket.taken(state, now_ms, now_ms, weight) == bucket.taken(None, now_ms, now_ms, weight)
    assert bucket.level(state, now_ms) == bucket.level(None, now_ms)


@given(BUCKETS, ARRIVALS, st.booleans())
def test_a_state_survives_json(bucket: Bucket, arrivals: list[tuple[int, int]], charge: bool) -> None:
    for state, _ in states(bucket, arrivals, charge):
        assert orjson.loads(orjson.dumps(state)) == state


@given(BUCKETS, ARRIVALS)
def test_the_same_arrivals_give_the_same_decisions(bucket: Bucket, arrivals: list[tuple[int, int]]) -> None:
    assert played(bucket, arrivals) == played(bucket, arrivals)
    assert states(bucket, arrivals) == states(bucket, arrivals)


@given(BUCKETS, ARRIVALS)
def test_who_is_made_to_wait_is_let_go_in_turn_of_what_has_room(
    bucket: Bucket, arrivals: list[tuple[int, int]]
) -> None:
    """A queue of equals: nobody is let go before those who came first."""
    alike = [(gap_ms, 1) for gap_ms, _ in arrivals]
    let_go = [at_ms for at_ms, _ in queued(bucket, alike)]
    assert len(let_go) == len(alike)
    assert let_go == sorted(let_go)


@given(CAPACITIES, st.integers(1, 90), st.integers(1, 40))
def test_a_queue_at_a_token_bucket_moves_at_its_rate(capacity: int, per_ms: int, many: int) -> None:
    let_go = [at_ms - NOW_MS for at_ms, _ in queued(TokenBucket(capacity, 1, per_ms), [(0, 1)] * many)]
    assert let_go == [max(number - capacity, 0) * per_ms for number in range(1, many + 1)]


def test_a_window_that_is_spoken_for_has_nothing_left_before_it_begins() -> None:
    bucket = Windows(2, every(1000))
    state = bucket.taken([0, 2], 100, 1000, 1)
    assert state == [1000, 1]
    assert bucket.level(state, 100) == (0, 1900, 900, 2000)
    assert bucket.wait_ms(state, 100, 1) == 900
    assert bucket.wait_ms(state, 100, 2) == 1900


@given(BUCKETS, st.lists(st.integers(1, COUNT_MAX), max_size=8))
def test_refusals_that_cost_never_owe_more_than_another_capacity(bucket: Bucket, weights: list[int]) -> None:
    state: State = None
    for weight in weights:
        state = charged(bucket, state, NOW_MS, weight)
        assert bucket.used(state, NOW_MS) <= 2 * bucket.capacity
    if sum(weights) >= 2 * bucket.capacity:
        assert bucket.used(state, NOW_MS) == 2 * bucket.capacity
        assert charged(bucket, state, NOW_MS, 1) is state


def test_a_refused_request_that_costs_keeps_the_impatient_out() -> None:
    bucket, state = TokenBucket(2, 1, 1000), None
    for now_ms in range(0, 60_000, 500):
        wait_ms = bucket.wait_ms(state, now_ms, 1)
        state = charged(bucket, state, now_ms, 1) if wait_ms else bucket.taken(state, now_ms, now_ms, 1)
    assert bucket.wait_ms(state, 60_000, 1) == 2000


@given(st.integers(1, 10**7), st.lists(st.integers(0, 10**5), max_size=300))
def test_a_sliding_window_keeps_at_most_a_hundred_cells(length_ms: int, gaps: list[int]) -> None:
    bucket, now_ms = SlidingWindow(COUNT_MAX, length_ms), NOW_MS
    state: State = None
    for gap_ms in gaps:
        now_ms += gap_ms
        state = bucket.taken(state, now_ms, now_ms, 1)
        assert state is not None
        assert len(state) <= 200


@given(st.integers(1, 10**7), st.integers(0, 10**7))
def test_a_sliding_window_keeps_nobody_longer_than_its_length_and_a_cell(length_ms: int, at_ms: int) -> None:
    bucket = SlidingWindow(1, length_ms)
    wait_ms = bucket.wait_ms(bucket.taken(None, at_ms, at_ms, 1), at_ms, 1)
    assert wait_ms is not None
    assert length_ms <= wait_ms < length_ms + bucket.cell_ms
    assert bucket.cell_ms == 1 or bucket.cell_ms <= length_ms / 50


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25)), max_size=40))
def test_slots_hold_no_more_than_their_number(most: int, moves: list[tuple[int, int]]) -> None:
    bucket, held = Slots(most), 0
    for kind, many in moves:
        if kind == 0:
            held = max(held - many, 0)
        elif bucket.wait_ms([held], NOW_MS, 1) == 0:
            held = (bucket.taken([held], NOW_MS, NOW_MS, 1) or [0])[0]
        assert held <= most
        assert bucket.level([held], NOW_MS) == (most - held, None, None, NOW_MS)
        assert bucket.wait_ms([held], NOW_MS, 1) == (0 if held < most else None)
    assert bucket.span_ms(NOW_MS) is None
    assert bucket.used(None, NOW_MS) == 0


@given(st.integers(1, COUNT_MAX), st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h", "d"]), st.integers(1, 99))
def test_even_the_fastest_and_the_slowest_rate_stay_within_64_bits(
    many: int, span: int, unit: str, weight: int
) -> None:
    bucket = token_bucket(rate(f"{many}.999/{span}{unit}" if many < COUNT_MAX else f"{many}/{span}{unit}"), None)
    state = charged(bucket, None, INSTANT_MS_MAX, weight * bucket.capacity)
    assert all(-(2**63) <= number < 2**63 for number in state or [])


def test_a_bucket_holds_a_seconds_worth_unless_it_says() -> None:
    assert token_bucket(rate("600/m"), None).capacity == 10
    assert token_bucket(rate("0.5/s"), None).capacity == 1
    assert token_bucket(rate("1MB/s"), None) == (1_000_000, 1000, 1)
    assert token_bucket(rate("10/s"), 20) == (20, 1, 100)
    assert token_bucket(rate("10/s"), 20).span_ms(NOW_MS) == 2000


def test_a_bucket_comes_back_within_ten_years() -> None:
    assert token_bucket(rate("1/3650d"), 1).span_ms(NOW_MS) == DURATION_MS_MAX
    with pytest.raises(ValueError, match="a burst of 2 at 1/3650d takes more than ten years"):
        token_bucket(rate("1/3650d"), 2)


def test_each_kind_has_its_bucket_and_a_word_for_its_measure() -> None:
    made = [
        bucket_of("rate", rate("600/m"), 5),
        bucket_of("window", window("100/15m")),
        bucket_of("window", window("100/15m"), style="sliding"),
        bucket_of("quota", quota("9/week")),
        bucket_of("concurrency", 8),
    ]
    assert [type(bucket) for bucket, _ in made] == [TokenBucket, Windows, SlidingWindow, Windows, Slots]
    assert [tag for _, tag in made] == ["r1-100", "f900000", "s900000", "qw", "c"]
    assert [bucket.span_ms(NOW_MS) for bucket, _ in made] == [500, 900_000, 900_000, 7 * DAY_MS, None]
