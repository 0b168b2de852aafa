"""The group of commands: what there is, and how it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from simulator import __version__
from simulator.cli.main import main
from tests.live import process


def test_help_lists_every_command() -> None:
    for flag in ("--help", "-h"):
        result = CliRunner().invoke(main, [flag])
        assert result.exit_code == 0
        assert [line.split()[0] for line in result.stdout.split("Commands:\n")[1].splitlines()] == [
            "check",
            "schema",
            "serve",
        ]


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(main, [command, "-h"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command} [OPTIONS]")


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout == f"simulator, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["sevre"], ["serve", "--prot", "1"], ["check"]])
def test_a_wrong_call_is_exit_code_2_on_standard_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


def test_python_m_simulator_is_the_same() -> None:
    with process("--version") as run:
        assert run.ended() == 0
        assert run.out() == f"simulator, version {__version__}\n"


def test_what_is_heavy_is_loaded_only_where_it_is_used() -> None:
    """Help comes at once: no server, no store, no compiler of scenarios."""
    heavy = "uvicorn", "starlette", "jinja2", "aiosqlite", "watchfiles", "simulator.server.app", "simulator.core.engine"
    code = "import sys, simulator.cli.main; print(*sorted(set(sys.modules) & set(sys.argv[1:])))"
    run = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "\n"
