"""Laws of the engine, over scenarios and sequences that nobody wrote: history, order of arrival, same bytes, purity."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import START_MS, World, histories

STATES = ("A", "B", "C", "D")
HORIZON_MS = 20_000
AFTERS = (
    "200ms",
    "1.5s",
    {"uniform": ["100ms", "1s"]},
    {"normal": {"mean": "800ms", "sd": "200ms"}},
    {"lognormal": {"median": "500ms", "p99": "3s"}},
    {"exponential": {"mean": "1s"}},
    {"pareto": {"min": "100ms", "shape": 1.5}},
)
SETS: tuple[dict[str, str], ...] = (
    {},
    {"moves": "{{ record.moves + 1 }}"},
    {"at": "{{ now.iso }}", "state_was": "{{ state }}"},
    {"code": "{{ chance.hex(6) }}", "link": "{{ base_url }}/{{ id }}"},
)
FIELDS = {"name": "{{ body.name }}", "token": "{{ chance.hex(8) }}", "moves": 0}
WHENS = (None, None, None, "{{ ordinal % 2 == 0 }}", "{{ record.moves % 3 != 1 }}")


@st.composite
def rows(draw: st.DrawFn, state: str) -> dict[str, Any]:
    """A way out of a state. One that takes no time leads on, never back, so that nothing runs in circles."""
    later = STATES[STATES.index(state) + 1 :]
    how = draw(st.sampled_from(("after", "after", "signal", "instant") if later else ("after", "signal")))
    row: dict[str, Any] = {"to": draw(st.sampled_from(later if how == "instant" else STATES))}
    row["weight"] = draw(st.sampled_from((1, 3, 0.5)))
    row["set"] = draw(st.sampled_from(SETS))
    row["emit"] = draw(st.sampled_from(([], ["job.moved"], ["job.moved", "job.told"])))
    if how == "after":
        row["after"] = draw(st.sampled_from(AFTERS))
    elif how == "signal":
        row["signal"] = draw(st.sampled_from(("go", "stop")))
    if (when := draw(st.sampled_from(WHENS))) is not None:
        row["when"] = when
    return row


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """A service with one resource and any table."""
    ways = {state: draw(st.lists(rows(state), max_size=3)) for state in STATES}
    ways["D"] += [{"to": "A", "signal": "go"}, {"to": "B", "signal": "stop"}]
    states = {state: {"rows": found, "emit": ["job.entered"]} for state, found in ways.items()}
    return {
        "resources": {"job": {"record": FIELDS, "states": states}},
        "operations": {
            "POST /jobs": {"create": "job"},
            "GET /jobs": {"list": "job"},
            "GET /jobs/{id}": {"read": "job"},
            "PATCH /jobs/{id}": {"update": "job"},
            "POST /jobs/{id}/go": {"signal": "job.go"},
            "POST /jobs/{id}/stop": {"signal": "job.stop"},
            "GET /dice": {"reply": {"body": {"roll": "{{ chance.integer(1, 1000000) }}"}}},
        },
    }


class Act(NamedTuple):
    """What a client does at an instant since the start."""

    at_ms: int
    what: str  # create | go | stop | patch | read | list | loop
    which: int = 0


INSTANTS = st.integers(0, HORIZON_MS)
DOINGS = st.lists(
    st.builds(Act, INSTANTS, st.sampled_from(("create", "create", "go", "stop", "patch")), st.integers(0, 3)),
    max_size=8,
)
LOOKS = st.lists(
    st.builds(Act, INSTANTS, st.sampled_from(("read", "read", "list", "loop")), st.integers(0, 3)), max_size=25
)


def play(scenario: dict[str, Any], acts: list[Act], seed: int = 7) -> tuple[World, list[tuple[Any, ...]]]:
    """Act by act in the order of time (clients before their watchers), then everything that is left to happen."""
    world = World(scenario, seed=seed)
    replies = []
    ids: list[str] = []
    for act in sorted([Act(0, "create"), *acts], key=lambda act: act.at_ms):
        world.now_ms = START_MS + act.at_ms
        if act.what == "loop":
            world.wake()
            continue
        one = f"/jobs/{ids[act.which % len(ids)]}" if ids else "/jobs/none"
        method, url = {
            "create": ("POST", "/jobs"),
            "list": ("GET", "/jobs"),
            "read": ("GET", one),
            "patch": ("PATCH", one),
            "go": ("POST", f"{one}/go"),
            "stop": ("POST", f"{one}/stop"),
        }[act.what]
        base = "http://watcher.test" if act.what in ("read", "list") else "http://client.test"
        answer = world.send(method, url, {"name": f"n{act.at_ms}"} if method != "GET" else None, base=base)
        ids += [answer.json["id"]] if act.what == "create" else []
        replies.append((act, answer.status, answer.decision.reply.headers, answer.body))
    world.now_ms = START_MS + HORIZON_MS
    world.wake()
    return world, replies


@settings(max_examples=120, deadline=None)
@given(scenarios(), DOINGS, LOOKS)
def test_polling_late_often_or_never_gives_the_same_history(
    scenario: dict[str, Any], doings: list[Act], looks: list[Act]
) -> None:
    never, replies = play(scenario, doings)
    often, more = play(scenario, [*doings, *looks])
    assert histories(often.events) == histories(never.events)
    assert often.stored() == never.stored()
    assert [reply for reply in more if reply[0].what not in ("read", "list")] == replies


@settings(max_examples=60, deadline=None)
@given(scenarios(), INSTANTS)
def test_a_late_look_sees_every_move_at_the_time_it_happened(scenario: dict[str, Any], late_ms: int) -> None:
    watched = World(scenario)
    id_ = watched.send("POST", "/jobs", {"name": "x"}).json["id"]
    for _ in range(late_ms // 250):
        watched.advance(250)
    watched.now_ms = START_MS + late_ms
    watched.wake()
    unwatched = World(scenario)
    unwatched.send("POST", "/jobs", {"name": "x"})
    unwatched.move(late_ms)
    assert unwatched.send("GET", f"/jobs/{id_}").json == watched.send("GET", f"/jobs/{id_}").json
    assert unwatched.transitions() == watched.transitions()


class Sent(NamedTuple):
    """One request of one of several clients."""

    client: str
    method: str
    url: str


CREATES = [Sent(client, "POST", "/jobs") for client in ("ann", "ann", "bob", "bob", "cyd")]
OTHERS = [Sent("dee", "GET", "/jobs/none"), Sent("eve", "GET", "/jobs"), Sent("ann", "POST", "/jobs/none/go")]


def drawn(world: World, sent: list[Sent], gaps_ms: list[int]) -> dict[str, list[Any]]:
    """For each operation, what its first, second, … request drew."""
    draws: dict[str, list[Any]] = {}
    for each, gap_ms in zip(sent, gaps_ms, strict=True):
        world.move(gap_ms)
        answer = world.send(each.method, each.url, {"name": each.client} if each.method == "POST" else None)
        if each.url == "/dice":
            draws.setdefault("dice", []).append(answer.json)
        elif answer.status == 201:
            record = next(put for put in world.puts if put.id == answer.json["id"])
            first = record.due_ms - record.created_ms if record.due_ms is not None else None
            draws.setdefault("jobs", []).append((record.id, record.fields["token"], record.row, first))
    return draws


@settings(max_examples=60, deadline=None)
@given(scenarios(), st.data())
def test_order_of_arrival_changes_no_draw(scenario: dict[str, Any], data: st.DataObject) -> None:
    plain = drawn(World(scenario), [*CREATES, Sent("", "GET", "/dice"), Sent("", "GET", "/dice")], [0] * 7)
    others = data.draw(st.lists(st.sampled_from(OTHERS), max_size=5))
    sent = data.draw(st.permutations([*CREATES, *[Sent("", "GET", "/dice")] * 2, *others]))
    gaps_ms = data.draw(st.lists(st.integers(0, 3000), min_size=len(sent), max_size=len(sent)))
    assert drawn(World(scenario), sent, gaps_ms) == plain


@settings(max_examples=40, deadline=None)
@given(scenarios(), DOINGS, LOOKS)
def test_same_scenario_seed_and_requests_give_the_same_bytes(
    scenario: dict[str, Any], doings: list[Act], looks: list[Act]
) -> None:
    acts = [*doings, *looks]
    first, said = play(scenario, acts)
    second, again = play(scenario, acts)
    assert again == said
    assert second.events == first.events
    assert second.stored() == first.stored()
    _, other = play(scenario, acts, seed=8)
    assert other[0][3] != said[0][3]


@settings(max_examples=60, deadline=None)
@given(scenarios(), DOINGS, st.booleans())
def test_deciding_twice_gives_the_same_decision(scenario: dict[str, Any], doings: list[Act], shy: bool) -> None:
    world, _ = play(scenario, doings)
    world.look.shy = shy
    id_ = world.stored()[0].id
    world.move(5_000)
    before = (dict(world.look.records), dict(world.look.entries), dict(world.look.counters))
    for method, url in (("GET", f"/jobs/{id_}"), ("POST", f"/jobs/{id_}/go"), ("POST", "/jobs"), ("GET", "/dice")):
        assert world.decide(method, url) == world.decide(method, url)
    assert (world.look.records, world.look.entries, world.look.counters) == before
