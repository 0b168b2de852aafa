"""Durations, distributions and sizes, as they are written in a scenario.

Rules: inside the program a duration is whole milliseconds and a size is bytes, and the unit stands last in the
name; a distribution is drawn from one number between 0 and 1, so that a draw can be named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainValidator, ValidationError, WithJsonSchema

from simulator.core.places import listed, unknown_name

MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {"B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATION_MS_MAX = 3650 * MS["d"]  # ten years: far beyond any schedule, and any product of it stays a small integer
SIZE_BYTES_MAX = 10**15  # a million gigabytes: no machine has them, and they are still exact as a float
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|kB|MB|GB|KiB|MiB|GiB)")
DURATION_HELP = "a duration is a number and one of ms, s, m, h, d, such as 250ms, 1.5s or 24h"
Z_99 = NormalDist().inv_cdf(0.99)
WORDS: dict[Any, str] = {None: "null", True: "true", False: "false"}


def written(value: object, most: int = 60) -> str:
    """A value in a message, the way it is written in a scenario, cut where it is long."""
    if value is None or isinstance(value, bool):
        return WORDS[value]
    if isinstance(value, dict):
        word = f"{{{', '.join(f'{key}: {written(part)}' for key, part in value.items())}}}"
    else:
        word = f"[{', '.join(map(written, value))}]" if isinstance(value, list) else repr(value)
    return word if len(word) <= most else f"{word[:most]}…"


def wrong_at(key: str, what: str) -> ValidationError:
    """What a model's own validator raises, so that the complaint stands at one of its keys."""
    return ValidationError.from_exception_data(
        "", [{"type": "value_error", "loc": (key,), "input": None, "ctx": {"error": ValueError(what)}}]
    )


class Span(NamedTuple):
    """A duration, fixed or drawn: how it is written, and milliseconds from a number between 0 and 1."""

    text: str
    at: Callable[[float], float]
    fixed_ms: int | None = None

    def draw_ms(self, unit: float) -> int:
        """Whole milliseconds, never negative, never above ten years."""
        if self.fixed_ms is not None:
            return self.fixed_ms
        return int(min(max(self.at(unit), 0.0), DURATION_MS_MAX))


def duration_ms(value: object) -> int:
    """`1.5s` as 1500. Raises ValueError with what would be legal."""
    if value == 0 and not isinstance(value, bool):
        return 0
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{written(value)} is no duration; {DURATION_HELP}")
    ms = float(match[1]) * MS[match[2]]
    if ms > DURATION_MS_MAX:
        raise ValueError(f"{written(value)} is longer than ten years (3650d), the longest duration there is")
    return round(ms)


