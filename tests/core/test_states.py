"""Records in their tables of states: rows, draws, signals, instants, and what happens by the way."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.chance import Chance
from simulator.core.events import EventEmitted, TransitionApplied
from simulator.core.records import Behind, NotLoaded
from simulator.core.requests import Request
from simulator.core.states import INSTANT_MOVES_MAX, MOVES_MAX, kept, listening, settle
from simulator.core.turns import Turn
from simulator.core.values import span
from simulator.errors import TemplateError
from tests.core.world import START_MS, World

KIND = "shop.job"


def world(states: dict[str, Any], **more: Any) -> World:
    """One resource with this table, and the operations that move its records."""
    return World(
        {
            "resources": {"job": {"states": states, **more.pop("resource", {})}},
            "operations": {
                "POST /jobs": {"create": "job", **more.pop("create", {})},
                "GET /jobs/{id}": {"read": "job"},
                "POST /jobs/{id}/go": {"signal": "job.go"} if "'signal': 'go'" in repr(states) else {"read": "job"},
            },
        },
        **more,
    )


def created(world: World, **body: Any) -> str:
    id_: str = world.send("POST", "/jobs", body).json["id"]
    return id_


def test_a_state_without_rows_is_final() -> None:
    play = world({"NEW": []})
    id_ = created(play)
    play.advance(10**9)
    record = play.record(KIND, id_)
    assert (record.state, record.due_ms, record.row, record.version) == ("NEW", None, None, 1)
    assert play.services[0].resources["job"].states["NEW"].final


def test_a_move_is_drawn_on_entering_and_named_by_the_record_and_its_stay() -> None:
    lengths = [{"uniform": ["1s", "9s"]}, {"lognormal": {"median": "2s", "p99": "8s"}}]
    states = {"NEW": [{"to": "NEW", "after": length, "weight": n + 1} for n, length in enumerate(lengths)]}
    play = world(states)
    id_ = created(play)
    chance, entered_ms = Chance(7, "shop"), START_MS
    for stay in range(1, 20):
        record = play.record(KIND, id_)
        row = chance.weighted(f"{KIND}/{id_}/{stay}/row", [1, 2])
        after_ms = span(lengths[row]).draw_ms(chance.unit(f"{KIND}/{id_}/{stay}/after/{row}"))
        assert (record.entries, record.row, record.due_ms) == (stay, row, entered_ms + after_ms)
        entered_ms += after_ms
        play.advance(entered_ms - play.now_ms)


def test_rows_are_taken_as_often_as_they_weigh() -> None:
    play = world({"NEW": [{"to": "A", "weight": 3}, {"to": "B", "weight": 1}, {"to": "C", "weight": 0}], **ENDS})
    states = [play.send("POST", "/jobs").json["state"] for _ in range(400)]
    assert 260 < states.count("A") < 340
    assert states.count("A") + states.count("B") == 400


ENDS: dict[str, Any] = {"A": [], "B": [], "C": []}


def test_only_rows_whose_when_holds_are_drawn_from() -> None:
    rows = [
        {"to": "A", "when": "{{ record.size == 1 }}"},
        {"to": "B", "when": "{{ record.size == 2 }}"},
        {"to": "C", "weight": 0},
    ]
    play = world({"NEW": rows, **ENDS}, resource={"record": {"size": "{{ body.size }}"}})
    states = [play.send("POST", "/jobs", {"size": size}).json["state"] for size in (1, 2, 3)]
    assert states == ["A", "B", "NEW"]


def test_a_row_without_after_is_taken_at_once() -> None:
    play = world({"NEW": [{"to": "A"}], **ENDS})
    assert play.send("POST", "/jobs").json["state"] == "A"
    assert [(move.to_state, move.at_ms) for move in play.transitions()] == [("NEW", START_MS), ("A", START_MS)]


def test_moves_happen_when_they_were_due_however_late_the_look() -> None:
    play = world({"NEW": [{"to": "A", "after": "1s"}], "A": [{"to": "B", "after": "2s"}], "B": []})
    id_ = created(play)
    play.move(60_000)
    play.send("GET", f"/jobs/{id_}")
    moves = [(move.from_state, move.to_state, move.cause, move.at_ms, move.due_ms) for move in play.transitions()]
    assert moves == [
        (None, "NEW", "created", START_MS, None),
        ("NEW", "A", "after", START_MS + 1000, START_MS + 1000),
        ("A", "B", "after", START_MS + 3000, START_MS + 3000),
    ]
    assert play.record(KIND, id_).updated_ms == START_MS + 3000


def test_now_is_the_instant_of_the_move_in_all_that_it_does() -> None:
    states = {
        "NEW": [{"to": "A", "after": "1s", "set": {"at": "{{ now.epoch_ms }}"}}],
        "A": {"set": {"entered": "{{ now.epoch_ms }}"}, "rows": [{"to": "B", "when": f"{{{{ {UNTIL} }}}}"}]},
        "B": [],
    }
    play = world(states)
    id_ = created(play)
    play.move(60_000)
    play.send("GET", f"/jobs/{id_}")
    record = play.record(KIND, id_)
    assert record.fields == {"at": START_MS + 1000, "entered": START_MS + 1000}
    assert record.state == "B"


UNTIL = f"now.epoch_ms == {START_MS + 1000}"


def test_links_of_a_timed_move_go_where_the_record_was_created() -> None:
    states = {"NEW": [{"to": "A", "after": "1s", "set": {"link": "{{ base_url }}/x"}}], "A": []}
    for delay_ms in (1000, 5000):
        play = world(states)
        id_ = play.send("POST", "/jobs", base="http://one.test").json["id"]
        play.move(delay_ms)
        play.send("GET", f"/jobs/{id_}", base="http://two.test")
        assert play.record(KIND, id_).fields == {"link": "http://one.test/x"}


def test_a_row_sets_then_the_state_it_leads_to_and_omit_takes_a_field_away() -> None:
    states = {
        "NEW": [{"to": "A", "set": {"n": 1, "gone": "{{ omit }}", "both": "row"}}],
        "A": {"set": {"both": "{{ record.both or 'none' }}+state", "state_was": "{{ state }}"}},
    }
    play = world(states, resource={"record": {"gone": "here", "stays": [1, {"a": None}]}})
    id_ = created(play)
    assert play.record(KIND, id_).fields == {
        "n": 1,
        "both": "none+state",
        "state_was": "A",
        "stays": [1, {"a": None}],
    }


def test_events_of_the_row_come_before_those_of_the_state_each_with_its_own_id() -> None:
    play = world({"NEW": {"rows": [{"to": "A", "emit": ["job.left"]}], "emit": "job.new"}, "A": {"emit": "job.a"}})
    created(play)
    told = play.emissions()
    assert [(event.type, event.version, event.sequence) for event in told] == [
        ("job.new", 1, 1),
        ("job.left", 2, 2),
        ("job.a", 2, 2),
    ]
    assert len({event.event_id for event in told}) == 3
    assert all(event.event_id.startswith("evt_") and len(event.event_id) == 24 for event in told)
    kinds = [type(event) for event in play.events]
    assert kinds == [TransitionApplied, EventEmitted, TransitionApplied, EventEmitted, EventEmitted]


def test_a_signal_draws_among_the_rows_that_answer_it() -> None:
    rows = [
        {"to": "A", "signal": "go", "weight": 3},
        {"to": "B", "signal": "go", "weight": 1},
        {"to": "C", "signal": "go", "weight": 0},
        {"to": "C", "signal": "stop"},
    ]
    play = world({"NEW": rows, **ENDS})
    states = [play.send("POST", f"/jobs/{created(play)}/go").json["state"] for _ in range(200)]
    assert 120 < states.count("A") < 180
    assert states.count("A") + states.count("B") == 200


def test_a_signal_takes_only_rows_whose_when_holds_and_may_look_at_the_request() -> None:
    rows = [{"to": "A", "signal": "go", "when": "{{ body.please }}", "set": {"by": "{{ body.by }}"}}]
    play = world({"NEW": rows, "A": []})
    id_ = created(play)
    assert play.send("POST", f"/jobs/{id_}/go", {"by": "me"}).status == 409
    assert play.send("POST", f"/jobs/{id_}/go", {"please": True, "by": "me"}).json["state"] == "A"
    assert play.record(KIND, id_).fields == {"by": "me"}


def test_a_row_that_weighs_nothing_answers_no_signal() -> None:
    play = world({"NEW": [{"to": "A", "signal": "go", "weight": 0}], "A": []})
    assert play.send("POST", f"/jobs/{created(play)}/go").status == 409


def test_a_signal_comes_after_what_was_overdue() -> None:
    play = world(
        {"NEW": [{"to": "A", "after": "1s"}, {"to": "C", "signal": "go"}], "A": [{"to": "B", "signal": "go"}], **B_C}
    )
    id_ = created(play)
    play.move(1000)
    assert play.send("POST", f"/jobs/{id_}/go").json["state"] == "B"
    assert [move.cause for move in play.transitions()] == ["created", "after", "signal:go"]


B_C: dict[str, Any] = {"B": [], "C": []}


def test_the_states_that_listen_are_those_with_a_row_for_the_signal() -> None:
    states = {"NEW": [{"to": "A", "signal": "go"}], "A": [{"to": "NEW", "signal": "go"}], "B": [{"to": "A"}]}
    assert listening(world(states).services[0].resources["job"], "go") == ["NEW", "A"]


def test_a_ring_of_instant_rows_goes_on_a_millisecond_later() -> None:
    play = world({"A": [{"to": "B"}], "B": [{"to": "A"}]})
    id_ = created(play)
    assert len(play.transitions()) == 1 + INSTANT_MOVES_MAX
    assert play.record(KIND, id_).due_ms == START_MS + 1
    play.advance(3)
    assert len(play.transitions()) == 1 + 4 * INSTANT_MOVES_MAX
    assert {move.at_ms - START_MS for move in play.transitions()} == {0, 1, 2, 3}


def test_a_ring_runs_the_same_whether_it_is_watched_or_not() -> None:
    states = {"A": [{"to": "B"}], "B": [{"to": "A"}]}
    watched, unwatched = world(states), world(states)
    id_ = created(watched)
    for _ in range(8):
        watched.advance(1)
        watched.send("GET", f"/jobs/{id_}")
    created(unwatched)
    unwatched.move(8)
    unwatched.send("GET", f"/jobs/{id_}")
    assert unwatched.transitions() == watched.transitions()
    assert unwatched.stored() == watched.stored()


def test_after_a_thousand_moves_the_turn_is_behind() -> None:
    play = world({"A": [{"to": "B", "after": "1s"}], "B": [{"to": "A", "after": "1s"}]})
    id_ = created(play)
    service, record = play.services[0], play.record(KIND, id_)
    play.move((MOVES_MAX - 1) * 1000)
    turn = Turn(service, play.look, play.now_ms, 0, "", "")
    assert settle(turn, service.resources["job"], record).version == MOVES_MAX
    late = Turn(service, play.look, play.now_ms + 2000, 0, "", "")
    with pytest.raises(Behind):
        settle(late, service.resources["job"], record)


def test_a_look_that_is_behind_is_answered_once_the_due_loop_has_caught_up() -> None:
    play = world({"A": [{"to": "B", "after": "1s"}], "B": [{"to": "A", "after": "1s"}]})
    id_ = created(play)
    play.move(2001 * 1000)
    assert play.send("GET", f"/jobs/{id_}").json["state"] == "B"
    assert len(play.transitions()) == 2002


@pytest.mark.parametrize(
    "states",
    [
        {"OTHER": []},  # the state is gone
        {"NEW": [], "A": []},  # the row is gone
    ],
)
def test_a_move_that_a_reload_took_away_is_forgotten(states: dict[str, Any]) -> None:
    play = world({"NEW": [{"to": "A", "after": "1s"}], "A": []})
    id_ = created(play)
    play.engine = world(states).engine
    play.advance(1000)
    record = play.record(KIND, id_)
    assert (record.state, record.due_ms, record.row, record.version) == ("NEW", None, None, 2)


def test_a_drawn_row_that_leads_nowhere_after_a_reload_is_forgotten() -> None:
    play = world({"NEW": [{"to": "A", "after": "1s"}], "A": []})
    id_ = created(play)
    resource = play.services[0].resources["job"]
    del resource.states["A"]
    play.advance(1000)
    assert (play.record(KIND, id_).state, play.record(KIND, id_).due_ms) == ("NEW", None)


def test_a_record_in_a_state_that_is_gone_answers_no_signal() -> None:
    play = world({"NEW": [{"to": "NEW", "signal": "go"}]})
    id_ = created(play)
    play.engine = world({"OTHER": [{"to": "OTHER", "signal": "go"}]}).engine
    assert play.send("POST", f"/jobs/{id_}/go").status == 409


def test_a_timed_move_draws_the_same_whoever_runs_it() -> None:
    states = {"NEW": [{"to": "A", "after": "1s", "set": {"code": "{{ chance.hex(8) }}"}}], "A": []}
    looked, woken = world(states), world(states)
    id_ = created(looked)
    created(woken)
    looked.move(1000)
    looked.send("GET", f"/jobs/{id_}")
    woken.advance(1000)
    assert looked.stored() == woken.stored()
    assert len(looked.record(KIND, id_).fields["code"]) == 8


def test_what_is_kept_is_plain_json() -> None:
    play = world({"NEW": []})
    turn = Turn(play.services[0], play.look, START_MS, 0, "", "", Request("GET", "/", b"", [], b"", ""))
    now = turn.scope()["now"]
    made = kept([("at", now), ("list", (1, [now])), ("map", {1: now, "no": turn.scope()["nothing"]})], "x")
    assert made == {"at": ISO, "list": [1, [ISO]], "map": {"1": ISO}}
    assert kept([("gone", turn.scope()["nothing"]), ("big", 2**64 - 1), ("low", -(2**63))], "x") == {
        "big": 2**64 - 1,
        "low": -(2**63),
    }


ISO = "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, object(), [1, {"a": object()}]])
def test_what_has_no_form_in_json_is_a_failure_of_the_scenario(value: Any) -> None:
    with pytest.raises(TemplateError, match=r"^f\.yaml:3:1: "):
        kept([("a", value)], "f.yaml:3:1")


def test_a_number_too_large_for_json_names_the_resource() -> None:
    play = world({"NEW": {"set": {"n": "{{ 2 ** 70 }}"}, "rows": []}})
    answer = play.send("POST", "/jobs")
    assert answer.status == 500
    assert "beyond the whole numbers" in answer.json["detail"]


def test_a_move_that_wants_to_see_others_says_so() -> None:
    play = world({"NEW": [{"to": "A", "after": "1s", "set": {"n": "{{ records('job') | length }}"}}], "A": []})
    id_ = created(play)
    play.move(1000)
    play.look.shy = True
    play.look.loaded = set()
    with pytest.raises(NotLoaded):
        play.engine.wake(play.record(KIND, id_), play.look, play.now_ms, 0)
    assert play.send("GET", f"/jobs/{id_}").json["state"] == "A"
    assert play.record(KIND, id_).fields == {"n": 1}
