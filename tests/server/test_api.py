"""The simulated service, met over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.live import Live, documents, draft, serving, until

JOB = {"input": "invoice.pdf"}
SLASHED = """
    scenario: {name}
    seed: 1
    operations:
      GET /who: {{reply: {{body: {name}}}}}
    """


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with serving(documents(), clock="manual") as live:
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        client.post("/_simulator/reset").raise_for_status()
        yield client


def advance(client: httpx.Client, by: str) -> None:
    client.post("/_simulator/clock", json={"advance": by}).raise_for_status()


def bare(headers: httpx.Headers) -> dict[str, str]:
    """Headers without what the connection adds."""
    return {name: value for name, value in headers.items() if name != "connection"}


def test_a_job_is_submitted_and_polled_until_it_ends(client: httpx.Client) -> None:
    made = client.post("/v3/jobs", json=JOB)
    assert (made.status_code, made.headers["retry-after"]) == (202, "1")
    seen = [client.get(made.headers["location"]).json()["status"]]
    for by in ("50ms", "30d"):
        advance(client, by)
        seen.append(client.get(made.headers["location"]).json()["status"])
    assert seen[:2] == ["CREATED", "PROCESSING"]
    assert seen[2] in ("COMPLETED", "FAILED")


def test_by_the_wall_clock_a_job_moves_on_by_itself() -> None:
    with serving(documents()) as live, live.client() as client:
        where = client.post("/v3/jobs", json=JOB).headers["location"]
        until(lambda: client.get(where).json()["status"] == "PROCESSING")


def test_both_ends_happen_and_say_what_they_came_to(client: httpx.Client) -> None:
    for number in range(60):
        client.post("/v3/jobs", json={"input": f"{number}.pdf"})
    advance(client, "30d")
    jobs = client.get("/v3/jobs", params={"limit": 100}).json()["jobs"]
    ends = {job["status"] for job in jobs}
    assert ends == {"COMPLETED", "FAILED"}
    done = next(job for job in jobs if job["status"] == "COMPLETED")
    assert client.get(done["result"]["outputUrl"]).text == f"Text of {done['input']}\n"


def test_a_list_is_read_page_by_page_and_each_job_comes_once(client: httpx.Client) -> None:
    made = [client.post("/v3/jobs", json=JOB).json()["id"] for _ in range(45)]
    seen: list[str] = []
    sizes = []
    query: dict[str, Any] = {}
    while True:
        page = client.get("/v3/jobs", params=query).json()
        seen += [job["id"] for job in page["jobs"]]
        sizes.append(len(page["jobs"]))
        if page.get("next_cursor") is None:
            break
        query = {"cursor": page["next_cursor"]}
    assert sizes == [20, 20, 5]
    assert seen == made[::-1]


def test_a_job_is_cancelled_once_and_no_more(client: httpx.Client) -> None:
    where = client.post("/v3/jobs", json=JOB).headers["location"]
    assert client.post(f"{where}/cancel").json()["status"] == "CANCELLED"
    again = client.post(f"{where}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "WRONG_STATE")
    advance(client, "30d")
    assert client.get(where).json()["status"] == "CANCELLED"


def test_an_unchanged_job_needs_no_second_copy(client: httpx.Client) -> None:
    where = client.post("/v3/jobs", json=JOB).headers["location"]
    first = client.get(where)
    again = client.get(where, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-length" not in again.headers
    advance(client, "50ms")
    assert client.get(where, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_a_head_is_the_get_without_its_body(client: httpx.Client) -> None:
    where = client.post("/v3/jobs", json=JOB).headers["location"]
    for target in (where, "/v3/jobs", "/v3/jobs/none", "/nowhere"):
        head, get = client.head(target), client.get(target)
        assert head.content == b""
        assert head.status_code == get.status_code
        if get.is_success:
            assert bare(head.headers) == bare(get.headers)


def test_options_lists_what_a_path_allows(client: httpx.Client) -> None:
    told = client.options("/v3/jobs")
    assert (told.status_code, told.headers["allow"], told.content) == (204, "GET, POST, HEAD, OPTIONS", b"")
    assert client.options("/v3/nothing/here").status_code == 404


def test_another_method_gets_405_with_allow_and_the_nearest(client: httpx.Client) -> None:
    no = client.put("/v3/jobs", json=JOB)
    assert (no.status_code, no.headers["allow"]) == (405, "GET, POST, HEAD, OPTIONS")
    error = no.json()["error"]
    assert error["code"] == "METHOD_NOT_ALLOWED"
    assert "POST /v3/jobs (the method is POST, not PUT)" in error["message"]


def test_a_path_that_is_none_gets_404_with_what_differs(client: httpx.Client) -> None:
    no = client.get("/v3/job")
    assert (no.status_code, no.json()["error"]["code"]) == (404, "NO_SUCH_OPERATION")
    assert "GET /v3/jobs ('jobs', not 'job')" in no.json()["error"]["message"]
    (told,) = client.get("/_simulator/unmatched").json()["unmatched"]
    assert (told["method"], told["target"], told["status"]) == ("GET", "/v3/job", 404)
    assert told["nearest"][0] == "GET /v3/jobs ('jobs', not 'job')"


def test_links_follow_the_host_that_was_asked(client: httpx.Client) -> None:
    made = client.post("/v3/jobs", json=JOB, headers={"Host": "jobs.test:81"})
    assert made.headers["location"].startswith("http://jobs.test:81/v3/jobs/job_")
    advance(client, "30d")  # and what a timer writes remembers who created it
    outputs = [job.get("result") for job in client.get("/v3/jobs").json()["jobs"]]
    assert all(each is None or each["outputUrl"].startswith("http://jobs.test:81/v3/files/") for each in outputs)


def test_a_client_without_a_host_gets_links_to_the_socket_it_reached(live: Live, client: httpx.Client) -> None:
    reply = live.talk(b'POST /v3/jobs HTTP/1.0\r\nContent-Length: 13\r\n\r\n{"input":"a"}')
    assert f"location: {live.url}/v3/jobs/job_".encode() in reply.lower()


def test_the_public_url_beats_the_host() -> None:
    with serving(documents(), public_url="https://jobs.example/api") as live, live.client() as client:
        made = client.post("/v3/jobs", json=JOB, headers={"Host": "jobs.test:81"})
        assert made.headers["location"].startswith("https://jobs.example/api/v3/jobs/job_")


def test_the_date_is_the_sandboxes_own_and_there_is_one(live: Live, client: httpx.Client) -> None:
    assert client.get("/v3/jobs").headers.get_list("date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
    advance(client, "36h")
    assert client.get("/v3/jobs").headers.get_list("date") == ["Fri, 02 Jan 2026 12:00:00 GMT"]
    job = client.post("/v3/jobs", json=JOB)
    assert job.json()["created_at"] == "2026-01-02T12:00:00.000Z"
    assert parsedate_to_datetime(job.headers["date"]).isoformat() == "2026-01-02T12:00:00+00:00"


def test_the_server_says_nothing_of_itself(client: httpx.Client) -> None:
    assert "server" not in client.get("/v3/jobs").headers


def test_every_exchange_is_journaled_as_it_went_over_the_wire(client: httpx.Client, live: Live) -> None:
    made = client.post("/v3/jobs?trace=1", json=JOB, headers={"X-Api-Key": "hush", "X-Plain": "seen"})
    exchange = live.events()[-1]
    headers = {name.lower(): value for name, value in exchange["headers"]}
    assert (exchange["method"], exchange["target"], exchange["status"]) == ("POST", "/v3/jobs?trace=1", 202)
    assert (exchange["operation"], exchange["committed"]) == ("POST /jobs", True)
    assert exchange["records"] == [["documents.job", made.json()["id"], 1]]
    assert exchange["body"] == made.request.content.decode()
    assert exchange["reply_body"] == made.text
    assert exchange["wire_us"] <= exchange["body_us"] <= exchange["reply_us"] <= exchange["ended_us"]
    assert headers["x-plain"] == "seen"
    assert headers["x-api-key"].startswith("digest:")


def test_request_ids_count_and_a_reset_starts_again(client: httpx.Client, live: Live) -> None:
    for _ in range(3):
        client.get("/v3/jobs")
    assert [each["request_id"] for each in live.events()] == ["req_00000001", "req_00000002", "req_00000003"]


def test_several_services_each_keep_to_their_prefix() -> None:
    drafts = [draft(SLASHED.format(name=name)) for name in ("one", "two")]
    with serving(*drafts) as live, live.client() as client:
        assert [client.get(f"/{name}/who").json() for name in ("one", "two")] == ["one", "two"]
        no = client.get("/two/whom")
        assert no.status_code == 404
        assert no.json()["nearest"][0] == "GET /two/who ('who', not 'whom')"
        assert client.get("/who").status_code == 404


def test_the_default_envelope_is_a_problem() -> None:
    with serving() as live, live.client() as client:
        no = client.get("/lamps/none")
        assert no.headers["content-type"] == "application/problem+json"
        assert no.json() | {"detail": ""} == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "",
            "code": "not_found",
        }


def test_a_division_by_zero_is_a_500_that_names_its_line_and_nothing_else_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as live, live.client() as client:
        no = client.get("/zero")
        assert (no.status_code, no.headers["content-type"]) == (500, "application/problem+json")
        assert re.match(r"test\.yaml:\d+:\d+: .*division by zero", no.json()["detail"])
        assert no.json()["where"] == no.json()["detail"].split(": ")[0]
        assert client.get("/zero?n=2").json() == {"x": 0.5}
        assert client.get("/lamps").status_code == 200
    assert [record.exc_info for record in caplog.records] == [None]  # told once, without a traceback
    assert "division by zero" in caplog.text


def test_a_failing_envelope_still_gives_a_reply_and_no_traceback() -> None:
    text = """
        scenario: broken
        seed: 1
        errors: {envelope: {code: "{{ error.status // (request.query.n | default(0) | int) }}"}}
        operations:
          GET /a: {reply: {body: 1}}
        """
    with serving(draft(text)) as live, live.client() as client:
        no = client.get("/b")
        assert no.status_code == 500
        assert "test.yaml:4:" in no.text
        assert "Traceback" not in no.text
        assert client.get("/b?n=1").status_code == 404
