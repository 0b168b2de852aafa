"""What `serve` prints when it is up."""

from __future__ import annotations

import pytest

from simulator.cli.banner import example, lines, show, url
from tests.live import LIGHT, choices, documents, draft, started

ADDRESS = ("127.0.0.1", 8080)
GET_ONLY = "scenario: g\nseed: 4\noperations:\n  GET /a: {reply: {body: 1}}\n"
GET_ID = "scenario: g\nseed: 4\noperations:\n  GET /a/{id}: {reply: {body: 1}}\n"
NOTHING_KEPT = "scenario: g\nseed: 4\noperations:\n  GET /a: {reply: {body: 1}}\n  POST /b: {reply: {body: 1}}\n"


async def test_it_says_address_seed_store_clock_control_and_a_line_to_try() -> None:
    async with started(documents(), clock="scaled:60") as app:
        *told, last = lines(app, choices(), ADDRESS)
    assert told == [
        "documents  http://localhost:8080/v3   7 operations, seed 7",
        "store      memory:// (forgotten when it stops)",
        "clock      scaled x 60",
        "control    http://localhost:8080/_simulator",
    ]
    ask = "try        curl -X POST http://localhost:8080/v3/jobs -H 'Content-Type: application/json' -d "
    assert last.startswith(ask + '\'{"input": "…"')


async def test_several_services_are_told_with_their_prefixes() -> None:
    async with started(draft(LIGHT), draft(GET_ONLY)) as app:
        told = lines(app, choices(), ADDRESS)
    assert told[0].startswith("light      http://localhost:8080/light   6 operations, seed 1")
    assert told[1].startswith("g          http://localhost:8080/g   1 operation, seed 4")


async def test_one_service_at_the_root_is_told_so() -> None:
    async with started(draft(GET_ONLY)) as app:
        assert lines(app, choices(), ADDRESS)[0] == "g          http://localhost:8080/   1 operation, seed 4"


async def test_the_public_url_is_what_people_are_told() -> None:
    async with started() as app:
        told = lines(app, choices(public_url="https://x.example"), ADDRESS)
    assert "control    https://x.example/_simulator" in told
    assert "localhost" not in "".join(told)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GET_ONLY, "curl http://h/a"),
        (GET_ID, "curl http://h/_simulator/scenario"),
        (NOTHING_KEPT, "curl -X POST http://h/b -H 'Content-Type: application/json' -d '{}'"),
    ],
)
async def test_the_line_to_try_is_the_first_creation_else_the_first_operation(text: str, line: str) -> None:
    async with started(draft(text)) as app:
        assert example(app, "http://h") == line


@pytest.mark.parametrize(
    ("auth", "more"),
    [
        ("{key: {api_key: {header: X-Key, prefix: 'Key ', keys: {'demo-*': {}}}}}", " -H 'X-Key: Key demo-1'"),
        ("{key: {bearer: {tokens: {sk_1: {}}}}}", " -H 'Authorization: Bearer sk_1'"),
        ("{user: {basic: {users: {al?ce: {password: '${PASS:-x}'}}}}}", " -u 'al1ce:…'"),
        ("{key: {api_key: {header: X-Key, keys: {'${KEY:-secret}': {}}}}}", " -H 'X-Key: …'"),
        ("{key: {api_key: {query: key, keys: {k: {}}}}}", ""),
        ("{o: {oauth2: {clients: {demo: {secret: s}}}}}", ""),
    ],
)
async def test_the_line_to_try_has_a_credential_but_none_from_the_environment(auth: str, more: str) -> None:
    async with started(draft(f"{GET_ONLY}auth: {auth}\n")) as app:
        assert example(app, "http://h") == f"curl http://h/a{more}"


async def test_a_public_operation_needs_no_credential() -> None:
    text = GET_ONLY.replace("{reply", "{auth: none, reply") + "auth: {k: {bearer: {tokens: {t: {}}}}}\n"
    async with started(draft(text)) as app:
        assert example(app, "http://h") == "curl http://h/a"


async def test_it_is_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with started() as app:
        show(app, choices(), ADDRESS)
        assert capsys.readouterr().out.splitlines() == lines(app, choices(), ADDRESS)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://localhost:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("10.0.0.1", "http://10.0.0.1:80"),
        ("::1", "http://[::1]:80"),
    ],
)
def test_an_address_is_one_that_a_client_here_can_use(host: str, shown: str) -> None:
    assert url(host, 80) == shown
