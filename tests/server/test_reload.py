"""`--reload`: what is saved is played, what is broken is told, and records stay."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from simulator.cli.files import read_file
from simulator.scenario.parse import Draft, parse
from simulator.server.app import App
from simulator.server.reload import Reloader
from tests.live import LIGHT, inside, started
from tests.server.test_control_clock import eventually


def read(path: str) -> Draft:
    return parse(path, read_file)


class Playing:
    """A file, a simulator that plays it, and the reloader between them."""

    def __init__(self, app: App, client: httpx.AsyncClient, reloader: Reloader, file: Path) -> None:
        self.app = app
        self.client = client
        self.reloader = reloader
        self.file = file

    async def plays(self, path: str) -> bool:
        return (await self.client.post(path, json=1)).status_code == 200


@pytest.fixture
async def playing(tmp_path: Path) -> AsyncIterator[Playing]:
    file = tmp_path / "light.yaml"
    file.write_text(textwrap.dedent(LIGHT))
    reloader = Reloader((str(file),), read)
    async with started(read(str(file))) as app, inside(app) as client:
        yield Playing(app, client, reloader, file)
        await reloader.stop()


async def test_a_changed_file_is_played_and_records_stay(playing: Playing) -> None:
    await playing.client.post("/lamps", json={"name": "kept"})
    playing.file.write_text(textwrap.dedent(LIGHT.replace("/echo", "/mirror")))
    await playing.reloader.reload(playing.app)
    assert await playing.plays("/mirror")
    assert not await playing.plays("/echo")
    assert (await playing.client.get("/lamps/lamp_1")).json()["name"] == "kept"
    (*_, event) = (await playing.client.get("/_simulator/journal?kind=control")).json()["events"]
    assert event["what"] == "scenario_loaded"


async def test_an_unchanged_file_changes_nothing(playing: Playing, caplog: pytest.LogCaptureFixture) -> None:
    engine = playing.app.sandboxes.default.engine
    playing.file.write_text(textwrap.dedent(LIGHT) + "# a remark\n")
    await playing.reloader.reload(playing.app)
    assert playing.app.sandboxes.default.engine is engine
    assert caplog.text == ""


async def test_a_broken_file_leaves_the_old_one_and_its_complaint_is_printed(
    playing: Playing, caplog: pytest.LogCaptureFixture
) -> None:
    playing.file.write_text(textwrap.dedent(LIGHT).replace("create: lamp", "create: lmap"))
    await playing.reloader.reload(playing.app)
    assert "not reloaded, the old scenario goes on" in caplog.text
    assert f"{playing.file}:15:" in caplog.text
    assert "lmap" in caplog.text
    assert await playing.plays("/echo")


@pytest.mark.parametrize("how", ["gone", "folder", "latin"])
async def test_a_file_that_cannot_be_read_leaves_the_old_one(
    playing: Playing, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    playing.file.unlink()
    if how == "folder":
        playing.file.mkdir()
    elif how == "latin":
        playing.file.write_bytes(b"scenario: \xe9\n")
    await playing.reloader.reload(playing.app)
    assert "not reloaded" in caplog.text
    assert str(playing.file) in caplog.text
    assert await playing.plays("/echo")


async def test_a_state_with_records_cannot_be_reloaded_away(playing: Playing, caplog: pytest.LogCaptureFixture) -> None:
    await playing.client.post("/lamps", json={})
    playing.file.write_text(textwrap.dedent(LIGHT).replace("COLD:", "FRESH:"))
    await playing.reloader.reload(playing.app)
    assert "light.lamp are in state 'COLD'" in caplog.text
    assert (await playing.client.get("/lamps/lamp_1")).json()["status"] == "COLD"


@contextlib.asynccontextmanager
async def watched(file: Path) -> AsyncIterator[Playing]:
    reloader = Reloader((str(file),), read)
    async with started(read(str(file))) as app, inside(app) as client:
        reloader.start(app)
        try:
            yield Playing(app, client, reloader, file)
        finally:
            await reloader.stop()


@pytest.mark.parametrize("changed", ["parts/one.yaml", "parts/more.yaml", "base.yaml"])
async def test_saving_a_file_or_what_it_extends_or_includes_is_enough(tmp_path: Path, changed: str) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "base.yaml").write_text("scenario: one\nseed: 1\noperations: {POST /a: {reply: {body: 1}}}\n")
    (tmp_path / "parts/more.yaml").write_text("operations: {POST /b: {reply: {body: 1}}}\n")
    (tmp_path / "parts/one.yaml").write_text("extends: ../base.yaml\ninclude: more.yaml\nsummary: x\n")
    text = (tmp_path / changed).read_text()
    async with watched(tmp_path / "parts/one.yaml") as playing:
        assert [await playing.plays(path) for path in ("/a", "/b", "/c")] == [True, True, False]

        async def played() -> bool:
            # saved again and again, for the watch begins a moment after it was asked for
            (tmp_path / changed).write_text(text.split("operations")[0] + "operations: {POST /c: {reply: {body: 1}}}\n")
            return await playing.plays("/c")

        await eventually(played, within_s=5)


async def test_a_folder_that_a_change_brings_in_is_watched_from_then_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    file, part = tmp_path / "a/one.yaml", tmp_path / "b/part.yaml"
    file.write_text("scenario: one\nseed: 1\noperations: {POST /a: {reply: {body: 1}}}\n")
    part.write_text("operations: {POST /b: {reply: {body: 1}}}\n")
    async with watched(file) as playing:

        async def included() -> bool:
            file.write_text("scenario: one\nseed: 1\ninclude: ../b/part.yaml\n")
            return await playing.plays("/b")

        async def followed() -> bool:
            part.write_text("operations: {POST /c: {reply: {body: 1}}}\n")
            return await playing.plays("/c")

        await eventually(included, within_s=5)
        await eventually(followed, within_s=5)


async def test_other_files_beside_it_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "light.yaml"
    file.write_text(textwrap.dedent(LIGHT))
    reloads = []

    async def count(self: Reloader, app: App) -> None:
        reloads.append(app)

    monkeypatch.setattr(Reloader, "reload", count)
    async with watched(file):

        async def noticed() -> bool:
            (tmp_path / "notes.txt").write_text(str(len(reloads)))
            (tmp_path / "other.yml").write_text("changed")
            return bool(reloads)

        await eventually(noticed, within_s=5)
    (tmp_path / "after.yaml").write_text("nobody watches any more")


async def test_a_reloader_that_never_started_can_be_stopped(playing: Playing) -> None:
    await playing.reloader.stop()
