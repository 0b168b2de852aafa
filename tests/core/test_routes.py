"""A request means the most literal operation that fits, and what fits none is told the nearest."""

from __future__ import annotations

import time
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.routes import METHODS, SEGMENTS_MAX, Routes, parse_path

PATHS = [
    "/",
    "/jobs",
    "/jobs/{id}",
    "/jobs/latest",
    "/jobs/latest:{verb}",
    "/jobs/{id}:retry",
    "/jobs/{id}.json",
    "/jobs/{id}/pages/{page}",
    "/files/{rest:path}",
    "/files/a/b",
    "/files/{name}",
    "/{any}",
    "/{tenant}/x",
    "/range/{low}-{high}",
    "/café",
]


@pytest.fixture(scope="module")
def routes() -> Routes[str]:
    made: Routes[str] = Routes()
    for path in PATHS:
        assert made.add("GET", path, path) is None
    return made


@pytest.mark.parametrize(
    ("path", "target", "params"),
    [
        ("/", "/", {}),
        ("/jobs", "/jobs", {}),
        ("/jobs/7", "/jobs/{id}", {"id": "7"}),
        ("/jobs/latest", "/jobs/latest", {}),
        ("/jobs/latest:run", "/jobs/latest:{verb}", {"verb": "run"}),
        ("/jobs/latest:retry", "/jobs/latest:{verb}", {"verb": "retry"}),
        ("/jobs/7:retry", "/jobs/{id}:retry", {"id": "7"}),
        ("/jobs/7:retry:retry", "/jobs/{id}:retry", {"id": "7:retry"}),
        ("/jobs/7.json", "/jobs/{id}.json", {"id": "7"}),
        ("/jobs/a.b.json", "/jobs/{id}.json", {"id": "a.b"}),
        ("/jobs/.json", "/jobs/{id}", {"id": ".json"}),
        ("/jobs/7/pages/2", "/jobs/{id}/pages/{page}", {"id": "7", "page": "2"}),
        ("/files/a/b", "/files/a/b", {}),
        ("/files/a", "/files/{name}", {"name": "a"}),
        ("/files/a/c", "/files/{rest:path}", {"rest": "a/c"}),
        ("/files/a/b/c", "/files/{rest:path}", {"rest": "a/b/c"}),
        ("/files/", "/files/{rest:path}", {"rest": ""}),
        ("/jobs/a%2Fb", "/jobs/{id}", {"id": "a/b"}),
        ("/jobs/a%2Fb/pages/%7e", "/jobs/{id}/pages/{page}", {"id": "a/b", "page": "~"}),
        ("/files/a%2Fb/c", "/files/{rest:path}", {"rest": "a/b/c"}),
        ("/jobs/%E2%82%AC", "/jobs/{id}", {"id": "€"}),
        ("/jobs/%FF", "/jobs/{id}", {"id": "�"}),
        ("/jobs/%", "/jobs/{id}", {"id": "%"}),
        ("/caf%C3%A9", "/café", {}),
        ("/%6Aobs", "/jobs", {}),
        ("/range/1-2", "/range/{low}-{high}", {"low": "1", "high": "2"}),
        ("/range/1-2-3", "/range/{low}-{high}", {"low": "1", "high": "2-3"}),
        ("/range/--1", "/range/{low}-{high}", {"low": "-", "high": "1"}),
        ("/a/x", "/{tenant}/x", {"tenant": "a"}),
        ("/jobs/x", "/jobs/{id}", {"id": "x"}),
    ],
)
def test_a_path_means_the_most_literal_operation(
    routes: Routes[str], path: str, target: str, params: dict[str, str]
) -> None:
    assert routes.match("GET", path) == (target, params)


@pytest.mark.parametrize(
    "path", ["/jobs/", "/jobs/7/", "/jobs//pages/1", "/jobs/7/pages", "/JOBS/7/a", "//", "/a/b", "/range/1/2"]
)
def test_a_path_that_fits_nothing_has_no_operation(routes: Routes[str], path: str) -> None:
    assert routes.match("GET", path) is None


