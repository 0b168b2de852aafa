"""Durations, distributions and sizes mean what they say, and their draws fall as they were asked to."""

from __future__ import annotations

import contextlib
import math
from statistics import NormalDist
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from simulator.core.chance import Chance
from simulator.core.values import (
    DURATION_MS_MAX,
    SPAN_SCHEMA,
    DrawnDuration,
    Duration,
    duration_ms,
    fixed,
    size_bytes,
    span,
    written,
    wrong_at,
)

DRAWS = 20_000
UNITS = st.floats(2**-49, 1 - 2**-49)
MS = st.integers(0, DURATION_MS_MAX)


def ms_text(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda ms: f"{ms}ms")


DISTRIBUTIONS = st.one_of(
    st.tuples(MS, MS).map(lambda ends: {"uniform": [f"{end}ms" for end in sorted(ends)]}),
    st.fixed_dictionaries({"mean": ms_text(0, 10**10), "sd": ms_text(0, 10**10)}).map(lambda p: {"normal": p}),
    st.tuples(st.integers(1, 10**10), st.integers(0, 10**10)).map(
        lambda p: {"lognormal": {"median": f"{p[0]}ms", "p99": f"{sum(p)}ms"}}
    ),
    ms_text(0, DURATION_MS_MAX).map(lambda mean: {"exponential": {"mean": mean}}),
    st.tuples(ms_text(0, 10**10), st.floats(0.1, 100)).map(lambda p: {"pareto": {"min": p[0], "shape": p[1]}}),
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        *[("250ms", 250), ("1.5s", 1500), ("10m", 600_000), ("24h", 86_400_000), ("30d", 2_592_000_000)],
        *[("0s", 0), (0, 0), (0.0, 0), ("0.4ms", 0), ("0.6ms", 1), ("3650d", DURATION_MS_MAX)],
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: object, ms: int) -> None:
    assert duration_ms(text) == ms


@given(MS)
def test_a_duration_survives_being_written_in_any_unit_that_divides_it(ms: int) -> None:
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    for unit, size in units.items():
        if ms % size == 0:
            assert duration_ms(f"{ms // size}{unit}") == ms
    assert duration_ms(f"{ms // 1000}.{ms % 1000:03d}s") == ms


@pytest.mark.parametrize(
    "value",
    [
        *["", "1", "s", "-1s", "1 s", "1S", "1.s", ".5s", "1s ", "1s\n", "1e3s", "nans", "1w"],
        *[1, 1.5, True, False, None, [], {}],
    ],
)
def test_what_is_no_duration_is_answered_with_what_is(value: object) -> None:
    with pytest.raises(ValueError, match="such as 250ms"):
        duration_ms(value)


@pytest.mark.parametrize("text", ["3651d", "9" * 30 + "s", "9" * 400 + "s"])
def test_a_duration_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        duration_ms(text)


