"""Warnings: what is legal and probably not meant, and the look-alikes that are fine."""

from __future__ import annotations

import pytest

from simulator.scenario.parse import parse_text

CREATE = "  POST /jobs: {create: job}\n"
GO = "  POST /jobs/{id}/go: {signal: job.go}\n"


def warnings_of(states: str = "", operations: str = CREATE, initial: str = "A") -> list[str]:
    """The warnings of a scenario whose states begin on line 6."""
    table = "".join(f"      {line}\n" for line in states.splitlines())
    text = (
        f"scenario: x\nresources:\n  job:\n    initial: {initial}\n    states:\n{table}" if states else "scenario: x\n"
    )
    return [str(warning) for warning in parse_text(f"{text}operations:\n{operations}", "a").warnings]


@pytest.mark.parametrize(
    ("states", "warnings"),
    [
        # states that nobody reaches
        ("A: []\nB: []", ["7:7: warning: no row leads to state 'B', and it is not the initial one"]),
        ("A: [{to: B}]\nB: []", []),
        ("A: [{to: B, signal: go}]\nB: []", []),
        (
            "A: [{to: B, weight: 0}, {to: C}]\nB: []\nC: []",
            ["7:7: warning: no row leads to state 'B', and it is not the initial one"],
        ),
        (
            "A: [{to: B, weight: 0, signal: go}, {to: C}]\nB: []\nC: []",
            ["7:7: warning: no row leads to state 'B', and it is not the initial one"],
        ),
        (
            "A: []\nB: [{to: C}]\nC: [{to: B, after: 1s}]",
            [
                "7:7: warning: no row leads to state 'B', and it is not the initial one",
                "8:7: warning: no row leads to state 'C', and it is not the initial one",
            ],
        ),
        # states that nothing leaves
        ("A: [{to: A, after: 1s}]", ["6:7: warning: nothing leaves state 'A'; a final state has no rows"]),
        (
            "A: [{to: A, weight: 0, signal: go}]",
            ["6:7: warning: nothing leaves state 'A'; a final state has no rows"],
        ),
        (
            "A: [{to: B, weight: 0, signal: go}]\nB: []",
            [
                "6:7: warning: nothing leaves state 'A'; a final state has no rows",
                "7:7: warning: no row leads to state 'B', and it is not the initial one",
            ],
        ),
        ("A: {rows: [], emit: job.done}", []),
        ("A: [{to: A, after: 1s}, {to: B, signal: go}]\nB: []", []),
        # states left only by signals that no operation sends
        (
            "A: [{to: B, signal: stop}]\nB: []",
            ["6:7: warning: state 'A' is left only by the signal 'stop', which no operation sends"],
        ),
        (
            "A: [{to: B, signal: stop}, {to: B, signal: halt}]\nB: []",
            ["6:7: warning: state 'A' is left only by the signals 'stop' or 'halt', which no operation sends"],
        ),
        ("A: [{to: B, signal: stop}, {to: B, signal: go}]\nB: []", []),
        ("A: [{to: B, signal: stop}, {to: B, after: 1h}]\nB: []", []),
        # rings that take no time
        (
            "A: [{to: B}]\nB: [{to: A}]",
            ["6:7: warning: A → B → A goes round in no time; give one row an `after`"],
        ),
        (
            "A: [{to: A}, {to: B, after: 0s}]\nB: []",
            ["6:7: warning: A → A goes round in no time; give one row an `after`"],
        ),
        ("A: [{to: B}]\nB: [{to: A, after: 1ms}]", []),
        ("A: [{to: B}]\nB: [{to: A, after: {exponential: {mean: 1s}}}]", []),
        ("A: [{to: B}]\nB: [{to: A, signal: go}]", []),
        ("A: [{to: B}]\nB: [{to: A, when: '{{ record.version < 9 }}'}]", []),
        ("A: [{to: B}]\nB: [{to: A, weight: 0}, {to: B, after: 1s}, {to: C, signal: go}]\nC: []", []),
    ],
)
def test_a_table_that_is_probably_not_meant_is_warned_of_at_its_state(states: str, warnings: list[str]) -> None:
    operations = CREATE + (GO if "signal: go" in states else "")
    assert warnings_of(states, operations) == [f"a:{warning}" for warning in warnings]


def test_an_initial_state_that_is_decided_later_may_be_any() -> None:
    assert warnings_of("A: []\nB: []", initial='"{{ body.state }}"') == []


@pytest.mark.parametrize(
    ("verb", "signal"), [("GET /jobs/{id}: {read", "read"), ("PUT /jobs/{id}: {update", "updated"),
                         ("DELETE /jobs/{id}: {delete", "deleted")],
)  # fmt: skip
def test_verbs_send_signals_of_their_own(verb: str, signal: str) -> None:
    states = f"A: [{{to: B, signal: {signal}}}]\nB: []"
    assert warnings_of(states, f"  {verb}: job}}\n") == []
    assert len(warnings_of(states)) == 1


def test_what_is_done_besides_sends_signals_too() -> None:
    also = '  POST /jobs: {create: job, also: [{signal: job.stop, id: "{{ body.replaces }}"}]}\n'
    assert warnings_of("A: [{to: B, signal: stop}]\nB: []", also) == []


@pytest.mark.parametrize(
    ("second", "warnings"),
    [
        ("GET /jobs/{name}", ["a:4:3: warning: never reached: 'GET /jobs/{id}' answers the same requests"]),
        ("POST /jobs/{name}", []),
        ("GET /jobs/latest", []),
        ("GET /jobs/{name}.txt", []),
        ("GET /jobs/{name:path}", []),
        ("GET /jobs/{name}/", []),
    ],
)
def test_an_operation_behind_another_is_warned_of(second: str, warnings: list[str]) -> None:
    assert warnings_of(operations=f"  GET /jobs/{{id}}: {{reply: {{}}}}\n  {second}: {{reply: {{}}}}\n") == warnings


@pytest.mark.parametrize(
    ("first", "warnings"),
    [
        ("{reply: {}}", ["a:5:7: warning: this variant is never reached: the one before it has no `when`"]),
        ("{reply: {}, when: '{{ query.a }}'}", []),
    ],
)
def test_a_variant_behind_one_without_a_condition_is_warned_of(first: str, warnings: list[str]) -> None:
    assert warnings_of(operations=f"  GET /a:\n    - {first}\n    - {{reply: {{}}}}\n") == warnings


def test_a_service_that_answers_nothing_is_warned_of() -> None:
    (warning,) = parse_text("scenario: x\n", "a").warnings
    assert str(warning) == "a:1:1: warning: no operations: this service answers nothing"
