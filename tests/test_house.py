"""The house rules, held by the test run instead of by memory.

The rules are in tests/house.py; here they meet the tree, and then every sin is planted once to see it caught.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests import house
from tests.house import Source, every

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Who may break a rule, and why. An exception that is no longer needed fails.
MAY_READ_CLOCKS = {
    "server/timekeeper.py": "it is the one clock; everybody else asks it, or is told",
}
MAY_DRAW = {
    "stores/memory.py": "the key that hides credentials in the journal must be unguessable, so no seed may give it",
    "stores/sqlite_schema.py": "the same key, drawn once a file",
}


def sources(folder: str) -> list[Source]:
    top = ROOT / folder
    return [
        Source(path.relative_to(top).as_posix(), path.read_text(encoding="utf-8"), folder)
        for path in sorted(top.rglob("*.py"))
    ]


HOUSE = sources("simulator")
TESTS = sources("tests")
LOAD = sources("loadtests")


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """Every text that is or could be committed: nothing hidden but CI's, no environments, caches or builds."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if (not name.startswith(".") or name in {".ci", ".github"})
            and name not in {"__pycache__", "build", "dist", "htmlcov"}
            and not name.endswith(".egg-info")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            raw = b"\0" if name.startswith(".coverage") else (here / name).read_bytes()
            if b"\0" not in raw:
                yield (here / name).relative_to(root).as_posix(), raw.decode("utf-8")


def told(sins: Iterable[str]) -> str:
    return "\n".join(["", *sins])


def test_a_room_imports_only_the_rooms_before_it() -> None:
    sins = every(house.wrong_way, HOUSE)
    assert not sins, told(sins)


def test_no_modules_import_each_other() -> None:
    sins = house.rings(HOUSE)
    assert not sins, told(sins)


def test_pure_rooms_neither_wait_nor_look_outside() -> None:
    sins = every(house.impure, HOUSE)
    assert not sins, told(sins)


def test_pure_rooms_go_through_no_sets() -> None:
    sins = every(house.unordered, HOUSE)
    assert not sins, told(sins)


def test_only_the_timekeeper_reads_a_clock() -> None:
    sins = every(house.reads_clock, (source for source in HOUSE if source.path not in MAY_READ_CLOCKS))
    assert not sins, told(sins)


def test_every_draw_comes_from_the_seed() -> None:
    sins = every(house.draws, (source for source in HOUSE if source.path not in MAY_DRAW))
    assert not sins, told(sins)


@pytest.mark.parametrize(
    ("rule", "path"),
    [*((house.reads_clock, path) for path in MAY_READ_CLOCKS), *((house.draws, path) for path in MAY_DRAW)],
)
def test_every_exception_is_still_needed(rule: Callable[[Source], Iterable[str]], path: str) -> None:
    assert every(rule, (source for source in HOUSE if source.path == path)), f"{path} needs no exception any more"


def test_files_and_functions_fit_the_page() -> None:
    sins = every(house.too_long, [*HOUSE, *TESTS, *LOAD])
    assert not sins, told(sins)


def test_every_file_says_what_it_is_for() -> None:
    sins = every(house.silent, [*HOUSE, *TESTS, *LOAD])
    assert not sins, told(sins)


def test_every_module_has_a_twin_test() -> None:
    sins = list(house.twinless(HOUSE, {source.path for source in TESTS}))
    assert not sins, told(sins)


def test_every_import_is_declared() -> None:
    known = packages_distributions()
    needed = {house.normal(line) for line in PROJECT["dependencies"]}
    extras = {house.normal(line) for lines in PROJECT["optional-dependencies"].values() for line in lines}
    sins = [sin for source in HOUSE for sin in house.undeclared(source, needed, known)]
    sins += [sin for source in [*TESTS, *LOAD] for sin in house.undeclared(source, needed | extras, known)]
    assert not sins, told(sins)


def test_no_file_names_a_registry_or_one_machine() -> None:
    sins = [sin for path, text in texts(ROOT) for sin in house.addresses(path, text)]
    assert not sins, told(sins)


def test_every_text_ends_as_texts_do() -> None:
    sins = [sin for path, text in texts(ROOT) for sin in house.ragged(path, text)]
    assert not sins, told(sins)


