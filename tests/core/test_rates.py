"""A measure is kept exactly as it is written, and what is none is told what would be."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from simulator.core.rates import (
    COUNT_MAX,
    Amount,
    Quota,
    QuotaText,
    Rate,
    RateText,
    WindowText,
    amount,
    quota,
    rate,
    window,
)

RATES = [
    ("10/s", 1, 100),
    ("600/m", 1, 100),
    ("5000/h", 1, 720),
    ("1000/d", 1, 86_400),
    ("100/15m", 1, 9000),
    ("0.5/s", 1, 2000),
    ("1.5/w", 1, 403_200_000),
    ("1048576/s", 131_072, 125),
    ("1MiB/s", 131_072, 125),
    ("0.001/s", 1, 1_000_000),
    (f"{COUNT_MAX}/ms", COUNT_MAX, 1),
]
NO_RATES: list[Any] = [
    10,
    None,
    True,
    "",
    "10",
    "10/",
    "/s",
    "10/month",
    "-1/s",
    "1e3/s",
    "10/s ",
    "1.2345/s",
    "10/1.5m",
    "1/0s",
]
NO_RATES += ["0/s", "0.0/s", f"{COUNT_MAX + 1}/s", "2000000GB/s", "1/4000d", "0.5/3650d", "9" * 5000 + "/s", ["10/s"]]
NO_WINDOWS = ["0.5/s", "1.5/15m", "10", "1/0m", 5]
NO_QUOTAS = ["10/m", "10/minute", "10/2d", "0.5/d", "10", 10, "0/d", "/d"]


@pytest.mark.parametrize(("text", "many", "per_ms"), RATES)
def test_a_rate_is_kept_exactly_in_lowest_terms(text: str, many: int, per_ms: int) -> None:
    assert rate(text)[:3] == (text, many, per_ms)


@given(st.integers(1, 10**9), st.integers(0, 999), st.integers(1, 999), st.sampled_from(["s", "m", "h"]))
def test_a_rate_is_the_number_over_the_time(whole: int, parts: int, span: int, unit: str) -> None:
    made = rate(f"{whole}.{parts:03d}/{span}{unit}")
    seconds = {"s": 1, "m": 60, "h": 3600}[unit] * span
    assert Fraction(made.amount, made.per_ms) == (whole + Fraction(parts, 1000)) / (seconds * 1000)


@pytest.mark.parametrize("value", NO_RATES)
def test_what_is_no_rate_is_told_so(value: Any) -> None:
    with pytest.raises(ValueError, match=r"10/s|above zero and at most|from 1ms to ten years|slowest rate"):
        rate(value)


def test_a_window_keeps_its_length() -> None:
    assert window("100/15m") == Rate("100/15m", 100, 900_000, False)
    assert window("2kB/d") == Rate("2kB/d", 2000, 86_400_000, True)


@pytest.mark.parametrize("value", NO_WINDOWS)
def test_what_is_no_window_is_told_so(value: Any) -> None:
    with pytest.raises(ValueError, match=r"100/15m|from 1ms to ten years"):
        window(value)


def test_a_quota_is_by_the_calendar() -> None:
    assert quota("10000/d") == Quota("10000/d", 10_000, "d", False)
    assert quota("1GB/month") == Quota("1GB/month", 10**9, "month", True)
    assert [quota(f"1/{unit}").unit for unit in ("hour", "day", "week", "year")] == ["h", "d", "w", "y"]


@pytest.mark.parametrize("value", NO_QUOTAS)
def test_what_is_no_quota_is_told_so(value: Any) -> None:
    with pytest.raises(ValueError, match=r"such as 10000/d|above zero and at most"):
        quota(value)


def test_an_amount_is_a_count_or_a_size() -> None:
    assert (amount(20), amount("4MB")) == (20, 4_000_000)
    for value in (0, "0B", COUNT_MAX + 1):
        with pytest.raises(ValueError, match="there is 1 to"):
            amount(value)


class Measures(BaseModel):
    rate: RateText
    window: WindowText
    quota: QuotaText
    burst: Amount


def test_the_json_schema_takes_what_the_model_takes() -> None:
    properties = Measures.model_json_schema()["properties"]
    for key, legal, illegal in (
        ("rate", [text for text, _, _ in RATES], ["10", "10/month", "1/1.5m"]),
        ("window", ["100/15m", "2kB/d"], ["10", "10/month"]),
        ("quota", ["10000/d", "1GB/month"], ["10/m", "10"]),
    ):
        pattern = properties[key]["pattern"]
        assert all(re.search(pattern, text) for text in [*legal, *properties[key]["examples"]])
        assert not any(re.search(pattern, text) for text in illegal)
    assert Measures(rate="10/s", window="1/m", quota="1/d", burst="1kB").burst == 1000  # type: ignore[arg-type]
    assert TypeAdapter(Amount).validate_python(7) == 7