def size_bytes(value: object) -> int:
    """`1MiB` as 1048576; a bare whole number is bytes. Raises ValueError with what would be legal."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{written(value)} is no size; a size is a number and one of {', '.join(BYTES)}, such as 64kB or 10MiB"
        )
    size = float(match[1]) * BYTES[match[2]]
    if size > SIZE_BYTES_MAX:
        raise ValueError(f"{written(value)} is more than {SIZE_BYTES_MAX // 10**9}GB, the largest size there is")
    return int(size)


def fixed(ms: int, text: str = "") -> Span:
    """A duration that is always the same."""
    return Span(text or f"{ms}ms", lambda _: ms, ms)


def span(value: object) -> Span:
    """A duration or a distribution. Raises ValueError with what would be legal."""
    if isinstance(value, Span):
        return value
    if not isinstance(value, dict):
        return fixed(duration_ms(value), str(value))
    if len(value) != 1:
        raise ValueError(f"a distribution is one of {listed(DISTRIBUTIONS)}, not {written(value)}")
    name = next(iter(value))
    if name not in DISTRIBUTIONS:
        raise ValueError(unknown_name("distribution", str(name), DISTRIBUTIONS))
    return Span(f"{name} {value[name]}", DISTRIBUTIONS[name](value[name]))


def _uniform(value: Any) -> Callable[[float], float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"uniform takes a lower and an upper end, such as [1s, 3s], not {written(value)}")
    low, high = map(duration_ms, value)
    if low > high:
        raise ValueError(f"uniform's lower end {value[0]} is above its upper end {value[1]}")
    return lambda unit: low + unit * (high - low)


def _normal(value: Any) -> Callable[[float], float]:
    mean, sd = _parameters("normal", value, mean=duration_ms, sd=duration_ms)
    bell = NormalDist(mean, sd) if sd else None
    return lambda unit: bell.inv_cdf(unit) if bell else mean


def _lognormal(value: Any) -> Callable[[float], float]:
    median, p99 = _parameters("lognormal", value, median=duration_ms, p99=duration_ms)
    if not 0 < median <= p99:
        raise ValueError(
            f"lognormal's median {value['median']} must be above zero and not above its p99 {value['p99']}"
        )
    sigma, standard = math.log(p99 / median) / Z_99, NormalDist()
    return lambda unit: median * math.exp(sigma * standard.inv_cdf(unit))


def _exponential(value: Any) -> Callable[[float], float]:
    (mean,) = _parameters("exponential", value, mean=duration_ms)
    return lambda unit: -mean * math.log1p(-unit)


def _pareto(value: Any) -> Callable[[float], float]:
    low, shape = _parameters("pareto", value, min=duration_ms, shape=_shape)
    return lambda unit: float(low * (1.0 - unit) ** (-1.0 / shape))


def _shape(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 100:
        raise ValueError(f"pareto's shape is a number from 0.1 to 100, not {written(value)}")
    return float(value)


def _parameters(name: str, value: Any, **readers: Callable[[object], float]) -> list[float]:
    if not isinstance(value, dict) or set(value) != set(readers):
        raise ValueError(f"{name} takes {' and '.join(readers)}, not {written(value)}")
    return [read(value[key]) for key, read in readers.items()]


DISTRIBUTIONS: dict[str, Callable[[Any], Callable[[float], float]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
    "pareto": _pareto,
}

DURATION_SCHEMA = {
    "description": DURATION_HELP,
    "anyOf": [
        {"type": "string", "pattern": rf"^{DURATION.pattern}$", "examples": ["250ms", "1.5s", "10m", "24h"]},
        {"const": 0},
    ],
}


def _length(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict.fromkeys(names, DURATION_SCHEMA),
        "required": list(names),
        "additionalProperties": False,
    }


SHAPE_SCHEMA = {
    "description": "The smaller, the longer the tail",
    "type": "number",
    "minimum": 0.1,
    "maximum": 100,
}
SPAN_SCHEMA = {
    "description": "A duration, or a distribution that one is drawn from.",
    "anyOf": [
        DURATION_SCHEMA,
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {
                "uniform": {
                    "description": "Anywhere between two ends, such as [1s, 3s]",
                    "type": "array",
                    "items": DURATION_SCHEMA,
                    "minItems": 2,
                    "maxItems": 2,
                },
                "normal": {"description": "A bell, cut at zero", **_length("mean", "sd")},
                "lognormal": {"description": "Mostly short, with a long tail", **_length("median", "p99")},
                "exponential": {"description": "Waiting for what comes at any moment", **_length("mean")},
                "pareto": {
                    "description": "Never under `min`, with a very long tail",
                    "type": "object",
                    "properties": {"min": DURATION_SCHEMA, "shape": SHAPE_SCHEMA},
                    "required": ["min", "shape"],
                    "additionalProperties": False,
                },
            },
        },
    ],
}

Duration = Annotated[int, BeforeValidator(duration_ms), WithJsonSchema(DURATION_SCHEMA)]
"""A fixed duration in a model: milliseconds."""

DrawnDuration = Annotated[Span, PlainValidator(span), WithJsonSchema(SPAN_SCHEMA)]
"""A duration or a distribution in a model."""