SINS: list[tuple[Callable[[Source], Iterable[str]], str, str, str]] = [
    (house.wrong_way, "core/a.py", "import simulator.stores.base", "core may not import stores"),
    (house.wrong_way, "core/a.py", "from simulator.stores import base", "core may not import stores"),
    (house.wrong_way, "core/a.py", "from simulator import server", "core may not import server"),
    (house.wrong_way, "errors.py", "from simulator.core.events import Event", "errors may not import core"),
    (house.wrong_way, "core/a.py", "def f():\n    import simulator.server.app", "core may not import server"),
    (house.wrong_way, "core/a.py", "if TYPE_CHECKING:\n    import simulator.cli.main", "core may not import cli"),
    (house.wrong_way, "cli/a.py", "import simulator", "doorplate, not a room"),
    (house.wrong_way, "cli/a.py", "from simulator import __version__", "doorplate, not a room"),
    (house.wrong_way, "cli/a.py", "from . import main", "relative import"),
    (house.wrong_way, "__init__.py", "from simulator.core import events", "doorplate imports nothing"),
    (house.wrong_way, "utils.py", "", "no room of the house"),
    (
        house.wrong_way,
        "testing/a.py",
        "from simulator.stores.base import Store",
        "only simulator.server.app",
    ),
    (house.wrong_way, "__main__.py", "from simulator.server.app import App", "may import only simulator.cli"),
    (house.impure, "core/a.py", "import asyncio", "asyncio in a pure room"),
    (house.impure, "scenario/a.py", "from pathlib import Path", "pathlib.Path in a pure room"),
    (house.impure, "core/a.py", "from http import client", "http.client in a pure room"),
    (house.impure, "core/a.py", "async def f(): ...", "waits"),
    (house.impure, "scenario/a.py", "open('x')", "looks at the disk"),
    (house.impure, "core/a.py", "order = hash('x')", "differs from process to process"),
    (house.unordered, "core/a.py", "for x in {1, 2}: ...", "sort it"),
    (house.unordered, "core/a.py", "a = [x for x in set(b) - c]", "sort it"),
    (house.unordered, "core/a.py", "a = ', '.join(str(x) for x in {1, 2})", "sort it"),
    (house.reads_clock, "stores/a.py", "import time", "is a clock"),
    (house.reads_clock, "stores/a.py", "from time import monotonic as m", "is a clock"),
    (house.reads_clock, "core/a.py", "from datetime import datetime as dt\ndt.now()", "a.py:2: datetime.datetime.now"),
    (house.reads_clock, "core/a.py", "import datetime as d\nf = d.datetime.utcnow", "datetime.datetime.utcnow"),
    (house.reads_clock, "cli/a.py", "import datetime\ndatetime.date.today()", "datetime.date.today"),
    (house.reads_clock, "server/a.py", "self.loop.time()", "loop's time"),
    (house.reads_clock, "server/a.py", "asyncio.get_running_loop().time()", "loop's time"),
    (house.draws, "server/a.py", "import random", "draws"),
    (house.draws, "server/a.py", "from secrets import token_hex", "draws"),
    (house.draws, "server/a.py", "import uuid\nuuid.uuid4()", "uuid.uuid4"),
    (house.draws, "server/a.py", "from os import urandom as u\nu(8)", "os.urandom"),
    (house.too_long, "core/a.py", "a = 1\n" * 401, "401 lines"),
    (house.too_long, "core/a.py", "def f():\n" + "    a = 1\n" * 50, "f has 51 lines"),
    (house.silent, "core/a.py", "a = 1", "what it is for"),
    (lambda source: house.undeclared(source, {"pyyaml"}, {}), "cli/a.py", "import requests", "not declared"),
    (lambda source: house.twinless([source], {"test_a.py"}), "core/a.py", "", "write tests/core/test_a.py"),
]


@pytest.mark.parametrize(("rule", "path", "text", "complaint"), SINS)
def test_a_planted_sin_is_caught(rule: Callable[[Source], Iterable[str]], path: str, text: str, complaint: str) -> None:
    (sin,) = rule(Source(path, text))
    assert complaint in sin
    assert sin.startswith(f"simulator/{path}:")


VIRTUES: list[tuple[Callable[[Source], Iterable[str]], str, str]] = [
    (house.wrong_way, "core/a.py", "from simulator.errors import StoreError\nfrom simulator.core import events"),
    (house.wrong_way, "cli/a.py", "from simulator import errors, stores"),
    (house.wrong_way, "testing/a.py", "from simulator.server.app import App\nfrom simulator.testing.client import C"),
    (house.impure, "server/a.py", "import asyncio\nasync def f(): ..."),
    (house.impure, "core/a.py", "from http import HTTPStatus\ndef __hash__(self):\n    return hash(self.ms)"),
    (house.unordered, "core/a.py", "a = sorted({1, 2})\nb = sum(x for x in {1, 2})\nc = {x for x in set(b)}"),
    (house.unordered, "stores/a.py", "for x in {1, 2}: ..."),
    (house.reads_clock, "core/a.py", "from datetime import UTC, datetime\ndatetime.fromtimestamp(now_ms / 1000, UTC)"),
    (house.draws, "core/a.py", "import uuid\nuuid.UUID(int=chance.integer(0, 9))"),
    (lambda source: house.undeclared(source, {"pyyaml"}, {"yaml": ["PyYAML"]}), "cli/a.py", "import yaml, os.path"),
    (lambda source: house.twinless([source], set()), "core/__init__.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text"), VIRTUES)
def test_what_is_allowed_is_let_be(rule: Callable[[Source], Iterable[str]], path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_a_planted_ring_is_caught_even_through_a_package() -> None:
    ring = [
        Source("core/a.py", "from simulator.core.b import B"),
        Source("core/b.py", "def f():\n    import simulator.stores.c"),
        Source("stores/__init__.py", "from simulator.core import a"),
        Source("stores/c.py", ""),
    ]
    (sin,) = house.rings(ring)
    assert all(name in sin for name in ("simulator.core.a", "simulator.core.b", "simulator.stores"))
    assert house.rings(ring[:2]) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi" + ".org/simple",
        "https://files.python" + "hosted.org/x",
        "FROM docker" + ".io/python:3.12",
        "cd /work" + "/main",
        "/root" + "/.cache",
        "/home/" + "ann/x",
    ],
)
def test_a_planted_address_is_caught(line: str, tmp_path: Path) -> None:
    (tmp_path / "NOTES.md").write_text(f"first\n{line}\n")
    (sin,) = (sin for path, text in texts(tmp_path) for sin in house.addresses(path, text))
    assert sin.startswith("NOTES.md:2: ")


def test_a_ragged_end_is_caught_and_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    for name, raw in {
        "ragged.txt": b"no end",
        "windows.txt": b"a\r\n",
        "fine.txt": b"a\n",
        "empty.txt": b"",
        "picture.png": b"\0\xff",
        ".venv/x.txt": b"no end",
        "env/pyvenv.cfg": b"no end",
        ".ci/run": b"no end",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    sins = [sin for path, text in texts(tmp_path) for sin in house.ragged(path, text)]
    assert sorted(sin.split(":")[0] for sin in sins) == [".ci/run", "ragged.txt", "windows.txt"]
