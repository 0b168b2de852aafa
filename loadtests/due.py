"""How late one moment rings while 100,000 others are pending, and what waiting for them costs.

python -m loadtests.due [--pending 100000] [--bells 50] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import platform
from statistics import median

from tests.promises.bells import PARCELS, fill, idle, late_ms
from tests.promises.live import Server

LATE_MS_PROMISED = 20
IDLE_SECONDS = 5.0


async def measure(pending: int, bells: int, rounds: int) -> None:
    """Fill, wait, ring; print what was found."""
    with Server(PARCELS, covered=False) as server:
        filled_s = await fill(server, pending)
        print(f"pending   {pending:,} moments, made in {filled_s:.1f} s ({pending / filled_s:,.0f}/s)")
        quiet = await idle(server, IDLE_SECONDS)
        print(f"idle      {quiet.wakings} wakings and {quiet.cpu_share:.1%} of a core, over {IDLE_SECONDS:.0f} s")
        medians, latest = [], []
        for number in range(1, rounds + 1):
            late = await late_ms(server, bells, seed=number)
            p99 = late[min(len(late) - 1, round(0.99 * len(late)))]
            print(
                f"late {number}    min {late[0]:.2f}   p50 {median(late):.2f}   p99 {p99:.2f}   max {late[-1]:.2f} ms"
                f"   ({len(late)} bells)"
            )
            medians.append(median(late))
            latest.append(late[-1])
        print(f"          p50 {median(medians):.2f} ms, max {median(latest):.2f} ms (medians of {rounds} rounds)")
        print(f"          promised: under {LATE_MS_PROMISED} ms on a quiet machine")


def main() -> None:
    """Read the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--bells", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}")
    asyncio.run(measure(asked.pending, asked.bells, asked.rounds))


if __name__ == "__main__":
    main()
