"""`simulator check`: every problem of every file at once, and an exit code for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simulator.cli.main import main
from tests.live import DOCUMENTS, ORDERS

WARNED = "scenario: w\nresources: {a: {states: {A: [], LOST: []}}}\noperations: {POST /a: {create: a}}\n"
BROKEN = (
    "scenario: b\noperations:\n  GET /a: {reed: x}\n  GET /b: {reply: {boddy: 1}}\n  GET /c: {reply: {status: 700}}\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "warned.yaml").write_text(WARNED)
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "worse.yaml").write_text("scenario: [\n")
    return tmp_path


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_the_shipped_scenarios_are_fine() -> None:
    result = check(DOCUMENTS, ORDERS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{DOCUMENTS}: 7 operations, 1 resource, fine\n{ORDERS}: 15 operations, 3 resources, fine\n"


def test_every_problem_of_every_file_is_printed_at_its_place(here: Path) -> None:
    result = check("broken.yaml", "worse.yaml", "none.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert [line.split(":")[:2] for line in lines[:3]] == [
        ["broken.yaml", "3"],
        ["broken.yaml", "4"],
        ["broken.yaml", "5"],
    ]
    assert all(line.split(":")[2].isdigit() for line in lines[:3])
    assert lines[-2].startswith("worse.yaml:")
    assert lines[-1].startswith("none.yaml: ")


def test_a_remedy_is_named(here: Path) -> None:
    assert "'boddy'" in check("broken.yaml").stderr
    assert "did you mean 'body'" in check("broken.yaml").stderr


def test_one_broken_file_does_not_silence_the_others(here: Path) -> None:
    result = check("broken.yaml", DOCUMENTS)
    assert result.exit_code == 2
    assert "fine" in result.stdout


@pytest.mark.parametrize(("flags", "code"), [([], 0), (["--strict"], 2)])
def test_a_warning_is_printed_and_counts_only_when_strict(here: Path, flags: list[str], code: int) -> None:
    result = check(*flags, "warned.yaml")
    assert result.exit_code == code
    assert result.stderr.startswith("warned.yaml:2:")
    assert "warning: " in result.stderr
    assert result.stdout == "warned.yaml: 1 operation, 1 resource, fine\n"


def test_what_is_not_utf_8_is_a_complaint_and_no_traceback(here: Path) -> None:
    (here / "latin.yaml").write_bytes(b"scenario: \xe9\n")
    result = check("latin.yaml", ".")
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["latin.yaml", "."]
