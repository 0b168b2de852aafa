"""Every lesson loads, is short, says what a good client does, and its failure really happens; most can be survived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest

from simulator.cli.files import read_file
from simulator.core.damage import remains
from simulator.core.skew import SkewModel
from simulator.scenario.parse import Draft, parse
from tests.core.world import START_MS, Answer, World

SCENARIOS = Path(__file__).parents[2] / "scenarios"
LESSONS = sorted((SCENARIOS / "lessons").glob("*.yaml"))
LINES_MAX = 20  # a lesson is read in one look
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Play = Callable[["Lesson"], None]
PLAYS: dict[str, Play] = {}


class Lesson(World):
    """A lesson at play, with the clock that its clients see."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft.data)
        clock: SkewModel = draft.scenario.clock or SkewModel()
        self.engine.skew = clock.skew(START_MS)

    def submit(self, key: str | None = None, name: str = "a.pdf") -> Answer:
        """Ask for a job."""
        return self.send("POST", "/v3/jobs", {"input": name}, headers={"Idempotency-Key": key} if key else {})

    def job(self) -> str:
        """The path of a new job."""
        return f"/v3/jobs/{self.submit().json['id']}"

    def read(self, url: str, **headers: str) -> Answer:
        return self.send("GET", url, headers=headers)

    def jobs(self) -> int:
        """How many there are."""
        return len(self.stored())

    def listed(self, url: str) -> list[str]:
        """The ids on one page."""
        body = self.read(url).json
        return [each["id"] for each in body.get("jobs", body.get("items"))]

    def token(self) -> dict[str, str]:
        """Credentials, fresh."""
        form = b"grant_type=client_credentials&client_id=demo&client_secret=demo-secret"
        answer = self.send("POST", "/v3/oauth/token", raw=form, headers=FORM)
        return {"Authorization": f"Bearer {answer.json['access_token']}"}


def play(name: str) -> Callable[[Play], Play]:
    """What shows that a lesson's failure happens."""

    def keep(made: Play) -> Play:
        PLAYS[name] = made
        return made

    return keep


def damages(answer: Answer) -> list[str]:
    """What happens to the connection."""
    return [damage.kind for damage in answer.decision.damages]


