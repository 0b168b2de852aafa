"""Requests don't make the server grow: what is finished lives on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promises.crowd import Crowd
from tests.promises.live import DOCUMENTS, Server

GROWN_MIB_MAX = 64


@pytest.mark.slow
@pytest.mark.timeout(300)  # a minute's work on a quiet machine, more on a busy one
async def test_two_hundred_thousand_requests_grow_the_process_by_less_than_64_mib() -> None:
    with Server(DOCUMENTS, covered=False) as server:
        crowd = Crowd(server)
        half = await crowd.send(100_000)
        whole = await crowd.send(100_000)
    assert whole.requests == 200_000
    assert whole.grown_mib < GROWN_MIB_MAX, f"{half}, {whole}"
    assert whole.grown_mib - half.grown_mib < GROWN_MIB_MAX / 4, f"it goes on growing: {half}, {whole}"


@pytest.mark.slow
@pytest.mark.timeout(300)  # a minute's work on a quiet machine, more on a busy one
async def test_a_named_store_does_not_grow_with_its_file(tmp_path: Path) -> None:
    with Server(DOCUMENTS, "--store", f"sqlite:///{tmp_path / 'kept.db'}", covered=False) as server:
        crowd = Crowd(server)
        first = await crowd.send(20_000)
        second = await crowd.send(20_000)
    assert second.grown_mib < GROWN_MIB_MAX, f"{first}, {second}"
    assert second.grown_mib - first.grown_mib < GROWN_MIB_MAX / 4, f"it goes on growing: {first}, {second}"
