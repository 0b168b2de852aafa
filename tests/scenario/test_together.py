"""Several scenarios in one sandbox."""

from __future__ import annotations

import pytest

from simulator.errors import OperatorError
from simulator.scenario.parse import Draft, parse_text
from simulator.scenario.together import clock_of, mounts_of, services_of


def draft(name: str, more: str = "") -> Draft:
    text = f"scenario: {name}\n{more}operations:\n  GET /a: {{reply: {{body: {name}}}}}\n"
    return parse_text(text, name)


def test_a_scenario_alone_stands_at_the_root() -> None:
    assert mounts_of([draft("a")], {}) == {"a": "/"}


def test_of_several_each_stands_under_its_name() -> None:
    assert mounts_of([draft("a"), draft("b")], {}) == {"a": "/a", "b": "/b"}


def test_one_that_is_played_already_stays_where_it_is() -> None:
    assert mounts_of([draft("a"), draft("b")], {"a": "/"}) == {"a": "/", "b": "/b"}
    assert mounts_of([draft("a")], {"a": "/a", "b": "/b"}) == {"a": "/a"}


def test_a_scenario_that_says_where_it_stands_stands_there() -> None:
    (service,) = services_of([draft("a", "mount: /x\nbase_path: /v1\n")], 1, 2, {"a": "/"})
    assert service.prefix == "/x/v1"


def test_a_seed_beats_the_scenarios_own_and_a_spare_one_stands_in() -> None:
    drafts = [draft("a", "seed: 5\n"), draft("b")]
    mounts = mounts_of(drafts, {})
    assert [service.seed for service in services_of(drafts, None, 9, mounts)] == [5, 9]
    assert [service.seed for service in services_of(drafts, 7, 9, mounts)] == [7, 7]


def test_two_answers_to_the_same_request_are_refused() -> None:
    drafts = [draft("a", "mount: /\n"), draft("b", "mount: /\n")]
    with pytest.raises(OperatorError, match="'a' and 'b' both answer GET /a; give one of them a mount"):
        services_of(drafts, 1, 2, mounts_of(drafts, {}))


def test_one_clock_is_enough_for_several_scenarios() -> None:
    clock = clock_of([draft("a"), draft("b", "clock: manual\n"), draft("c", "clock: manual\n")])
    assert clock is not None
    assert clock.mode == "manual"
    assert clock_of([draft("a")]) is None


def test_two_different_clocks_are_refused() -> None:
    with pytest.raises(OperatorError, match="'a' and 'b' say different clocks"):
        clock_of([draft("a", "clock: manual\n"), draft("b", "clock: jump\n")])