def test_a_search_goes_back_where_the_literal_leads_nowhere() -> None:
    routes: Routes[str] = Routes()
    for method, path in (("GET", "/a/b/c"), ("GET", "/{x}/b/d"), ("GET", "/{x:path}"), ("POST", "/a/{x}")):
        routes.add(method, path, f"{method} {path}")
    assert routes.match("GET", "/a/b/d") == ("GET /{x}/b/d", {"x": "a"})
    assert routes.match("GET", "/a/b/e") == ("GET /{x:path}", {"x": "a/b/e"})
    assert routes.match("POST", "/a/b") == ("POST /a/{x}", {"x": "b"})
    assert routes.match("PUT", "/a/b") is None


def test_names_of_parameters_belong_to_their_operation() -> None:
    routes: Routes[int] = Routes()
    routes.add("GET", "/jobs/{id}/{page}", 1)
    routes.add("PUT", "/jobs/{job}/{page}", 2)
    routes.add("GET", "/a/{x}-{y}", 3)
    routes.add("PUT", "/a/{y}-{x}", 4)
    assert routes.match("PUT", "/jobs/7/1") == (2, {"job": "7", "page": "1"})
    assert routes.match("GET", "/jobs/7/1") == (1, {"id": "7", "page": "1"})
    assert routes.match("PUT", "/a/1-2") == (4, {"y": "1", "x": "2"})


def test_a_second_operation_of_the_same_shape_is_told_of_the_first() -> None:
    routes: Routes[int] = Routes()
    assert routes.add("GET", "/jobs/{id}", 1) is None
    assert routes.add("GET", "/jobs/{job}", 2) == 1
    assert routes.add("POST", "/jobs/{job}", 3) is None
    assert routes.match("GET", "/jobs/7") == (1, {"id": "7"})


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_any_value_comes_back_out_of_its_parameter(one: str, other: str) -> None:
    routes: Routes[int] = Routes()
    routes.add("GET", "/jobs/{id}/pages/{page}", 1)
    found = routes.match(
        "GET", f"/jobs/{quote(one, safe='', errors='replace')}/pages/{quote(other, safe='', errors='replace')}"
    )
    assert found == (
        1,
        {name: value.encode("utf-8", "replace").decode() for name, value in (("id", one), ("page", other))},
    )


@given(
    st.sampled_from([*METHODS, "BREW", ""]),
    st.text(max_size=60) | st.text("/{}%2Fjobsfile:.-", max_size=40).map("/".__add__),
)
def test_any_path_can_be_asked_for(method: str, path: str) -> None:
    routes: Routes[str] = Routes()
    for known in PATHS:
        routes.add("GET", known, known)
    found = routes.match(method, path)
    assert found is None or (method == "GET" and found.target in PATHS and "GET" in routes.methods(path))
    assert len(routes.nearest(method, path)) == 3


@given(st.lists(st.text("ab%2F-.", max_size=5), max_size=5).map("/".join))
def test_whatever_matches_can_be_built_again_from_its_parameters(rest: str) -> None:
    routes: Routes[str] = Routes()
    for known in PATHS:
        routes.add("GET", known, known)
    found = routes.match("GET", f"/{rest}")
    if found is not None:
        built = found.target.replace(":path}", "}").format(**found.params)
        assert built == unquote(f"/{rest}")


@pytest.mark.parametrize("known", ["/x/{a}-{b}.json", "/x/{a}-{b}-{c}-{d}-{e}z", "/x/{a}{b}{c}{d}z"])
def test_a_hostile_segment_costs_no_time(known: str) -> None:
    routes: Routes[int] = Routes()
    routes.add("GET", known, 1)
    begin = time.perf_counter()
    assert routes.match("GET", "/x/" + "-" * 50_000) is None
    assert time.perf_counter() - begin < 0.5


