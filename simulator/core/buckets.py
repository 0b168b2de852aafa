"""The arithmetic of limits: what a bucket of each kind admits, and when it will admit what it does not admit now.

Rules: whole numbers only, so that every process decides alike; a state is None, which is that of a bucket nobody has
used, or a list of whole numbers, and from `Level.expires_ms` on it is as good as None; a wait is exact: at `now_ms +
wait_ms`, and not before, the same request is admitted if nobody else comes. Instants are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from simulator.core.clock import EPOCH, INSTANT_MS_MAX
from simulator.core.rates import COUNT_MAX, SPANS, Rate
from simulator.core.values import DURATION_MS_MAX, MS

CELLS = 99  # that the length of a sliding window is cut into; with those that its two ends cut, at most 100 are kept

State = list[int] | None
Period = Callable[[int], tuple[int, int]]


class Level(NamedTuple):
    """How a bucket stands at an instant."""

    remaining: int  # the largest weight that would be admitted now
    reset_ms: int | None  # from now until it is full, or begins anew; None where nobody knows
    next_ms: int | None  # from now until more remains; None where nobody knows
    expires_ms: int  # the instant from which the state is as good as None


class Bucket(Protocol):
    """One limit's arithmetic."""

    @property
    def capacity(self) -> int: ...
    def wait_ms(self, state: State, now_ms: int, weight: int) -> int | None:
        """How long until this weight is admitted; 0 is now, None is never, or that nobody knows."""

    def taken(self, state: State, now_ms: int, at_ms: int, weight: int) -> State:
        """The state once this weight is taken at an instant that is now or, for what is made to wait, later."""

    def used(self, state: State, now_ms: int) -> int:
        """What is taken of the capacity; more than that where refused requests cost too."""

    def level(self, state: State, now_ms: int) -> Level:
        """How it stands."""

    def span_ms(self, now_ms: int) -> int | None:
        """In how long the capacity comes back."""


class TokenBucket(NamedTuple):
    """`amount` tokens come back in `per_ms`, `capacity` are the most that lie ready.

    The state is when the bucket will be full (GCRA's theoretical arrival time): whole ms, and parts of the next one in
    `amount`ths. In parts, a token costs `per_ms` and each ms gives `amount` back, so nothing is ever rounded. In any
    time t it admits at most capacity + amount * t / per_ms.
    """

    capacity: int
    amount: int
    per_ms: int

    def wait_ms(self, state: State, now_ms: int, weight: int) -> int | None:
        """How long until there are tokens enough."""
        if weight > self.capacity:
            return None
        return max(_up(self._debt(state, now_ms) + (weight - self.capacity) * self.per_ms, self.amount), 0)

    def taken(self, state: State, now_ms: int, at_ms: int, weight: int) -> State:  # noqa: ARG002 - as of all buckets
        """One that is full again later."""
        whole, parts = divmod(self._debt(state, at_ms) + weight * self.per_ms, self.amount)
        return [at_ms + whole, parts]

    def used(self, state: State, now_ms: int) -> int:
        """The tokens that are missing."""
        return _up(self._debt(state, now_ms), self.per_ms)

    def level(self, state: State, now_ms: int) -> Level:
        """What lies ready, and when it is full."""
        debt = self._debt(state, now_ms)
        remaining = max(self.capacity - _up(debt, self.per_ms), 0)
        full_ms = _up(debt, self.amount)
        more = self.wait_ms(state, now_ms, remaining + 1) if debt else 0
        return Level(remaining, full_ms, more, now_ms + full_ms)

    def span_ms(self, now_ms: int) -> int:  # noqa: ARG002 - as of all buckets
        """How long an empty bucket takes to fill."""
        return _up(self.capacity * self.per_ms, self.amount)

    def _debt(self, state: State, now_ms: int) -> int:
        """What is missing until full, in parts."""
        return 0 if state is None else max((state[0] - now_ms) * self.amount + state[1], 0)


