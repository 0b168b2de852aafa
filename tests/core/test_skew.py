"""A clock that is wrong towards clients: by how much, from when, and never past the calendar's ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.skew import INSTANT_MS_MAX, JUMPS_MAX, RIGHT, Skew, drift_us, signed_ms

BEGAN = 1_767_225_600_000
MS = st.integers(0, 10**10)


@given(MS)
def test_a_right_clock_shows_what_it_is(ms: int) -> None:
    assert RIGHT.shown_ms(ms) == ms


@given(MS, st.integers(-(10**9), 10**9))
def test_an_offset_is_always_the_same(ms: int, offset: int) -> None:
    assert Skew(BEGAN, offset_ms=offset).shown_ms(BEGAN + ms) == BEGAN + ms + offset


@given(MS)
def test_a_drift_grows_from_the_beginning_on(ms: int) -> None:
    skew = Skew(BEGAN, drift_us=50_000)
    assert skew.shown_ms(BEGAN + ms) - BEGAN - ms == ms // 20
    assert skew.shown_ms(BEGAN - 1) == BEGAN - 1


def test_a_jump_is_seen_from_its_moment_on() -> None:
    skew = Skew(BEGAN, jumps=((30_000, -5_000), (60_000, 3_600_000)))
    assert [skew.shown_ms(BEGAN + ms) - BEGAN - ms for ms in (29_999, 30_000, 59_999, 60_000)] == [
        0,
        -5_000,
        -5_000,
        3_595_000,
    ]


def test_a_frozen_clock_stands_still() -> None:
    skew = Skew(BEGAN, offset_ms=7, freeze_ms=1_000)
    assert [skew.shown_ms(BEGAN + ms) - BEGAN for ms in (0, 999, 1_000, 1_001, 10**9)] == [
        7,
        1_006,
        1_007,
        1_007,
        1_007,
    ]


def test_a_jump_by_hand_adds_to_the_rest() -> None:
    skew = Skew(BEGAN, offset_ms=1).jumped(BEGAN + 10, 100).jumped(BEGAN + 20, -1)
    assert [skew.shown_ms(BEGAN + ms) - BEGAN - ms for ms in (9, 10, 20)] == [1, 101, 100]


def test_jumps_by_hand_are_bounded() -> None:
    skew = RIGHT
    for _ in range(3 * JUMPS_MAX):
        skew = skew.jumped(0, 1)
    assert len(skew.jumps) == JUMPS_MAX


@given(MS, st.integers(-(10**15), 10**15))
def test_nothing_is_shown_that_no_calendar_has(ms: int, offset: int) -> None:
    assert 0 <= Skew(offset_ms=offset).shown_ms(ms) <= INSTANT_MS_MAX


@pytest.mark.parametrize(("text", "ms"), [("5m", 300_000), ("-5m", -300_000), (0, 0), ("-250ms", -250)])
def test_a_signed_duration(text: Any, ms: int) -> None:
    assert signed_ms(text) == ms


@pytest.mark.parametrize(("text", "us"), [("50ms/s", 50_000), ("-1s/s", -1_000_000), (0, 0)])
def test_a_drift(text: Any, us: int) -> None:
    assert drift_us(text) == us


@pytest.mark.parametrize("text", ["5ms", "1m/s", "x", True, None, "--1s/s", "1s/m"])
def test_what_is_no_drift_is_told(text: Any) -> None:
    with pytest.raises(ValueError, match="is no drift"):
        drift_us(text)


@pytest.mark.parametrize("text", ["--5m", "-", "5", True])
def test_what_is_no_signed_duration_is_told(text: Any) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        signed_ms(text)
