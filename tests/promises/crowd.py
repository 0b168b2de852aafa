"""What many clients of the documents service send in the long run: creates, reads of old and new jobs, lists."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.promises.live import Server, drive, request

CREATES, READS = 0.45, 0.50  # shares of the requests; the rest are lists
IDS_MAX = 200_000
CREATED = re.compile(rb"/jobs/(job_\w{16})\r\n")


class Step(NamedTuple):
    """Where a server was after some requests."""

    requests: int  # since it was started
    grown_mib: float  # since it was started
    per_s: float  # requests a second, in this step


class Crowd:
    """The senders, and what they know of the jobs."""

    def __init__(self, server: Server, seed: int = 1) -> None:
        self._server = server
        self._dice = random.Random(seed)
        self._ids: list[bytes] = []
        self._begun_kib = server.rss_kib()
        self._sent = 0

    async def send(self, count: int) -> Step:
        """Send so many requests. Fails where one is not answered as it should be."""
        began = time.monotonic()
        tally = await drive(self._server, self._mix(count), connections=32, depth=4, seen=self._learn)
        per_s = count / (time.monotonic() - began)
        assert set(tally) == {200, 202}, tally
        assert sum(tally.values()) == count
        self._sent += count
        return Step(self._sent, (self._server.rss_kib() - self._begun_kib) / 1024, per_s)

    def _mix(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            kind = self._dice.random()
            if kind < CREATES or not self._ids:
                yield request("POST", "/v3/jobs", {"input": f"scan-{number:08d}-of-a-letter.pdf"})
            elif kind < CREATES + READS:
                yield request("GET", f"/v3/jobs/{self._dice.choice(self._ids).decode()}")
            else:
                yield request("GET", "/v3/jobs?limit=10")

    def _learn(self, data: bytes) -> None:
        if len(self._ids) < IDS_MAX:
            self._ids += CREATED.findall(data)
