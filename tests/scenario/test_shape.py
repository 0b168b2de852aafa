"""Pydantic's errors as complaints: at the right line, in plain words, one for each slip."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PlainValidator,
    RootModel,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from simulator.core.places import Marks, Place
from simulator.errors import Complaint
from simulator.scenario.compose import load_data, load_text
from simulator.scenario.shape import complain_of


def duration(value: object) -> int:
    if not isinstance(value, str) or not value.endswith("s"):
        raise ValueError(f"{value!r} is no duration; write 5s")
    return int(value[:-1])


def branch_of(value: object) -> str:
    return "many" if isinstance(value, list) else "one" if isinstance(value, dict) else "text"


Duration = Annotated[int, BeforeValidator(duration)]
Drawn = Annotated[float, PlainValidator(duration)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Uniform(Strict):
    uniform: list[Duration]


class Normal(Strict):
    normal: dict[str, Duration]


class Cat(Strict):
    kind: Literal["cat"]
    lives: int = 9


class Dog(Strict):
    kind: Literal["dog", "hound"]
    tricks: list[str] = []


class Row(Strict):
    to: str
    after: Duration | Uniform | Normal | None = None
    weight: Annotated[float, Field(gt=0, le=100)] = 1

    @model_validator(mode="after")
    def _moves(self) -> Row:
        if self.to == "nowhere":
            raise ValueError("a row to nowhere; name a state")
        return self


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Names(RootModel[dict[str, Row]]):
    pass


def as_rows(value: object) -> object:
    return {"rows": value} if isinstance(value, list) else value


class State(Strict):
    rows: list[Row] = []


class Job(Strict):
    id: str | None = None
    initial: str = "A"
    states: dict[Annotated[str, StringConstraints(pattern="^[A-Z]+$")], list[Row]]
    shorthand: Annotated[State, BeforeValidator(as_rows)] | None = None


class Service(Strict):
    scenario: str
    seed: int = 0
    share: float = 0
    on: bool = True
    from_: str = Field("", alias="from")
    either: str = Field("", validation_alias=AliasChoices("new", "old"))  # type: ignore[pydantic-alias]
    jobs: dict[str, Job] = {}
    mode: Literal["real", "scaled", "manual"] = "real"
    size: Literal[1, 2] = 1
    colour: Colour = Colour.RED
    pair: tuple[int, str] | None = None
    few: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    name: Annotated[str, StringConstraints(min_length=2, max_length=4)] = "ab"
    even: Annotated[int, Field(multiple_of=2, ge=0, lt=10)] = 0
    bytes_max: ByteSize = ByteSize(1)  # a validator with a kind of error of its own
    timeout: Annotated[JsonValue, PlainValidator(duration)] = 1
    wait: Duration | Uniform | Normal | None = None
    drawn: Drawn | Literal["never"] = 0.0
    rows: list[Row] | Row = []
    mixed: bool | float | Literal["auto"] = True
    text_or_list: Annotated[str, StringConstraints(min_length=3)] | list[Row] = "abc"
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pets: list[Cat | Dog] = []
    tagged: Annotated[
        Annotated[str, Tag("text")] | Annotated[Row, Tag("one")] | Annotated[list[Row], Tag("many")],
        Discriminator(branch_of),
    ] = ""
    secret: Annotated[Annotated[Cat, Tag("a")] | Annotated[Dog, Tag("b")], Discriminator(lambda _: "c")] | None = None
    names: Names | None = None
    nested: list[dict[str, Uniform | list[Uniform | Row]]] = []
    anything: Any = None

    @model_validator(mode="after")
    def _whole(self) -> Service:
        if self.anything == "bad":
            raise ValueError("the whole is bad")
        return self


def complaints_of(text: str, model: type[BaseModel] = Service) -> list[str]:
    complaints: list[Complaint] = []
    document = load_text(text, "a", complaints)
    assert document is not None
    data, marks = document
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    complain_of(caught.value, Place(marks, complaints), model)
    return [str(complaint) for complaint in complaints]


START = "scenario: x\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        # keys
        ("sede: 1", "2:1: no key 'sede' at the top; did you mean 'seed'?"),
        ("frm: x", "2:1: no key 'frm' at the top; did you mean 'from'?"),
        ("newer: x", "2:1: no key 'newer' at the top; did you mean 'new'?"),
        ("jobs: {j: {inital: A, states: {}}}", "2:12: no key 'inital' in jobs.j; did you mean 'initial'?"),
        ("jobs: {j: {qqq: A, states: {}}}", "2:12: no key 'qqq' in jobs.j; there is id, initial, states or shorthand"),
        ("seed: 1\nsseed: 2", "3:1: no key 'sseed' at the top; did you mean 'seed'?"),
        ("jobs: {j: {}}", "2:11: jobs.j needs 'states'"),
        ("jobs: {j: {state: {}}}", "2:12: no key 'state' in jobs.j; did you mean 'states'?"),
        ("jobs: {j: {states: {A: [{}]}}}", "2:25: jobs.j.states.A.0 needs 'to'"),
        ("jobs: {j: {states: {A: [{to: A}, {to: B, wieght: 1}]}}}",
         "2:42: no key 'wieght' in jobs.j.states.A.1; did you mean 'weight'?"),
        ("jobs: {j: {states: {a1: []}}}", "2:21: expected text that matches ^[A-Z]+$, got 'a1'"),
        ("jobs: {j: {states: {}, shorthand: [{to: A}, {too: B}]}}",
         "2:46: no key 'too' in jobs.j.shorthand.1; did you mean 'to'?"),
        ("names: {n: {to: A, x: 1}}", "2:20: no key 'x' in names.n; there is to, after or weight"),
        # scalars
        ("seed: seven", "2:7: expected a whole number, got 'seven'"),
        ("seed: 1.5", "2:7: expected a whole number, got 1.5"),
        ("seed: null", "2:7: expected a whole number, got null"),
        ("seed: [1]", "2:7: expected a whole number, got a list"),
        ("share: {a: 1}", "2:8: expected a number, got a mapping"),
        ("on: maybe", "2:5: expected true or false, got 'maybe'"),
        ("from: 200", "2:7: expected text, got 200; quote it"),
        ("from: true", "2:7: expected text, got true; quote it"),
        ("from: null", "2:7: expected text, got null"),
        (f"seed: {'x' * 100}", f"2:7: expected a whole number, got '{'x' * 59}…"),
        ("jobs: 1", "2:7: expected a mapping, got 1"),
        ("jobs: {j: {states: {A: {}}}}", "2:24: expected a list, got a mapping"),
        ("jobs: {j: {states: {A: [x]}}}", "2:25: expected a mapping, got 'x'"),
        # choices
        ("mode: rael", "2:7: expected 'real', 'scaled' or 'manual', got 'rael'; did you mean 'real'?"),
        ("mode: zzz", "2:7: expected 'real', 'scaled' or 'manual', got 'zzz'"),
        ("mode: 3", "2:7: expected 'real', 'scaled' or 'manual', got 3"),
        ("size: 3", "2:7: expected 1 or 2, got 3"),
        ("colour: gren", "2:9: expected 'red' or 'green', got 'gren'; did you mean 'green'?"),
        # bounds
        ("even: 12", "2:7: expected a number below 10, got 12"),
        ("even: -2", "2:7: expected a number of at least 0, got -2"),
        ("even: 3", "2:7: expected a multiple of 2, got 3"),
        ("rows: [{to: A, weight: 0}]", "2:24: expected a number above 0, got 0"),
        ("rows: [{to: A, weight: 101}]", "2:24: expected a number of at most 100, got 101"),
        ("name: a", "2:7: expected text of at least 2 characters, got 'a'"),
        ("name: abcde", "2:7: expected text of at most 4 characters, got 'abcde'"),
        ("few: []", "2:6: expected at least 1 entries, got 0"),
        ("few: [1, 2, 3]", "2:6: expected at most 2 entries, got 3"),
        ("pair: [1]", "2:7: pair needs an item 2"),
        ("pair: [1, 2]", "2:11: expected text, got 2; quote it"),
        # our own validators
        ("timeout: 5", "2:10: 5 is no duration; write 5s"),
        ("bytes_max: x", "2:12: could not parse value and unit from byte string"),
        ("anything: bad", "1:1: the whole is bad"),
        ("rows: [{to: nowhere}]", "2:8: a row to nowhere; name a state"),
    ],
)  # fmt: skip
def test_a_slip_is_told_in_plain_words_at_its_place(text: str, complaint: str) -> None:
    assert complaints_of(START + text) == [f"a:{complaint}"]


def test_a_key_missing_at_the_top_is_the_documents() -> None:
    assert complaints_of("seed: 1") == ["a:1:1: the document needs 'scenario'"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        # a scalar or one of several mappings
        ("wait: 5", "2:7: 5 is no duration; write 5s"),
        ("wait: 5x", "2:7: '5x' is no duration; write 5s"),
        ("wait: {uniform: [1s, 3x]}", "2:22: '3x' is no duration; write 5s"),
        ("wait: {normal: {mean: 3x}}", "2:23: '3x' is no duration; write 5s"),
        ("wait: {normal: 3}", "2:16: expected a mapping, got 3"),
        ("wait: {uniform: [1s], sd: 3}", "2:23: no key 'sd' in wait; there is uniform"),
        ("wait: {unifrom: [1s]}", "2:8: no key 'unifrom' in wait; did you mean 'uniform'?"),
        ("wait: {zzz: [1s]}", "2:8: no key 'zzz' in wait; there is uniform or normal"),
        ("wait: {}", "2:7: wait needs 'uniform' or 'normal'"),
        ("wait: {uniform: [1s], normal: {}}", "2:23: no key 'normal' in wait; there is uniform"),
        ("drawn: 5x", "2:8: '5x' is no duration; write 5s, or 'never'"),
        ("drawn: nver", "2:8: expected 'never', got 'nver'; did you mean 'never'?"),
        # one or many
        ("rows: x", "2:7: expected a list or a mapping, got 'x'"),
        ("rows: [x]", "2:8: expected a mapping, got 'x'"),
        ("rows: {to: A, aftr: 1s}", "2:15: no key 'aftr' in rows; did you mean 'after'?"),
        ("rows: [{to: A, after: {unifrom: [1s]}}]", "2:24: no key 'unifrom' in rows.0.after; did you mean 'uniform'?"),
        ("rows: {to: nowhere}", "2:7: a row to nowhere; name a state"),
        ("text_or_list: ab", "2:15: expected text of at least 3 characters, got 'ab'"),
        ("text_or_list: [{to: 1}]", "2:21: expected text, got 1; quote it"),
        ("text_or_list: 3", "2:15: expected text or a list, got 3"),
        # scalars of several kinds
        ("mixed: often", "2:8: expected true or false, a number or 'auto', got 'often'"),
        ("mixed: atuo", "2:8: expected true or false, a number or 'auto', got 'atuo'; did you mean 'auto'?"),
        ("mixed: [1]", "2:8: expected true or false, a number or 'auto', got a list"),
        # told apart by a field, or by a function
        ("pet: {kind: cta}", "2:13: expected 'cat', 'dog' or 'hound', got 'cta'; did you mean 'cat'?"),
        ("pet: {kind: cat, lifes: 1}", "2:18: no key 'lifes' in pet; did you mean 'lives'?"),
        ("pet: {kind: hound, lives: 1}", "2:20: no key 'lives' in pet; there is kind or tricks"),
        ("pet: {lives: 1}", "2:6: pet needs 'kind'"),
        ("pet: 3", "2:6: expected a mapping, got 3"),
        ("pets: [{kind: dog, tricks: 3}]", "2:28: expected a list, got 3"),
        ("tagged: {to: A, aftr: 1s}", "2:17: no key 'aftr' in tagged; did you mean 'after'?"),
        ("tagged: [{to: 3}]", "2:15: expected text, got 3; quote it"),
        ("secret: {kind: cat}", "2:9: a mapping is not legal here; see the reference for what is"),
        # unions in unions
        ("nested: [{a: [{to: A}, {uniform: [x]}]}]", "2:35: 'x' is no duration; write 5s"),
        (
            "nested: [{a: [{to: A}, {unifrom: [1s]}]}]",
            "2:25: no key 'unifrom' in nested.0.a.1; did you mean 'uniform'?",
        ),
        ("nested: [{a: 3}]", "2:14: expected a mapping or a list, got 3"),
    ],
)
def test_of_several_things_a_value_may_be_the_nearest_is_spoken_of(text: str, complaint: str) -> None:
    assert complaints_of(START + text) == [f"a:{complaint}"]


def test_every_slip_is_told_at_once() -> None:
    text = "seed: x\nmode: rael\njobs:\n  j: {states: {A: [{to: 1, b: 2}]}}\n  k: {}\nwait: 7\n"
    assert sorted(complaints_of(text)) == [
        "a:1:1: the document needs 'scenario'",
        "a:1:7: expected a whole number, got 'x'",
        "a:2:7: expected 'real', 'scaled' or 'manual', got 'rael'; did you mean 'real'?",
        "a:4:25: expected text, got 1; quote it",
        "a:4:28: no key 'b' in jobs.j.states.A.0; there is to, after or weight",
        "a:5:6: jobs.k needs 'states'",
        "a:6:7: 7 is no duration; write 5s",
    ]


def test_the_same_slip_is_told_once() -> None:
    complaints: list[Complaint] = []
    document = load_text("scenario: 1\n", "a", complaints)
    assert document is not None
    with pytest.raises(ValidationError) as caught:
        Service.model_validate(document[0])
    for _ in range(2):
        complain_of(caught.value, Place(document[1], complaints), Service)
    assert list(map(str, complaints)) == ["a:1:11: expected text, got 1; quote it"]


def test_below_a_place_the_whole_path_is_named() -> None:
    complaints: list[Complaint] = []
    document = load_text("jobs: {j: {inital: A, states: {}}}\n", "a", complaints)
    assert document is not None
    with pytest.raises(ValidationError) as caught:
        Job.model_validate(document[0]["jobs"]["j"])
    complain_of(caught.value, Place(document[1], complaints) / "jobs" / "j", Job)
    assert list(map(str, complaints)) == ["a:1:12: no key 'inital' in jobs.j; did you mean 'initial'?"]


def test_a_document_without_lines_is_complained_of_by_path() -> None:
    complaints: list[Complaint] = []
    document = load_data({"scenario": "x", "jobs": {"j": {"states": {"A": [{"to": 1}]}}}}, "sent", complaints)
    assert document is not None
    with pytest.raises(ValidationError) as caught:
        Service.model_validate(document[0])
    complain_of(caught.value, Place(document[1], complaints), Service)
    assert list(map(str, complaints)) == ["sent: jobs.j.states.A.0.to: expected text, got 1; quote it"]


def test_without_marks_the_path_is_the_models() -> None:
    complaints: list[Complaint] = []
    with pytest.raises(ValidationError) as caught:
        Service.model_validate({"scenario": "x", "wait": {"uniform": ["x"]}})
    complain_of(caught.value, Place(Marks("sent"), complaints), Service)
    assert list(map(str, complaints)) == ["sent: wait.uniform.0: 'x' is no duration; write 5s"]
