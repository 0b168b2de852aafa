"""Named ways to be idempotent: each is legal, and a scenario could write it itself."""

from __future__ import annotations

import pytest

from simulator.core.idempotency import IdempotencyModel
from simulator.core.profiles.idempotency import PROFILES
from tests.core.world import complaints


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_legal_by_its_name_and_written_out(name: str) -> None:
    operations = {"POST /x": {"reply": {"status": 204}}}
    assert complaints({"operations": operations, "idempotency": name}) == []
    assert complaints({"operations": operations, "idempotency": PROFILES[name]}) == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_says_only_what_the_language_knows(name: str) -> None:
    assert {*PROFILES[name]} <= {*IdempotencyModel.model_fields}