class Windows(NamedTuple):
    """`capacity` in each period. The state is when one began, which may be later than now, and what it has taken."""

    capacity: int
    period: Period

    def wait_ms(self, state: State, now_ms: int, weight: int) -> int | None:
        """Until a period begins that has room."""
        start, end, used = self._open(state, now_ms)
        if weight > self.capacity:
            return None
        return max(start - now_ms, 0) if used + weight <= self.capacity else end - now_ms

    def taken(self, state: State, now_ms: int, at_ms: int, weight: int) -> State:  # noqa: ARG002 - as of all buckets
        """That period with more in it. Those before it are closed: whoever comes later gets in later."""
        start, _, used = self._open(state, at_ms)
        return [start, used + weight]

    def used(self, state: State, now_ms: int) -> int:
        """What the period has taken."""
        return self._open(state, now_ms)[2]

    def level(self, state: State, now_ms: int) -> Level:
        """What the period has left, and when the next one begins."""
        start, end, used = self._open(state, now_ms)
        waiting = start > now_ms
        remaining = 0 if waiting else max(self.capacity - used, 0)
        return Level(remaining, end - now_ms, start - now_ms if waiting else end - now_ms, end)

    def span_ms(self, now_ms: int) -> int:
        """The length of the period that is open."""
        start, end = self.period(now_ms)
        return end - start

    def _open(self, state: State, now_ms: int) -> tuple[int, int, int]:
        """The period that takes requests: its begin, its end, and what it has taken."""
        start, end = self.period(now_ms)
        if state is None or state[0] < start:
            return start, end, 0
        return *self.period(state[0]), state[1]


class SlidingWindow(NamedTuple):
    """`capacity` in any `length_ms`, wherever it begins.

    The state counts by cells of time: number, count, number, count. A cell that lies even partly within the window
    counts in full, so a window never admits more than its capacity, and sometimes a little less.
    """

    capacity: int
    length_ms: int

    @property
    def cell_ms(self) -> int:
        """How long a cell is; 1 ms, and then nothing is admitted too little, up to a window of 99 ms."""
        return _up(self.length_ms, CELLS)

    def wait_ms(self, state: State, now_ms: int, weight: int) -> int | None:
        """Until so many of the oldest cells have left the window that there is room."""
        if weight > self.capacity:
            return None
        cells = self._cells(state, now_ms)
        over = sum(count for _, count in cells) + weight - self.capacity
        wait_ms = 0
        for cell, count in cells:
            if over <= 0:
                break
            over, wait_ms = over - count, self._gone_ms(cell) - now_ms
        return wait_ms

    def taken(self, state: State, now_ms: int, at_ms: int, weight: int) -> State:
        """The cells that still count now, and more in the one of that instant."""
        cells = dict(self._cells(state, now_ms))
        cell = at_ms // self.cell_ms
        cells[cell] = cells.get(cell, 0) + weight
        return [number for pair in sorted(cells.items()) for number in pair]

    def used(self, state: State, now_ms: int) -> int:
        """What the cells have taken that still count."""
        return sum(count for _, count in self._cells(state, now_ms))

    def level(self, state: State, now_ms: int) -> Level:
        """What is left, and when the last cell has left the window."""
        cells = self._cells(state, now_ms)
        remaining = max(self.capacity - sum(count for _, count in cells), 0)
        empty_ms = self._gone_ms(cells[-1][0]) if cells else now_ms
        more = self.wait_ms(state, now_ms, remaining + 1) if remaining < self.capacity else 0
        return Level(remaining, empty_ms - now_ms, more, empty_ms)

    def span_ms(self, now_ms: int) -> int:  # noqa: ARG002 - as of all buckets
        """The window's length."""
        return self.length_ms

    def _cells(self, state: State, now_ms: int) -> list[tuple[int, int]]:
        oldest = (now_ms - self.length_ms + 1) // self.cell_ms
        numbers = state or []
        return [pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair[0] >= oldest]

    def _gone_ms(self, cell: int) -> int:
        """The first instant whose window does not touch this cell."""
        return (cell + 1) * self.cell_ms + self.length_ms - 1