@given(st.text() | st.text("0123456789.smhd ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= duration_ms(text) <= DURATION_MS_MAX


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *[("1B", 1), ("64kB", 64_000), ("10 MB", 10**7), ("1GB", 10**9), (0, 0), (17, 17)],
        *[("1KiB", 1024), ("1.5MiB", 1_572_864), ("1GiB", 2**30)],
    ],
)
def test_a_size_is_a_number_and_a_unit_or_bare_bytes(text: object, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("value", ["", "1", "1kb", "1K", "-1B", -1, True, 1.5, None, "1  MB"])
def test_what_is_no_size_is_answered_with_what_is(value: object) -> None:
    with pytest.raises(ValueError, match="such as 64kB or 10MiB"):
        size_bytes(value)


def test_a_size_that_no_machine_has_is_refused() -> None:
    with pytest.raises(ValueError, match="largest size"):
        size_bytes("9" * 400 + "GiB")


@given(DISTRIBUTIONS, UNITS)
def test_no_draw_is_negative_or_beyond_ten_years(distribution: dict[str, Any], unit: float) -> None:
    drawn = span(distribution).draw_ms(unit)
    assert isinstance(drawn, int)
    assert 0 <= drawn <= DURATION_MS_MAX


@given(DISTRIBUTIONS, st.tuples(UNITS, UNITS))
def test_a_larger_number_never_draws_a_shorter_duration(
    distribution: dict[str, Any], units: tuple[float, float]
) -> None:
    low, high = (span(distribution).draw_ms(unit) for unit in sorted(units))
    assert low <= high


@given(DISTRIBUTIONS)
def test_the_schema_allows_every_legal_distribution(distribution: dict[str, Any]) -> None:
    assert jsonschema_rs.is_valid(SPAN_SCHEMA, distribution)
    assert span(distribution).text.startswith(next(iter(distribution)))


QUANTILES = [
    ({"uniform": ["1s", "3s"]}, 0.5, 2000),
    ({"uniform": ["1s", "3s"]}, 0.99, 2980),
    ({"normal": {"mean": "2s", "sd": "200ms"}}, 0.5, 2000),
    ({"normal": {"mean": "2s", "sd": "200ms"}}, 0.99, 2000 + 200 * NormalDist().inv_cdf(0.99)),
    ({"lognormal": {"median": "2s", "p99": "8s"}}, 0.5, 2000),
    ({"lognormal": {"median": "2s", "p99": "8s"}}, 0.99, 8000),
    ({"exponential": {"mean": "2s"}}, 0.5, 2000 * math.log(2)),
    ({"exponential": {"mean": "2s"}}, 0.99, 2000 * math.log(100)),
    ({"pareto": {"min": "50ms", "shape": 1.5}}, 0.5, 50 * 2 ** (1 / 1.5)),
    ({"pareto": {"min": "50ms", "shape": 1.5}}, 0.99, 50 * 100 ** (1 / 1.5)),
]


@pytest.mark.parametrize(("distribution", "share", "ms"), QUANTILES)
def test_as_many_draws_lie_below_a_quantile_as_it_says(distribution: dict[str, Any], share: float, ms: float) -> None:
    drawn, chance = span(distribution), Chance(7, "quantiles")
    below = sum(drawn.draw_ms(chance.unit(f"{share}/{n}")) < ms for n in range(DRAWS))
    error = math.sqrt(share * (1 - share) / DRAWS)
    assert abs(below / DRAWS - share) < 4 * error


def test_the_mean_of_exponential_draws_is_the_mean_that_was_asked() -> None:
    drawn, chance = span({"exponential": {"mean": "2s"}}), Chance(7)
    mean = sum(drawn.draw_ms(chance.unit(f"mean/{n}")) for n in range(DRAWS)) / DRAWS
    assert abs(mean - 2000) < 4 * 2000 / math.sqrt(DRAWS)


def test_a_normal_draw_is_cut_at_zero() -> None:
    assert span({"normal": {"mean": "1s", "sd": "1s"}}).draw_ms(0.001) == 0


def test_a_normal_without_deviation_is_its_mean() -> None:
    assert span({"normal": {"mean": "1s", "sd": 0}}).draw_ms(0.9) == 1000


def test_a_fixed_duration_ignores_the_draw() -> None:
    assert {span("2s").draw_ms(unit) for unit in (0.1, 0.9)} == {2000}
    assert span("2s").at(0.3) == 2000
    assert fixed(5).text == "5ms"
    already = fixed(5)
    assert span(already) is already


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "is one of uniform, normal, lognormal, exponential or pareto"),
        ({"uniform": ["1s", "2s"], "normal": {}}, "is one of uniform"),
        ({"unifrom": ["1s", "2s"]}, "did you mean 'uniform'"),
        ({"uniform": "1s"}, "a lower and an upper end"),
        ({"uniform": ["1s"]}, "a lower and an upper end"),
        ({"uniform": ["2s", "1s"]}, "lower end 2s is above its upper end 1s"),
        ({"uniform": ["1s", "x"]}, "no duration"),
        ({"lognormal": {"median": "8s", "p99": "2s"}}, "median 8s"),
        ({"lognormal": {"median": 0, "p99": "2s"}}, "above zero"),
        ({"lognormal": {"median": "8s"}}, "median and p99"),
        ({"exponential": "2s"}, "mean"),
        ({"exponential": {"mean": "2s", "sd": "1s"}}, "mean"),
        *[({"pareto": {"min": "1s", "shape": shape}}, "0.1 to 100") for shape in (0, 101, True, "1", math.nan)],
        ("soon", "no duration"),
        (["1s", "2s"], "no duration"),
    ],
)
def test_a_wrong_distribution_is_answered_with_what_is_legal(value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        span(value)


def test_models_read_durations_and_distributions() -> None:
    class Model(BaseModel):
        timeout: Duration
        after: DrawnDuration

    made = Model.model_validate({"timeout": "1.5s", "after": {"uniform": ["1s", "3s"]}})
    assert made.timeout == 1500
    assert made.after.draw_ms(0.5) == 2000
    with pytest.raises(ValidationError, match="no duration"):
        Model.model_validate({"timeout": "soon", "after": "1s"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        ("a", "'a'"),
        ([1, None], "[1, null]"),
        ({"a": [False]}, "{a: [false]}"),
    ],
)
def test_a_value_is_shown_in_messages_as_it_is_written(value: object, text: str) -> None:
    assert written(value) == text


def test_a_long_value_is_cut_in_messages() -> None:
    assert written("a" * 100, 10) == "'" + "a" * 9 + "…"


def test_a_complaint_can_stand_at_one_key() -> None:
    (problem,) = wrong_at("size", "too large").errors()
    assert (problem["loc"], problem["msg"]) == (("size",), "Value error, too large")
