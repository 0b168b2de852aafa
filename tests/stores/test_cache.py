"""The hot part of a space."""

from __future__ import annotations

import pytest

from simulator.stores.cache import Cache, Everything, Marks


def full(most: int, count: int) -> Cache[str, int]:
    """A cache that was given more than it may keep, all of it written."""
    cache: Cache[str, int] = Cache(most)
    for number in range(count):
        cache.put(f"k{number}", number)
    cache.take()
    cache.written()
    return cache


def test_what_was_never_put_is_surely_absent_while_nothing_has_left() -> None:
    assert Cache[str, int](2).get("a") is None


def test_the_oldest_written_leave_first() -> None:
    cache = full(2, 3)
    assert list(cache.hot) == ["k1", "k2"]


def test_writing_again_makes_young() -> None:
    cache = full(2, 2)
    cache.put("k0", 10)
    cache.put("k2", 2)
    cache.take()
    cache.written()
    assert list(cache.hot) == ["k0", "k2"]


def test_only_the_file_knows_what_has_left() -> None:
    cache = full(2, 3)
    with pytest.raises(KeyError):
        cache.get("k0")
    assert cache.get("k1") == 1
    assert cache.get("new") is None


def test_what_is_not_written_stays() -> None:
    cache: Cache[str, int] = Cache(1)
    for name in "abc":
        cache.put(name, 1)
    cache.evict()
    assert list(cache.hot) == ["a", "b", "c"]
    cache.take()
    cache.put("d", 1)
    cache.evict()
    assert list(cache.hot) == ["a", "b", "c", "d"]
    cache.written()
    assert list(cache.hot) == ["d"]


def test_a_removal_that_has_left_needs_no_mark() -> None:
    cache: Cache[str, int] = Cache(1)
    cache.put("a", None)
    cache.put("b", 1)
    cache.take()
    cache.written()
    assert "a" not in cache.hot
    assert cache.get("a") is None


def test_what_the_file_said_does_not_replace_what_memory_knows() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.put("a", 2)
    cache.found("a", 1)
    assert cache.get("a") == 2


def test_reading_much_does_not_fill_the_memory() -> None:
    cache: Cache[int, int] = Cache(8, Everything())
    for number in range(1000):
        cache.found(number, number)
        assert len(cache.hot) <= 10
    with pytest.raises(KeyError):
        cache.get(0)


def test_a_known_absence_is_an_answer() -> None:
    cache: Cache[str, int] = Cache(2, Everything())
    with pytest.raises(KeyError):
        cache.get("a")
    cache.found("a", None)
    assert cache.get("a") is None


def test_marks_never_forget_and_are_rarely_wrong() -> None:
    marks = Marks()
    assert not marks.used
    for number in range(20_000):
        marks.add(("kind", f"id-{number}"))
    assert marks.used
    assert all(("kind", f"id-{number}") in marks for number in range(20_000))
    wrong = sum(("kind", f"new-{number}") in marks for number in range(20_000))
    assert wrong < 20
