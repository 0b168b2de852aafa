"""A scenario's parts put together: what one part names must stand in another."""

from __future__ import annotations

import pytest

from simulator.core.service import Service
from simulator.errors import ScenarioError
from simulator.scenario.parse import parse_text, service_of


def service(text: str, seed: int = 1, mount: str = "/") -> Service:
    return service_of(parse_text(f"scenario: shop\n{text}", "a"), seed, mount)


def complaints_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        service(text)
    return [str(complaint) for complaint in refused.value.complaints]


@pytest.mark.parametrize(
    ("base_path", "mount", "told", "prefix"),
    [
        ("", None, "/", ""),
        ("/v1", None, "/", "/v1"),
        ("/", None, "/shop", "/shop"),
        ("/v1/eu", None, "/shop", "/shop/v1/eu"),
        ("/v1", "/here", "/shop", "/here/v1"),
        ("/v1", "/", "/shop", "/v1"),
    ],
)
def test_the_prefix_is_the_mount_and_the_base_path(base_path: str, mount: str | None, told: str, prefix: str) -> None:
    text = f"base_path: '{base_path}'\n" + (f"mount: {mount}\n" if mount else "")
    assert service(text, mount=told).prefix == prefix


def test_operations_keep_their_order_and_their_variants() -> None:
    text = (
        "operations:\n  GET /b: {reply: {}}\n  GET /a:\n    - {when: '{{ query.x }}', reply: {}}\n    - {reply: {}}\n"
    )
    assert [(operation.name, len(operation.variants)) for operation in service(text).operations] == [
        ("GET /b", 1),
        ("GET /a", 2),
    ]


def test_resources_are_told_apart_by_scenario() -> None:
    assert service("resources: {item: {}}\n").resources["item"].kind == "shop.item"


def test_a_resource_may_show_what_only_operations_set() -> None:
    text = """\
resources:
  order:
    view: {id: "{{ id }}", sku: "{{ record.last_sku }}", note: "{{ record.note }}"}
  item: {}
operations:
  PUT /orders/{id}/note: {update: order, set: {note: "{{ body.note }}"}}
  POST /orders/{id}/items:
    create: item
    also: [{update: order, id: "{{ params.id }}", set: {last_sku: "{{ body.sku }}"}}]
"""
    assert {"last_sku", "note"} <= set(service(text).resources["order"].known)
    assert "last_sku" not in service(text).resources["item"].known


def test_a_field_that_nothing_sets_is_complained_of_in_every_variant_that_is_meant_to_be_unique() -> None:
    text = """\
resources:
  item: {record: {sku: "{{ body.sku }}"}}
operations:
  POST /items:
    - {when: "{{ query.a }}", create: item, unique: [sku]}
    - {create: item, unique: [[sku, skuu], colour]}
"""
    first, second = complaints_of(text)
    assert first.startswith("a:7:37: no field of item: 'skuu'; did you mean 'sku'?")
    assert second.startswith("a:7:44: no field of item: 'colour'; there is ")


def test_what_is_created_uniquely_without_a_resource_is_complained_of_once() -> None:
    text = "operations:\n  POST /items: {create: item, unique: [sku]}\n"
    assert complaints_of(text) == ["a:3:25: no resource 'item'; there is none"]


RING = """\
resources:
  order:
    view: {id: "{{ id }}", items: "{{ records('item', order=id) | map('%s') }}"}
  item:
    record: {order: "{{ params.id }}"}
    view: {id: "{{ id }}", order: {for: each, in: "{{ records('order') }}", do: "{{ each.%s }}"}}
operations:
  POST /orders/{id}/items: {create: item}
"""


@pytest.mark.parametrize(("of_items", "of_orders"), [("id", "view"), ("view", "id"), ("id", "id")])
def test_views_may_contain_views_one_way(of_items: str, of_orders: str) -> None:
    assert service(RING % (of_items, of_orders)).resources["order"].view.views == (of_items == "view")


def test_views_in_a_ring_are_complained_of() -> None:
    assert complaints_of(RING % ("view", "view")) == [
        "a:4:11: views contain each other in a ring: order → item → order; show an id in one of them"
    ]


def test_the_clock_the_errors_and_the_summary_come_along() -> None:
    made = service("summary: Sells\nclock: {mode: manual}\nerrors: {not_found: {status: 410}}\n")
    assert made.summary == "Sells"
    assert made.clock is not None
    assert made.clock.mode == "manual"


def test_an_operation_without_a_legal_name_is_left_out_and_complained_of() -> None:
    assert complaints_of("operations:\n  GRAB /a: {reply: {}}\n  GET /a: {reply: {}}\n") == [
        "a:3:3: 'GRAB /a' is no operation; write a method (GET, POST, PUT, PATCH, DELETE) and a path, such as"
        " 'GET /jobs/{id}'"
    ]
