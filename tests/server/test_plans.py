"""Plans of replies: heads, cuts and drips, as bytes and numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.server.plans import (
    SLICE,
    TICK_MS,
    Cut,
    Delivered,
    Ending,
    Plan,
    drip,
    head_of,
    refusal,
    status_line,
)

BODIES = st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=20)), max_size=6).map(tuple)


def body(plan: Plan) -> bytes:
    return b"".join(data for _, data in plan.steps)


def lines(plan: Plan, *, keep: bool = True, old: bool = False) -> list[bytes]:
    head, _ = head_of(plan, plan.body_bytes, keep=keep, old=old)
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


def test_header_names_are_written_as_they_are_and_as_often() -> None:
    plan = Plan(200, ((b"Retry-After", b"1"), (b"x-lower", b"a"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")))
    assert lines(plan) == [
        b"HTTP/1.1 200 OK",
        b"Retry-After: 1",
        b"x-lower: a",
        b"Set-Cookie: a",
        b"Set-Cookie: b",
        b"Content-Length: 0",
    ]


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (404, None, b"HTTP/1.1 404 Not Found\r\n"),
        (529, None, b"HTTP/1.1 529 \r\n"),
        (200, b"Everything Is Broken", b"HTTP/1.1 200 Everything Is Broken\r\n"),
        (200, b"", b"HTTP/1.1 200 \r\n"),
    ],
)
def test_a_status_has_its_standard_reason_unless_another_is_asked_for(
    status: int, reason: bytes | None, line: bytes
) -> None:
    assert status_line(status, reason) == line


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan(200, (), ((0, b"abc"), (5, b"de"))), b"Content-Length: 5"),
        (Plan(200, (), ((0, b"abc"),), declared_length=9), b"Content-Length: 9"),
        (Plan(200, (), ((0, b"abc"),), declared_length=1), b"Content-Length: 1"),
        (Plan(200, (), ((0, b"abc"),), chunked=True), b"Transfer-Encoding: chunked"),
        (Plan(204, ()), None),
        (Plan(304, (), chunked=True), None),
        (Plan(304, (), declared_length=7), b"Content-Length: 7"),
    ],
)
def test_the_head_says_where_the_body_ends(plan: Plan, told: bytes | None) -> None:
    assert lines(plan)[1:] == ([told] if told else [])


def test_an_old_client_gets_no_chunks() -> None:
    assert lines(Plan(200, (), chunked=True), keep=False, old=True)[1:] == [b"Connection: close"]


@pytest.mark.parametrize("value", [b"close", b"Close", b"x, close"])
def test_a_connection_ends_where_the_plan_says_so_and_is_told_once(value: bytes) -> None:
    head, keep = head_of(Plan(200, ((b"connection", value),)), 0, keep=True)
    assert not keep
    assert head.lower().count(b"connection: close") == 1


def test_a_connection_ends_where_the_client_asked_for_it() -> None:
    head, keep = head_of(Plan(200, ((b"Connection", b"x"), (b"Disposition", b"close"))), 0, keep=False)
    assert not keep
    assert b"Connection: x\r\nDisposition: close\r\nConnection: close\r\n" in head


def test_nothing_else_ends_a_connection() -> None:
    assert head_of(Plan(200, ((b"Disposition", b"close"), (b"Connection", b"keep-alive"))), 0, keep=True)[1]


@given(BODIES, st.integers(0, 130))
def test_a_cut_body_is_the_beginning_of_the_whole_which_the_head_still_declares(
    steps: tuple[tuple[int, bytes], ...], at: int
) -> None:
    plan = Plan(200, (), steps)
    cut = plan.cut(at, "reset")
    assert body(cut) == body(plan)[:at]
    assert (cut.ending, cut.declared_length) == ("reset", plan.body_bytes)
    assert [delay for delay, _ in cut.steps] == [delay for delay, _ in steps][: len(cut.steps)]


def test_what_has_no_length_declares_none_when_it_is_cut() -> None:
    plan = Plan(200, (), ((0, b"abc"), (0, b"def")), chunked=True)
    assert plan.cut(4, "close") == plan._replace(steps=((0, b"abc"), (0, b"d")), ending="close")
    assert Plan(204, ()).cut(0, "close").declared_length is None


@given(st.binary(max_size=300), st.integers(1, 5000))
def test_a_drip_is_the_whole_body_and_never_ahead_of_its_pace(data: bytes, bytes_per_second: int) -> None:
    steps = drip(data, bytes_per_second)
    assert b"".join(part for _, part in steps) == data
    portion = max(1, bytes_per_second * TICK_MS // 1000)
    at_ms = gone = 0
    for delay_ms, part in steps:
        at_ms += delay_ms
        gone += len(part)
        assert gone <= (at_ms + 1) * bytes_per_second / 1000 + portion
        assert gone >= at_ms * bytes_per_second / 1000
    assert not steps or steps[0][0] == 0


def test_a_drip_of_ten_bytes_a_second_is_one_each_tenth() -> None:
    assert drip(b"abc", 10) == ((0, b"a"), (100, b"b"), (100, b"c"))
    assert drip(b"ab", 2) == ((0, b"a"), (500, b"b"))


@pytest.mark.parametrize(
    "changes",
    [
        {"ending": "hang"},
        {"head": False},
        {"chunked": True},
        {"status": 204},
        {"steps": ()},
        {"steps": ((1, b"a"),)},
        {"steps": ((0, b"a"), (0, b"b"))},
        {"steps": ((0, b"a" * (SLICE + 1)),)},
    ],
)
def test_only_a_plain_plan_leaves_in_one_piece(changes: dict[str, object]) -> None:
    plan = Plan(200, (), ((0, b"a"),))
    assert plan.whole == b"a"
    assert plan._replace(**changes).whole is None  # type: ignore[arg-type]


def test_a_plan_takes_as_long_as_its_steps() -> None:
    assert Plan(200, (), ((10, b""), (20, b"a"))).delay_ms == 30


def test_a_refusal_is_a_problem_and_the_end_of_the_connection() -> None:
    plan = refusal(408, "Too late.")
    assert lines(plan)[:3] == [
        b"HTTP/1.1 408 Request Timeout",
        b"Content-Type: application/problem+json",
        b"Connection: close",
    ]
    assert body(plan) == b'{"type":"about:blank","title":"Request Timeout","status":408,"detail":"Too late."}'


@pytest.mark.parametrize(("ending", "head", "named"), [("reset", True, "reset"), ("normal", False, "garbage")])
def test_where_nothing_can_be_cut_the_error_says_what_would_have_been(ending: Ending, head: bool, named: str) -> None:
    sent = Delivered(1, 2, 3, 0, "rst")
    cut = Cut(Plan(200, (), ending=ending, head=head), sent)
    assert cut.delivered is sent
    assert f"a {named} here" in str(cut)
    assert "a real port" in str(cut)
