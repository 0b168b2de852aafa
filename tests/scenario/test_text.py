"""YAML text: what values mean, what is refused, and where the refusal points."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.places import Mark, Marks
from simulator.errors import Complaint
from simulator.scenario import text as module
from simulator.scenario.text import DEPTH_MAX, TEXT_BYTES_MAX, core, plain, read

LOADERS = [pytest.param(yaml.SafeLoader, id="python")]
if hasattr(yaml, "CSafeLoader"):
    LOADERS.append(pytest.param(yaml.CSafeLoader, id="libyaml"))


@pytest.fixture(params=LOADERS)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOADER", request.param)


either_loader = pytest.mark.usefixtures("_loader")


def data_of(text: str) -> Any:
    complaints: list[Complaint] = []
    node = read(text, "a.yaml", complaints)
    assert not complaints
    assert node is not None
    return plain(node, Marks("a.yaml"))


def complaints_of(text: str) -> list[str]:
    complaints: list[Complaint] = []
    read(text, "a.yaml", complaints)
    return [str(complaint) for complaint in complaints]


@either_loader
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *[(word, word) for word in ("on", "off", "yes", "no", "Yes", "y", "n", "nuLL", "tRUE", "x", "=")],
        *[(word, word) for word in ("12:30:00", "2026-01-01", "2026-01-01T00:00:00Z", "1_000", "1,5", "10m", "1.2.3")],
        *[(word, word) for word in ("0b1", "0o9", "0xg", "-a", "+", ".", ".a", "1e", "+0x1", "..inf")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[("0", 0), ("-0", 0), ("+12", 12), ("-7", -7), ("0777", 777), ("0o17", 15), ("0x1F", 31), ("0xff", 255)],
        *[("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63))],
        *[("1e3", 1000.0), ("1E-2", 0.01), (".5", 0.5), ("1.", 1.0), ("-2.50", -2.5), ("12e03", 12000.0)],
        *[('"1"', "1"), ("'true'", "true"), ('""', ""), ("'~'", "~"), ('"\\u0007"', "\x07")],
        *[("! 1", "1"), ("!!str 1", "1"), ('!!int "3"', 3), ("!!float 3", 3.0), ("!!null ''", None)],
        *[("!!bool 'true'", True), ("!!int 0x1F", 31), ("!!float 1e3", 1000.0), ("!!str", ""), ("&x 1", 1)],
        *[("!!seq [1]", [1]), ("!!map {a: 1}", {"a": 1}), ("[1, a, ]", [1, "a"]), ("{a, b: }", {"a": None, "b": None})],
        *[("|\n  x\n  y\n", "x\ny\n"), (">-\n  x\n  y\n", "x y"), ("x # why", "x"), ("x#y", "x#y")],
    ],
)  # fmt: skip
def test_a_value_means_what_the_core_schema_says(written: str, meant: object) -> None:
    value = data_of(f"a: {written}\n")["a"]
    assert (value, type(value)) == (meant, type(meant))


@either_loader
def test_keys_are_text_as_they_are_written() -> None:
    written = '200: a\n0x1F: b\n1.5: c\nnull: d\ntrue: e\non: f\n"<<": g\n"": h\n{{ x }}: i\n'.replace(
        "{{ x }}", '"{{ x }}"'
    )
    assert list(data_of(written)) == ["200", "0x1F", "1.5", "null", "true", "on", "<<", "", "{{ x }}"]


@either_loader
def test_an_alias_is_a_copy_of_what_its_anchor_names() -> None:
    data = data_of("a: &x {b: [1]}\nc: *x\nd: &y text\ne: *y\n*y : f\n")
    assert data == {"a": {"b": [1]}, "c": {"b": [1]}, "d": "text", "e": "text", "text": "f"}
    assert data["a"] is not data["c"]
    assert data["a"]["b"] is not data["c"]["b"]


def test_marks_know_the_line_of_every_key_and_value() -> None:
    node = read("\ufeffa:\n  - b: 1\n    c: [2, 3]\nd: &x\n  e: 4\nf: *x\n", "a.yaml", [])
    marks = Marks("a.yaml")
    assert node is not None
    plain(node, marks)
    assert marks.values[()] == Mark("a.yaml", 1, 1)
    assert marks.keys["a", 0, "c"] == Mark("a.yaml", 3, 5)
    assert marks.values["a", 0, "c"] == Mark("a.yaml", 3, 8)
    assert marks.values["a", 0, "c", 1] == Mark("a.yaml", 3, 12)
    assert marks.values["f",] == Mark("a.yaml", 6, 4), "an alias stands where it is used"
    assert marks.values["f", "e"] == Mark("a.yaml", 5, 6), "what it names, where that is written"
    assert len(marks.values) == 11


@either_loader
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: the key 'a' stands here twice, first on line 1; keep one"),
        ("a: {b: 1, b: 2}\n", "1:11: the key 'b' stands here twice, first on line 1; keep one"),
        ('a: 1\n"a": 2\n', "2:1: the key 'a' stands here twice, first on line 1; keep one"),
        ("[a]: 1\n", "1:1: a key must be text, got a list; quote it if it is meant as text"),
        ("{a: 1}: 1\n", "1:1: a key must be text, got a mapping; quote it if it is meant as text"),
        ("a: &x 1\n*x : 1\n", "2:1: a key must be text, got 1; quote it if it is meant as text"),
        ("~: 1\n", "1:1: a key is missing before this colon; write one"),
        ("? \n: 1\n", "1:2: a key is missing before this colon; write one"),
        ("<<: {a: 1}\n", "1:1: '<<' merges no longer (YAML 1.2); write the keys out, or use `extends` or `include`"),
        ("a: !foo b\n", "1:4: the tag '!foo' does not fit here; remove it, or quote all if it is text"),
        ("a: !foo [b]\n", "1:4: the tag '!foo' does not fit here; remove it, or quote all if it is text"),
        ("!foo a: b\n", "1:1: the tag '!foo' does not fit here; remove it, or quote all if it is text"),
        ("a: !!set {b}\n", "1:4: the tag '!!set' does not fit here; remove it, or quote all if it is text"),
        ("a: !!int b\n", "1:4: the tag '!!int' does not fit here; remove it, or quote all if it is text"),
        ("a: !!binary aa\n", "1:4: the tag '!!binary' does not fit here; remove it, or quote all if it is text"),
        ("a: .inf\n", "1:4: .inf is no number that JSON can carry; write a finite one, or quote it if it is text"),
        ("a: -.INF\n", "1:4: -.INF is no number that JSON can carry; write a finite one, or quote it if it is text"),
        ("a: .NaN\n", "1:4: .NaN is no number that JSON can carry; write a finite one, or quote it if it is text"),
        ("a: 1e999\n", "1:4: 1e999 is no number that JSON can carry; write a finite one, or quote it if it is text"),
        ("a: 18446744073709551616\n", "1:4: '18446744073709551616' is beyond the whole numbers that JSON"
         " carries (64 bits); quote it if it is text"),
        ("a: *x\n", "1:4: no anchor 'x'; there is none; quote it if it is text"),
        ("a: &x [*x]\n", "1:8: the alias *x holds itself; use an anchor only outside its own value"),
        ("a: &x {b: {c: *x}}\n", "1:15: the alias *x holds itself; use an anchor only outside its own value"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document begins here; give each its own file"),
        ("", "1:1: the file is empty; a scenario is a mapping and begins with 'scenario: its-name'"),
        ("# a comment\n", "1:1: the file is empty; a scenario is a mapping and begins with 'scenario: its-name'"),
        ("- a\n", "1:1: expected a mapping at the top, got a list; a scenario is a mapping and begins with"
         " 'scenario: its-name'"),
        ("hello\n", "1:1: expected a mapping at the top, got 'hello'; a scenario is a mapping and begins with"
         " 'scenario: its-name'"),
        ("a: x\x00\n", "1:5: YAML may not hold the character U+0000; write it as an escape in quotes"),
        ("a: 1\nb: \x07\n", "2:4: YAML may not hold the character U+0007; write it as an escape in quotes"),
        ("a: \ud800\n", "1:4: YAML may not hold the character U+D800; write it as an escape in quotes"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_its_place_and_remedy(text: str, complaint: str) -> None:
    assert complaints_of(text) == [f"a.yaml:{complaint}"]


@either_loader
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1\n", "2:1", "a tab"),
        ("a: |\n\tb\n", "2:1", "a tab"),
        ("a: %x\n", "1:4", "a value may not begin with '%'; quote it"),
        ("a: @x\n", "1:4", "a value may not begin with '@'; quote it"),
        ("a: `x\n", "1:4", "a value may not begin with '`'; quote it"),
        ("a: b: c\n", "1:5", "quote a value that holds ': '"),
        ("a: - b\n", "1:4", "begins with '- '"),
        ("a: [1, 2\n", "1:4", "expected ',' or ']' in the list"),
        ("a: {b: 1\nc: 2}\n", "2:2", "expected ',' or '}' in the mapping"),
        ('a: "x\nb: 1\n', "1:4", "a quote that opens here is never closed"),
        ('a: "\\d"\n', "1:", "a backslash begins an escape"),
        ("a: *.foo\n", "1:5", "is an alias or an anchor to YAML; quote it"),
        ("a: !x!y z\n", "1:4", "begins a tag"),
        ("a:\n  - b\n c: 1\n", "3:2", "check the indentation"),
        ("  a: 1\n b: 2\n", "2:2", "check the indentation"),
        ("a: x\nb\n", "2:1", "add the ':'"),
        ("a: x\nb\nc: 1\n", "2:1", "add the ':'"),
        ("a: }\n", "1:4", "quote it if it is meant as text"),
        ("a: >x\n", "1:5", "this is not YAML"),
    ],
)
def test_a_slip_of_syntax_is_told_in_the_words_of_who_made_it(text: str, place: str, words: str) -> None:
    (complaint,) = complaints_of(text)
    assert complaint.startswith(f"a.yaml:{place}")
    assert words in complaint


def test_a_list_that_turns_into_a_mapping_is_told_so() -> None:
    (complaint,) = complaints_of("- a\nb: 1\n")
    assert complaint.startswith("a.yaml:2:1: ")


def test_half_a_character_is_refused_whichever_library_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOADER", yaml.SafeLoader)
    assert complaints_of('a: "\\ud800"\n') == [
        "a.yaml:1:4: half a surrogate pair is no character; write both halves as one"
    ]
    assert "this is not YAML" in complaints_of('a: "\\U99999999"\n')[0]


@either_loader
@pytest.mark.parametrize(
    ("text", "place", "quoted"),
    [
        ("a: {{ x }}\n", "1:4", '"{{ x }}"'),
        ("a: {{ x.y(1) | upper }}\n", "1:4", '"{{ x.y(1) | upper }}"'),
        ("a: {{ f(x, 1) }}\n", "1:4", '"{{ f(x, 1) }}"'),
        ("a: [1, {{ x }}]\n", "1:8", '"{{ x }}"'),
        ("a:\n  - {{ x }}\n", "2:5", '"{{ x }}"'),
        ("a: {if: {{ x }}, then: 1}\n", "1:9", '"{{ x }}"'),
        ("{{ x }}: 1\n", "1:1", '"{{ x }}"'),
        ("a: {{ x, x }}\n", "1:4", '"{{ x, x }}"'),
        ("a: {{ 'x' ~ \"y\" }}\n", "1:4", "holds {{ 'x' ~ \"y\" }}"),
        ('a: {{ x["y"] }}\n', "1:4", 'holds {{ x["y"] }}'),
        ("a: {{ x }}/y\n", "1:4", "holds {{ x }}"),
        ("b: '{{ y }}'\na: {{ x[0] }} # {{ z }}\n", "2:4", "holds {{ x[0] }}"),
        ("a: {{ x\nb: 1\n", "1:4", "holds {{ x"),
    ],
)
def test_an_expression_without_quotes_is_told_to_be_quoted(text: str, place: str, quoted: str) -> None:
    (complaint,) = complaints_of(text)
    assert complaint.startswith(f"a.yaml:{place}: YAML takes unquoted braces for a mapping; quote the ")
    assert complaint.endswith(quoted)


def test_an_expression_without_quotes_is_read_as_the_text_that_was_meant() -> None:
    node = read("a: {{ x }}\nb: 1\n", "a.yaml", [])
    assert node is not None
    assert plain(node, Marks("a.yaml")) == {"a": "{{ x }}", "b": 1}


def test_complaints_are_gathered_and_the_rest_is_read() -> None:
    complaints: list[Complaint] = []
    node = read("a: 1\na: 2\n[b]: 3\nc: !foo 4\nd: 5\n", "a.yaml", complaints)
    assert [complaint.line for complaint in complaints] == [4, 2, 3]
    assert node is not None
    assert plain(node, Marks("a.yaml")) == {"a": 1, "c": "4", "d": 5}


@either_loader
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 200 + "]" * 200, "nested deeper than 100 levels"),
        ("".join(f"a{i}: &x{i} {{b: *x{i - 1}}}\n" if i else "a0: &x0 {}\n" for i in range(150)), "by this alias"),
        ("".join(f"a{i}: &x{i} [{f'*x{i - 1},' * 9 if i else 1}]\n" for i in range(9)), "more than 100000 values"),
        ("a: [" + "1, " * 100_000 + "1]", "more than 100000 values"),
        ("a: " + "x" * TEXT_BYTES_MAX, "larger than 4 MiB"),
        ("a: " + "é" * (TEXT_BYTES_MAX // 2), "larger than 4 MiB"),
    ],
)
def test_a_text_that_would_grow_without_end_is_refused(text: str, words: str) -> None:
    (complaint,) = complaints_of(text)
    assert words in complaint


def test_the_deepest_legal_document_is_read() -> None:
    levels = DEPTH_MAX - 1  # the mapping at the top is one
    assert data_of("a: " + "[" * levels + "]" * levels)


def test_a_number_of_a_million_digits_is_refused_quickly() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        core("9" * 1_000_000)


LETTERS = st.text(alphabet=st.sampled_from("ab01:-[]{},&*!|>'\"%@`#~?<=. \t\n\r\\\u2028\x85é😀\ufeff"), max_size=40)
PIECES = ["{{ x }}", "a: ", "\n", "  ", "- ", "&x ", "*x", "!!int ", "!t ", "<<: ", "---\n", "%YAML 1.2\n", '"', "|\n"]
TEXTS = st.one_of(LETTERS, st.lists(st.one_of(st.sampled_from(PIECES), LETTERS), max_size=12).map("".join), st.text())


@either_loader
@given(text=TEXTS)
def test_any_text_is_read_or_complained_of_at_a_legal_place(text: str) -> None:
    complaints: list[Complaint] = []
    node = read(text, "a.yaml", complaints)
    assert node is not None or complaints
    for complaint in complaints:
        assert 1 <= complaint.line <= text.count("\n") + 1
        assert complaint.column >= 1
        assert complaint.what
    if node is not None:
        marks = Marks("a.yaml")
        assert isinstance(plain(node, marks), dict)
        assert all(1 <= mark.line <= text.count("\n") + 1 and mark.column >= 1 for mark in marks.values.values())


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(TEXT, below, max_size=4)),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(TEXT, VALUES, max_size=5)


@given(DOCUMENTS)
def test_json_is_yaml_and_reads_the_same(document: dict[str, Any]) -> None:
    assert data_of(json.dumps(document, ensure_ascii=False)) == document


class QuotingDumper(yaml.SafeDumper):
    """Writes text in quotes, since what PyYAML leaves bare follows YAML 1.1."""


QuotingDumper.add_representer(
    str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')
)
QuotingDumper.add_representer(
    float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))
)


@given(DOCUMENTS, st.booleans())
def test_what_a_dumper_writes_reads_the_same(document: dict[str, Any], flow: bool) -> None:
    assert data_of(yaml.dump(document, Dumper=QuotingDumper, allow_unicode=True, default_flow_style=flow)) == document
