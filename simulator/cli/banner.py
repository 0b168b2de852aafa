"""What `serve` says when it is up: address, seed, store, clock, and a line to try."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from simulator.server.app import App
    from simulator.settings import Settings


def show(app: App, settings: Settings, address: tuple[Any, ...]) -> None:
    """Print it."""
    for line in lines(app, settings, address):
        click.echo(line)


def lines(app: App, settings: Settings, address: tuple[Any, ...]) -> list[str]:
    """The lines of the banner."""
    base = settings.public_url or url(str(address[0]), int(address[1]))
    sandbox = app.sandboxes.default
    said = []
    for name, service in sandbox.engine.services.items():
        own = sum(1 for operation in service.operations if operation.variants)
        said.append(f"{name:<10} {base}{service.prefix or '/'}   {_count(own)}, seed {service.seed}")
    store = app.sandboxes.store
    kept = "acknowledged is on disk" if store.waits else "forgotten when it stops"
    said.append(f"{'store':<10} {store.url} ({kept})")
    said.append(
        f"{'clock':<10} {sandbox.clock.mode}" + (f" x {sandbox.clock.rate:g}" if sandbox.clock.mode == "scaled" else "")
    )
    said.append(f"{'control':<10} {base}/_simulator")
    return [*said, f"{'try':<10} {example(app, base)}"]


def example(app: App, base: str) -> str:
    """A curl line for the first operation that makes something and needs no id, else for the first that shows."""
    services = app.sandboxes.default.engine.services.values()
    found = [(service, o) for service in services for o in service.operations if o.variants and not o.params]
    if not found:
        return f"curl {base}/_simulator/scenario"
    service, operation = next((pair for pair in found if pair[1].method == "POST"), found[0])
    where = f"{base}{service.prefix}{operation.path}"
    if operation.variants[0].auth != ():
        where += credential(app.sandboxes.default.drafts[service.name].data.get("auth", {}))
    if operation.method == "GET":
        return f"curl {where}"
    resource = operation.variants[0].step.resource
    fields = list(
        dict.fromkeys(name for _, value in (resource.body_fields if resource else ()) for name in value.inputs)
    )
    body = "{" + ", ".join(f'"{name}": "…"' for name in fields[:1]) + "}"
    return f"curl -X {operation.method} {where} -H 'Content-Type: application/json' -d '{body}'"


def credential(schemes: Mapping[str, Any]) -> str:
    """What curl adds for the first credential of a scenario's `auth`, as it is written there: what comes from the
    environment is not shown. Nothing where a token must be asked for."""
    for scheme in schemes.values():
        key, bearer, basic = (scheme.get(kind) for kind in ("api_key", "bearer", "basic"))
        if key and "header" in key:
            return f" -H '{key['header']}: {key.get('prefix', '')}{_any(key['keys'])}'"
        if bearer:
            return f" -H 'Authorization: Bearer {_any(bearer['tokens'])}'"
        if basic:
            return f" -u '{_any(basic['users'])}:…'"
    return ""


def _any(patterns: Iterable[str]) -> str:
    """A text that fits the first pattern."""
    first = next(iter(patterns))
    return "…" if "${" in first else first.replace("*", "1").replace("?", "1")


def url(host: str, port: int) -> str:
    """An address that a client on this machine can use."""
    shown = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _count(operations: int) -> str:
    return "1 operation" if operations == 1 else f"{operations} operations"
