"""Problems of shape and of names, told in one run."""

from __future__ import annotations

import pytest

from simulator.errors import ScenarioError
from simulator.scenario.parse import parse_text

BASE = """\
scenario: a
resources:
  job:
    id: "j_{{ ordinal }}"
    MORE
    states:
      OPEN: [{to: DONNE, after: 1s}]
      DONE: []
operations:
  GET /jobs/{id}: {read: jop, etag: true}
"""


def complaints_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        parse_text(text, "a")
    return [f"{each.line}: {each.what}" for each in refused.value.complaints]


def said(text: str, *beginnings: str) -> None:
    complaints = complaints_of(text)
    assert len(complaints) == len(beginnings), "\n".join(complaints)
    for complaint, beginning in zip(complaints, beginnings, strict=True):
        assert complaint.startswith(beginning), complaint


def test_a_misspelt_key_does_not_hide_misspelt_names() -> None:
    said(BASE.replace("MORE", "inital: OPEN"), "5: no key 'inital'", "7: no state 'DONNE'", "10: no resource 'jop'")


def test_a_wrong_value_does_not_hide_misspelt_names() -> None:
    text = BASE.replace("    MORE\n", "").replace("etag: true", "etag: maybe")
    said(text, "6: no state 'DONNE'", "9: no resource 'jop'", "9: expected")


@pytest.mark.parametrize("slip", ["sates: {}", "recrod: {}"])
def test_what_others_refer_to_is_not_taken_out(slip: str) -> None:
    """Else everything that names it would be complained of, too."""
    said(BASE.replace("MORE", slip), f"5: no key '{slip.split(':')[0]}'")


def test_a_misspelt_section_is_told_alone() -> None:
    said("scenario: a\nresorces: {job: {}}\noperations:\n  GET /a/{id}: {read: job}\n", "2: no key 'resorces'")


def test_what_is_missing_is_told_alone() -> None:
    text = BASE.replace("    MORE\n", "").replace("{to: DONNE, after: 1s}", "{after: 1s}")
    (only,) = complaints_of(text)
    assert "'to'" in only


def test_a_wrong_name_of_a_state_is_told_alone() -> None:
    text = BASE.replace("    MORE\n", "").replace("DONE: []", "'DO NE': []")
    (only,) = complaints_of(text)
    assert "'DO NE'" in only


def test_what_is_wrong_only_because_something_was_taken_out_is_not_told() -> None:
    text = BASE.replace("    MORE\n", "").replace("{read: jop, etag: true}", "{signal: close}")
    (only,) = complaints_of(text)
    assert only.startswith("9: a signal is written resource.signal")
