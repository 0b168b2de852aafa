"""Expressions: every one compiles or is complained of, gives a value or a TemplateError, and stays within bounds."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.core.chance import Chance, Draws
from simulator.core.expressions import Names
from simulator.core.helpers import FILTERS, FUNCTIONS, MAPPING_METHODS, TESTS, TEXT_METHODS, bounded
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.requests import Request
from simulator.core.templates import compile_text
from simulator.errors import TemplateError
from tests.core.compiled import JSON, NAMES, complaints, play, scope

# What grammar gives: mostly whole expressions, so that the search gets past the parser.
LEAVES = st.sampled_from(
    [
        *["x", "y", "body", "body.a", "body['a']", "x[0]", "omit", "none", "true", "1", "-2", "2.5", "1e308", "10**9"],
        *["2**300", "'a'", "'%9999d'", "'a' * 9999", "range(9999)", "[]", "{}", "''", "now", "base_url"],
        *["chance.hex(4)", "chance.integer(x, y)"],
    ]
)
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "and", "or"]
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda parts: "({} {} {})".format(*parts)),
        st.tuples(inner, st.sampled_from(sorted(FILTERS))).map(lambda parts: "({} | {})".format(*parts)),
        st.tuples(inner, st.sampled_from(sorted(FILTERS)), inner).map(lambda parts: "({} | {}({}))".format(*parts)),
        st.tuples(inner, st.sampled_from(sorted(TESTS))).map(lambda parts: "({} is {})".format(*parts)),
        st.tuples(inner, st.sampled_from(sorted(TESTS)), inner).map(lambda parts: "({} is {}({}))".format(*parts)),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, inner).map(lambda parts: "{}({}, {})".format(*parts)),
        st.tuples(inner, st.sampled_from(sorted({**TEXT_METHODS, **MAPPING_METHODS})), inner).map(
            lambda parts: "({}).{}({})".format(*parts)
        ),
        st.tuples(inner, inner).map(lambda parts: "({})[{}]".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "({})[{}:{}]".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "({} if {} else {})".format(*parts)),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(inner, inner).map(lambda parts: "{{{}: {}}}".format(*parts).replace("{", "{ ")),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"(-{part})"),
    ),
    max_leaves=6,
)
TOKENS = st.lists(
    st.sampled_from(
        [
            *[
                "x",
                "body",
                ".",
                "[",
                "]",
                "(",
                ")",
                "{",
                "}",
                "|",
                "is",
                "in",
                "not",
                "if",
                "else",
                "'a'",
                "1",
                ",",
                ":",
            ],
            *["**", "*", "-", "+", "~", "==", "<", "range", "__class__", "%", "{{", "}}", "{%", "%}", "#", "\\", '"'],
        ]
    ),
    max_size=15,
).map(" ".join)


def compile_or_complain(text: str) -> Any:
    place = nowhere()
    value = compile_text(text, place, NAMES)
    return None if place.complaints else value


@settings(max_examples=200)
@given(st.text(max_size=40) | TOKENS)
@example("x[1:2,3]")
@example("(" * 3000 + "x" + ")" * 3000)
@example("x" + ".a" * 3000)
@example("1+" * 3000 + "1")
@example("not " * 3000 + "1")
@example("9" * 5000)
@example("0x" + "f" * 5000)
@example("'\\ud800'")
def test_any_text_compiles_or_is_complained_of(text: str) -> None:
    for written in (text, f"{{{{ {text} }}}}", f"a{{{{{text}}}}}b"):
        value = compile_or_complain(written)
        if value is not None:
            give(value.of)


def give(of: Any, **values: Any) -> Any:
    """The value, or the TemplateError that stands for it; anything else fails the test."""
    try:
        return of(scope(**values))
    except TemplateError as error:
        return error


@settings(max_examples=400)
@given(EXPRESSIONS, JSON, JSON)
def test_any_expression_gives_a_bounded_value_or_a_template_error(text: str, body: Any, x: Any) -> None:
    value = compile_or_complain(f"{{{{ {text} }}}}")
    if value is None:
        return
    begin = time.perf_counter()
    found = give(value.of, body=body, x=x, y=[body])
    assert time.perf_counter() - begin < 2
    assert not isinstance(found, complex | bytes | set)
    bounded(found)


BOMBS = [
    "'a' * 10**9", "10**9 * 'a'", "10 ** 10 ** 10", "10**10**10**10", "2 ** (2 ** 40)", "range(10**9)",
    "range(0, 10**30)",
    "[0] * 10**9", "[['a' * 10**6] * 10000] * 10000", "(['a' * 10**6] * 10000) | tojson",
    "(['a' * 10**6] * 10000) ~ ''",
    "([[1] * 10000] * 10000) | sum(start=[])", "'a'.zfill(10**9)", "('a' * 10**5).replace('a', 'b' * 10**5)",
    "('a' * 10**5) | replace('', 'b' * 10**5) | replace('b', 'c' * 10**5)", "(['a'] * 10000) | join('b' * 10**6)",
    "range(10000) | map('a', default='a' * 10**6)",
    "range(10000) | map('a', default=range(10000) | map('a', default='a' * 10**4))",
    "5 | round(-10**9)", "'%1000000000d' % x", "'%1000000000d' is even", "chance.base62(10**9)",
    "(2**4000) * (2**4000) ** 2",
    "('a' * 10**6) ~ ('a' * 10**6)", "('a' * 10**6) + ('a' * 10**6)", "(['a'] * 9999) + (['a'] * 9999)",
    "('a' * 10**6) | list",
    "('9' * 5000) | int", "('é' * 10**6) | urlencode",
]  # fmt: skip


@pytest.mark.parametrize("text", BOMBS)
def test_a_bomb_costs_neither_memory_nor_time(text: str) -> None:
    begin = time.perf_counter()
    tracemalloc.start()
    try:
        found = give(compile_text(f"{{{{ {text} }}}}", nowhere(), NAMES).of, x=1)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found, TemplateError) or text in ("10 ** 10 ** 10", "10**10**10**10", "('9' * 5000) | int")
    assert peak_bytes < 64 * 2**20
    assert time.perf_counter() - begin < 2


REQUEST = Request("GET", "/a", b"q=1", [(b"host", b"a.test")], b"{}", "http://a.test", "req_1", {"id": "1"})
HIDDEN = [
    "__class__", "__dict__", "__init__", "__globals__", "__reduce__", "__mro__", "format", "format_map", "join",
    "encode", "real",
    "mro", "_fields", "_asdict", "_replace", "parsed", "raw_headers", "query_string", "base", "params",
    "template_field",
    "template_json", "_chance", "_calls", "ms", "get", "gi_frame", "func_globals",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize(
    "owner", ["x", "now", "body", "''", "5", "1.5", "none", "true", "[]", "{}", "omit", "base_url"]
)
def test_no_attribute_of_python_can_be_reached(owner: str, name: str) -> None:
    for text in (f"({owner}).{name}", f"({owner})['{name}']", f"[{owner}] | map('{name}') | first"):
        place = nowhere()
        found = compile_text(f"{{{{ {text} }}}}", place, NAMES).of(scope(x=REQUEST, body={"a": 1}))
        assert found is OMIT


@pytest.mark.parametrize(
    "text",
    [
        *["''.format(x)", "x.__class__()", "''.encode()", "{}.update(x)", "[].append(1)", "x.y.pop()", "chance.seed()"],
        *[
            "x()",
            "self",
            "self.__class__",
            "caller()",
            "super()",
            "lipsum()",
            "cycler",
            "joiner()",
            "namespace()",
            "dict()",
        ],
        *["url_for()", "_('a')", "config", "x | attr('a')", "x | format(1)", "x | pprint", "x | safe", "x is callable"],
        *[
            "range(*x)",
            "range(**x)",
            "chance",
            "chance.hex",
            "chance._chance",
            "[chance]",
            "chance | string",
            "x[1:2, 3]",
        ],
    ],
)
def test_what_is_not_part_of_the_language_is_refused_when_it_is_loaded(text: str) -> None:
    assert complaints(f"{{{{ {text} }}}}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("bdy.a", "no name 'bdy'; did you mean 'body'?"),
        ("now.epok", "no field of now: 'epok'; did you mean 'epoch'?"),
        ("now['epok']", "did you mean 'epoch'?"),
        ("x | lowr", "no filter 'lowr'; did you mean 'lower'?"),
        ("x is defned", "no test 'defned'; did you mean 'defined'?"),
        ("rnge(3)", "no function 'rnge'; did you mean 'range'?"),
        ("x.starts_with('a')", "no method 'starts_with'; did you mean 'startswith'?"),
        ("chance.uuid()", "no draw 'uuid'; did you mean 'uuid4'?"),
        ("(x | lower)()", "no function 'that'"),
        ("x +", "is no expression"),
        ("records()", "names its resource first"),
        ("records(x)", "names its resource first"),
        ("records('ordr')", "no resource 'ordr'; there is none"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(text: str, complaint: str) -> None:
    assert any(complaint in said for said in complaints(f"{{{{ {text} }}}}"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1 + 2 * 3", 7), ("7 // 2", 3), ("7 / 2", 3.5), ("7 % 4", 3)],
        *[("2 ** 10", 1024), ("2 ** -1", 0.5), ("-x", -5), ("+x", 5)],
        *[("'a' ~ 1 ~ none ~ true", "a1true"), ("'a' + 'b'", "ab")],
        *[("'ab' * 2", "abab"), ("2 * 'ab'", "abab"), ("[1] * 2", [1, 1])],
        *[("1 < 2 < 3", True), ("1 < 3 < 2", False), ("3 >= 3 != 4", True)],
        *[("x == 5", True), ("'a' < 1", False), ("none > 1", False)],
        *[("1 in [1]", True), ("'a' in 'cat'", True), ("1 in 'cat'", False)],
        *[("1 in 5", False), ("'a' in body", True), ("1 in body", False)],
        *[("2 not in [1]", True), ("'z' not in omit", True), ("not x", False)],
        *[("x and 1", 1), ("0 or 'b'", "b"), ("[] in body", False)],
        *[("1 if x else 2", 1), ("1 if not x else 2", 2), ("1 if not x", OMIT)],
        *[("[1, omit, 2]", [1, 2]), ("(1, 2)", [1, 2])],
        *[("{'a': 1, 'b': omit}", {"a": 1}), ("{1: 2}", {"1": 2})],
        *[("'abc'[1]", "b"), ("'abc'[1:]", "bc"), ("[1, 2, 3][::-1]", [3, 2, 1])],
        *[("5[1:]", OMIT), ("body.a", 1), ("body['a']", 1)],
        *[("body.gone.deeper", OMIT), ("body.items", OMIT), ("body.gone[0]", OMIT)],
        *[("now - now", 0.0), ("(now + '1h').epoch - now.epoch", 3600), ("now < now + 1", True), ("'a' 'b'", "ab")],
    ],
)  # fmt: skip
def test_an_expression_means_what_it_says(text: str, value: object) -> None:
    found = play(f"{{{{ {text} }}}}", x=5, body={"a": 1})
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        *[
            ("5 // (x - 5)", "division"),
            ("5 % 0", "zero"),
            ("(-8) ** 0.5", "no real number"),
            ("omit + 1", "unsupported operand"),
        ],
        *[("2 ** 5000", "beyond any number"), ("'%s' % x", "join texts with ~"), ("[1][1:2:0]", "cannot be zero")],
        *[
            ("x.lower()", "'5' has no method lower()"),
            ("''.items()", "has no method items()"),
            ("{}.lower()", "no method lower()"),
        ],
    ],
)
def test_what_fails_says_the_expression_and_why(text: str, complaint: str) -> None:
    with pytest.raises(TemplateError) as failed:
        play(f"{{{{ {text} }}}}", x=5)
    assert complaint in failed.value.what
    assert f"{{{{ {text} }}}} failed" in failed.value.what


def test_a_number_too_long_for_json_is_refused_when_it_is_loaded() -> None:
    assert "a number of 20000 bits" in complaints("{{ 0x" + "f" * 5000 + " }}")[0]


def test_a_field_of_the_client_wins_over_a_method_of_python() -> None:
    assert play("{{ body.items }}", body={"items": [1]}) == [1]
    assert play("{{ body.keys }}", body={"keys": 2}) == 2


def test_each_mention_of_chance_is_a_draw_of_its_own() -> None:
    first, second = play(["{{ chance.hex(8) }}{{ chance.hex(8) }}"])[0][:8], play("{{ chance.hex(8) }}")
    both = play("{{ chance.hex(8) }}{{ chance.hex(8) }}")
    assert both[:8] != both[8:]
    assert first != second == both[:8]


def test_a_draw_is_named_by_its_place() -> None:
    asked: list[str] = []
    place = nowhere() / "resources" / "id"
    value = compile_text("{{ chance.hex(8) }}{{ chance.hex(8) }}", place, NAMES)

    def chance(label: str) -> Draws:
        asked.append(label)
        return Draws(Chance(1), label, 0)

    value.of(scope(chance=chance))
    assert asked == ["resources.id#1", "resources.id#2"]


def test_a_compiled_expression_says_what_it_uses() -> None:
    names = Names(NAMES.legal | {"record"}, {"records()": ("order",)})
    value = compile_text(
        "{{ records('order', customer=x, paid=true) | map('view.id') }}{{ record.view }}", nowhere(), names
    )
    assert value.used == {"records", "x", "record"}
    assert value.scans == (("order", ("customer", "paid")),)
    assert value.views
    assert not compile_text("{{ x }}", nowhere(), names).views


def test_records_are_asked_for_with_their_filters() -> None:
    names = Names(NAMES.legal, {"records()": ("order",)})
    value = compile_text("{{ records('order', customer=x) }}", nowhere(), names)
    assert value.of(scope(x=5, records=lambda *kind, **where: [kind, where])) == [("order",), {"customer": 5}]
