"""`clock: {offset, drift, jumps, freeze}`: how wrong the service's clock is towards its clients.

Rules: the service itself runs on its right clock, and every instant that a client sees goes through one function of
that time, so what is shown is wrong and still coherent: `Date`, timestamps of records, expiry of tokens, signatures,
HTTP dates and epoch seconds of limits.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from simulator.core.values import DURATION, Duration, duration_ms, written

INSTANT_MS_MAX = 253_402_300_799_999  # the end of the year 9999, the last instant that RFC 3339 can write
DRIFT = re.compile(rf"(-?)({DURATION.pattern})/s")
DRIFT_US_MAX = 10_000_000  # a clock that gains ten seconds a second is wrong enough
JUMPS_MAX = 100


def signed_ms(value: object) -> int:
    """`-5m` as -300000. Raises ValueError with what would be legal."""
    if isinstance(value, str) and value.startswith("-"):
        return -duration_ms(value[1:])
    return duration_ms(value)


def drift_us(value: object) -> int:
    """`50ms/s` as microseconds that the clock gains in a second. Raises ValueError with what would be legal."""
    if value == 0 and not isinstance(value, bool):
        return 0
    match = DRIFT.fullmatch(value) if isinstance(value, str) else None
    if match is None or duration_ms(match[2]) * 1000 > DRIFT_US_MAX:
        raise ValueError(
            f"{written(value)} is no drift; a drift is up to ten seconds a second, such as 50ms/s or -1s/s"
        )
    return duration_ms(match[2]) * (-1000 if match[1] else 1000)


SIGNED_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^-?{DURATION.pattern}$"}, {"const": 0}]}
DRIFT_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{DRIFT.pattern}$"}, {"const": 0}]}
Signed = Annotated[int, BeforeValidator(signed_ms), WithJsonSchema(SIGNED_SCHEMA)]
Drift = Annotated[int, BeforeValidator(drift_us), WithJsonSchema(DRIFT_SCHEMA)]


class JumpModel(BaseModel):
    """A leap of the clock that clients see."""

    model_config = ConfigDict(extra="forbid")

    at: Duration = Field(description="How long after the sandbox began", examples=["30s"])
    by: Signed = Field(description="How far, forward or back", examples=["1h", "-5m"])


class Skew(NamedTuple):
    """How wrong a clock is. A value: a jump makes another."""

    began_ms: int = 0  # when the sandbox began
    offset_ms: int = 0
    drift_us: int = 0  # gained in a second
    jumps: tuple[tuple[int, int], ...] = ()  # milliseconds since it began, and by how many
    freeze_ms: int | None = None  # since it began; from then on the clock that clients see stands still

    def shown_ms(self, now_ms: int) -> int:
        """What clients see when it is `now_ms`."""
        elapsed = now_ms - self.began_ms
        if self.freeze_ms is not None and elapsed > self.freeze_ms:
            now_ms, elapsed = self.began_ms + self.freeze_ms, self.freeze_ms
        leapt = sum(by for at, by in self.jumps if at <= elapsed)
        drifted = max(elapsed, 0) * self.drift_us // 1_000_000
        return min(max(now_ms + self.offset_ms + drifted + leapt, 0), INSTANT_MS_MAX)

    def jumped(self, now_ms: int, by_ms: int) -> Skew:
        """The same, and from now on further off."""
        return self._replace(jumps=(*self.jumps[1 - JUMPS_MAX :], (max(now_ms - self.began_ms, 0), by_ms)))


RIGHT = Skew()


class SkewModel(BaseModel):
    """How wrong the clock is that clients see."""

    model_config = ConfigDict(extra="forbid")

    offset: Signed = Field(0, description="How far the clock that clients see is off", examples=["-5m"])
    drift: Drift = Field(0, description="How much it gains in a second", examples=["50ms/s", "-1s/s"])
    jumps: list[JumpModel] = Field([], max_length=JUMPS_MAX, description="When it leaps, and how far")
    freeze: Duration | None = Field(None, description="So long after the sandbox began it stands still for clients")

    def skew(self, began_ms: int) -> Skew:
        """The clock's errors, for a sandbox that began then."""
        jumps = tuple((jump.at, jump.by) for jump in self.jumps)
        return Skew(began_ms, self.offset, self.drift, jumps, self.freeze)

    def plain_skew(self) -> dict[str, object]:
        """The errors as they are written in a scenario; those that there are not are left out."""
        written: dict[str, object] = {
            "offset": f"{self.offset}ms" if self.offset else None,
            "drift": f"{self.drift / 1000:g}ms/s" if self.drift else None,
            "jumps": [{"at": f"{jump.at}ms", "by": f"{jump.by}ms"} for jump in self.jumps] or None,
            "freeze": None if self.freeze is None else f"{self.freeze}ms",
        }
        return {key: value for key, value in written.items() if value is not None}
