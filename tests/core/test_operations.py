"""The models of `operations:`, what they complain of, and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.operations import Operation, OperationModel, Variant
from simulator.core.steps import verb_of
from tests.core.world import compiled, complaints

RESOURCES: dict[str, Any] = {
    "job": {"record": {"n": "{{ body.n }}"}, "states": {"A": [{"to": "A", "signal": "go"}]}},
    "user": {},
}


def operation(name: str, made: Any) -> Operation:
    return compiled({"resources": RESOURCES, "operations": {name: made}}).operations[0]


def variant(name: str, made: Any) -> Variant:
    return operation(name, made).variants[0]


def test_an_operation_has_a_method_a_path_and_its_parameters() -> None:
    made = operation("POST /a/{x}/b/{y}:run", {"reply": {"status": 204}})
    assert (made.name, made.method, made.path) == ("POST /a/{x}/b/{y}:run", "POST", "/a/{x}/b/{y}:run")
    assert made.params == ("x", "y")


def test_one_variant_needs_no_list() -> None:
    assert len(operation("GET /x", {"reply": {"body": 1}}).variants) == 1
    variants = [{"when": "{{ query.a }}", "reply": {"body": 1}}, {"reply": {"body": 2}}]
    assert [v.step.when is None for v in operation("GET /x", variants).variants] == [False, True]


@pytest.mark.parametrize(
    ("made", "verb"),
    [
        ({"create": "job"}, ("create", "job")),
        ({"signal": "job.go"}, ("signal", "job")),
        ({"reply": {"body": 1}}, (None, None)),
    ],
)
def test_the_verb_says_what_is_done_and_to_which_resource(made: Any, verb: tuple[str | None, str | None]) -> None:
    assert verb_of(OperationModel.model_validate(made)) == verb


@pytest.mark.parametrize(
    ("name", "made", "status"),
    [
        ("POST /x", {"create": "job"}, 201),
        ("GET /x/{id}", {"read": "job"}, 200),
        ("DELETE /x/{id}", {"delete": "job"}, 204),
        ("GET /x", {"reply": {"body": 1}}, 200),
    ],
)
def test_a_verb_has_its_usual_status(name: str, made: Any, status: int) -> None:
    assert variant(name, made).status == status


@pytest.mark.parametrize(
    ("path", "params", "id_"),
    [("/x/{id}/{y}", {"id": "1", "y": "2"}, "1"), ("/x/{a}/{b}", {"a": "1", "b": "2"}, "2")],
)
def test_the_record_is_the_one_of_the_parameter_id_else_of_the_last(path: str, params: Any, id_: str) -> None:
    value = variant(f"GET {path}", {"read": "job"}).step.id
    assert value is not None
    assert value.of({"params": params}) == id_


def test_an_order_is_by_name_or_by_what_the_client_says() -> None:
    orders = {}
    for given in ("newest", "oldest", "-n", {"by": "n", "fields": ["id"]}, {"by": "{{ query.s }}", "fields": ["n"]}):
        order = variant("GET /x", {"list": "job", "order": given}).order
        assert order is not None
        orders[str(given)] = (order.by.of({"query": {"s": "?"}}), sorted(order.fields))
    assert list(orders.values()) == [
        ("-ordinal", ["ordinal"]),
        ("ordinal", ["ordinal"]),
        ("-n", ["n"]),
        ("n", ["id", "n"]),
        ("?", ["n"]),
    ]
    assert variant("GET /x/{id}", {"read": "job"}).order is None


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        ({"page": {"style": "offset"}}, True),
        ({"page": {"style": "cursor"}}, False),
        ({}, False),
        ({"reply": {"body": "{{ page.total }}"}}, True),
        ({"reply": {"headers": {"X-Pages": "{{ page.pages }}"}, "body": 1}}, True),
    ],
)
def test_a_list_counts_only_where_somebody_asks(made: Any, counts: bool) -> None:
    assert variant("GET /x", {"list": "job", **made}).counts is counts


def test_a_list_has_its_envelope_also_beside_a_status_or_headers() -> None:
    made = variant("GET /x", {"list": "job", "reply": {"status": 203, "headers": {"X-A": "b"}}})
    reply = made.replies[0].render({"page": {"items": [1]}})
    assert (reply.status, reply.body) == (203, b"[1]")
    assert (b"X-A", b"b") in reply.headers


def test_unique_fields_stand_alone_or_in_groups() -> None:
    made = variant("POST /x", {"create": "job", "unique": ["n", ["n", "id"]]})
    assert made.unique == (("n",), ("n", "id"))


def test_what_is_read_of_the_body_is_known() -> None:
    assert variant("POST /x", {"reply": {"body": {"said": "{{ body.x }}"}}}).reads_body
    assert not variant("POST /x", {"reply": {"body": {"said": "{{ query.x }}"}}}).reads_body


@pytest.mark.parametrize(
    ("name", "made", "told"),
    [
        ("FETCH /x", {"reply": {"body": 1}}, "'FETCH /x' is no operation; write a method"),
        ("GET", {"reply": {"body": 1}}, "'GET' is no operation"),
        ("HEAD /x", {"reply": {"body": 1}}, "HEAD and OPTIONS are answered by themselves"),
        ("GET x", {"reply": {"body": 1}}, "'x' must begin with a slash"),
        ("GET /{a}/{a}", {"reply": {"body": 1}}, "must have different names"),
        ("GET /x?y=1", {"reply": {"body": 1}}, "is no path that a request can have; leave out what follows '?'"),
        ("GET  /x", {"reply": {"body": 1}}, "is no path that a request can have; write one space"),
        ("GET /x", {}, "an operation does something or replies"),
        ("GET /x", [], "a list of variants needs at least one"),
        ("GET /x", {"read": "job", "list": "job"}, "one thing at a time, not read and list"),
        ("GET /x", {"reply": {"body": 1}, "replies": [{"body": 2}]}, "reply or replies, not both"),
        ("GET /x", {"reply": {"body": 1}, "set": {"a": 1}}, "set needs a record"),
        ("GET /x", {"reply": {"body": 1}, "id": "1"}, "id needs a record"),
        ("GET /x", {"reply": {"body": 1}, "etag": True}, "etag needs a record"),
        ("GET /x/{id}", {"read": "job", "page": {}}, "page goes with list"),
        ("GET /x/{id}", {"read": "job", "order": "oldest"}, "order goes with list"),
        ("GET /x", {"list": "job", "unique": ["n"]}, "unique goes with create"),
        ("POST /x", {"create": "job", "unique": ["m"]}, "no field of job: 'm'"),
        ("GET /x", {"read": "job"}, 'read needs to know which record: id: "{{ … }}", or a path parameter'),
        ("GET /x/{id}", {"read": "jbo"}, "no resource 'jbo'; did you mean 'job'?"),
        ("POST /x/{id}", {"signal": "job"}, "a signal is written resource.signal"),
        ("POST /x/{id}", {"signal": "job.gone"}, "no signal of job 'gone'; did you mean 'go'?"),
        ("GET /x", {"list": "job", "where": {"m": 1}}, "no field of job: 'm'"),
        ("GET /x", {"list": "job", "order": "m"}, "no field of job: 'm'"),
        ("GET /x", {"list": "job", "order": "{{ query.sort }}"}, "an order that clients choose is written {by:"),
        ("GET /x", {"list": "job", "order": {"by": "m"}}, "no field of job: 'm'"),
        ("GET /x", {"list": "job", "order": {"by": "{{ query.s }}", "fields": ["m"]}}, "no field of job: 'm'"),
        ("GET /x", {"find": {"usr": "1"}, "reply": {"body": 1}}, "no resource 'usr'; did you mean 'user'?"),
        ("GET /x", {"find": {"user": 1}, "reply": {"body": 1}}, "1 names no record; write an id, such as user:"),
        ("GET /x", {"when": "always", "reply": {"body": 1}}, "'always' is no condition"),
        ("GET /x", {"reply": {"body": "{{ page.items }}"}}, "no name 'page'"),
        ("GET /x", {"list": "job", "reply": {"body": "{{ record.n }}"}}, "no name 'record'"),
        ("GET /x/{id}", {"reply": {"body": "{{ params.ix }}"}}, "no field of params: 'ix'; there is id"),
        ("POST /x", {"create": "job", "also": [{"read": "job", "id": "1"}]}, "also does something"),
        ("POST /x", {"create": "job", "also": [{"delete": "job"}]}, 'delete needs to know which record: id: "{{ … }}"'),
        ("POST /x", {"create": "job", "also": [{"delete": "job", "id": "1"}] * 21}, "at most 20 entries, got 21"),
        ("POST /x", {"create": "job", "colour": 1}, "colour"),
    ],
)
def test_a_wrong_operation_is_told_what_is_wrong(name: str, made: Any, told: str) -> None:
    assert any(told in what for what in complaints({"resources": RESOURCES, "operations": {name: made}}))


def test_a_variant_behind_one_without_a_condition_is_never_reached() -> None:
    both = [{"reply": {"body": 1}}, {"reply": {"body": 2}}]
    (told,) = complaints({"operations": {"GET /x": both}})
    assert told.endswith("this variant is never reached: the one before it has no `when`")
    assert not complaints({"operations": {"GET /x": [{"when": "{{ query.a }}", **both[0]}, both[1]]}})
