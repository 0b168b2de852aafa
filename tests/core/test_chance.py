"""Draws depend on seed and name, and on nothing that happened before."""

from __future__ import annotations

import math
import re
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.chance import CHARACTERS_MAX, Chance, Draws

SEEDS = st.integers(-(2**63), 2**63)
LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DRAWN: dict[str, Callable[[Draws], Any]] = {
    "base62": lambda draws: draws.base62(20),
    "hex": lambda draws: draws.hex(21),
    "digits": lambda draws: draws.digits(8),
    "uuid4": lambda draws: draws.uuid4(),
    "ulid": lambda draws: draws.ulid(),
    "integer": lambda draws: draws.integer(0, 2**64),
    "number": lambda draws: draws.number(),
    "choice": lambda draws: draws.choice(range(1000)),
}


def draws(seed: int = 7, name: str = "here", now_ms: int = 0) -> Draws:
    return Draws(Chance(seed, "shop"), name, now_ms)


@given(SEEDS, st.lists(LABELS, min_size=1, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_draws_changes_none_of_them(seed: int, names: list[str], random: Any) -> None:
    chance = Chance(seed, "shop")
    before = {name: chance.unit(name) for name in names}
    random.shuffle(names)
    again = Chance(seed, "shop")
    assert {name: again.unit(name) for name in names} == before


@given(SEEDS, LABELS)
def test_a_unit_lies_strictly_between_zero_and_one(seed: int, name: str) -> None:
    assert 0 < Chance(seed).unit(name) < 1


def test_seed_service_and_name_each_change_a_draw() -> None:
    drawn = [
        Chance(1, "a").digest("x"),
        Chance(2, "a").digest("x"),
        Chance(1, "b").digest("x"),
        Chance(1, "a").digest("y"),
    ]
    assert len(set(drawn)) == 4


def test_a_draw_is_the_same_in_every_process_and_release() -> None:
    made = draws(now_ms=1_767_225_600_000)
    assert Chance(7, "shop").unit("orders/1") == 0.961701313962875
    assert [made.base62(8), made.hex(9), made.digits(6), made.integer(1, 100), made.choice("abcdefgh")] == [
        "ePZ5GfZF",
        "15da62b3e",
        "012047",
        88,
        "d",
    ]
    assert [made.number(), made.uuid4(), made.ulid()] == [
        0.03818485254314119,
        "8e585f02-2138-4f6a-9bb9-0e404e9eb8d1",
        "01KDVDNA0049FF60M5VBGB5198",
    ]


@pytest.mark.parametrize("kind", DRAWN)
def test_a_call_is_named_by_place_and_number(kind: str) -> None:
    draw = DRAWN[kind]
    assert set(DRAWN) == set(Draws.METHODS)
    first, other = draws(), draws(name="there")
    drawn = [draw(first), draw(first), draw(other)]
    again = draws()
    assert [draw(again), draw(again)] == drawn[:2]
    assert len(set(drawn)) == 3


@given(st.integers(1, CHARACTERS_MAX))
def test_a_drawn_text_has_the_length_and_letters_asked_for(n: int) -> None:
    assert re.fullmatch(f"[0-9A-Za-z]{{{n}}}", draws().base62(n))
    assert re.fullmatch(f"[0-9a-f]{{{n}}}", draws().hex(n))
    assert re.fullmatch(f"[0-9]{{{n}}}", draws().digits(n))


@pytest.mark.parametrize("n", [0, -1, CHARACTERS_MAX + 1, 10**9, "8", 1.5, None])
def test_a_drawn_text_of_no_length_or_too_long_is_refused(n: Any) -> None:
    for method in (draws().base62, draws().hex, draws().digits):
        with pytest.raises(ValueError, match=f"1 to {CHARACTERS_MAX} characters"):
            method(n)


@given(st.integers(0, 1000))
def test_a_uuid_says_that_it_is_a_random_one(seed: int) -> None:
    made = uuid.UUID(draws(seed).uuid4())
    assert (made.version, made.variant) == (4, uuid.RFC_4122)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ulids_sort_by_their_instant(one_ms: int, other_ms: int) -> None:
    one, other = draws(now_ms=one_ms).ulid(), draws(now_ms=other_ms).ulid()
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", one)
    assert (one[:10] < other[:10]) == (one_ms < other_ms)


@given(st.integers(-(10**20), 10**20), st.integers(0, 10**20), SEEDS)
def test_an_integer_lies_within_both_ends(low: int, width: int, seed: int) -> None:
    assert low <= draws(seed).integer(low, low + width) <= low + width


def test_both_ends_of_an_integer_are_drawn() -> None:
    made = draws()
    assert {made.integer(1, 3) for _ in range(200)} == {1, 2, 3}


@pytest.mark.parametrize(("low", "high"), [(2, 1), (1.5, 2), (1, "2"), (None, 1)])
def test_an_integer_between_no_ends_is_refused(low: Any, high: Any) -> None:
    with pytest.raises(ValueError, match="integer"):
        draws().integer(low, high)


def test_a_choice_needs_options() -> None:
    assert draws().choice(["only"]) == "only"
    with pytest.raises(ValueError, match="nothing to choose from"):
        draws().choice([])


def test_units_spread_evenly() -> None:
    chance, count = Chance(7), 20_000
    tenths = Counter(int(chance.unit(f"even/{n}") * 10) for n in range(count))
    error = math.sqrt(count * 0.1 * 0.9)
    assert all(abs(tenths[tenth] - count / 10) < 4 * error for tenth in range(10))


@pytest.mark.parametrize("weights", [[95, 5], [1, 0, 3], [0.2, 0.3, 0.5]])
def test_an_index_is_as_likely_as_its_weight(weights: list[float]) -> None:
    chance, count = Chance(7), 20_000
    drawn = Counter(chance.weighted(f"row/{n}", weights) for n in range(count))
    for index, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(drawn[index] / count - share) <= 4 * math.sqrt(share * (1 - share) / count)


@given(SEEDS, st.lists(st.floats(0, 1e9), min_size=1).filter(any))
def test_what_weighs_nothing_is_never_drawn(seed: int, weights: list[float]) -> None:
    assert weights[Chance(seed).weighted("row", weights)] > 0


def test_rounding_at_the_very_end_still_draws_the_last_that_weighs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chance, "unit", lambda *_: 1.0)
    assert Chance(1).weighted("row", [1, 2, 0]) == 1
