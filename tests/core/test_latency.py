"""How long the service takes: what was asked for, drawn by name, and never from another request's draws."""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulator.core.latency import latency_ms
from simulator.core.values import Span, span
from tests.core.faulted import Sick, turn_of

OPERATION = "POST /jobs"
TURN = turn_of(Sick(), OPERATION)
SKEWED = span({"lognormal": {"median": "40ms", "p99": "250ms"}})


def drawn(service: Span | None, own: Span | None = None, ordinal: int = 1, operation: str = OPERATION) -> int:
    return latency_ms(service, own, TURN, operation, ordinal)


def test_a_service_without_latency_takes_no_time() -> None:
    assert drawn(None) == 0


def test_a_fixed_latency_is_exact() -> None:
    assert [drawn(span("50ms"), ordinal=n) for n in (1, 2, 3)] == [50, 50, 50]


def test_an_operations_latency_stands_in_place_of_the_services() -> None:
    assert (drawn(span("50ms"), span("5ms")), drawn(span("50ms"), span(0))) == (5, 0)


@given(st.permutations(range(1, 30)))
def test_a_draw_depends_on_its_ordinal_and_not_on_the_order(ordinals: list[int]) -> None:
    assert {n: drawn(SKEWED, ordinal=n) for n in ordinals} == {n: drawn(SKEWED, ordinal=n) for n in range(1, 30)}


def test_operations_draw_apart() -> None:
    def draws(operation: str) -> list[int]:
        return [drawn(SKEWED, None, n, operation) for n in range(1, 30)]

    assert draws("POST /jobs") != draws("GET /jobs")


def test_another_seed_draws_others() -> None:
    def draws(seed: int) -> list[int]:
        turn: Any = turn_of(Sick(seed=seed), OPERATION)
        return [latency_ms(SKEWED, None, turn, OPERATION, n) for n in range(1, 30)]

    assert draws(1) != draws(2)


def test_draws_have_the_median_and_the_tail_that_were_asked_for() -> None:
    draws = [drawn(SKEWED, ordinal=n) for n in range(1, 20_001)]
    assert abs(median(draws) - 40) <= 2
    assert abs(quantiles(draws, n=100)[98] - 250) <= 20
