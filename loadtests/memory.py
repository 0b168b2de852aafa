"""What 200,000 requests do to the server's memory, with a temporary store and with a named one.

python -m loadtests.memory [--requests 200000]
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import tempfile
from pathlib import Path

from tests.promises.crowd import CREATES, READS, Crowd
from tests.promises.live import DOCUMENTS, Server

GROWN_MIB_PROMISED = 64


async def measure(name: str, requests: int, flags: list[str]) -> None:
    """Send all requests in two halves; print what was found after each."""
    with Server(DOCUMENTS, *flags, covered=False) as server:
        print(f"{name:<10} at the start {server.rss_kib() / 1024:6.1f} MiB")
        crowd = Crowd(server)
        for _ in range(2):
            step = await crowd.send(requests // 2)
            print(
                f"{'':<10} after {step.requests:>9,} {server.rss_kib() / 1024:6.1f} MiB"
                f"   grown by {step.grown_mib:5.1f} MiB   {step.per_s:,.0f} requests/s"
            )
        print(f"{'':<10} promised: grown by less than {GROWN_MIB_PROMISED} MiB after 200,000")


async def both(requests: int) -> None:
    """One store after the other."""
    await measure("temporary", requests, [])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.db"
        await measure("named", requests, ["--store", f"sqlite:///{path}"])
        print(f"{'':<10} its file: {path.stat().st_size / 2**20:,.0f} MiB")


def main() -> None:
    """Read the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=200_000)
    asked = parser.parse_args()
    print(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}")
    print(f"{CREATES:.0%} creates, {READS:.0%} reads, the rest lists; 32 connections with up to 4 requests under way")
    asyncio.run(both(asked.requests))


if __name__ == "__main__":
    main()
