"""From a text, a file or data to a draft: all complaints at once and in order, and a draft that stays the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.cli.files import read_file
from simulator.errors import Complaint, ScenarioError
from simulator.scenario.parse import Draft, parse, parse_data, parse_text, service_of

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
TICKETS = """\
scenario: tickets
base_path: /v1
resources:
  ticket:
    id: "tic_{{ chance.hex(8) }}"
    states:
      OPEN: [{to: CLOSED, after: 1s}]
      CLOSED: []
operations:
  POST /tickets: {create: ticket}
"""


def complaints_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        parse_text(text, "a")
    return [str(complaint) for complaint in refused.value.complaints]


def digest_of(text: str) -> str:
    return parse_text(text, "a").digest


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_what_is_shipped_has_neither_problems_nor_warnings(path: Path) -> None:
    draft = parse(str(path), read_file)
    assert draft.name == path.stem
    assert draft.warnings == ()


def test_a_draft_holds_the_model_the_document_and_its_lines() -> None:
    draft = parse_text(TICKETS, "a")
    assert draft.scenario.base_path == draft.data["base_path"] == "/v1"
    assert draft.marks.value(("resources", "ticket", "id"))[:] == ("a", 5, 9)


def test_file_text_and_data_give_the_same_draft() -> None:
    from_text = parse_text(TICKETS, "a")
    from_file = parse("a", lambda path, _: (path, TICKETS))
    from_data = parse_data(from_text.data, "a")
    assert from_text.digest == from_file.digest == from_data.digest
    assert from_text.data == from_file.data == from_data.data


def test_the_digest_is_that_of_the_document_however_it_is_laid_out() -> None:
    spaced = TICKETS.replace("/v1", "'/v1'   # the first").replace(
        "{to: CLOSED, after: 1s}", "{to: CLOSED,\n after: 1s}"
    )
    assert digest_of(spaced) == digest_of(TICKETS)
    assert len(digest_of(TICKETS)) == 16


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1s", "2s"),
        ("/v1", "/v2"),
        ("      OPEN: [{to: CLOSED, after: 1s}]\n      CLOSED: []\n", "      CLOSED: []\n      OPEN: [{to: CLOSED}]\n"),
        ("{create: ticket}", "{create: ticket, reply: {body: {a: 1, b: 2}}}"),
    ],
)
def test_the_digest_changes_with_whatever_a_client_could_see(old: str, new: str) -> None:
    assert digest_of(TICKETS.replace(old, new)) != digest_of(TICKETS)


def test_the_order_of_keys_is_seen_by_clients_so_the_digest_sees_it_too() -> None:
    first = TICKETS.replace("{create: ticket}", "{create: ticket, reply: {body: {a: 1, b: 2}}}")
    second = TICKETS.replace("{create: ticket}", "{create: ticket, reply: {body: {b: 2, a: 1}}}")
    assert digest_of(first) != digest_of(second)
    states = TICKETS.replace(
        "OPEN: [{to: CLOSED, after: 1s}]\n      CLOSED: []", "CLOSED: []\n      OPEN: [{to: CLOSED}]"
    )
    assert parse_text(states, "a").scenario.resources["ticket"].states.keys() == {"CLOSED", "OPEN"}
    assert service_of(parse_text(states, "a"), 1).resources["ticket"].initial.of({}) == "CLOSED"


def test_a_service_has_the_seed_and_the_mount_it_is_given() -> None:
    draft = parse_text(TICKETS, "a")
    service = service_of(draft, 7, "/tickets")
    assert (service.name, service.seed, service.prefix, service.digest) == ("tickets", 7, "/tickets/v1", draft.digest)
    assert service_of(draft, 7).prefix == "/v1"
    assert service_of(draft, 7).chance.unit("x") == service.chance.unit("x") != service_of(draft, 8).chance.unit("x")


def test_a_mount_in_the_file_wins() -> None:
    draft = parse_text(f"{TICKETS}mount: /here\n", "a")
    assert service_of(draft, 7, "/tickets").prefix == "/here/v1"


def test_warnings_come_with_the_draft_in_order() -> None:
    draft = parse_text(TICKETS.replace("CLOSED: []", "CLOSED: []\n      LOST: []\n      GONE: []"), "a")
    assert [(warning.line, warning.warning) for warning in draft.warnings] == [(9, True), (10, True)]


def test_warnings_of_what_does_not_start_are_told_with_its_problems() -> None:
    twice = "  GET /a:\n    - {reply: {text: a}}\n    - {reply: {text: b}}\n  GET /b: {read: tikcet}\n"
    assert complaints_of(TICKETS + twice) == [
        "a:13:7: warning: this variant is never reached: the one before it has no `when`",
        "a:14:11: read needs to know which record: id: \"{{ … }}\", or a path parameter",
        "a:14:18: no resource 'tikcet'; did you mean 'ticket'? There is ticket",
    ]  # fmt: skip


def test_what_is_wrong_with_the_text_and_with_its_meaning_is_told_at_once() -> None:
    assert complaints_of(TICKETS.replace("after: 1s", "after: soon") + "base_path: /v2\n") == [
        "a:7:34: 'soon' is no duration; a duration is a number and one of ms, s, m, h, d, such as 250ms, 1.5s or 24h",
        "a:11:1: the key 'base_path' stands here twice, first on line 2; keep one",
    ]


def test_of_a_spot_whose_text_is_wrong_nothing_more_is_said() -> None:
    assert complaints_of("scenario: x\noperations:\n  GET /a: *b\n") == [
        "a:3:11: no anchor 'b'; there is none; quote it if it is text"
    ]


def test_without_lines_the_path_says_where() -> None:
    with pytest.raises(ScenarioError) as refused:
        parse_data({"scenario": "x", "seed": -1, "operations": {"GET /a": {"reply": {"status": 1}}}}, "sent")
    assert list(map(str, refused.value.complaints)) == [
        "sent: operations.GET /a.reply.status: 1 is no status that a reply can have; there is 200 to 599",
        "sent: seed: expected a number of at least 0, got -1",
    ]


@pytest.mark.parametrize("data", [None, [], "scenario: x", 5])
def test_data_that_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(ScenarioError, match="expected a mapping that begins with 'scenario'"):
        parse_data(data, "sent")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="there is no such file"):
        parse(str(tmp_path / "none.yaml"), read_file)


DOCUMENTS = [parse(str(path), read_file).data for path in SCENARIOS]
ODD: list[Any] = [
    None, True, 0, -1, 2**64 - 1, 1e308, "", "{{", "{{ }}", "{{ id }}", "{{ body }}", "{{ 1 / 0 }}", "{{ 9**9**9 }}",
    "{{ a.__class__ }}", "{% if a %}", "{# a", "é\n\0", [], {}, [None], {"": ""}, {"{{ x }}": 1}, {"if": 1, "then": 2},
    {"for": [], "in": 1, "do": 1}, {"uniform": [0, 0]}, {"normal": {"mean": 0, "sd": 0}}, "GET /{a}{b}", "job.", "5s",
]  # fmt: skip


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


PATHS = [(index, path) for index, data in enumerate(DOCUMENTS) for path in paths_of(data)]


@given(st.sampled_from(PATHS), st.sampled_from(ODD), st.booleans())
def test_whatever_stands_anywhere_is_a_draft_or_a_complaint(where: tuple[int, Any], odd: Any, as_key: bool) -> None:
    index, path = where
    data = node = copy.deepcopy(DOCUMENTS[index])
    for step in path[:-1]:
        node = node[step]
    if as_key and isinstance(node, dict):
        node[str(odd)] = node.pop(path[-1])
    else:
        node[path[-1]] = odd
    outcome: Draft | list[Complaint]
    try:
        outcome = parse_data(data, "sent")
    except ScenarioError as refused:
        outcome = [complaint for complaint in refused.complaints if not complaint.warning]
    assert outcome
