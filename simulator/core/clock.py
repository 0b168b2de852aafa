"""`clock:` what time it is in a sandbox, and how time passes there.

Rules: a clock is a value, moving it makes a new one; it is told the machine's time (`wall_ms`, which never goes
back) and reads nothing; service time never goes back either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from simulator.core.omit import OMIT
from simulator.core.skew import INSTANT_MS_MAX as INSTANT_MS_MAX
from simulator.core.skew import SkewModel
from simulator.core.values import DURATION_MS_MAX, duration_ms, written

Mode = Literal["real", "scaled", "manual", "jump"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STILL_EPOCH_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, where manual clocks begin: the same in every process
RATE_MAX = 100_000.0  # a day in under a second; beyond that, advance
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def instant_ms(value: object) -> int:
    """`2026-01-01T00:00:00Z` as milliseconds since 1970. Raises ValueError with what would be legal."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            ms = (moment - EPOCH) // timedelta(milliseconds=1)
            if 0 <= ms <= INSTANT_MS_MAX:
                return ms
    raise ValueError(f"{written(value)} is no instant; write it as 2026-01-01T00:00:00Z, with a zone, from 1970 on")


InstantMs = Annotated[int, PlainValidator(instant_ms), WithJsonSchema({"type": "string", "format": "date-time"})]


class ClockSettings(SkewModel):
    """How the sandbox's clock runs: at the machine's pace, at a multiple of it, by hand, or in leaps."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Field("real", description="real, scaled, manual (moves when told), jump (leaps when idle)")
    rate: float | None = Field(None, gt=0, le=RATE_MAX, description="scaled: service seconds per second")
    epoch: InstantMs | None = Field(None, description="The instant at which the clock begins")

    @model_validator(mode="after")
    def _rate_is_for_scaled(self) -> ClockSettings:
        if (self.mode == "scaled") != (self.rate is not None):
            raise ValueError(
                "a scaled clock needs a rate, such as {mode: scaled, rate: 60}"
                if self.mode == "scaled"
                else f"a {self.mode} clock has no rate; for a rate write {{mode: scaled, rate: {self.rate:g}}}"
            )
        return self

    def plain(self) -> dict[str, Any]:
        """The settings as they are written in a scenario."""
        told = {"mode": self.mode, "rate": self.rate, "epoch": None if self.epoch is None else iso(self.epoch)}
        return {key: value for key, value in told.items() if value is not None} | self.plain_skew()


def _words(value: object) -> object:
    """`manual`, `jump`, `real` or `scaled:60`, with an optional `@2026-01-01T00:00:00Z`, as settings."""
    if not isinstance(value, str):
        return value
    words, _, epoch = value.partition("@")
    mode, _, rate = words.partition(":")
    return {"mode": mode} | ({"rate": rate} if rate else {}) | ({"epoch": epoch} if epoch else {})


ClockWords = Annotated[ClockSettings, BeforeValidator(_words, json_schema_input_type=ClockSettings | str)]
"""A clock in a model: settings, or their short form in words."""


def parse_clock(text: str) -> ClockSettings:
    """A clock in its short form, as of --clock. Raises ValueError."""
    return ClockSettings.model_validate(_words(text))


class Clock(NamedTuple):
    """A clock that showed `service_ms` when the machine's showed `wall_ms`."""

    mode: Mode
    rate: float  # service milliseconds per millisecond; 0 stands still
    service_ms: int
    wall_ms: float

    def now_ms(self, wall_ms: float) -> int:
        """Service time, when the machine shows `wall_ms`."""
        if not self.rate:
            return self.service_ms
        return min(self.service_ms + int((wall_ms - self.wall_ms) * self.rate), INSTANT_MS_MAX)

    def wall_at(self, service_ms: int) -> float | None:
        """When the machine will show that this clock shows `service_ms`; None where it never will by itself."""
        if not self.rate:
            return None
        return self.wall_ms + (service_ms - self.service_ms) / self.rate

    def at(self, service_ms: int, wall_ms: float) -> Clock:
        """The same clock, set to `service_ms` now. Never back."""
        return self._replace(service_ms=min(max(service_ms, self.now_ms(wall_ms)), INSTANT_MS_MAX), wall_ms=wall_ms)

    def paced(self, mode: Mode, rate: float, wall_ms: float) -> Clock:
        """The same instant, from now on at another pace."""
        return Clock(mode, rate, self.now_ms(wall_ms), wall_ms)


def pace(mode: Mode, rate: float | None) -> float:
    """Service milliseconds per millisecond. A jumping clock walks between its leaps."""
    return {"real": 1.0, "manual": 0.0, "jump": 1.0, "scaled": rate or 1.0}[mode]


def started(settings: ClockSettings, wall_ms: float) -> Clock:
    """The clock of a new sandbox."""
    still = settings.mode in ("manual", "jump")
    begin = settings.epoch if settings.epoch is not None else STILL_EPOCH_MS if still else int(wall_ms)
    return Clock(settings.mode, pace(settings.mode, settings.rate), begin, wall_ms)


class Instant:
    """An instant in templates: `.iso`, `.epoch`, `.epoch_ms`, `.http`; plus and minus take durations."""

    __slots__ = ("ms",)

    FIELDS = ("iso", "epoch", "epoch_ms", "http", "date")

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def template_field(self, name: str) -> Any:
        """The forms an instant can be shown in."""
        if name == "iso":
            return iso(self.ms)
        if name == "epoch":
            return self.ms // 1000
        if name == "epoch_ms":
            return self.ms
        if name == "http":
            return http_date(self.ms // 1000)
        return iso(self.ms)[:10] if name == "date" else OMIT

    def __add__(self, length: object) -> Instant:
        return Instant(self._bounded(self.ms + _length_ms(length)))

    def __sub__(self, length: object) -> Any:
        if isinstance(length, Instant):
            return (self.ms - length.ms) / 1000
        return Instant(self._bounded(self.ms - _length_ms(length)))

    def __lt__(self, other: Any) -> bool:
        return isinstance(other, Instant) and self.ms < other.ms

    def __le__(self, other: Any) -> bool:
        return isinstance(other, Instant) and self.ms <= other.ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instant) and self.ms == other.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __str__(self) -> str:
        return iso(self.ms)

    @staticmethod
    def _bounded(ms: int) -> int:
        return min(max(ms, 0), INSTANT_MS_MAX)


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-01T00:00:00.000Z."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def http_date(second: int) -> str:
    """IMF-fixdate, RFC 9110 section 5.6.7: Thu, 01 Jan 2026 00:00:00 GMT."""
    moment = EPOCH + timedelta(seconds=second)
    day, month = DAYS[moment.weekday()], MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S} GMT"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).isoformat()[:19]


def _length_ms(length: object) -> int:
    """A duration's text, or a number of seconds."""
    if isinstance(length, int | float) and not isinstance(length, bool):
        return int(min(max(length * 1000, -DURATION_MS_MAX), DURATION_MS_MAX))
    return duration_ms(length)
