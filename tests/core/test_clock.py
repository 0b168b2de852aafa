"""A clock never goes back, and its instants are written as the standard library writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from simulator.core.clock import (
    INSTANT_MS_MAX,
    RATE_MAX,
    STILL_EPOCH_MS,
    Clock,
    ClockSettings,
    ClockWords,
    Instant,
    Mode,
    http_date,
    instant_ms,
    iso,
    pace,
    parse_clock,
    started,
)
from simulator.core.omit import OMIT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, INSTANT_MS_MAX)
RATES = st.just(0.0) | st.just(1.0) | st.floats(0.001, RATE_MAX)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 1e8),  # how long the machine's clock runs before
        st.tuples(st.just("at"), INSTANTS) | st.tuples(st.just("paced"), RATES) | st.just(("look", 0)),
    ),
    max_size=20,
)


@given(INSTANTS, RATES, STEPS)
def test_service_time_never_goes_back(begin_ms: int, rate: float, steps: list[tuple[float, tuple[str, Any]]]) -> None:
    clock, wall_ms, shown_ms = Clock("scaled", rate, begin_ms, 0.0), 0.0, begin_ms
    for length_ms, (what, value) in steps:
        wall_ms += length_ms
        before_ms = clock.now_ms(wall_ms)
        if what == "at":
            clock = clock.at(value, wall_ms)
            assert clock.now_ms(wall_ms) == max(value, before_ms)
        elif what == "paced":
            clock = clock.paced("scaled", value, wall_ms)
            assert clock.now_ms(wall_ms) == before_ms
        assert shown_ms <= before_ms <= clock.now_ms(wall_ms) <= INSTANT_MS_MAX
        shown_ms = clock.now_ms(wall_ms)


@given(st.integers(0, 10**13), st.floats(0, 1e7), st.sampled_from([0.5, 1.0, 60.0, 3600.0]), st.integers(0, 10**9))
def test_a_clock_knows_when_it_will_show_an_instant(begin_ms: int, wall_ms: float, rate: float, wait_ms: int) -> None:
    clock = Clock("scaled", rate, begin_ms, wall_ms)
    at_ms = clock.wall_at(begin_ms + wait_ms)
    assert at_ms is not None
    assert abs(clock.now_ms(at_ms) - (begin_ms + wait_ms)) <= 1


def test_a_clock_that_stands_still_never_gets_there_by_itself() -> None:
    clock = Clock("manual", 0.0, 5, 0.0)
    assert clock.wall_at(6) is None
    assert clock.now_ms(1e12) == 5


@pytest.mark.parametrize(
    ("mode", "rate", "speed"), [("real", None, 1), ("jump", None, 1), ("manual", None, 0), ("scaled", 60.0, 60)]
)
def test_each_mode_has_its_pace(mode: Mode, rate: float | None, speed: float) -> None:
    clock = started(ClockSettings(mode=mode, rate=rate), 1000.0)
    assert pace(mode, rate) == speed
    assert clock.now_ms(1500.0) - clock.now_ms(1000.0) == 500 * speed


@pytest.mark.parametrize(
    ("text", "begin_ms"),
    [
        ("real", 1234),
        ("scaled:60", 1234),
        ("manual", STILL_EPOCH_MS),
        ("jump", STILL_EPOCH_MS),
        ("real@2030-01-01T00:00:00Z", 1_893_456_000_000),
        ("manual@1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_clock_begins_now_or_at_its_epoch(text: str, begin_ms: int) -> None:
    assert started(parse_clock(text), 1234.5).now_ms(1234.5) == begin_ms
    assert instant_ms("2026-01-01T00:00:00Z") == STILL_EPOCH_MS


@pytest.mark.parametrize(
    "text", ["real", "manual", "jump@2030-01-01T00:00:00.000Z", "scaled:60@2030-01-01T00:00:00.000Z"]
)
def test_settings_read_what_they_write(text: str) -> None:
    settings = parse_clock(text)
    assert ClockSettings.model_validate(settings.plain()) == settings


def test_a_model_takes_a_clock_in_words_or_as_settings() -> None:
    class Model(BaseModel):
        clock: ClockWords

    words, settings = "scaled:60", {"mode": "scaled", "rate": 60}
    assert Model.model_validate({"clock": words}) == Model.model_validate({"clock": settings})
    assert Model(clock=parse_clock("manual")).clock == ClockSettings(mode="manual")
    with pytest.raises(ValueError, match="clock"):
        Model.model_validate({"clock": 5})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fast", "real"),
        ("", "real"),
        ("scaled", "needs a rate"),
        ("real:2", "has no rate; for a rate write {mode: scaled, rate: 2}"),
        ("scaled:0", "greater than 0"),
        ("scaled:nan", "less than or equal"),
        ("scaled:1000000", "less than or equal"),
        ("scaled:fast", "valid number"),
        ("manual@soon", "no instant"),
    ],
)
def test_a_wrong_clock_is_answered_with_what_is_legal(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_clock(text)
    assert complaint in str(refused.value)


@given(INSTANTS)
def test_an_instant_is_written_as_the_standard_library_would(ms: int) -> None:
    moment = EPOCH + timedelta(milliseconds=ms)
    assert iso(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert http_date(ms // 1000) == format_datetime(moment.replace(microsecond=0), usegmt=True)
    assert instant_ms(iso(ms)) == ms


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-10:00",
        0,
        None,
        True,
    ],
)
def test_what_is_no_instant_is_answered_with_what_is(value: object) -> None:
    with pytest.raises(ValueError, match="2026-01-01T00:00:00Z"):
        instant_ms(value)


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    assert instant_ms("2026-01-01T02:00:00+02:00") == instant_ms("2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("iso", "2026-01-01T00:00:00.123Z"), ("epoch", 1_767_225_600), ("epoch_ms", 1_767_225_600_123)],
        *[("http", "Thu, 01 Jan 2026 00:00:00 GMT"), ("date", "2026-01-01")],
    ],
)
def test_an_instant_has_these_forms(field: str, value: object) -> None:
    assert field in Instant.FIELDS
    assert Instant(1_767_225_600_123).template_field(field) == value


@pytest.mark.parametrize("name", ["ms", "__class__", "_bounded", "template_field", ""])
def test_an_instant_shows_nothing_else(name: str) -> None:
    assert Instant(0).template_field(name) is OMIT


@pytest.mark.parametrize(
    ("length", "ms"), [("10m", 600_000), (1.5, 1500), (-2, -2000), (1e400, 10**15), (-1e400, -(10**15))]
)
def test_a_duration_added_stays_within_what_can_be_written(length: object, ms: int) -> None:
    then = Instant(STILL_EPOCH_MS) + length
    back = Instant(STILL_EPOCH_MS) - length
    assert isinstance(back, Instant)
    assert abs(ms) > 10**12 or (then.ms, back.ms) == (STILL_EPOCH_MS + ms, STILL_EPOCH_MS - ms)
    assert len(iso(then.ms)) == len(iso(back.ms)) == 24


@given(INSTANTS, st.floats(allow_nan=False) | st.integers())
def test_no_sum_leaves_the_years_that_can_be_written(ms: int, seconds: float) -> None:
    assert 0 <= (Instant(ms) + seconds).ms <= INSTANT_MS_MAX
    assert 0 <= (Instant(ms) - seconds).ms <= INSTANT_MS_MAX


@pytest.mark.parametrize("length", ["soon", True, None, OMIT, [], float("nan")])
def test_only_a_duration_can_be_added(length: object) -> None:
    with pytest.raises(ValueError):
        Instant(0) + length


@given(INSTANTS, INSTANTS)
def test_instants_compare_and_differ_in_seconds(one: int, other: int) -> None:
    first, second = Instant(one), Instant(other)
    assert (first < second, first <= second, first == second) == (one < other, one <= other, one == other)
    assert first - second == (one - other) / 1000
    assert (hash(first) == hash(second)) or one != other


def test_an_instant_is_neither_before_nor_equal_to_anything_else() -> None:
    assert not Instant(5) < 6
    assert not Instant(5) <= 5
    assert Instant(5) != 5


def test_an_instant_within_a_text_is_rfc_3339() -> None:
    assert str(Instant(0)) == "1970-01-01T00:00:00.000Z"
