"""The nearest due moments in memory, the later ones in the file.

Rules: every row up to the horizon is in the heap, every later one only in the file (None: all are in the heap);
rows of records that have changed since stay until they are met and then found stale; rows order as
(due_ms, kind, ordinal), ties included, so that any number of records may be due in one millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

WAKES_MAX = 8_192  # about 2 MiB a space; sorting that many takes 2 ms, and a refill of half of them about 10 ms

Row = tuple[int, str, int, str]  # due_ms, kind, ordinal, id
NOTHING_YET: Row = (-(2**62), "", 0, "")  # a horizon before every row: all are in the file


class Wakes:
    """Due moments of one space. `most` None keeps them all in memory."""

    __slots__ = ("_late", "heap", "horizon", "most")

    def __init__(self, most: int | None = WAKES_MAX, horizon: Row | None = None) -> None:
        self.most = most
        self.heap: list[Row] = []
        self.horizon = horizon
        self._late: list[Row] | None = None  # rows beyond the horizon that came while the file was being read

    def add(self, row: Row) -> None:
        """A record is due; its row is also going to the file."""
        if self.horizon is not None and row > self.horizon:
            if self._late is not None:
                self._late.append(row)
            return
        heappush(self.heap, row)
        self._shrink()

    def next_ms(self, is_stale: Callable[[Row], bool]) -> int | None:
        """When to look again; may be too early, never too late."""
        while self.heap and is_stale(self.heap[0]):
            heappop(self.heap)
        nearest = self.heap[0] if self.heap else self.horizon
        return nearest[0] if nearest is not None else None

    def nearest(self, now_ms: int, most: int, is_stale: Callable[[Row], bool]) -> list[Row]:
        """Up to `most` rows that are due, in order. They stay; stale and double ones go."""
        rows: list[Row] = []
        while self.heap and self.heap[0][0] <= now_ms and len(rows) < most:
            row = heappop(self.heap)
            if not (rows and rows[-1] == row) and not is_stale(row):
                rows.append(row)
        for row in rows:
            heappush(self.heap, row)
        return rows

    def beyond(self, now_ms: int) -> bool:
        """Whether the file may hold further rows that are due."""
        return self.horizon is not None and self.horizon[0] <= now_ms

    def refilling(self) -> Row | None:
        """The file is about to be asked for the rows after this one; None where it holds no others."""
        if self.horizon is not None:
            self._late = []
        return self.horizon

    def abandoned(self) -> None:
        """The file did not answer. The late rows are in it too, and the horizon has not moved."""
        self._late = None

    def refilled(self, after: Row, rows: Sequence[Row], complete: bool) -> None:
        """What the file answered; `complete` when nothing follows these rows."""
        late, self._late = self._late or [], None
        if self.horizon != after:
            return  # it shrank meanwhile, and the rows between are in no one's hand: ask again
        self.horizon = None if complete else rows[-1]
        self.heap.extend(rows)
        heapify(self.heap)
        for row in late:
            self.add(row)
        self._shrink()

    def _shrink(self) -> None:
        if self.most is not None and len(self.heap) > self.most:
            self.heap.sort()
            del self.heap[self.most // 2 :]
            self.horizon = self.heap[-1]
