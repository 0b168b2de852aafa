"""What an error says of itself."""

from __future__ import annotations

from simulator.errors import Complaint, OperatorError, ScenarioError, TemplateError


def test_a_complaint_is_told_as_file_line_and_column() -> None:
    assert str(Complaint("a.yaml", 3, 7, "no state 'X'")) == "a.yaml:3:7: no state 'X'"


def test_a_complaint_about_a_whole_file_has_no_line() -> None:
    assert str(Complaint("a.yaml", 0, 0, "it is empty")) == "a.yaml: it is empty"


def test_a_warning_says_that_it_is_one() -> None:
    assert str(Complaint("a.yaml", 1, 1, "nothing leaves", warning=True)) == "a.yaml:1:1: warning: nothing leaves"


def test_a_scenario_error_tells_every_complaint_on_a_line_of_its_own() -> None:
    error = ScenarioError([Complaint("a", 1, 1, "x"), Complaint("a", 2, 1, "y")])
    assert str(error) == "a:1:1: x\na:2:1: y"


def test_an_operators_error_carries_the_status_for_the_control_plane() -> None:
    assert OperatorError("no such thing", 404).status == 404
    assert OperatorError("wrong").status == 400


def test_a_template_error_names_the_line_of_its_expression() -> None:
    assert str(TemplateError("a.yaml:3:7", "division by zero")) == "a.yaml:3:7: division by zero"
