"""One verb: its words, how it finds its record, and what it complains of."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from simulator.core.steps import VERBS, VerbModel, verb_of
from tests.core.world import compiled, complaints

RESOURCES: dict[str, Any] = {"job": {"record": {"n": 1}, "states": {"A": [{"to": "A", "signal": "go"}]}}}


def said(operation: dict[str, Any], name: str = "POST /x") -> list[str]:
    return complaints({"resources": RESOURCES, "operations": {name: operation}})


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_names_its_resource(verb: str) -> None:
    assert verb_of(VerbModel.model_validate({verb: "job.go" if verb == "signal" else "job"})) == (verb, "job")


def test_no_verb_is_none() -> None:
    assert verb_of(VerbModel()) == (None, None)


def test_two_verbs_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="one thing at a time, not create and read"):
        VerbModel.model_validate({"read": "job", "create": "job"})


def test_the_record_is_the_one_of_the_last_parameter_or_of_id() -> None:
    service = compiled({"resources": RESOURCES, "operations": {"GET /a/{id}/b/{other}": {"read": "job"}}})
    step = service.operations[0].variants[0].step
    assert step.id is not None
    assert step.id.of({"params": {"id": "1", "other": "2"}}) == "1"


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ({"read": "jbo"}, "no resource 'jbo'; did you mean 'job'?"),
        ({"signal": "job.og"}, "no signal of job 'og'; there is go"),
        ({"read": "job"}, "read needs to know which record"),
        ({"read": "job", "id": "1", "find": {"jbo": "1"}}, "no resource 'jbo'"),
        ({"read": "job", "id": "1", "find": {"job": 5}}, "5 names no record"),
        ({"list": "job", "where": {"m": "1"}}, "no field of job: 'm'"),
        ({"create": "job", "also": [{"read": "job", "id": "1"}]}, "also does something"),
        ({"create": "job", "also": [{"delete": "job"}]}, "delete needs to know which record"),
    ],
)
def test_what_cannot_be_is_told_with_what_could(operation: dict[str, Any], what: str) -> None:
    assert [sentence for sentence in said(operation) if what in sentence]
