"""Scenario files on the disk: which file is meant, and how its name is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cli.files import bundled, read_file
from simulator.scenario.compose import load
from simulator.scenario.text import TEXT_BYTES_MAX


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lessons").mkdir()
    (tmp_path / "base.yaml").write_text("scenario: é\n", encoding="utf-8")
    (tmp_path / "lessons/one.yaml").write_text("extends: ../base.yaml\n")
    return tmp_path


@pytest.mark.parametrize("typed", ["base.yaml", "./base.yaml", "lessons/../base.yaml"])
def test_a_name_is_what_was_typed_made_tidy(here: Path, typed: str) -> None:
    assert read_file(typed, None) == ("base.yaml", "scenario: é\n")


def test_an_absolute_path_stays_absolute(here: Path) -> None:
    name, _ = read_file(str(here / "base.yaml"))
    assert name == str(here / "base.yaml")
    assert read_file(name, "lessons/one.yaml")[0] == name
    assert read_file("one.yaml", str(here / "lessons/other.yaml"))[0] == str(here / "lessons/one.yaml")


def test_a_path_counts_from_the_file_that_names_it(here: Path) -> None:
    assert read_file("../base.yaml", "lessons/one.yaml") == ("base.yaml", "scenario: é\n")


def test_a_link_is_followed_before_its_parent_is_looked_for(here: Path) -> None:
    (here / "far/away").mkdir(parents=True)
    (here / "far/base.yaml").write_text("scenario: far\n")
    (here / "link").symlink_to(here / "far/away")
    assert read_file("../base.yaml", "link/one.yaml") == ("link/../base.yaml", "scenario: far\n")


@pytest.mark.parametrize(("path", "error"), [("none.yaml", FileNotFoundError), ("lessons", IsADirectoryError)])
def test_what_is_no_file_is_an_os_error(here: Path, path: str, error: type[OSError]) -> None:
    with pytest.raises(error):
        read_file(path)


def test_what_is_not_utf_8_is_told_with_its_byte(here: Path) -> None:
    (here / "latin.yaml").write_bytes(b"scenario: \xe9\n")
    with pytest.raises(UnicodeDecodeError):
        read_file("latin.yaml")


def test_a_huge_file_is_read_only_so_far(here: Path) -> None:
    (here / "huge.yaml").write_bytes("é".encode() * TEXT_BYTES_MAX)
    _, text = read_file("huge.yaml")
    assert TEXT_BYTES_MAX < len(text.encode()) <= TEXT_BYTES_MAX + 4


def test_the_reader_serves_the_composer(here: Path) -> None:
    loaded = load("lessons/one.yaml", read_file, [])
    assert loaded is not None
    assert loaded[0] == {"scenario": "é"}
    assert str(loaded[1].value(("scenario",))) == "base.yaml:1:11"


def test_what_comes_with_the_simulator_is_found_in_a_checkout_and_in_a_package() -> None:
    assert bundled("documents.yaml").parent.name in ("bundled", "scenarios")
