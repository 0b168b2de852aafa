"""The engine as a whole: whatever clients and clocks do, the table is kept; then what answers which request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from simulator.core.events import RecordRemoved
from simulator.core.records import Changes, Record
from simulator.core.refusals import Refused
from tests.core.world import Answer, World

SERVICE = """
scenario: shop
resources:
  job:
    record: {name: "{{ body.name }}", tries: 0}
    states:
      NEW:
        - {to: RUNNING, weight: 3, after: {uniform: [0s, 2s]}, set: {tries: "{{ record.tries + 1 }}"}}
        - {to: STUCK, after: 1s, when: "{{ record.name != 'good' }}"}
        - {to: NEW, signal: updated}
        - {to: CANCELLED, signal: cancel, emit: job.cancelled}
      RUNNING:
        - {to: DONE, weight: 8, after: {lognormal: {median: 1s, p99: 4s}}, set: {at: "{{ now.iso }}"}, emit: job.done}
        - {to: FAILED, weight: 2, after: {exponential: {mean: 1s}}, emit: [job.failed, job.noticed]}
        - {to: CANCELLED, signal: cancel, weight: 1}
        - {to: FAILED, signal: cancel, weight: 1}
      STUCK:
        - {to: NEW}
      FAILED:
        - {to: NEW, signal: retry, when: "{{ record.tries < 3 }}"}
      DONE: {emit: job.over}
      CANCELLED: []
  note:
    states:
      OPEN:
        - {to: READ, signal: read}
        - {to: GONE, signal: deleted}
      READ:
        - {to: OPEN, after: {pareto: {min: 100ms, shape: 2}}}
        - {to: GONE, signal: deleted, emit: note.gone}
      GONE: []
operations:
  POST /job: {create: job}
  GET /job: {list: job, where: {state: "{{ query.state }}"}, page: {size: 3}}
  GET /job/{id}: {read: job, etag: true}
  PATCH /job/{id}: {update: job}
  DELETE /job/{id}: {delete: job}
  POST /job/{id}/cancel: {signal: job.cancel}
  POST /job/{id}/retry: {signal: job.retry}
  POST /note: {create: note}
  GET /note: {list: note, order: oldest}
  GET /note/{id}: {read: note}
  PATCH /note/{id}: {update: note, set: {seen: "{{ now.iso }}"}}
  DELETE /note/{id}: {delete: note}
