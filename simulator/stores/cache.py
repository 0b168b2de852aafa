"""The hot part of a space: a bounded number of values in memory, the rest only in the file.

Rules: a value that is not yet written stays; clean ones leave, the oldest written first; None is a known absence.
Each key that left with a value is marked, so that an unmarked key is surely absent and a new id costs no read.
"""

from __future__ import annotations

from collections.abc import Container, Hashable
from itertools import islice
from typing import Generic, TypeVar

HOT_MAX = 8_192  # of each kind of thing a space; at about 1.5 KiB a record, 12 MiB
MARK_BITS = 23  # 2**23 bits are 1 MiB; of 200,000 marked keys 1 in 400 unmarked ones costs a needless read

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Marks:
    """A set of keys of fixed size that may say yes wrongly, never no: a Bloom filter with two probes."""

    __slots__ = ("_bits", "used")

    def __init__(self) -> None:
        self._bits = bytearray(1 << (MARK_BITS - 3))
        self.used = False

    def add(self, key: Hashable) -> None:
        self.used = True
        for spot in _spots(key):
            self._bits[spot >> 3] |= 1 << (spot & 7)

    def __contains__(self, key: object) -> bool:
        return all(self._bits[spot >> 3] >> (spot & 7) & 1 for spot in _spots(key))


def _spots(key: object) -> tuple[int, int]:
    mixed = hash(key)
    mask = (1 << MARK_BITS) - 1
    return mixed & mask, mixed >> 32 & mask


class Everything:
    """Marks that know nothing: each key may be in the file."""

    def __contains__(self, key: object) -> bool:
        return True


class Cache(Generic[K, V]):
    """Values by key. `fresh` are those of the next batch, `busy` those being written."""

    __slots__ = ("busy", "fresh", "hot", "marks", "most")

    def __init__(self, most: int = HOT_MAX, marks: Container[object] | None = None) -> None:
        """At most about `most` values; `marks` tells what the file may hold, None that it holds nothing."""
        self.most = most
        self.hot: dict[K, V | None] = {}
        self.fresh: dict[K, V | None] = {}
        self.busy: dict[K, V | None] = {}
        self.marks = marks

    def get(self, key: K) -> V | None:
        """The value, None where there is none; KeyError where only the file knows."""
        value = self.hot.get(key)
        if value is None and self.marks is not None and key not in self.hot and key in self.marks:
            raise KeyError(key)
        return value

    def put(self, key: K, value: V | None) -> None:
        """A change, to be written."""
        self.hot.pop(key, None)  # to the end: the order is that of writing
        self.hot[key] = value
        self.fresh[key] = value

    def found(self, key: K, value: V | None) -> None:
        """What the file said, unless memory knows better by now."""
        if key not in self.hot:
            self.hot[key] = value
            if len(self.hot) > self.most + self.most // 4:  # some slack, for a sweep of one is as dear as of many
                self.evict()

    def take(self) -> dict[K, V | None]:
        """What is to be written now."""
        self.busy, self.fresh = self.fresh, {}
        return self.busy

    def written(self) -> None:
        """What was taken is in the file."""
        self.busy = {}
        self.evict()

    def evict(self) -> None:
        """Let go of what is beyond the bound and in the file."""
        excess = len(self.hot) - self.most
        if excess <= 0:
            return
        if self.marks is None:
            self.marks = Marks()
        for key in list(islice(self.hot, excess)):
            if key not in self.fresh and key not in self.busy and self.hot.pop(key) is not None:
                self._mark(key)

    def _mark(self, key: K) -> None:
        if isinstance(self.marks, Marks):
            self.marks.add(key)
