"""The rules that every store shares."""

from __future__ import annotations

import pytest

from simulator.core.records import Changes, Record, Scan
from simulator.stores.base import demand_declared, fits
from tests.stores.making import KIND, moved, record

STORED = record("a")._replace(version=3)


def stored(kind: str, id: str) -> Record | None:
    return STORED if (kind, id) == (KIND, "a") else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (Changes(), True),
        (Changes(puts=(moved(STORED),)), True),
        (Changes(puts=(STORED,)), False),
        (Changes(puts=(record("b"),)), True),
        (Changes(puts=(record("b"), record("b"))), False),
        (Changes(puts=(moved(STORED), moved(moved(STORED)))), True),
        (Changes(removes=(STORED,)), True),
        (Changes(removes=(STORED, STORED)), False),
        (Changes(removes=(record("b"),)), False),
        (Changes(puts=(moved(STORED),), removes=(moved(STORED),)), True),
        (Changes(puts=(moved(STORED),), removes=(STORED,)), False),
    ],
)
def test_each_change_meets_the_version_it_demands_after_those_before_it(changes: Changes, expected: bool) -> None:
    assert fits(changes, stored) is expected


def test_id_state_and_creation_need_no_declaring() -> None:
    demand_declared(Scan(KIND, (("id", "a"), ("state", "b"))), {})
    demand_declared(Scan(KIND, (("n", "a"),), by="n"), {KIND: ("n",)})


def test_an_undeclared_field_is_named_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match=r"'m'; declared: n, o"):
        demand_declared(Scan(KIND, by="m"), {KIND: ("n", "o"), "other": ("m",)})