"""


class AnyClients(RuleBasedStateMachine):
    """Clients, a clock and a due loop, in any order."""

    urls = Bundle("urls")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(SERVICE)
        self.table = {r.kind: r.states for r in self.world.services[0].resources.values()}

    def ask(self, method: str, url: str, body: Any = None) -> Answer:
        """Send a request; deciding it twice first, which must not matter."""
        first = self.world.decide(method, url, body)
        assert self.world.decide(method, url, body) == first
        answer = self.world.send(method, url, body)
        assert answer.decision == first
        return answer

    @rule(target=urls, kind=st.sampled_from(("job", "job", "note")), name=st.sampled_from(("good", "bad")))
    def create(self, kind: str, name: str) -> str:
        answer = self.ask("POST", f"/{kind}", {"name": name})
        assert answer.status == 201
        return f"/{kind}/{answer.json['id']}"

    @rule(url=urls)
    def read(self, url: str) -> None:
        answer = self.ask("GET", url)
        assert answer.status in (200, 404)
        for record in answer.decision.changes.puts[-1:]:
            assert record.due_ms is None or record.due_ms > self.world.now_ms

    @rule(url=st.sampled_from(("/job", "/note", "/job?state=RUNNING")))
    def list(self, url: str) -> None:
        self.world.wake()
        assert self.ask("GET", url).status == 200
        for record in self.world.stored():
            assert record.due_ms is None or record.due_ms > self.world.now_ms

    @rule(url=urls, name=st.sampled_from(("good", "bad")))
    def update(self, url: str, name: str) -> None:
        assert self.ask("PATCH", url, {"name": name}).status in (200, 404, 409)

    @rule(url=urls, signal=st.sampled_from(("cancel", "retry")))
    def signal(self, url: str, signal: str) -> None:
        assert self.ask("POST", f"{url}/{signal}").status in (200, 404, 409)

    @rule(url=consumes(urls))
    def delete(self, url: str) -> None:
        assert self.ask("DELETE", url).status in (204, 409)

    @rule(ms=st.integers(0, 3_000))
    def pass_time(self, ms: int) -> None:
        self.world.move(ms)

    @rule()
    def wake(self) -> None:
        self.world.wake()

    @rule(index=st.integers(0, 20))
    def wake_one_late(self, index: int) -> None:
        due = [r for r in self.world.stored() if r.due_ms is not None and r.due_ms <= self.world.now_ms]
        if due:
            self.world.wake_one(due[index % len(due)], self.world.now_ms)

    @invariant()
    def only_rows_of_the_table_were_taken(self) -> None:
        for event in self.world.transitions():
            if event.from_state is None:
                assert (event.cause, event.to_state) == ("created", next(iter(self.table[event.record_kind])))
                continue
            signal = event.cause.removeprefix("signal:") if event.cause != "after" else None
            rows = self.table[event.record_kind][event.from_state].rows
            assert (event.to_state, signal) in [(row.to, row.signal) for row in rows]

    @invariant()
    def timed_moves_happened_when_they_were_due(self) -> None:
        drawn = {(put.id, put.version): put.due_ms for put in self.world.puts}
        for event in self.world.transitions():
            if event.cause == "after":
                assert event.at_ms == event.due_ms == drawn[event.id, event.version - 1]

    @invariant()
    def every_version_follows_the_one_before(self) -> None:
        versions: dict[str, list[int]] = {}
        for put in self.world.puts:
            versions.setdefault(put.id, []).append(put.version)
        assert all(each == list(range(1, len(each) + 1)) for each in versions.values())

    @invariant()
    def a_record_is_where_its_last_move_led_it(self) -> None:
        for record in self.world.stored():
            moves = self.world.transitions(record.id)
            assert (record.state, record.entries) == (moves[-1].to_state, len(moves))
            assert record.state in self.table[record.kind]
            assert [move.from_state for move in moves[1:]] == [move.to_state for move in moves[:-1]]
            instants = [move.at_ms for move in moves]
            assert instants == sorted(instants)
            assert record.due_ms is None or record.due_ms >= record.updated_ms

    @invariant()
    def what_is_removed_is_told(self) -> None:
        gone = {event.id for event in self.world.events if isinstance(event, RecordRemoved)}
        assert {put.id for put in self.world.puts} - gone == {record.id for record in self.world.stored()}


TestAnyClients = AnyClients.TestCase
TestAnyClients.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)

SMALL: dict[str, Any] = {
    "resources": {"job": {"record": {"name": "{{ body.name }}"}}},
    "operations": {
        "POST /jobs": {"create": "job"},
        "GET /jobs/{id}": {"read": "job"},
        "DELETE /jobs/{id}": {"delete": "job"},
    },
}


def replying(**operations: Any) -> World:
    """A service without records; `GET_x` stands for `GET /x`."""
    return World({"operations": {name.replace("_", " /"): made for name, made in operations.items()}})


def test_an_unknown_path_is_told_of_the_nearest_operation() -> None:
    world = World(SMALL)
    answer = world.send("GET", "/job/1")
    assert answer.status == 404
    assert answer.json["code"] == "no_operation"
    assert answer.json["nearest"][0] == "GET /jobs/{id} ('jobs', not 'job')"
    assert answer.header("Allow") is None
    assert answer.decision.changes == Changes()


def test_an_unknown_method_is_told_of_the_known_ones() -> None:
    answer = World(SMALL).send("PUT", "/jobs/1")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.header("Allow") == "GET, DELETE, HEAD, OPTIONS"


def test_a_service_without_operations_still_answers() -> None:
    answer = World({}).send("GET", "/")
    assert (answer.status, answer.json["nearest"]) == (404, [])
    assert answer.json["detail"] == "GET / is no operation of this service."


def test_an_unknown_path_is_answered_by_the_service_whose_prefix_it_has() -> None:
    one = {"scenario": "one", "errors": {"envelope": {"from": "one"}}}
    two = {"scenario": "two", "errors": {"envelope": {"from": "two"}}}
    inner = {"scenario": "inner", "mount": "/two/inner", "errors": {"envelope": {"from": "inner"}}}
    world = World(one, two, inner)
    froms = [world.send("GET", path).json["from"] for path in ("/one/x", "/two", "/two/inner/x", "/twofold", "/")]
    assert froms == ["one", "two", "inner", "one", "one"]


def test_a_head_means_the_get() -> None:
    world = World(SMALL)
    id_ = world.send("POST", "/jobs", {"name": "a"}).json["id"]
    match, missing = world.engine.match("HEAD", f"/jobs/{id_}"), world.engine.match("HEAD", "/jobs")
    assert match is not None
    assert match.target.operation.name == "GET /jobs/{id}"
    assert missing is None
    assert world.send("HEAD", f"/jobs/{id_}").decision.reply == world.send("GET", f"/jobs/{id_}").decision.reply
    assert world.engine.methods("/jobs/1") == ["GET", "DELETE", "HEAD"]


def test_the_first_variant_whose_when_holds_answers() -> None:
    world = replying(
        GET_x=[
            {"when": "{{ 'wait' in headers.prefer }}", "reply": {"body": "waited"}},
            {"when": "{{ query.n == '1' }}", "reply": {"body": "one"}},
            {"reply": {"body": "else"}},
        ]
    )
    assert world.send("GET", "/x?n=1", headers={"Prefer": "wait=5"}).json == "waited"
    assert world.send("GET", "/x?n=1").json == "one"
    assert world.send("GET", "/x").json == "else"


def test_where_no_variant_fits_the_request_is_invalid() -> None:
    answer = replying(GET_x=[{"when": "{{ query.n == '1' }}", "reply": {"body": 1}}]).send("GET", "/x")
    assert (answer.status, answer.json["code"]) == (400, "invalid")


@pytest.mark.parametrize(("after_last", "bodies"), [("last", [1, 2, 3, 3, 3]), ("again", [1, 2, 3, 1, 2])])
def test_replies_come_in_turn(after_last: str, bodies: list[int]) -> None:
    world = replying(GET_x={"replies": [{"body": n} for n in (1, 2, 3)], "after_last": after_last})
    assert [world.send("GET", "/x").json for _ in range(5)] == bodies


def test_counters_advance_even_when_the_answer_is_no() -> None:
    world = World(SMALL)
    ordinals = [world.send("GET", "/jobs/none").decision.ordinal for _ in range(3)]
    assert ordinals == [1, 2, 3]
    assert world.look.counters == {"requests/shop/GET /jobs/{id}": 3}


def test_a_body_that_cannot_be_read_is_refused_before_anything_happens() -> None:
    world = World(SMALL)
    answer = world.send("POST", "/jobs", raw=b"{")
    assert (answer.status, answer.json["code"], answer.decision.error) == (400, "invalid", "invalid")
    assert "not JSON" in answer.json["detail"]
    assert world.stored() == []
    assert world.send("GET", "/jobs/none", raw=b"{").status == 400  # though nobody would have looked at it


FAILING = """
scenario: shop
resources:
  job:
    record: {share: "{{ 1 / body.n }}"}
