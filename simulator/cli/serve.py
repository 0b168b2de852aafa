"""`simulator serve [FILES]`: the scenarios as a running service.

Rules: nothing starts until every file is valid; a port that is taken is said so before anything else happens.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from simulator.cli.banner import show
from simulator.cli.files import bundled, read_file
from simulator.errors import OperatorError, ScenarioError, StoreError
from simulator.settings import OPTIONS, Settings, read_settings

if TYPE_CHECKING:
    import uvicorn

    from simulator.scenario.parse import Draft
    from simulator.server.app import App

STOP_S = 0.4  # how long open requests may take to end when the server is stopped; all of it takes under a second
BACKLOG = 2048
KEEP_ALIVE_S = 75  # as common servers do; shorter, and pooled clients meet resets that no scenario asked for
SWITCHES = ("cors", "compress", "reload")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """The flags, from the list of settings."""
    for option in reversed(OPTIONS):
        words = f"{option.sentence}  [{option.variable}" + (f"; default {option.default}]" if option.default else "]")
        if option.name in SWITCHES:
            command = click.option(f"{option.flag}/--no-{option.flag[2:]}", option.name, default=None, help=words)(
                command
            )
        else:
            metavar = "|".join(option.choices) or option.metavar
            command = click.option(option.flag, option.name, metavar=metavar, help=words)(command)
    return command


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1)
@_options
def serve(files: tuple[str, ...], **given: Any) -> None:
    """Serve scenario files, each under its own prefix where there are several; without one, the bundled example."""
    try:
        settings = read_settings({name: value for name, value in given.items() if value is not None}, os.environ)
        paths = files or (str(bundled("documents.yaml")),)
        drafts = [_draft(path) for path in paths]
        _different_names(drafts, paths)
        listener = listen(settings.host, settings.port)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except (OperatorError, StoreError) as error:
        click.echo(f"simulator: {error}", err=True)
        sys.exit(2)
    sys.exit(run(paths, drafts, settings, listener))


def _draft(path: str) -> Draft:
    from simulator.scenario.parse import parse

    draft = parse(path, read_file, os.environ)
    for warning in draft.warnings:
        click.echo(str(warning), err=True)
    return draft


def _different_names(drafts: list[Draft], paths: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for draft, path in zip(drafts, paths, strict=True):
        if draft.name in seen:
            raise OperatorError(f"{path} and {seen[draft.name]} are both the scenario {draft.name!r}; rename one")
        seen[draft.name] = path


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OperatorError that names a free port where this one is taken."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise OperatorError(f"--host {host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OperatorError(
                f"port {port} is taken; --port {_free_port(host)} is free, --port 0 takes any"
            ) from None
        raise OperatorError(f"--host {host} --port {port}: {error.strerror or error}") from None


def _free_port(host: str) -> int:
    family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def run(paths: tuple[str, ...], drafts: list[Draft], settings: Settings, listener: socket.socket) -> int:
    """Serve until told to stop; the exit code."""
    import uvicorn

    from simulator.server.app import App
    from simulator.server.reload import Reloader
    from simulator.stores.urls import open_store

    try:
        store = open_store(settings.store, settings.journal_max)
    except OperatorError as error:
        listener.close()
        click.echo(f"simulator: {error}", err=True)
        return 2
    reloader = Reloader(paths, _reparse) if settings.reload else None

    def started(app: App) -> None:
        show(app, settings, listener.getsockname())
        if reloader is not None:
            reloader.start(app)

    app = App(drafts, store, settings, started, reloader.stop if reloader else None)
    server = uvicorn.Server(server_config(app, settings.connections_max))
    _end_quietly()
    _open_files()
    with listener:
        try:
            server.run(sockets=[listener])
        except SystemExit:  # uvicorn's way to say that the application did not start
            if app.failure is None:
                raise
    if app.failure is not None:
        click.echo(f"simulator: {app.failure}", err=True)
        return 2
    return 0


def server_config(app: App, connections_max: int | None = None) -> uvicorn.Config:
    """How uvicorn serves an application of ours."""
    import uvicorn

    from simulator.server.wire import Wire

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        http=Wire,
        limit_concurrency=connections_max,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,  # type: ignore[arg-type]  # it only waits so long
    )


def _open_files() -> None:
    """As many files as the system lets this process have: each connection is one."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _end_quietly() -> None:
    """uvicorn raises the signal that stopped it once more, for whoever started it, and prints a traceback of each
    request that it cuts off then; being stopped is no failure here."""
    import asyncio

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
    )


def _reparse(path: str) -> Draft:
    from simulator.scenario.parse import parse

    return parse(path, read_file, os.environ)
