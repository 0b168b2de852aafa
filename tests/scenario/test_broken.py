"""Scenarios with a mistake that a real author makes: none starts, and each is told why, at the right line.

Each file in broken/ begins with its complaints as comments, `# line:column: text`, all of them and in their order; a
text that ends in … is the beginning of one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.cli.check import check
from simulator.cli.files import read_file
from simulator.errors import ScenarioError
from simulator.scenario.parse import parse

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(path.name for path in BROKEN.glob("*.yaml"))
EXPECTED = re.compile(r"# ((?:\S+\.yaml:)?\d+:\d+: .+)")
AUTHORS = re.compile(r"'[^']*'|\"[^\"]*\"|[;?] [tT]here is .*")  # what the author wrote, or may write
JARGON = re.compile(
    r"pydantic|validat|jinja|Traceback|<class|object at|Omit|input_value|function-|NoneType|[A-Z][a-z]+(Model|Error)\b"
    r"|[A-Za-z]+Settings|\b(str|int|float|bool|dict|tuple|None|True|False|Any|Union|Optional|Literal|repr|lambda)\b"
)


@pytest.fixture(autouse=True)
def _beside_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)


def expected(name: str) -> list[str]:
    """The complaints that a file announces, with the file's name."""
    found = []
    for line in (BROKEN / name).read_text(encoding="utf-8").splitlines():
        match = EXPECTED.fullmatch(line)
        if match is None:
            break
        found.append(match[1] if match[1][0].isalpha() else f"{name}:{match[1]}")
    return found


def complaints_of(name: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        parse(name, read_file)
    return [str(complaint) for complaint in refused.value.complaints]


def fits(complaint: str, announced: str) -> bool:
    return complaint.startswith(announced[:-1]) if announced.endswith("…") else complaint == announced


def test_there_are_many_and_each_announces_its_complaints() -> None:
    assert len(FILES) >= 100
    assert [name for name in FILES if not expected(name)] == []


@pytest.mark.parametrize("name", FILES)
def test_every_complaint_is_made_in_order_at_its_line_and_no_other(name: str) -> None:
    complaints, announced = complaints_of(name), expected(name)
    assert len(complaints) == len(announced), "\n".join(complaints)
    for complaint, what in zip(complaints, announced, strict=True):
        assert fits(complaint, what), f"{complaint}\nis not\n{what}"


@pytest.mark.parametrize("name", FILES)
def test_no_complaint_speaks_of_the_machinery(name: str) -> None:
    for complaint in complaints_of(name):
        assert JARGON.search(AUTHORS.sub("…", complaint)) is None


@pytest.mark.parametrize("name", FILES)
def test_check_prints_the_complaints_and_exits_with_2(name: str) -> None:
    result = CliRunner().invoke(check, [name])
    assert result.exit_code == 2
    assert result.output.splitlines() == complaints_of(name)


def test_check_as_a_command_prints_those_of_all_files() -> None:
    command = [sys.executable, "-m", "simulator", "check", *FILES]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [complaint for name in FILES for complaint in complaints_of(name)]