operations:
  POST /jobs: {create: job}
  POST /late: {create: job, reply: {body: "{{ 1 / body.m }}"}}
"""


def test_a_failing_expression_is_a_problem_that_names_its_line() -> None:
    world = World(FAILING)
    answer = world.send("POST", "/jobs", {"n": 0})
    assert (answer.status, answer.decision.error) == (500, "scenario_failed")
    assert answer.json["where"] == "test.yaml:5:21"
    assert "test.yaml:5:21: {{ 1 / body.n }} failed: division by zero" in answer.json["detail"]
    assert str(answer.decision.template_error).startswith("test.yaml:5:21")
    assert world.send("POST", "/jobs", {"n": 2}).status == 201


def test_a_turn_that_fails_in_its_reply_has_done_nothing() -> None:
    world = World(FAILING)
    assert world.send("POST", "/late", {"n": 1, "m": 0}).status == 500
    assert (world.stored(), world.events) == ([], [])
    assert world.look.counters == {"requests/shop/POST /late": 1}


def test_an_envelope_that_fails_gives_way_to_a_plain_problem() -> None:
    world = World({**SMALL, "errors": {"envelope": {"code": "{{ 1 / 0 }}"}}})
    for answer in (world.send("GET", "/jobs/none"), world.send("GET", "/nothing")):
        assert (answer.status, answer.header("Content-Type")) == (500, "application/problem+json")
        assert "errors.envelope.code: {{ 1 / 0 }} failed" in answer.json["detail"]
        assert answer.decision.template_error is not None


def test_the_shell_can_refuse_in_the_services_own_words() -> None:
    world = World({**SMALL, "errors": {"envelope": {"said": "{{ error.detail }}", "id": "{{ error.request_id }}"}}})
    match = world.engine.match("POST", "/jobs")
    assert match is not None
    request = world.request("POST", "/jobs")
    reply = world.engine.refuse(match.target, Refused("too_large", "Too much."), request, world.look, world.now_ms)
    assert (reply.status, orjson.loads(reply.body)) == (413, {"said": "Too much.", "id": "req_1"})


def test_a_service_lives_under_its_mount_and_base_path() -> None:
    world = World({**SMALL, "mount": "/m", "base_path": "/v3"})
    assert world.send("POST", "/m/v3/jobs", {"name": "a"}).status == 201
    assert isinstance(world.stored()[0], Record)
    assert world.stored()[0].origin == "http://api.test/m/v3"
