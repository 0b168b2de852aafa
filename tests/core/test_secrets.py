"""Secrets come from the document or the environment, and nothing tells where two of them differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from simulator.core.secrets import SECRET_MAX, Secret, digest, same, substituted


class Model(BaseModel):
    secret: Secret
    by_name: dict[Secret, int] = {}


SET = {"KEY": "k3y", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("plain", "plain"),
        ("${KEY}", "k3y"),
        ("a-${KEY}-b-${KEY}", "a-k3y-b-k3y"),
        ("${NOT_SET:-other}", "other"),
        ("${NOT_SET:-}", ""),
        ("${KEY:-other}", "k3y"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("$${KEY}", "${KEY}"),
        ("$$${KEY}", "$${KEY}"),
        ("$KEY $ {} $$", "$KEY $ {} $$"),
    ],
)
def test_variables_are_replaced_as_in_a_shell(text: str, becomes: str) -> None:
    assert substituted(text, SET) == becomes


@given(st.text().filter(lambda text: "${" not in text))
def test_a_text_without_variables_stays_as_it_is(text: str) -> None:
    assert substituted(text, {}) == text


def test_a_variable_that_is_not_set_is_named_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the variable API_KEY is not set; set it, or give a default: \$\{API_KEY:-…\}"
    ):
        substituted("x${API_KEY}", SET)


@pytest.mark.parametrize("text", ["${", "${}", "${9}", "${KEY", "${KEY-x}", "${KEY:-a{b}c}"])
def test_what_only_begins_like_a_variable_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\$\{ begins a variable, written \$\{NAME\} or \$\{NAME:-default\}"):
        substituted(text, SET)


def test_a_model_reads_the_environment_that_it_is_given() -> None:
    given = {"secret": "${KEY}", "by_name": {"sk_${KEY}": 1}}
    model = Model.model_validate(given, context={"environment": SET})
    assert (model.secret, model.by_name) == ("k3y", {"sk_k3y": 1})


def test_without_an_environment_only_defaults_are_there() -> None:
    assert Model.model_validate({"secret": "${KEY:-d}"}).secret == "d"
    with pytest.raises(ValidationError, match="the variable KEY is not set"):
        Model.model_validate({"secret": "${KEY}"})


@pytest.mark.parametrize("value", ["", "${EMPTY}", "x" * (SECRET_MAX + 1), 5, None, ["x"]])
def test_a_secret_is_a_text_of_some_length(value: object) -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({"secret": value}, context={"environment": SET})


@given(st.text(), st.text())
def test_two_texts_are_the_same_where_they_are_equal(one: str, other: str) -> None:
    assert same(one, other) == (one == other)
    assert same(one, one)


@given(st.text(), st.text())
def test_a_digest_tells_texts_apart_and_shows_nothing_of_them(one: str, other: str) -> None:
    assert (digest(one) == digest(other)) == (one == other)
    assert len(digest(one)) == 32
