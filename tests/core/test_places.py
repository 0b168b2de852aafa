"""A place knows its line, and a misspelt name is answered with the nearest right one."""

from __future__ import annotations

import pytest

from simulator.core.places import Mark, Marks, Place, listed, nowhere, unknown_name
from simulator.errors import Complaint

TEXT = "shop.yaml"


@pytest.fixture
def top() -> Place:
    marks = Marks(TEXT)
    marks.values[()] = Mark(TEXT, 1, 1)
    marks.values["jobs",] = Mark(TEXT, 3, 2)
    marks.keys["jobs",] = Mark(TEXT, 2, 1)
    marks.values["jobs", 0] = Mark(TEXT, 3, 4)
    return Place(marks, [])


def test_a_place_is_shown_as_file_line_and_column(top: Place) -> None:
    assert str(top / "jobs" / 0) == "shop.yaml:3:4"
    assert str(top) == "shop.yaml:1:1"


def test_a_place_without_a_line_is_shown_by_its_path() -> None:
    assert str(nowhere("sent.json") / "jobs" / 0) == "sent.json: jobs.0"
    assert str(nowhere()) == "<text>:0:0"


def test_steps_that_only_a_model_knows_are_skipped(top: Place) -> None:
    assert top.marks.real(("jobs", "function-after[x]", 0, "gone")) == ("jobs", 0)
    assert str(top / "jobs" / "union" / 0 / "more") == "shop.yaml:3:4"


def test_a_complaint_points_at_the_value_or_at_the_key(top: Place) -> None:
    place = top / "jobs"
    place.complain("too many")
    place.complain("misspelt", at_key=True)
    (place / 0).complain("no key of its own", at_key=True)
    assert top.complaints == [
        Complaint(TEXT, 3, 2, "too many"),
        Complaint(TEXT, 2, 1, "misspelt"),
        Complaint(TEXT, 3, 4, "no key of its own"),
    ]


def test_a_complaint_without_lines_says_its_path() -> None:
    place = nowhere("sent.json")
    (place / "jobs" / 0).complain("too many")
    place.complain("not a mapping")
    assert [str(complaint) for complaint in place.complaints] == [
        "sent.json: jobs.0: too many",
        "sent.json: not a mapping",
    ]


def test_a_warning_says_that_it_is_one(top: Place) -> None:
    (top / "jobs").warn("never used")
    (complaint,) = top.complaints
    assert complaint.warning
    assert str(complaint) == "shop.yaml:3:2: warning: never used"


def test_all_places_of_a_document_share_its_complaints(top: Place) -> None:
    (top / "jobs" / 0).unknown("state", "DNOE", ["DONE", "OPEN"])
    assert top.complaints[0].what.startswith("no state 'DNOE'; did you mean 'DONE'?")


@pytest.mark.parametrize(
    ("legal", "answer"),
    [
        (["PROCESSING", "DONE"], "no state 'PROCESING'; did you mean 'PROCESSING'? There is PROCESSING or DONE"),
        (["processing"], "no state 'PROCESING'; did you mean 'processing'? There is processing"),
        (["A", "B", "C"], "no state 'PROCESING'; there is A, B or C"),
        ([], "no state 'PROCESING'; there is none"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all(legal: list[str], answer: str) -> None:
    assert unknown_name("state", "PROCESING", iter(legal)) == answer


@pytest.mark.parametrize(
    ("names", "text"),
    [("", ""), ("a", "a"), ("ab", "a or b"), ("abc", "a, b or c"), ("abcd", "a, b, c, … (4 in all)")],
)
def test_names_are_listed_as_a_sentence_would(names: str, text: str) -> None:
    assert listed(names, 3) == text
