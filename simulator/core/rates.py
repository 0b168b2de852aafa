"""How the measure of a limit is written: `10/s`, `100/15m`, `10000/d`, `1MB/s`.

Rules: what is written is kept exactly, as whole numbers; a month is a month of the calendar and never a number of days,
so only quotas have months, and nothing here calls one `m`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from simulator.core.values import BYTES, DURATION_MS_MAX, MS, SIZE, size_bytes, written

COUNT_MAX = 10**15 - 1  # of any count: the largest Integer of structured fields (RFC 9651), and exact as a float
SPANS = {**MS, "w": 7 * MS["d"]}
CALENDAR = {"h": "h", "hour": "h", "d": "d", "day": "d", "w": "w", "week": "w", "month": "month", "y": "y", "year": "y"}
MANY = rf"(\d{{1,15}}(?:\.\d{{1,3}})?) ?({'|'.join(BYTES)})?"
RATE = re.compile(rf"{MANY}/(\d{{1,12}})?({'|'.join(SPANS)})")
QUOTA = re.compile(rf"{MANY}/({'|'.join(CALENDAR)})")
RATE_HELP = "write how many, a slash, and a time, such as 10/s, 600/m, 100/15m, 0.5/s or 1MB/s"
QUOTA_HELP = "write how many, a slash, and one of h, d, w, month, y, such as 10000/d"


class Rate(NamedTuple):
    """So many in so long."""

    text: str  # as written
    amount: int
    per_ms: int
    sized: bool  # written in kB or the like


class Quota(NamedTuple):
    """So many in each hour, day, week, month or year."""

    text: str
    amount: int
    unit: str  # h, d, w, month or y
    sized: bool


def rate(value: object) -> Rate:
    """`0.5/s` as one in 2000 ms, in lowest terms. Raises ValueError with what would be legal."""
    many, span_ms, sized = _many_in(value)
    ratio = many / span_ms
    if ratio * DURATION_MS_MAX < 1:
        raise ValueError(f"{written(value)} is slower than one in ten years (3650d), the slowest rate there is")
    return Rate(str(value), ratio.numerator, ratio.denominator, sized)


def window(value: object) -> Rate:
    """`100/15m` as 100 in 900000 ms. Raises ValueError with what would be legal."""
    many, span_ms, sized = _many_in(value)
    if many.denominator > 1:
        raise ValueError(f"{written(value)}: how many in a window is a whole number, such as 100/15m")
    return Rate(str(value), int(many), span_ms, sized)


def quota(value: object) -> Quota:
    """`10000/d`. Raises ValueError with what would be legal."""
    match = QUOTA.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{written(value)} is no quota; {QUOTA_HELP}")
    many = _many(match, value)
    if many.denominator > 1:
        raise ValueError(f"{written(value)}: how many in a quota is a whole number, such as 10000/d")
    return Quota(match[0], int(many), CALENDAR[match[3]], match[2] is not None)


def amount(value: object) -> int:
    """A count, or `4MB`. Raises ValueError with what would be legal."""
    size = size_bytes(value)
    if not 1 <= size <= COUNT_MAX:
        raise ValueError(f"{written(value)} is no burst; there is 1 to {COUNT_MAX}")
    return size


def _many_in(value: object) -> tuple[Fraction, int, bool]:
    match = RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{written(value)} is no rate; {RATE_HELP}")
    span_ms = int(match[3] or 1) * SPANS[match[4]]
    if not 1 <= span_ms <= DURATION_MS_MAX:
        raise ValueError(f"{written(value)}: the time is from 1ms to ten years (3650d)")
    return _many(match, value), span_ms, match[2] is not None


def _many(match: re.Match[str], value: object) -> Fraction:
    many = Fraction(match[1]) * BYTES[match[2] or "B"]
    if not 0 < many <= COUNT_MAX:
        raise ValueError(f"{written(value)}: how many is above zero and at most {COUNT_MAX}")
    return many


def _schema(pattern: re.Pattern[str], *examples: str) -> Any:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$", "examples": list(examples)})


RateText = Annotated[Rate, PlainValidator(rate), _schema(RATE, "10/s", "600/m", "0.5/s", "1MB/s")]
WindowText = Annotated[Rate, PlainValidator(window), _schema(RATE, "100/15m", "5000/h")]
QuotaText = Annotated[Quota, PlainValidator(quota), _schema(QUOTA, "10000/d", "1GB/month")]
AMOUNT_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": f"^{SIZE.pattern}$"}]}
Amount = Annotated[int, BeforeValidator(amount), WithJsonSchema(AMOUNT_SCHEMA)]
"""How many lie ready at most, in a model."""