def test_an_endless_path_costs_no_time(routes: Routes[str]) -> None:
    begin = time.perf_counter()
    assert routes.match("GET", "/a" * 50_000) is None
    assert routes.match("GET", "/files" + "/a" * 50_000) == ("/files/{rest:path}", {"rest": "/".join(["a"] * 50_000)})
    assert routes.nearest("GET", "/" + "a" * 100_000)
    assert routes.nearest("GET", "/a" * 50_000)
    assert time.perf_counter() - begin < 0.5
    assert SEGMENTS_MAX < 1000


def test_the_methods_of_a_path_are_those_of_all_that_fit_it() -> None:
    routes: Routes[int] = Routes()
    for number, (method, path) in enumerate(
        [("DELETE", "/a/{x}"), ("GET", "/a/b"), ("POST", "/a/{y:path}"), ("PUT", "/b")]
    ):
        routes.add(method, path, number)
    assert routes.methods("/a/b") == ["GET", "POST", "DELETE", "HEAD"]
    assert routes.methods("/a/c") == ["POST", "DELETE"]
    assert routes.methods("/c") == []


@pytest.mark.parametrize(
    ("method", "path", "name", "differs"),
    [
        ("POST", "/v3/job", "POST /v3/jobs", "'jobs', not 'job'"),
        ("PUT", "/v3/jobs", "POST /v3/jobs", "the method is POST, not PUT"),
        ("POST", "/v3/jobs/7/cancle", "POST /v3/jobs/{id}/cancel", "'cancel', not 'cancle'"),
        ("GET", "/v3/jobs/7/", "GET /v3/jobs/{id}", "no slash at the end"),
        ("POST", "/v3/jobs//cancel", "POST /v3/jobs/{id}/cancel", "'{id}', not ''"),
        ("GET", "/v3/range/7", "GET /v3/range/{low}-{high}", "'{low}-{high}', not '7'"),
        ("PUT", "/v3/files/a/b/c", "GET /v3/files/{rest:path}", "the method is GET, not PUT"),
        ("GET", "/v3/range", "GET /v3/range/", "a slash at the end"),
        ("GET", "/v3/caf%C3%A9s", "GET /v3/café", "'café', not 'caf%C3%A9s'"),
        ("POST", "/jobs", "POST /v3/jobs", "'v3', not 'jobs'; 2 segments, not 1"),
        ("GET", "/v2/jobs/7", "GET /v3/jobs/{id}", "'v3', not 'v2'"),
    ],
)
def test_the_nearest_operation_comes_first_with_what_differs(method: str, path: str, name: str, differs: str) -> None:
    routes: Routes[int] = Routes()
    for known in [
        *["POST /v3/jobs", "GET /v3/jobs/{id}", "POST /v3/jobs/{id}/cancel", "GET /v3/customers", "GET /v3/range/"],
        *["GET /v3/range/{low}-{high}", "GET /v3/files/{rest:path}", "GET /v3/café"],
    ]:
        known_method, known_path = known.split()
        routes.add(known_method, known_path, 1)
    assert routes.nearest(method, path)[0] == (name, differs)


def test_as_many_nearest_are_named_as_there_are() -> None:
    routes: Routes[int] = Routes()
    assert routes.nearest("GET", "/a") == []
    routes.add("GET", "/b", 1)
    assert routes.nearest("GET", "/a", most=5) == [("GET /b", "'b', not 'a'")]
    assert len(routes.nearest("GET", "/" + "a" * 500)[0][1]) < 150


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("", "must begin with a slash"),
        ("jobs", "must begin with a slash"),
        ("/{a:path}/b", "stands last"),
        ("/x{a:path}", "stands alone"),
        ("/{a}/{a}", "different names"),
        ("/{a}-{a}", "different names"),
        *[
            (f"/{segment}", "a parameter is written")
            for segment in ("{", "}", "{}", "{1}", "{a", "a}", "{a b}", "{a:int}", "{{a}}")
        ],
    ],
)
def test_a_path_that_cannot_be_is_answered_with_what_can(path: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_path(path)