class Slots(NamedTuple):
    """`capacity` at the same time. The state is how many are held; nobody knows when one is let go."""

    capacity: int

    def wait_ms(self, state: State, now_ms: int, weight: int) -> int | None:
        """Now, or nobody knows."""
        return 0 if self.used(state, now_ms) + weight <= self.capacity else None

    def taken(self, state: State, now_ms: int, at_ms: int, weight: int) -> State:  # noqa: ARG002 - as of all buckets
        """One more is held."""
        return [self.used(state, now_ms) + weight]

    def used(self, state: State, now_ms: int) -> int:  # noqa: ARG002 - as of all buckets
        """How many are held."""
        return state[0] if state else 0

    def level(self, state: State, now_ms: int) -> Level:
        """How many are free."""
        return Level(max(self.capacity - self.used(state, now_ms), 0), None, None, now_ms)

    def span_ms(self, now_ms: int) -> None:
        """It has none."""


def charged(bucket: Bucket, state: State, now_ms: int, weight: int) -> State:
    """The state once a refused request has cost its weight too; at most another capacity is ever owed."""
    due = min(weight, 2 * bucket.capacity - bucket.used(state, now_ms))
    return bucket.taken(state, now_ms, now_ms, due) if due > 0 else state


def every(length_ms: int, first_ms: int = 0) -> Period:
    """Periods of one length, one of which begins at `first_ms`."""

    def period(now_ms: int) -> tuple[int, int]:
        start = (now_ms - first_ms) // length_ms * length_ms + first_ms
        return start, start + length_ms

    return period


def _months(count: int) -> Period:
    """Periods of so many months of the UTC calendar, which divide a year."""

    def period(now_ms: int) -> tuple[int, int]:
        moment = EPOCH + timedelta(milliseconds=min(now_ms, INSTANT_MS_MAX))
        first = (moment.year * 12 + moment.month - 1) // count * count
        return _begin_ms(first), _begin_ms(first + count)

    return period


def _begin_ms(month: int) -> int:
    """When a month begins, counted from the year 0. The calendar ends with the year 9999."""
    year, index = divmod(month, 12)
    if year > 9999:
        return INSTANT_MS_MAX + 1
    return (datetime(year, index + 1, 1, tzinfo=EPOCH.tzinfo) - EPOCH) // timedelta(milliseconds=1)


def _up(value: int, by: int) -> int:
    """The quotient, rounded up."""
    return -(-value // by)


PERIODS: dict[str, Period] = {
    "h": every(MS["h"]),
    "d": every(MS["d"]),
    "w": every(SPANS["w"], 4 * MS["d"]),  # Mondays, as ISO 8601 has it; 1970 began on a Thursday
    "month": _months(1),
    "y": _months(12),
}
"""The periods of calendar quotas, in UTC."""


def token_bucket(rate: Rate, burst: int | None) -> TokenBucket:
    """A rate's bucket; without a burst it holds what a second gives, at least one. Raises ValueError."""
    capacity = burst or min(max(rate.amount * MS["s"] // rate.per_ms, 1), COUNT_MAX)
    bucket = TokenBucket(capacity, rate.amount, rate.per_ms)
    if bucket.span_ms(0) > DURATION_MS_MAX:
        raise ValueError(f"a burst of {capacity} at {rate.text} takes more than ten years to come back; lower it")
    return bucket


def bucket_of(kind: str, given: Any, burst: int | None = None, style: str = "fixed") -> tuple[Bucket, str]:
    """The bucket of a limit, and a word that differs where one's state means nothing to the other."""
    if kind == "rate":
        return token_bucket(given, burst), f"r{given.amount}-{given.per_ms}"
    if kind == "quota":
        return Windows(given.amount, PERIODS[given.unit]), f"q{given.unit}"
    if kind == "concurrency":
        return Slots(given), "c"
    if style == "sliding":
        return SlidingWindow(given.amount, given.per_ms), f"s{given.per_ms}"
    return Windows(given.amount, every(given.per_ms)), f"f{given.per_ms}"
