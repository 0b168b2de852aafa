"""The bodies of the control plane: what is legal, and one sentence for what is not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from simulator.server.control_bodies import HOLD_MS, ClockMove, Hold, Move, NewSandbox, RecordBody

EVERY: list[type[BaseModel]] = [ClockMove, Hold, Move, NewSandbox, RecordBody]


@pytest.mark.parametrize("model", EVERY)
def test_an_unknown_key_is_an_error(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({"unheard_of": 1})


def test_a_move_of_the_clock_is_one_thing() -> None:
    assert ClockMove.model_validate({"advance": "10m"}).advance == 600_000
    assert ClockMove.model_validate({"advance_to": "next"}).advance_to == "next"
    assert ClockMove.model_validate({"advance_to": "2026-01-01T00:00:00Z"}).advance_to == 1_767_225_600_000
    assert ClockMove.model_validate({"mode": "scaled", "rate": 60}).rate == 60
    for body in ({}, {"advance": "1s", "advance_to": "next"}, {"rate": 60}, {"advance": "1s", "rate": 2}):
        with pytest.raises(ValidationError):
            ClockMove.model_validate(body)


def test_a_hold_lasts_five_seconds_unless_it_says_otherwise() -> None:
    assert Hold.model_validate({}).for_ == HOLD_MS == 5000
    assert Hold.model_validate({"for": "1m", "lease": "a"}) == Hold.model_validate({"for": "1m", "lease": "a"})
    assert Hold.model_validate({"for": "1m"}).for_ == 60_000


@pytest.mark.parametrize("body", [{}, {"to": "A", "signal": "b"}, {"to": None, "signal": None}])
def test_a_record_is_moved_or_sent_a_signal(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="where to, or which signal"):
        Move.model_validate(body)


def test_a_record_without_fields_is_one() -> None:
    assert RecordBody.model_validate({}).record == {}
    assert RecordBody.model_validate({"state": "A", "record": {"a": 1}}).state == "A"


def test_a_clock_may_be_a_word_or_settings() -> None:
    for given in ("manual", {"mode": "manual"}):
        clock = NewSandbox.model_validate({"clock": given}).clock
        assert clock is not None
        assert clock.mode == "manual"
    assert NewSandbox.model_validate({}).clock is None


@pytest.mark.parametrize(("seed", "legal"), [(0, True), (2**63 - 1, True), (2**63, False), (-1, False), (1.5, False)])
def test_a_seed_is_what_a_scenarios_seed_may_be(seed: Any, legal: bool) -> None:
    if legal:
        assert NewSandbox.model_validate({"seed": seed}).seed == seed
    else:
        with pytest.raises(ValidationError):
            NewSandbox.model_validate({"seed": seed})
