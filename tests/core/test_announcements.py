"""What clients are told of a limit is true in every form, and nobody who waits that long comes too early."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simulator.core.announcements import (
    FIELDS,
    DialectModel,
    Dialects,
    Policy,
    RetryAfter,
    RetryAfterModel,
    Said,
    Standing,
    announce,
    compile_dialects,
    compile_retry,
    go,
    seconds,
    up,
)
from simulator.core.announcements import say as told_by
from simulator.core.clock import EPOCH, INSTANT_MS_MAX
from simulator.core.omit import OMIT
from simulator.core.places import nowhere
from simulator.core.resources import request_names
from tests.core.compiled import scope

NOW_MS = 1_767_225_600_123
FORMS: TypeAdapter[list[RetryAfterModel]] = TypeAdapter(RetryAfter)
POLICY = Policy("burst", "rate", ["client"], "requests", 20, 10)
STANDING = Standing(POLICY, 1, 15, 500, 100, 2000, NOW_MS)
NAMES = request_names().plus(limit=(*FIELDS,))
WAITS = st.integers(1, 10**6) | st.integers(1, 10**11)


def say(forms: Any, wait_ms: int | None, now_ms: int = NOW_MS) -> Said:
    place = nowhere()
    ways = compile_retry(FORMS.validate_python(forms), place)
    assert not place.complaints
    return told_by(ways, wait_ms, now_ms)


def headers(*told: tuple[Any, Standing]) -> list[tuple[str, str]]:
    """What is announced for limits and their dialects, the first of them the strictest."""
    place = nowhere()
    made = [(compile_dialects(dialects, place, NAMES, s.policy.name), s) for dialects, s in told]
    assert not place.complaints
    return [(name.decode(), value.decode()) for name, value in announce(made, told[0][1], scope())]


@given(WAITS, st.integers(0, 4_000_000_000_000))
def test_retry_after_is_never_smaller_than_the_wait_and_means_what_it_says(wait_ms: int, now_ms: int) -> None:
    for form, meant in (
        ("seconds", lambda text: int(text) * 1000),
        ("float", lambda text: round(float(text) * 1000)),
        ("ms", int),
        ("date", lambda text: (parsedate_to_datetime(text) - EPOCH) // timedelta(milliseconds=1) - now_ms),
    ):
        said = say(form, wait_ms, now_ms)
        assert meant(said.text) == said.ms
        assert wait_ms <= (said.ms or 0) < wait_ms + 1000
        assert said.headers[0][1] == said.text.encode()


def test_each_form_has_its_own_look() -> None:
    texts = [say(form, 1500).text for form in ("seconds", "float", "ms", "date", "none")]
    assert texts == ["2", "1.500", "1500", "Thu, 01 Jan 2026 00:00:02 GMT", ""]
    assert [say(form, 1).text for form in ("seconds", "float", "ms")] == ["1", "0.001", "1"]


def test_a_date_ends_with_the_calendar() -> None:
    assert say("date", 10**6, INSTANT_MS_MAX).text == "Fri, 31 Dec 9999 23:59:59 GMT"


def test_the_header_may_be_another_and_several_may_say_it() -> None:
    said = say(["seconds", "ms", {"as": "ms", "header": "x-amz-retry-after"}], 1500)
    assert said.headers == ((b"Retry-After", b"2"), (b"retry-after-ms", b"1500"), (b"x-amz-retry-after", b"1500"))
    assert (said.text, said.ms) == ("2", 2000)
    assert say(["none", "ms"], 1500) == (((b"retry-after-ms", b"1500"),), "1500", 1500)


def test_what_nobody_knows_is_not_said_unless_the_scenario_does() -> None:
    assert say("seconds", None) == ((), "", None)
    assert say({"as": "ms", "value": "1s"}, None).text == "1000"
    assert say({"value": "1s"}, 5000).text == "5"
    assert say("none", 5000) == ((), "", None)


def test_a_scenario_may_say_less_than_the_truth() -> None:
    assert say({"most": "3s"}, 60_000) == (((b"Retry-After", b"3"),), "3", 3000)
    assert say({"most": "3s"}, 1000).text == "1"


def test_a_form_or_header_that_does_not_exist_is_complained_of() -> None:
    with pytest.raises(ValidationError, match="'seconds', 'float', 'date', 'ms' or 'none'"):
        FORMS.validate_python("minutes")
    place = nowhere()
    assert compile_retry(FORMS.validate_python({"header": "Content-Length"}), place) == ()
    assert place.complaints[0].what.startswith("0.header: Content-Length is written by the server itself")


@given(st.integers(0, 10**10))
def test_a_go_duration_means_what_it_says(ms: int) -> None:
    text, total = go(ms) or "", 0.0
    for unit, length in (("h", 3_600_000), ("m", 60_000)):
        if unit in text and not text.endswith("ms"):
            number, text = text.split(unit)
            total += int(number) * length
    number, factor = (text[:-2], 1) if text.endswith("ms") else (text[:-1], 1000)
    assert round(total + float(number) * factor) == ms


def test_times_look_as_each_dialect_writes_them() -> None:
    assert [go(ms) for ms in (0, 12, 1000, 1500, 360_000, 3_600_000, 61_020, None)] == [
        "0s", "12ms", "1s", "1.5s", "6m0s", "1h0m0s", "1m1.02s", None,
    ]  # fmt: skip
    assert [seconds(ms) for ms in (0, 7, 1500, None)] == ["0.000", "0.007", "1.500", None]
    assert [up(ms) for ms in (0, 1, 1000, 1001, None)] == [0, 1, 1, 2, None]


def test_a_limit_shows_its_fields() -> None:
    shown = {name: STANDING.template_field(name) for name in FIELDS}
    assert shown == {
        "name": "burst",
        "kind": "rate",
        "per": ["client"],
        "unit": "requests",
        "limit": 20,
        "rate": 10,
        "window_s": 2,
        "weight": 1,
        "remaining": 15,
        "used": 5,
        "next_s": 1,
        "reset_s": 1,
        "reset_ms": 500,
        "reset_float": "0.500",
        "reset_go": "500ms",
        "reset_epoch": 1_767_225_601,
        "reset_epoch_float": "1767225600.623",
        "reset_iso": "2026-01-01T00:00:01Z",
        **dict.fromkeys(("retry", "retry_s", "retry_ms", "retry_float", "retry_go"), OMIT),
    }
    assert STANDING.template_field("else") is OMIT
    late = STANDING._replace(retry_ms=1500)
    assert [late.template_field(name) for name in ("retry", "retry_s", "retry_float", "retry_go")] == [
        1.5, 2, "1.500", "1.5s",
    ]  # fmt: skip


@given(st.integers(0, 10**11), st.integers(0, INSTANT_MS_MAX))
def test_a_reset_is_never_told_too_early(reset_ms: int, now_ms: int) -> None:
    standing = STANDING._replace(reset_ms=reset_ms, now_ms=now_ms)
    at_ms = min(now_ms + reset_ms, INSTANT_MS_MAX)
    assert standing.template_field("reset_s") * 1000 >= reset_ms
    assert at_ms <= standing.template_field("reset_epoch") * 1000 < at_ms + 1000
    told = datetime.fromisoformat(standing.template_field("reset_iso"))
    assert at_ms - 1000 < (told - EPOCH) // timedelta(milliseconds=1) < at_ms + 1000


def test_what_nobody_knows_is_omitted() -> None:
    slots = Standing(Policy("p", "concurrency", ["client"], "exchanges", 8, None), 1, 3, None, None, None, NOW_MS)
    known = {name for name in FIELDS if slots.template_field(name) is not OMIT}
    assert known == {"name", "kind", "per", "unit", "limit", "weight", "remaining", "used"}
    assert headers((["x-ratelimit"], slots)) == [("X-RateLimit-Limit", "8"), ("X-RateLimit-Remaining", "3")]


@given(st.integers(0, 10**7), st.none() | st.integers(1, 10**7))
def test_more_is_never_announced_for_later_than_retry_after(next_ms: int, told_ms: int | None) -> None:
    told = STANDING._replace(next_ms=next_ms, told_ms=told_ms).template_field("next_s")
    if told is OMIT:
        assert told_ms is not None
        assert up(next_ms) * 1000 > told_ms  # type: ignore[operator]
    else:
        assert next_ms <= told * 1000
        assert told_ms is None or told * 1000 <= told_ms


NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
POLICIES = st.builds(
    Policy,
    NAME,
    st.just("quota"),
    st.just(["client"]),
    st.sampled_from(["requests", "bytes", "units", "exchanges"]),
    st.integers(1, 10**15 - 1),
    st.none(),
)
SPANS = st.none() | st.integers(0, 10**12)


@given(st.lists(st.tuples(POLICIES, st.integers(0, 10**15 - 1), SPANS, st.none() | st.integers(1, 10**12)), min_size=1))
def test_a_library_of_structured_fields_reads_the_ietf_fields(limits: list[Any]) -> None:
    told = [
        (["ietf"], Standing(policy, 1, min(left, policy.limit), next_ms, next_ms, span_ms, NOW_MS))
        for policy, left, next_ms, span_ms in limits
    ]
    fields = dict(headers(*told))
    policies: Any = http_sf.parse(fields["RateLimit-Policy"].encode(), tltype="list")
    standings: Any = http_sf.parse(fields["RateLimit"].encode(), tltype="list")
    assert len(policies) == len(standings) == len(told)
    units = {"bytes": "content-bytes", "exchanges": "concurrent-requests"}
    for (_, standing), (name, said), (same, left) in zip(told, policies, standings, strict=True):
        assert name == same == standing.policy.name
        assert isinstance(name, str)
        window_s = {} if standing.window_ms is None else {"w": up(standing.window_ms)}
        unit = {"qu": units[standing.policy.unit]} if standing.policy.unit in units else {}
        assert said == {"q": standing.policy.limit, **window_s, **unit}
        assert left == {"r": standing.remaining, **({} if standing.next_ms is None else {"t": up(standing.next_ms)})}


def test_one_field_is_written_by_the_strictest_and_a_joined_one_by_all() -> None:
    daily = Standing(Policy("daily", "quota", ["client"], "requests", 100, None), 1, 1, 9000, 9000, 86_400_000, NOW_MS)
    weekly = daily._replace(policy=daily.policy._replace(name="weekly"), remaining=50)
    assert headers((["x-ratelimit", "ietf"], STANDING), ([], weekly), (["ietf", "x-ratelimit"], daily)) == [
        ("X-RateLimit-Limit", "20"),
        ("X-RateLimit-Remaining", "15"),
        ("X-RateLimit-Reset", "1"),
        ("RateLimit-Policy", '"burst";q=20;w=2, "daily";q=100;w=86400'),
        ("RateLimit", '"burst";r=15;t=1, "daily";r=1;t=9'),
    ]
    strictest = (["ietf"], weekly._replace(remaining=90))
    told = headers(strictest, (["x-ratelimit"], weekly), (["x-ratelimit"], daily))
    assert ("X-RateLimit-Remaining", "1") in told  # of those that write it, the one with the least share left


def test_a_scenario_writes_a_dialect_of_its_own() -> None:
    own = DialectModel(headers={"X-{{ limit.name }}-Left": "{{ limit.remaining }} of {{ limit.limit }}, {{ x }}"})
    place = nowhere()
    made = compile_dialects([own], place, NAMES.plus("x"), "burst")
    assert not place.complaints
    assert announce([(made, STANDING)], STANDING, scope(x="hi")) == ((b"X-burst-Left", b"15 of 20, hi"),)
    assert TypeAdapter(Dialects).validate_python("ietf") == ["ietf"]


@pytest.mark.parametrize(
    "text", ["{{ limit.remaining }}", "{{ limit['remaining'] }}", "{{ limit.limit - limit.used }}"]
)
def test_what_a_request_changes_is_written_anew_for_each(text: str) -> None:
    made = compile_dialects([DialectModel(headers={"X-Left": text})], nowhere(), NAMES, "burst")
    for left in (15, 3):
        standing = STANDING._replace(remaining=left)
        assert announce([(made, standing)], standing, scope()) == ((b"X-Left", str(left).encode()),)


def test_the_length_of_a_month_is_that_of_the_month() -> None:
    made = compile_dialects(["ietf"], nowhere(), NAMES, "burst")
    for days in (31, 28, 31, 30):
        standing = STANDING._replace(window_ms=days * 86_400_000)
        assert dict(announce([(made, standing)], standing, scope()))[b"RateLimit-Policy"].endswith(
            b";w=%d" % (days * 86_400)
        )


@pytest.mark.parametrize(
    ("dialect", "what"),
    [
        ("itf", "0: no dialect 'itf'; did you mean 'ietf'?"),
        ({"headers": {"a b": "1"}}, "'a b' is no header name"),
        ({"headers": {"X": "{{ limit.left }}"}}, "no field of limit: 'left'"),
        ({"headers": {"X-{{ limit.limit }}": "1"}}, "no field of limit: 'limit'; there is name"),
        ({"joined": {"X-{{ limit.name + 1 }}": "1"}}, "X-{{ limit.name + 1 }} failed"),
    ],
)
def test_a_dialect_that_cannot_be_is_complained_of(dialect: Any, what: str) -> None:
    place = nowhere()
    compile_dialects(TypeAdapter(Dialects).validate_python(dialect), place, NAMES, "burst")
    assert what in place.complaints[0].what
