"""Every random choice, from the seed and a name.

Rules: a draw is a hash of (seed, name), never the next of a stream, so that no draw depends on how many came
before it; whoever draws says a name that is his alone, such as `documents.job/job_17/2/after`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TO_BASE62 = bytes(BASE62[i % 62] for i in range(256))  # 5/256 against 4/256: uneven by a hair, and one call
CHARACTERS_MAX = 1024  # of one drawn text; nobody's identifiers are longer


class Chance:
    """All draws of one service: a seed, and whatever name is asked."""

    __slots__ = ("_keyed", "seed")

    def __init__(self, seed: int, service: str = "") -> None:
        self.seed = seed
        self._keyed = hashlib.blake2b(f"{seed}/{service}/".encode(), digest_size=32)

    def digest(self, name: str) -> bytes:
        """32 bytes."""
        keyed = self._keyed.copy()
        keyed.update(name.encode())
        return keyed.digest()

    def unit(self, name: str) -> float:
        """A number strictly between 0 and 1."""
        return (int.from_bytes(self.digest(name)[:6], "big") + 0.5) / 2**48

    def weighted(self, name: str, weights: Sequence[float]) -> int:
        """An index, each as likely as its weight. The weights add up to more than zero."""
        point = self.unit(name) * sum(weights)
        for index, weight in enumerate(weights):
            point -= weight
            if point < 0:
                return index
        return max(index for index, weight in enumerate(weights) if weight)


class Draws:
    """`chance` in templates: each call is a draw of its own, named by the place and the how-manieth call."""

    __slots__ = ("_calls", "_chance", "_name", "_now_ms")

    METHODS = ("base62", "hex", "digits", "uuid4", "ulid", "integer", "number", "choice")

    def __init__(self, chance: Chance, name: str, now_ms: int) -> None:
        self._chance = chance
        self._name = name
        self._now_ms = now_ms
        self._calls = 0

    def base62(self, n: int = 16) -> str:
        """n characters of 0-9, A-Z, a-z."""
        return self._bytes(_count(n)).translate(TO_BASE62).decode()

    def hex(self, n: int = 32) -> str:
        """n characters of 0-9, a-f."""
        return self._bytes(_count(n)).hex()[:n]

    def digits(self, n: int = 6) -> str:
        """n characters of 0-9."""
        return "".join(str(byte % 10) for byte in self._bytes(_count(n)))

    def uuid4(self) -> str:
        """A version 4 UUID (RFC 9562 section 5.4)."""
        raw = bytearray(self._bytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def ulid(self) -> str:
        """A ULID: 48 bits of service time, 80 of chance, in Crockford's base 32."""
        value = (self._now_ms & (2**48 - 1)) << 80 | int.from_bytes(self._bytes(10), "big")
        return "".join(CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        if _whole(high) < _whole(low):
            raise ValueError(f"chance.integer({low}, {high}): the lower end is above the upper one")
        return low + int.from_bytes(self._bytes(16), "big") % (high - low + 1)

    def number(self) -> float:
        """A number between 0 and 1."""
        self._calls += 1
        return self._chance.unit(f"{self._name}/{self._calls}")

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options, each as likely."""
        if not options:
            raise ValueError("chance.choice([]): there is nothing to choose from")
        return options[int.from_bytes(self._bytes(8), "big") % len(options)]

    def _bytes(self, n: int) -> bytes:
        self._calls += 1
        name = f"{self._name}/{self._calls}"
        raw = self._chance.digest(name)
        part = 1
        while len(raw) < n:
            raw += self._chance.digest(f"{name}/{part}")
            part += 1
        return raw[:n]


def _whole(n: object) -> int:
    if not isinstance(n, int):
        raise ValueError(f"chance.integer draws between whole numbers, and {n!r} is none")
    return n


def _count(n: object) -> int:
    if not isinstance(n, int) or not 1 <= n <= CHARACTERS_MAX:
        raise ValueError(f"a drawn text has 1 to {CHARACTERS_MAX} characters, not {n!r}")
    return n
