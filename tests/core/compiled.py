"""Expressions compiled and played in a small scope, as the tests of this room need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from simulator.core.chance import Chance, Draws
from simulator.core.clock import Instant
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.templates import EVERYWHERE, LiveScope, compile_value

NOW_MS = 1_767_225_600_123
NAMES = EVERYWHERE.plus("body", "x", "y")

# The JSON that clients send: what orjson gives, deep enough to have structure, small enough to be quick.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcitems", max_size=5), inner, max_size=4),
    max_leaves=12,
)


def scope(seed: int = 1, **values: Any) -> LiveScope:
    """A scope with the names that are everywhere, and these."""
    here: Mapping[str, Any] = {
        "chance": lambda label: Draws(Chance(seed), label, NOW_MS),
        "now": Instant(NOW_MS),
        "base_url": "http://a.test",
        "omit": OMIT,
        "body": OMIT,
        "x": OMIT,
        "y": OMIT,
    }
    return LiveScope({**here, **values}, {}, None)


def play(data: Any, **values: Any) -> Any:
    """The value of a piece of a document, which must be legal."""
    place = nowhere()
    value = compile_value(data, place, NAMES)
    assert not place.complaints, [complaint.what for complaint in place.complaints]
    return value.of(scope(**values))


def complaints(data: Any) -> list[str]:
    """What is said of a piece of a document."""
    place = nowhere()
    compile_value(data, place, NAMES)
    return [complaint.what for complaint in place.complaints]
