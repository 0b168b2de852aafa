"""`simulator serve` as its users meet it: starting, refusing to start, reloading, ending."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from simulator.cli.main import main
from simulator.cli.serve import listen, serve
from simulator.errors import OperatorError
from simulator.settings import OPTIONS
from tests.live import LIGHT, NO_TLS, ROOT, Process, process, until

KEY = {"X-Api-Key": "demo-1"}
ENDS_WITHIN_S = 2.0  # one is promised, the other is for a busy machine and for what measures coverage


def client(running: Process) -> httpx.Client:
    return httpx.Client(base_url=running.url(), verify=NO_TLS, timeout=20)


def refused(*arguments: str, env: dict[str, str] | None = None) -> Result:
    """What `serve` says when it does not start."""
    result = CliRunner().invoke(main, ["serve", "--port", "0", *arguments], env=env)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def bundled() -> Iterator[Process]:
    """The bundled scenario, with everything by default but the port and the log."""
    with process("serve", "--port", "0", "--log-format", "json") as running:
        yield running


def test_without_a_file_the_bundled_jobs_are_served(bundled: Process) -> None:
    with client(bundled) as asking:
        assert asking.get("/_simulator/health").json()["scenarios"] == ["documents"]
        assert asking.post("/v3/jobs", json={"input": "a.pdf"}, headers=KEY).status_code == 202


def test_the_banner_says_what_is_where_and_the_line_to_try_works(bundled: Process) -> None:
    url = bundled.url()
    until(lambda: "try" in bundled.out())
    said: dict[str, str] = dict(line.split(maxsplit=1) for line in bundled.out().splitlines())
    assert list(said) == ["documents", "store", "clock", "control", "try"]
    assert said["documents"] == f"{url}/v3   7 operations, seed 7"
    assert "forgotten when it stops" in said["store"]
    assert (said["clock"], said["control"]) == ("real", f"{url}/_simulator")
    command = shlex.split(said["try"])
    assert command[0] == "curl"
    if shutil.which("curl"):
        status = ["--silent", "--output", "-", "--write-out", "\n%{http_code}"]
        tried = subprocess.run([*command, *status], capture_output=True, text=True, check=True, timeout=20)
        body, _, code = tried.stdout.rpartition("\n")
    else:  # the same, by hand
        headers = dict(text.split(": ") for flag, text in pairwise(command) if flag == "-H")
        content = command[command.index("-d") + 1]
        reply = httpx.request(command[command.index("-X") + 1], command[3], headers=headers, content=content)
        body, code = reply.text, str(reply.status_code)
    assert (code, json.loads(body)["input"]) == ("202", "…")


def test_each_exchange_is_logged_on_standard_error(bundled: Process) -> None:
    with client(bundled) as asking:
        asking.get("/v3/nothing?key=hush-hush", headers={"Authorization": "Bearer hush-hush"})
    line = until(lambda: next((each for each in bundled.err().splitlines() if "/v3/nothing" in each), ""))
    assert (json.loads(line)["status"], json.loads(line)["error"]) == (404, "no_operation")
    assert "hush" not in bundled.err()


def test_a_port_that_is_taken_is_said_so_and_a_free_one_is_named(bundled: Process) -> None:
    port = bundled.url().rpartition(":")[2]
    result = CliRunner().invoke(main, ["serve", "--port", port])
    assert result.exit_code == 2
    words = result.stderr.split()
    assert result.stderr.startswith(f"simulator: port {port} is taken; --port ")
    listen("127.0.0.1", int(words[words.index("--port") + 1])).close()


def test_sigterm_ends_it_at_once_with_exit_code_0_and_not_a_word(bundled: Process) -> None:
    """The last of the bundled one."""
    before = bundled.err()
    code, took_s = bundled.stop(signal.SIGTERM)
    assert (code, took_s < ENDS_WITHIN_S) == (0, True), took_s
    assert "Traceback" not in bundled.err()
    assert "Error" not in bundled.err().removeprefix(before)


def test_ctrl_c_ends_it_also_while_clients_keep_connections_and_requests_open() -> None:
    with process("serve", "--port", "0") as running:
        port = int(running.url().rpartition(":")[2])
        with client(running) as kept, socket.create_connection(("127.0.0.1", port)) as slow:
            assert kept.get("/v3/jobs", headers=KEY).status_code == 200  # and the connection stays
            slow.sendall(b"POST /v3/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert kept.get("/v3/jobs", headers=KEY).status_code == 200
            code, took_s = running.stop(signal.SIGINT)
        assert (code, took_s < ENDS_WITHIN_S) == (0, True), took_s
        assert "Traceback" not in running.err()


def test_reload_plays_what_is_saved_and_prints_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "light.yaml"
    text = textwrap.dedent(LIGHT)
    file.write_text(text)
    with process("serve", str(file), "--port", "0", "--reload") as running, client(running) as asking:
        asking.post("/lamps", json={"name": "kept"})

        def saved() -> bool:
            """Saved again until it is seen: the watch begins a moment after the banner."""
            file.write_text(text.replace("/echo", "/mirror"))
            return asking.post("/mirror", json=1).status_code == 200

        until(saved, 5)
        file.write_text(text.replace("create: lamp", "create: lmap"))
        until(lambda: f"{file}:15:" in running.err(), 2)
        assert "the old scenario goes on" in running.err()
        assert asking.post("/mirror", json=1).status_code == 200
        file.write_text(text)
        until(lambda: asking.post("/echo", json=1).status_code == 200, 2)
        assert asking.get("/lamps/lamp_1").json()["name"] == "kept"
        assert running.stop()[0] == 0


def test_a_named_store_keeps_records_clock_seed_and_sandboxes_over_a_restart(tmp_path: Path) -> None:
    (tmp_path / "light.yaml").write_text(textwrap.dedent(LIGHT).replace("seed: 1\n", ""))
    command = ("serve", "light.yaml", "--port", "0", "--store", "sqlite:///kept.db", "--clock", "manual")
    seen: list[Any] = []
    for run in range(2):
        with process(*command, cwd=tmp_path) as running, client(running) as asking:
            if run == 0:
                asking.post("/lamps", json={"name": "kept"})
                base = asking.post("/_simulator/sandboxes", json={"clock": "manual", "seed": 3}).json()["base_url"]
                box = base.removeprefix(running.url())
                asking.post(f"{box}/lamps", json={"name": "inner"})
                asking.post(f"{box}/_simulator/clock", json={"advance": "5s"})
                asking.post("/_simulator/clock", json={"advance": "30s"})
            sandboxes = asking.get("/_simulator/sandboxes").json()["sandboxes"]
            seen.append(
                (
                    [asking.get(f"{each}/lamps").json() for each in ("", box)],
                    [asking.get(f"{each}/_simulator/clock").json()["now"] for each in ("", box)],
                    [(each["id"], each["seed"]) for each in sandboxes],
                )
            )
            assert "acknowledged is on disk" in running.out()
            assert running.stop()[0] == 0
    assert seen[0] == seen[1]
    assert seen[0][1] == ["2026-01-01T00:00:30.000Z", "2026-01-01T00:00:05.000Z"]


def test_a_store_that_cannot_be_opened_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "not.db").write_text("no database")
    with process("serve", "--port", "0", "--store", "sqlite:///not.db", cwd=tmp_path) as running:
        assert running.ended() == 2
        assert "simulator: not.db: not an SQLite file" in running.err()
        assert "Traceback" not in running.err()
        assert running.out() == ""


def test_a_store_that_there_is_not_is_said_too() -> None:
    assert "no store has the URL 'mongo://x'" in refused("--store", "mongo://x").stderr


def test_a_file_that_there_is_not_is_named() -> None:
    assert refused("none.yaml").stderr.startswith("none.yaml: ")


def test_a_broken_file_does_not_start_and_every_problem_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("scenario: broken\noperations:\n  GET /a: {reed: b}\n  GET /b: {reply: {boddy: 1}}\n")
    said = refused(str(file)).stderr.splitlines()
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in said] == ["3", "4"]
    assert all(line.removeprefix(f"{file}:").split(":")[1].isdigit() for line in said)


def test_one_broken_file_of_several_stops_all(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("scenario: 7\n")
    assert "broken.yaml:1:" in refused(str(ROOT / "scenarios/orders.yaml"), str(tmp_path / "broken.yaml")).stderr


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(textwrap.dedent(LIGHT))
    said = refused(str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")).stderr
    assert (
        said
        == f"simulator: {tmp_path / 'b.yaml'} and {tmp_path / 'a.yaml'} are both the scenario 'light'; rename one\n"
    )


def test_warnings_are_printed_and_stop_nothing(tmp_path: Path) -> None:
    text = "scenario: w\nresources: {a: {states: {A: [], LOST: []}}}\noperations: {POST /a: {create: a}}\n"
    (tmp_path / "w.yaml").write_text(text)
    assert "w.yaml:2:33: warning: " in refused(str(tmp_path / "w.yaml"), "--store", "mongo://x").stderr


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["--seed", "x"], {}, "--seed: 'x' is no seed"),
        (["--clock", "sundial"], {}, "--clock: 'sundial' is no clock"),
        (["--log-format", "xml"], {}, "--log-format: 'xml' is none of console, json, none"),
        ([], {"SIMULATOR_BODY_MAX_BYTES": "much"}, "SIMULATOR_BODY_MAX_BYTES: "),
        ([], {"SIMULATOR_CORS": "perhaps"}, "SIMULATOR_CORS: 'perhaps' is neither on nor off"),
        (["--host", "no.such.host.invalid"], {}, "--host no.such.host.invalid: "),
        (["--host", "203.0.113.1"], {}, "--host 203.0.113.1 --port 0: "),
    ],
)
def test_a_wrong_setting_names_its_flag_or_variable(arguments: list[str], env: dict[str, str], words: str) -> None:
    assert words in refused(*arguments, env=env).stderr


def test_every_setting_has_a_flag_with_its_sentence_variable_and_default() -> None:
    flags: dict[str, click.Option] = {each.name or "": each for each in serve.params if isinstance(each, click.Option)}
    assert list(flags) == [option.name for option in OPTIONS]
    for option in OPTIONS:
        help_ = flags[option.name].help or ""
        assert option.sentence in help_
        assert option.variable in help_
        assert option.default is None or f"default {option.default}" in help_
    assert "--no-cors" in flags["cors"].secondary_opts


def test_a_listener_is_bound_to_what_was_asked() -> None:
    with listen("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with pytest.raises(OperatorError, match=f"port {port} is taken; --port [1-9][0-9]* is free"):
            listen("127.0.0.1", port)
