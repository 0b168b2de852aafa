"""`extends` and `include`: what is merged in which order, where complaints point, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.places import Mark, Marks, Place
from simulator.errors import Complaint
from simulator.scenario.compose import CHAIN_MAX, PARTS_MAX, Reader, load, load_data, load_text, merge
from simulator.scenario.text import DEPTH_MAX, plain, read


def reader_of(files: dict[str, str]) -> Reader:
    def reader(path: str, relative_to: str | None) -> tuple[str, str]:
        name = path if relative_to is None or "/" not in relative_to else f"{relative_to.rpartition('/')[0]}/{path}"
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        return name, files[name]

    return reader


def loaded(**files: str) -> tuple[dict[str, Any], Marks]:
    complaints: list[Complaint] = []
    document = load("a", reader_of(files), complaints)
    assert complaints == []
    assert document is not None
    return document


def complaints_of(name: str = "a", /, **files: str) -> list[str]:
    complaints: list[Complaint] = []
    document = load(name, reader_of(files), complaints)
    assert document is None or complaints
    return [str(complaint) for complaint in complaints]


def test_a_document_alone_is_what_it_says() -> None:
    data, marks = loaded(a="scenario: x\nb: null\n")
    assert data == {"scenario": "x", "b": None}
    assert marks.values["scenario",] == Mark("a", 1, 11)


def test_mappings_merge_lists_and_scalars_replace_null_removes() -> None:
    data, _ = loaded(
        base="m: {a: 1, b: {c: 2, d: 3}}\nlist: [1, 2]\ngone: 1\nkind: {a: 1}\n",
        a="extends: base\nm: {b: {c: 4}, e: 5}\nlist: [3]\ngone: null\nkind: text\n",
    )
    assert data == {"m": {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}, "list": [3], "kind": "text"}


def test_a_base_is_overlaid_by_includes_in_their_order_and_last_by_the_document() -> None:
    files = {"base": "v: 1\nb: 1\n", "one": "v: 2\no: 1\nt: 1\n", "two": "v: 3\nt: 2\n", "a": "v: 4\n"}
    data, _ = loaded(**files | {"a": "include: [one, two]\nv: 4\nextends: base\n"})
    assert data == {"v": 4, "b": 1, "o": 1, "t": 2}
    data, _ = loaded(**files | {"a": "include: [one, two]\nextends: base\n"})
    assert data["v"] == 3
    data, _ = loaded(**files | {"a": "include: one\n"})
    assert data == {"v": 2, "o": 1, "t": 1}


def test_parts_may_ask_for_parts_and_the_same_one_twice() -> None:
    data, _ = loaded(a="include: [b, c]\n", b="extends: d\nb: 1\n", c="include: d\nc: 1\n", d="d: 1\n")
    assert data == {"d": 1, "b": 1, "c": 1}


def test_every_key_and_value_keeps_the_file_it_came_from() -> None:
    data, marks = loaded(
        base="resources:\n  job:\n    id: x\n    states: {A: 1}\n", a="extends: base\nresources: {job: {id: y}}\n"
    )
    assert data == {"resources": {"job": {"id": "y", "states": {"A": 1}}}}
    assert marks.values["resources", "job", "id"] == Mark("a", 2, 23)
    assert marks.keys["resources", "job"] == Mark("a", 2, 13)
    assert marks.keys["resources", "job", "states"] == Mark("base", 4, 5)
    assert marks.values["resources", "job", "states", "A"] == Mark("base", 4, 17)
    assert ("extends",) not in marks.values


def test_a_path_counts_from_the_file_that_names_it() -> None:
    data, marks = loaded(**{"a": "extends: lessons/b\n", "lessons/b": "include: c\n", "lessons/c": "x: 1\n"})
    assert data == {"x": 1}
    assert str(marks.value(("x",))) == "lessons/c:1:4"


# RFC 7396, appendix A: target, patch, result. Marked: the nulls there find nothing to remove.
VECTORS = [
    ('{"a":"b"}', '{"a":"c"}', {"a": "c"}, 0),
    ('{"a":"b"}', '{"b":"c"}', {"a": "b", "b": "c"}, 0),
    ('{"a":"b"}', '{"a":null}', {}, 0),
    ('{"a":"b","b":"c"}', '{"a":null}', {"b": "c"}, 0),
    ('{"a":["b"]}', '{"a":"c"}', {"a": "c"}, 0),
    ('{"a":"c"}', '{"a":["b"]}', {"a": ["b"]}, 0),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', {"a": {"b": "d"}}, 1),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', {"a": [1]}, 0),
    ('{"e":null}', '{"a":1}', {"e": None, "a": 1}, 0),
    ('{"a":"foo"}', '{"b":[null]}', {"a": "foo", "b": [None]}, 0),
    ("{}", '{"a":{"bb":{"ccc":null}}}', {"a": {"bb": {}}}, 1),
]


@pytest.mark.parametrize(("target", "patch", "result", "in_vain"), VECTORS)
def test_merging_is_rfc_7396(target: str, patch: str, result: object, in_vain: int) -> None:
    base, over, complaints = read(target, "base", []), read(patch, "a", []), list[Complaint]()
    assert base is not None
    assert over is not None
    assert plain(merge(base, over, complaints), Marks("a")) == result
    assert len(complaints) == in_vain


def test_a_null_that_removes_nothing_is_told_how_else_to_write_it() -> None:
    end = 'for an empty value write {}, [] or "{{ none }}"'
    assert complaints_of(base="faults: 1\nx: 2\n", a="extends: base\nfualts: null\n") == [
        f"a:2:1: null removes a key, here none: no key 'fualts'; did you mean 'faults'? There is faults or x; {end}"
    ]
    assert complaints_of(base="a: {}\n", a="extends: base\nb: {c: null}\n") == [
        f"a:2:5: null removes a key, here none: no key 'c'; there is none; {end}"
    ]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a": "extends: a\n"}, "a:1:10: `extends` goes in a ring: a → a; take one of them out"),
        (
            {"a": "extends: b\n", "b": "x: 1\ninclude: [c]\n", "c": "extends: b\n"},
            "c:1:10: `extends` goes in a ring: b → c → b; take one of them out",
        ),
        ({"a": "x: 1\nextends: b\n"}, "a:2:10: `extends` names 'b': there is no such file; check the path"),
        ({"d/a": "include: b\n"}, "d/a:1:10: `include` names 'b': there is no file d/b; check the path"),
        ({"a": "extends: 1\n"}, "a:1:10: `extends` expects a path, or for several files `include`, got 1"),
        ({"a": "extends: [b]\n"}, "a:1:10: `extends` expects a path, or for several files `include`, got a list"),
        ({"a": "extends:\n"}, "a:1:9: `extends` expects a path, or for several files `include`, got nothing"),
        ({"a": "include: {b: c}\n"}, "a:1:10: `include` expects a path or a list of them, got a mapping"),
        ({"a": "include: [b, 1]\n", "b": "x: 1\n"}, "a:1:14: `include` expects a path or a list of them, got 1"),
        ({"a": "include: ['']\n"}, "a:1:11: `include` expects a path or a list of them, got ''"),
        ({"a": "extends: b\nx: null\n", "b": "a: [1\n"}, "b:1:4: expected ',' or ']' in the list that '[' opens;"
         " quote a value that holds any of [ ] { } ,"),
        ({"a": "extends: b\n", "b": "x: 1\nx: 2\n"}, "b:2:1: the key 'x' stands here twice, first on line 1; keep one"),
        ({}, "a: there is no such file; check the path"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_had_is_complained_of_where_it_is_asked_for(
    files: dict[str, str], complaint: str
) -> None:
    assert complaints_of(next(iter(files), "a"), **files) == [complaint]


def test_every_part_that_is_missing_is_named_at_once() -> None:
    assert len(complaints_of(a="extends: b\ninclude: [c, d]\nx: null\n", d="include: e\n")) == 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnicodeDecodeError("utf-8", b"x\xe9", 1, 2, "no"),
         "this is not UTF-8 text (byte 0xe9 at offset 1); save it as UTF-8"),
        (PermissionError(13, "Permission denied"), "it cannot be read (Permission denied)"),
        (ValueError("embedded null byte"), "it cannot be read (embedded null byte)"),
        (FileNotFoundError(), "there is no such file; check the path"),
    ],
)  # fmt: skip
def test_why_a_file_cannot_be_read_is_told(error: Exception, words: str) -> None:
    def reader(path: str, relative_to: str | None) -> tuple[str, str]:
        raise error

    complaints: list[Complaint] = []
    assert load("a", reader, complaints) is None
    assert load_text("extends: b\n", "t", complaints, reader) is None
    assert list(map(str, complaints)) == [f"a: {words}", f"t:1:10: `extends` names 'b': {words}"]


def test_a_chain_that_nobody_can_follow_is_refused() -> None:
    files = {f"f{i}": f"extends: f{i + 1}\n" for i in range(CHAIN_MAX + 1)} | {"a": "extends: f1\n"}
    (complaint,) = complaints_of(**files)
    assert complaint.startswith(f"f{CHAIN_MAX - 1}:1:10: `extends` makes a chain of more than 10 files: a → f1 → ")


def test_more_parts_than_a_scenario_needs_are_refused() -> None:
    files = {f"f{i}": f"x{i}: 1\n" for i in range(PARTS_MAX + 1)}
    (complaint,) = complaints_of(**files, a=f"include: [{', '.join(files)}]\n")
    assert "more than 100 files" in complaint


def test_parts_that_are_small_alone_may_still_be_too_much_together() -> None:
    row = "[" + "1, " * 60_000 + "]"
    assert complaints_of(a="include: b\nx: " + row, b="y: " + row) == [
        "a:1:1: more than 100000 values with all its parts; make it shorter"
    ]


def test_a_text_without_files_may_not_ask_for_any() -> None:
    complaints: list[Complaint] = []
    assert load_text("scenario: x\n", "sent", complaints) is not None
    assert load_text("x: 1\nextends: b\n", "sent", complaints) is None
    assert list(map(str, complaints)) == [
        "sent:2:10: `extends` reads files, and this document came without any; send it whole"
    ]


def test_data_has_no_lines_and_is_complained_of_by_path() -> None:
    complaints: list[Complaint] = []
    document = load_data({"a": {"b": [{"c": 1}]}, "n": None}, "sent", complaints)
    assert document is not None
    data, marks = document
    assert data == {"a": {"b": [{"c": 1}]}, "n": None}
    place = Place(marks, complaints) / "a" / "b" / 0 / "c"
    place.complain("expected text")
    assert str(place) == "sent: a.b.0.c"
    assert str(complaints[0]) == "sent: a.b.0.c: expected text"
    assert Place(marks, complaints).dotted == ""


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([], "sent: expected a mapping that begins with 'scenario', got a list"),
        (None, "sent: expected a mapping that begins with 'scenario', got null"),
        ({"extends": "b"}, "sent: extends: `extends` reads files, and this document came without any; send it whole"),
        ({"include": 3}, "sent: include: `include` expects a path or a list of them, got 3"),
        ({"a": [float("inf")]}, "sent: a.0: expected what JSON can carry, got inf"),
        ({"a": {"b": b"x"}}, "sent: a.b: expected what JSON can carry, got b'x'"),
    ],
)
def test_data_that_is_no_document_is_refused(data: Any, complaint: str) -> None:
    complaints: list[Complaint] = []
    assert load_data(data, "sent", complaints) is None
    assert list(map(str, complaints)) == [complaint]


def test_data_may_extend_files_where_a_reader_is_given() -> None:
    document = load_data({"extends": "b", "y": 2}, "sent", [], reader_of({"b": "x: 1\ny: 1\n"}))
    assert document is not None
    assert document[0] == {"x": 1, "y": 2}
    assert str(document[1].value(("x",))) == "b:1:4"


def test_data_deeper_than_the_limit_is_refused() -> None:
    data: dict[str, Any] = {}
    for _ in range(2000):
        data = {"a": data}
    complaints: list[Complaint] = []
    assert load_data(data, "sent", complaints) is None
    assert "nested deeper than 100 levels" in complaints[0].what
    assert complaints[0].what.count("a.") == DEPTH_MAX - 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(), below, max_size=3)),
)


@given(st.dictionaries(st.text(), JSON, max_size=4).filter(lambda data: not {"extends", "include"} & set(data)))
def test_data_comes_through_unchanged(data: dict[str, Any]) -> None:
    document = load_data(data, "sent", [])
    assert document is not None
    assert document[0] == data
    assert document[0] is not data