def bare(path: Path) -> Draft:
    """What a lesson is made of, without what it says itself."""
    kept = [line for line in path.read_text().splitlines() if line.startswith(("extends:", "include:"))]

    def reader(name: str, relative_to: str | None) -> tuple[str, str]:
        return (str(path), "\n".join(kept)) if relative_to is None else read_file(name, relative_to)

    return parse(str(path), reader)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_short_and_begins_with_what_a_good_client_does(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# A good client ")
    assert len(lines) <= LINES_MAX
    assert any(line.startswith("extends: ../") for line in lines)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_its_own_name_no_warnings_and_something_to_teach(path: Path) -> None:
    draft, base = parse(str(path), read_file), bare(path)
    assert draft.name == path.stem
    assert draft.warnings == ()
    own = {"scenario": path.stem, "summary": draft.data["summary"]}
    assert draft.data["summary"] != base.data["summary"]
    assert base.data | own != draft.data


def test_the_table_for_readers_has_every_lesson() -> None:
    rows = [line for line in (SCENARIOS / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert sorted(row[3 : row.index("]")] for row in rows) == [path.stem for path in LESSONS]
    assert all(f"(lessons/{row[3 : row.index(']')]}.yaml)" in row for row in rows)


def test_every_lesson_is_played() -> None:
    assert sorted(PLAYS) == [path.stem for path in LESSONS]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_a_lesson_teaches_happens(path: Path) -> None:
    PLAYS[path.stem](Lesson(parse(str(path), read_file)))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_a_lesson_teaches_does_not_happen_without_it(path: Path) -> None:
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        PLAYS[path.stem](Lesson(bare(path)))


@play("rate-limited")
def _(world: Lesson) -> None:
    assert [world.submit().status for _ in range(3)] == [202, 202, 429]
    world.move(1000 * int(world.submit().header("Retry-After") or ""))
    assert world.submit().status == 202


@play("retry-after-date")
def _(world: Lesson) -> None:
    refused = world.submit()
    assert (refused.status, refused.header("Retry-After")) == (503, "Thu, 01 Jan 2026 00:00:03 GMT")
    assert world.submit().status == 202


@play("unavailable-then-fine")
def _(world: Lesson) -> None:
    assert [world.submit(key).status for key in "aaabbb"] == [503, 503, 202] * 2


@play("lost-reply")
def _(world: Lesson) -> None:
    assert damages(world.submit("k")) == ["reset"]
    assert world.jobs() == 1
    assert (world.submit("k").status, world.jobs()) == (202, 1)


@play("dropped-before-commit")
def _(world: Lesson) -> None:
    assert damages(world.submit("k")) == ["close"]
    assert world.jobs() == 0
    assert (world.submit("k").status, world.jobs()) == (202, 1)


@play("outage")
def _(world: Lesson) -> None:
    assert world.submit().status == 202
    world.advance(10_000)
    refused = world.submit()
    assert (refused.status, refused.header("Retry-After")) == (503, "5")
    world.advance(20_000)
    assert world.submit().status == 202


@play("brown-out")
def _(world: Lesson) -> None:
    delays = [world.submit().decision.delay_ms for _ in range(100)]
    assert min(delays) >= 100
    assert max(delays) > 10 * median(delays)


@play("hang")
def _(world: Lesson) -> None:
    assert damages(world.submit("k")) == ["hang"]
    assert (world.submit("k").status, world.jobs()) == (202, 1)


@play("truncated")
def _(world: Lesson) -> None:
    job = world.job()
    whole, cut = world.read(job), world.read(job)
    left = remains(cut.decision.damages, len(cut.body))
    assert not damages(whole)
    assert (left.sent, left.declared) == (len(cut.body) // 2, len(cut.body))


@play("wrong-length")
def _(world: Lesson) -> None:
    job = world.job()
    right, wrong = world.read(job), world.read(job)
    assert not damages(right)
    assert remains(wrong.decision.damages, len(wrong.body)).declared not in (None, len(wrong.body))


@play("garbage")
def _(world: Lesson) -> None:
    left = remains(world.submit("k").decision.damages, 10)
    assert left.silent
    assert not left.raw.startswith(b"HTTP")
    assert (world.submit("k").status, world.jobs()) == (202, 1)


@play("malformed-json")
def _(world: Lesson) -> None:
    job = world.job()
    fine, broken = world.read(job), world.read(job)
    assert fine.json["status"] == "CREATED"
    assert (broken.status, broken.header("Content-Type")) == (200, fine.header("Content-Type"))
    with pytest.raises(orjson.JSONDecodeError):
        assert broken.json


@play("html-error-page")
def _(world: Lesson) -> None:
    page = world.submit("k")
    assert (page.status, page.header("Content-Type")) == (502, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert (world.submit("k").status, world.jobs()) == (202, 1)


@play("drifted-schema")
def _(world: Lesson) -> None:
    told = world.submit().json
    drifted = world.read(f"/v3/jobs/{told['id']}").json
    assert drifted["createdAt"] == told["created_at"]
    assert "created_at" not in drifted
    assert (drifted["input"], drifted["beta"]) == ([told["input"]], True)


@play("new-enum-value")
def _(world: Lesson) -> None:
    job = world.job()
    world.advance(60_000)
    assert [world.read(job).json["status"] for _ in range(3)][:2] == ["PAUSED", "PAUSED"]
    assert world.read(job).json["status"] in ("COMPLETED", "FAILED")


@play("token-expires")
def _(world: Lesson) -> None:
    token = world.token()
    assert world.read("/v3/jobs", **token).status == 200
    world.move(5_000)
    refused = world.read("/v3/jobs", **token)
    assert refused.status == 401
    assert 'error="invalid_token"' in (refused.header("WWW-Authenticate") or "")
    assert world.read("/v3/jobs", **world.token()).status == 200


@play("token-revoked")
def _(world: Lesson) -> None:
    token = world.token()
    assert [world.read("/v3/jobs", **token).status for _ in range(4)] == [200, 200, 401, 401]
    assert world.read("/v3/jobs", **world.token()).status == 200


@play("redirect-other-origin")
def _(world: Lesson) -> None:
    moved = world.read("/v3/jobs/job_1", **world.token())
    assert (moved.status, moved.header("Location")) == (307, "https://elsewhere.example/v3/jobs/job_1")


@play("clock-skewed")
def _(world: Lesson) -> None:
    assert world.submit().json["created_at"].startswith("2025-12-31T23:50:00")


@play("clock-jumps")
def _(world: Lesson) -> None:
    assert [world.submit().decision.jump_ms for _ in range(4)] == [0, 0, -3_600_000, 0]


@play("stale-reads")
def _(world: Lesson) -> None:
    job = world.job()
    world.advance(10)
    assert world.read(job).json["status"] == "CREATED"
    assert world.send("POST", f"{job}/cancel").json["status"] == "CANCELLED"
    assert world.read(job).json["status"] == "CREATED"
    world.advance(2_000)
    assert world.read(job).json["status"] == "CANCELLED"


@play("read-after-create-404")
def _(world: Lesson) -> None:
    job = world.job()
    assert world.read(job).status == 404
    world.advance(2_000)
    assert world.read(job).status == 200


@play("duplicate-record-on-pages")
def _(world: Lesson) -> None:
    made = {world.submit().json["id"] for _ in range(4)}
    first = world.read("/v3/jobs?limit=2").json
    ids = [each["id"] for each in first["jobs"]]
    rest = world.listed(f"/v3/jobs?limit=4&cursor={first['next_cursor']}")
    assert rest[0] == ids[-1]
    assert {*ids, *rest} == made


@play("endless-page")
def _(world: Lesson) -> None:
    for _ in range(3):
        world.submit()
    first = world.read("/v3/jobs?limit=2").json
    second = world.read(f"/v3/jobs?limit=2&cursor={first['next_cursor']}").json
    assert second["jobs"] == first["jobs"]
    assert second["next_cursor"]


@play("empty-page")
def _(world: Lesson) -> None:
    made = {world.submit().json["id"] for _ in range(4)}
    first = world.read("/v3/jobs?limit=2").json
    second = world.read(f"/v3/jobs?limit=2&cursor={first['next_cursor']}").json
    assert second["jobs"] == []
    rest = world.listed(f"/v3/jobs?limit=2&cursor={second['next_cursor']}")
    assert {each["id"] for each in first["jobs"]} | {*rest} == made


@play("missing-record-on-pages")
def _(world: Lesson) -> None:
    for name in "abc":
        world.send("POST", "/api/customers", {"email": f"{name}@a.test", "name": name})
    page = world.read("/api/customers").json
    assert (len(page["items"]), page["total"]) == (2, 3)


@play("duplicate-submission")
def _(world: Lesson) -> None:
    refused = world.submit()
    assert (refused.status, refused.json["error"]["code"]) == (400, "KEY_MISSING")
    assert world.submit("k").body == world.submit("k").body
    assert world.jobs() == 1


@play("conflict-in-flight")
def _(world: Lesson) -> None:
    body, key = {"input": "a.pdf"}, {"Idempotency-Key": "k"}
    first = world.begin("POST", "/v3/jobs", body, headers=key)
    assert first.decision.delay_ms == 5_000
    early = world.submit("k")
    assert (early.status, early.json["error"]["code"]) == (409, "KEY_IN_FLIGHT")
    world.look.release(first.decision.changes.leases)
    assert (world.submit("k").body, world.jobs()) == (first.body, 1)


@play("key-reused")
def _(world: Lesson) -> None:
    assert world.submit("k").status == 202
    other = world.submit("k", "b.pdf")
    assert (other.status, other.json["error"]["code"], world.jobs()) == (409, "KEY_REUSED", 1)


@play("key-forgotten")
def _(world: Lesson) -> None:
    for wait, jobs in ((0, 1), (9_000, 1), (2_000, 2)):
        world.advance(wait)
        assert (world.submit("k").status, world.jobs()) == (202, jobs)


@play("failing-jobs")
def _(world: Lesson) -> None:
    jobs = [world.job() for _ in range(40)]
    world.advance(2_000)
    ends = [world.read(job).json["status"] for job in jobs]
    assert {*ends} == {"COMPLETED", "FAILED"}
    assert 10 <= ends.count("FAILED") <= 30


@play("stuck-job")
def _(world: Lesson) -> None:
    jobs = [world.job() for _ in range(6)]
    world.advance(86_400_000)
    ends = [world.read(job).json["status"] for job in jobs]
    assert [end == "PROCESSING" for end in ends] == [False, False, True] * 2
    assert world.send("POST", f"{jobs[2]}/cancel").json["status"] == "CANCELLED"


@play("slow-drip")
def _(world: Lesson) -> None:
    slow = world.read(world.job())
    assert remains(slow.decision.damages, len(slow.body)).bytes_per_s == 10


@play("lost-update")
def _(world: Lesson) -> None:
    made = world.send("POST", "/api/customers", {"email": "a@a.test", "name": "a"}).json
    at = f"/api/customers/{made['id']}"
    tag = world.read(at).header("ETag") or ""
    assert world.send("PATCH", at, {"name": "b"}).status == 428
    changes: list[Any] = [world.send("PATCH", at, {"name": name}, headers={"If-Match": tag}) for name in "bc"]
    assert [change.status for change in changes] == [200, 412]
    assert world.read(at).json["name"] == "b"
