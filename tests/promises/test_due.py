"""A hundred thousand moments may be pending: waiting for them costs nothing, and the one that is due rings on time."""

from __future__ import annotations

from statistics import median

import pytest

from tests.promises.bells import PARCELS, fill, idle, late_ms
from tests.promises.live import Server, client

PENDING = 100_000
FILL_SECONDS_MAX = 40
CPU_SHARE_MAX = 0.1  # an idle event loop that ticks ten times a second takes a tenth of this
LATE_MS_MAX = 20  # on a quiet machine; a busy one may be late now and then, hence the median


@pytest.mark.slow
async def test_a_hundred_thousand_pending_moments_cost_nothing_and_delay_nothing() -> None:
    with Server(PARCELS, covered=False) as server:
        assert await fill(server, PENDING) < FILL_SECONDS_MAX
        quiet = await idle(server, 3.0)
        assert quiet.wakings == 0, "woken while nothing was due"
        assert quiet.cpu_share < CPU_SHARE_MAX
        late = await late_ms(server, bells=20)
        assert late[0] > -1.0, "a moment was run before it was due"
        assert median(late) < LATE_MS_MAX, late
        assert (await idle(server, 1.0)).wakings == 0


async def test_a_loop_wakes_once_for_each_moment_and_not_between() -> None:
    with Server(PARCELS) as server:
        await fill(server, 100)
        late = await late_ms(server, bells=5)
        assert late[0] > -1.0
        async with client(server) as watcher:
            wakings = (await watcher.control("GET", "clock"))["wakings"]
            assert 1 <= wakings <= 15, "timers may ring a hair early and be set again, but not more than that"
            again = await idle(server, 1.0)
        assert again.wakings == 0
