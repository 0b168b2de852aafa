"""Whose a request is and how much it weighs: no two values share a key, and no client's number breaks anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.places import nowhere
from simulator.core.rates import COUNT_MAX
from simulator.core.requests import Request
from simulator.core.resources import request_names
from simulator.core.tallies import PART_MAX, compile_count, compile_per, read, safe, weight_of, weights_of
from simulator.core.templates import LiveScope, compile_text
from simulator.core.turns import Turn
from simulator.errors import TemplateError
from tests.core.world import BASE, JSON, START_MS, Look, compiled

SERVICE = compiled({"operations": {"GET /a": {"reply": {"body": 1}}}})
OPERATIONS = ["GET /jobs", "POST /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}"]
TEXTS = st.text(max_size=5) | st.text("a/#@%~", max_size=5) | st.text("ab", min_size=60, max_size=70)


def turn_of(raw: bytes = b"", client: str = "", address: str = "192.0.2.1", tenant: str | None = None) -> Turn:
    headers = [JSON, *([] if tenant is None else [(b"x-tenant", tenant.encode("latin-1"))])]
    request = Request("POST", "/jobs", b"", headers, raw, BASE, "req_1", {}, address)
    turn = Turn(SERVICE, Look(), START_MS, 0, "test", BASE, request)
    turn.client = client
    return turn


def key(per: list[str], turn: Turn, operation: str = "POST /jobs") -> list[str]:
    place = nowhere()
    parts = compile_per(per, place, request_names())
    assert not place.complaints
    return [part(turn, turn.scope(), operation) for part in parts]


def weight(count: str, raw: bytes, factor: int = 1) -> int:
    place = nowhere()
    value = compile_count(count, place, request_names())
    assert not place.complaints
    return weight_of(value, factor, turn_of(raw).scope())


def chosen(operations: list[str] | None, weights: dict[str, int]) -> dict[str, int]:
    place = nowhere()
    made = weights_of(operations, weights, place, OPERATIONS)
    assert not place.complaints
    return made


def test_all_operations_count_as_one_unless_something_else_is_said() -> None:
    assert chosen(None, {}) == dict.fromkeys(OPERATIONS, 1)


def test_operations_are_chosen_by_name_or_pattern() -> None:
    assert chosen(["POST /jobs"], {}) == {"POST /jobs": 1}
    assert list(chosen(["GET *", "POST /jobs"], {})) == ["GET /jobs", "GET /jobs/{id}", "POST /jobs"]
    assert list(chosen(["* /jobs/{id}"], {})) == ["GET /jobs/{id}", "DELETE /jobs/{id}"]


def test_of_weights_that_fit_the_first_counts() -> None:
    made = chosen(["* /jobs", "DELETE *"], {"POST /jobs": 5, "* /jobs": 2, "* *": 0})
    assert made == {"GET /jobs": 2, "POST /jobs": 5, "DELETE /jobs/{id}": 0}


def test_an_operation_that_does_not_exist_is_complained_of() -> None:
    place = nowhere()
    weights_of(["POST /job"], {"PUT *": 2}, place, OPERATIONS)
    first, second = (complaint.what for complaint in place.complaints)
    assert first.startswith("operations.0: no operation 'POST /job'; did you mean 'POST /jobs'?")
    assert second.startswith("weights.PUT *: no operation 'PUT *'")


@given(TEXTS, TEXTS)
def test_two_values_never_share_a_key(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)
    assert "/" not in safe(one)
    assert not safe(one).startswith("@")
    assert len(safe(one)) <= 12 * PART_MAX
    assert safe(one).isascii()


@given(TEXTS, TEXTS)
def test_a_client_and_an_address_never_share_a_key(client: str, address: str) -> None:
    known, unknown = turn_of(client=f"c{client}"), turn_of(address=address)
    assert key(["client"], known) == [safe(f"c{client}")]
    assert key(["client"], unknown) == [f"@{safe(address)}"]
    assert key(["client"], known) != key(["client"], unknown)


def test_each_kind_of_per_tells_its_own_apart() -> None:
    turn = turn_of(client="acme", tenant="t/1")
    assert key(["client"], turn) == ["acme"]
    assert key(["operation"], turn) == ["POST %2Fjobs"]
    assert key(["address"], turn) == ["192.0.2.1"]
    assert key(["service"], turn) == [""]
    assert key(["{{ headers.x_tenant }}"], turn) == ["t%2F1"]
    assert key(["client", "operation"], turn) == ["acme", "POST %2Fjobs"]
    assert key(["{{ headers.x_tenant }}"], turn_of()) == [""]


def test_a_turn_without_a_request_has_no_address_and_no_bytes() -> None:
    turn = Turn(SERVICE, Look(), START_MS, 0, "test", BASE)
    assert key(["client", "address"], turn) == ["@", ""]
    assert weight_of(compile_count("bytes", nowhere(), request_names()), 1, turn.scope()) == 0


def test_an_unknown_per_or_count_is_complained_of() -> None:
    place = nowhere()
    compile_per(["client", "clients"], place / "per", request_names())
    compile_count("byte", place / "count", request_names())
    compile_count("{{ bodi.n }}", place / "count", request_names())
    first, second, third = (complaint.what for complaint in place.complaints)
    assert first.startswith("per.1: no `per` 'clients'; did you mean 'client'?")
    assert second.startswith("count: no count 'byte'; did you mean 'bytes'?")
    assert third.startswith("count: no name 'bodi'; did you mean 'body'?")


def test_requests_bytes_and_expressions_are_counted() -> None:
    assert weight("requests", b"{}") == 1
    assert weight("requests", b"{}", 5) == 5
    assert weight("bytes", b'{"n": 1}') == 8
    assert weight("bytes", b"12345678", 2) == 16
    assert weight("{{ body.n }}", b'{"n": 3}') == 3
    assert weight("{{ body.n }}", b'{"n": 2.1}', 10) == 30
    assert weight("{{ body.n | default(7) }}", b"{}") == 7


@pytest.mark.parametrize("sent", [b'"7"', b"null", b"true", b"[]", b"{}"])
def test_what_is_no_number_counts_as_one(sent: bytes) -> None:
    assert weight("{{ body.n }}", b'{"n": %s}' % sent) == 1
    assert weight("{{ body.n }}", b"{}") == 1


def test_numbers_beyond_all_measure_count_as_the_least_and_the_most() -> None:
    assert weight("{{ body.n }}", b'{"n": -5}') == 0
    assert weight("{{ body.n }}", b'{"n": 1e300}', 3) == COUNT_MAX
    assert weight("{{ body.n }}", b'{"n": %d}' % 2**64) == COUNT_MAX
    assert weight("{{ 1e308 * 10 }}", b"{}") == COUNT_MAX
    assert weight("{{ 1e308 * 10 - 1e308 * 10 }}", b"{}") == 1


@pytest.mark.parametrize("count", ["{{ body.n }}", "{{ body.n | default(3) }}", "{{ request.body.n * 2 }}"])
def test_a_body_that_cannot_be_read_counts_as_one(count: str) -> None:
    assert weight(count, b"{") == 1


def test_an_expression_that_fails_is_the_scenarios_own_failure() -> None:
    scope: LiveScope = turn_of(b'{"n": []}').scope()
    value: Any = compile_text("{{ body.n + 1 }}", nowhere(), request_names())
    with pytest.raises(TemplateError, match=r"body\.n"):
        read(value, scope, 1)
