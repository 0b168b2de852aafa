"""What comes to the engine from outside the simulated service: seeds, forced moves, removals, and due moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.core.events import RecordChanged, RecordRemoved, TransitionApplied, TransitionFailed
from simulator.core.records import Changes
from simulator.errors import OperatorError
from tests.core.world import START_MS, World

KIND = "shop.job"
SHOP: dict[str, Any] = {
    "resources": {
        "job": {
            "record": {"key": "{{ body.key }}"},
            "initial": "B",
            "states": {
                "A": [{"to": "B", "after": "1s", "set": {"link": "{{ base_url }}"}}],
                "B": [{"to": "C", "signal": "go", "emit": "job.gone"}, {"to": "A", "after": "9s"}],
                "C": [],
            },
        }
    },
    "operations": {"POST /jobs": {"create": "job", "unique": ["key"]}, "GET /jobs/{id}": {"read": "job"}},
}


def seeded(world: World, id_: str, fields: dict[str, Any], state: str | None = None) -> Changes:
    """Put a record from outside, and write it."""
    changes = world.engine.seed(KIND, id_, fields, state, world.look, world.now_ms, "http://seed.test")
    world.commit(changes)
    return changes


def forced(world: World, id_: str, to: str | None = None, signal: str | None = None) -> Changes:
    """Move a record from outside, and write it."""
    changes = world.engine.force(KIND, id_, to, signal, world.look, world.now_ms)
    world.commit(changes)
    return changes


def test_a_seeded_record_is_like_one_that_was_created() -> None:
    world = World(SHOP)
    seeded(world, "j1", {"key": "k"}, "A")
    record = world.record(KIND, "j1")
    assert (record.state, record.fields, record.ordinal, record.version) == ("A", {"key": "k"}, 1, 1)
    assert (record.created_ms, record.due_ms, record.origin) == (START_MS, START_MS + 1000, "http://seed.test")
    assert world.transitions()[0].cause == "forced"
    world.advance(1000)
    assert world.record(KIND, "j1").fields["link"] == "http://seed.test"
    world.send("POST", "/jobs")
    assert sorted(record.ordinal for record in world.stored()) == [1, 2]


def test_a_seeded_record_begins_where_others_do_unless_told() -> None:
    world = World(SHOP)
    seeded(world, "j1", {})
    assert world.record(KIND, "j1").state == "B"
    drawn = World({"resources": {"job": {"initial": "{{ body.state }}", "states": {"A": [], "B": []}}}})
    seeded(drawn, "j1", {})
    assert drawn.record(KIND, "j1").state == "A"


def test_a_seed_replaces_the_fields_of_the_record_there_is() -> None:
    world = World(SHOP)
    seeded(world, "j1", {"key": "k"}, "A")
    world.move(500)
    changes = seeded(world, "j1", {"other": 1})
    record = world.record(KIND, "j1")
    assert (record.fields, record.version, record.state, record.ordinal) == ({"other": 1}, 2, "A", 1)
    assert (record.created_ms, record.updated_ms, record.due_ms) == (START_MS, START_MS + 500, START_MS + 1000)
    assert [type(event) for event in changes.events] == [RecordChanged]
    changes = seeded(world, "j1", {}, "C")
    assert (world.record(KIND, "j1").state, world.record(KIND, "j1").version) == ("C", 3)
    assert [type(event) for event in changes.events] == [TransitionApplied]
    assert changes.adds == ()


def test_a_seed_comes_after_what_was_overdue() -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "A")
    world.move(1500)
    seeded(world, "j1", {"key": "k"})
    assert [move.at_ms - START_MS for move in world.transitions()] == [0, 1000]
    assert world.record(KIND, "j1").state == "B"


def test_unique_values_are_kept_in_step_from_outside_too() -> None:
    world = World(SHOP)
    seeded(world, "j1", {"key": "k"})
    assert world.send("POST", "/jobs", {"key": "k"}).status == 409
    with pytest.raises(OperatorError, match="with this key already") as refused:
        seeded(world, "j2", {"key": "k"})
    assert refused.value.status == 409
    seeded(world, "j1", {"key": "other"})
    id_ = world.send("POST", "/jobs", {"key": "k"}).json["id"]
    world.commit(world.engine.remove(KIND, id_, world.look, world.now_ms))
    assert world.send("POST", "/jobs", {"key": "k"}).status == 201


def test_a_record_can_be_forced_into_a_state_or_sent_a_signal() -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "B")
    forced(world, "j1", signal="go")
    assert [event.type for event in world.emissions()] == ["job.gone"]
    forced(world, "j1", to="A")
    assert [(move.to_state, move.cause) for move in world.transitions()] == [
        ("B", "forced"),
        ("C", "signal:go"),
        ("A", "forced"),
    ]
    assert world.record(KIND, "j1").due_ms == START_MS + 1000


@pytest.mark.parametrize(
    ("move", "words", "status"),
    [
        ({"to": "X"}, "no state 'X' in job; there is A, B, C", 400),
        ({"signal": "go"}, "job 'j1' is A, which no row leaves on signal 'go'", 409),
        ({}, "which no row leaves on signal None", 409),
    ],
)
def test_a_move_that_is_not_possible_says_what_is(move: dict[str, str], words: str, status: int) -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "A")
    with pytest.raises(OperatorError, match=words) as refused:
        forced(world, "j1", **move)
    assert refused.value.status == status


def test_what_is_not_there_can_be_neither_moved_nor_removed_nor_seeded() -> None:
    world = World(SHOP)
    look, now_ms = world.look, world.now_ms
    asked: list[Callable[[], Changes]] = [
        lambda: world.engine.force(KIND, "j9", "A", None, look, now_ms),
        lambda: world.engine.remove(KIND, "j9", look, now_ms),
        lambda: world.engine.remove("shop.none", "j9", look, now_ms),
        lambda: world.engine.seed("other.job", "j9", {}, None, look, now_ms, ""),
    ]
    for refused in asked:
        with pytest.raises(OperatorError, match="no ") as error:
            refused()
        assert error.value.status == 404
    with pytest.raises(OperatorError, match="no state 'X' in job; there is A, B, C"):
        seeded(world, "j1", {}, "X")


def test_a_removed_record_is_gone() -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "A")
    world.move(5000)
    changes = world.engine.remove(KIND, "j1", world.look, world.now_ms)
    assert changes.events == (RecordRemoved(world.now_ms, 0, world.services[0].digest, KIND, "j1", 1, "control"),)
    world.commit(changes)
    assert world.send("GET", "/jobs/j1").status == 404


def test_a_due_moment_runs_at_its_own_instant_however_late_it_is() -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "A")
    world.move(5000)
    world.wake_one(world.record(KIND, "j1"), world.now_ms)
    assert [(move.at_ms, move.due_ms) for move in world.transitions()[1:]] == [(START_MS + 1000, START_MS + 1000)]
    assert world.engine.wake(world.record(KIND, "j1"), world.look, world.now_ms, 0) == Changes()


@pytest.mark.parametrize("kind", ["other.job", "shop.other"])
def test_a_due_record_that_no_scenario_knows_is_waited_for_no_longer(kind: str) -> None:
    world = World(SHOP)
    seeded(world, "j1", {}, "A")
    stray = world.record(KIND, "j1")._replace(kind=kind)
    (put,) = world.engine.wake(stray, world.look, START_MS + 1000, 0).puts
    assert put == stray._replace(due_ms=None, row=None, version=2)


def test_a_move_that_fails_holds_up_nobody_else() -> None:
    rows = [{"to": "B", "after": "1s", "set": {"x": "{{ 1 / record.n }}"}}]
    job = {"record": {"n": "{{ body.n }}"}, "states": {"A": rows, "B": []}}
    world = World({"resources": {"job": job}, "operations": {**SHOP["operations"], "POST /jobs": {"create": "job"}}})
    bad, good = (world.send("POST", "/jobs", {"n": n}).json["id"] for n in (0, 1))
    world.move(1000)
    world.wake()
    assert world.record(KIND, good).state == "B"
    still = world.record(KIND, bad)
    assert (still.state, still.due_ms, still.row, still.version) == ("A", None, None, 2)
    (told,) = (event for event in world.events if isinstance(event, TransitionFailed))
    assert (told.id, told.from_state, told.to_state) == (bad, "A", "B")
    assert "1 / record.n }} failed: division by zero" in told.what


def test_a_late_look_at_a_move_that_fails_sees_what_the_due_loop_would_have_left() -> None:
    rows = [{"to": "B", "after": "1s", "set": {"x": "{{ 1 / record.n }}"}}]
    job = {"record": {"n": "{{ body.n }}"}, "states": {"A": rows, "B": []}}
    world = World({"resources": {"job": job}, "operations": {**SHOP["operations"], "POST /jobs": {"create": "job"}}})
    id_ = world.send("POST", "/jobs", {"n": 0}).json["id"]
    world.move(5000)
    assert world.send("GET", f"/jobs/{id_}").json["state"] == "A"
    assert world.record(KIND, id_).due_ms is None


def test_moves_that_look_at_other_records_are_left_to_the_due_loop() -> None:
    """A late look would see the others as they are now, not as they were then."""
    rows = [{"to": "B", "after": "1s", "set": {"seen": "{{ records('job', state='B') | length }}"}}]
    job = {"states": {"A": rows, "B": []}}
    operations = {"POST /jobs": {"create": "job"}, "GET /jobs/{id}": {"read": "job"}}
    worlds = [World({"resources": {"job": job}, "operations": operations}) for _ in range(2)]
    seen = []
    for often, world in enumerate(worlds):
        ids = [world.send("POST", "/jobs").json["id"] for _ in range(3)]
        for _ in range(4):
            world.move(500)
            for id_ in ids if often else ():
                world.send("GET", f"/jobs/{id_}")
        for id_ in reversed(ids):
            world.send("GET", f"/jobs/{id_}")
        seen.append([world.record(KIND, id_).fields["seen"] for id_ in ids])
    assert seen == [[0, 1, 2], [0, 1, 2]]


def test_a_kind_is_named_alone_or_with_its_service() -> None:
    world = World({"scenario": "a", "resources": {"job": {}}}, {"scenario": "b", "resources": {"job": {}, "user": {}}})
    assert world.engine.kind_of("user") == "b.user"
    assert world.engine.kind_of("a.job") == "a.job"
    with pytest.raises(OperatorError, match=r"several services have a resource 'job'; say which: a\.job, b\.job"):
        world.engine.kind_of("job")
    with pytest.raises(OperatorError, match=r"no resource 'jbo'; there is a\.job, b\.job, b\.user"):
        world.engine.kind_of("jbo")
    with pytest.raises(OperatorError, match="no resource 'x'; there is none"):
        World({}).engine.kind_of("x")
