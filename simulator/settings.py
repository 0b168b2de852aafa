"""What the operator chooses; one list, from which the flags of `serve` and SIMULATOR_* variables come.

Rules: each setting has a sentence and a default that is safe on a developer's machine; a flag beats a variable.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from simulator.core.clock import parse_clock
from simulator.core.values import size_bytes
from simulator.errors import OperatorError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SANDBOXES_MAX = 10_000  # each costs a little memory even when idle


class Settings(NamedTuple):
    """The operator's choices, read and checked."""

    host: str = "127.0.0.1"
    port: int = 8080
    store: str | None = None
    seed: int | None = None
    clock: str | None = None
    public_url: str | None = None
    control_from: tuple[Network, ...] = ()
    control_token: str | None = None
    cors: bool = False
    compress: bool = False
    body_max_bytes: int = 10 * 2**20
    journal_max: int = 1_000_000
    log_format: str = "console"
    jump_idle_ms: int = 250
    sandbox_idle_ms: int = 3_600_000
    head_timeout_ms: int = 30_000
    body_timeout_ms: int = 60_000
    hang_max_ms: int = 600_000
    connections_max: int = 10_000
    reload: bool = False


class Option(NamedTuple):
    """One setting as people meet it."""

    name: str  # of the field in Settings, and with hyphens of the flag
    read: Callable[[str], Any]
    default: str | None
    sentence: str
    metavar: str = "TEXT"
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """`--control-from`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """`SIMULATOR_CONTROL_FROM`."""
        return "SIMULATOR_" + self.name.upper()


def networks(text: str) -> tuple[Network, ...]:
    """`127.0.0.0/8, ::1` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def switch(text: str) -> bool:
    """`1`, `true`, `on`, `yes` and their opposites. Raises ValueError."""
    if text.lower() in ("1", "true", "on", "yes"):
        return True
    if text.lower() in ("", "0", "false", "off", "no"):
        return False
    raise ValueError(f"{text!r} is neither on nor off")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{text!r} is no port; there is 0 (any free one) to 65535")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**63:
        raise ValueError(f"{text!r} is no seed; a seed is a whole number from 0 to 2^63-1")
    return int(text)


def _clock(text: str) -> str:
    try:
        parse_clock(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no clock; write real, manual, jump or scaled:60, with @2026-01-01T00:00:00Z behind"
        ) from None
    return text


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is no address; it begins with http:// or https://")
    return text.rstrip("/")


def _whole(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _size(text: str) -> int:
    return int(text) if text.isdigit() else size_bytes(text)


OPTIONS = (
    Option("host", str, "127.0.0.1", "The address to listen on; 0.0.0.0 for all."),
    Option("port", _port, "8080", "The port to listen on; 0 for any free one.", "NUMBER"),
    Option(
        "store",
        str,
        None,
        "Where records are kept: sqlite:///file.db survives restarts, memory:// nothing; "
        "by default a private temporary file.",
        "URL",
    ),
    Option("seed", _seed, None, "Decides every draw; by default the scenario's, else a new one each start.", "NUMBER"),
    Option(
        "clock",
        _clock,
        None,
        "real, manual, jump or scaled:60, with an optional @2026-01-01T00:00:00Z; by default the scenario's.",
        "CLOCK",
    ),
    Option(
        "public_url",
        _url,
        None,
        "How clients reach this server, for links in replies; by default as each request came.",
        "URL",
    ),
    Option(
        "control_from",
        networks,
        "127.0.0.0/8,::1",
        "Networks that may use the control plane, with commas between.",
        "NETWORKS",
    ),
    Option("control_token", str, None, "A bearer token that opens the control plane to everybody who sends it."),
    Option("cors", switch, "off", "Let browsers of any origin call the service.", "on|off"),
    Option("compress", switch, "off", "Compress replies with gzip for clients that accept it.", "on|off"),
    Option("body_max_bytes", _size, "10MiB", "The largest request body; larger ones get 413.", "SIZE"),
    Option("journal_max", _whole, "1000000", "How many events of each sandbox's journal are kept.", "NUMBER"),
    Option("log_format", str, "console", "How exchanges are logged.", "TEXT", ("console", "json", "none")),
    Option(
        "jump_idle_ms",
        _whole,
        "250",
        "How long a jumping clock waits without a request before it leaps.",
        "MILLISECONDS",
    ),
    Option("sandbox_idle_ms", _whole, "3600000", "How long an unused sandbox lives.", "MILLISECONDS"),
    Option("head_timeout_ms", _whole, "30000", "How long a request's head may take to come.", "MILLISECONDS"),
    Option("body_timeout_ms", _whole, "60000", "How long a request's body may take to come.", "MILLISECONDS"),
    Option("hang_max_ms", _whole, "600000", "How long a reply may stand still beyond what was asked.", "MILLISECONDS"),
    Option("connections_max", _whole, "10000", "How many connections there may be; further ones get 503.", "NUMBER"),
    Option("reload", switch, "off", "Take up the scenario again whenever its file changes.", "on|off"),
)


def read_settings(given: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Settings from flags, else variables, else defaults. Raises OperatorError that names the flag or variable."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        source, text = option.flag, given.get(option.name)
        if text is None:
            source, text = option.variable, environment.get(option.variable)
        if text is None:
            text = option.default
        values[option.name] = None if text is None else _read(option, source, str(text))
    return Settings(**values)


def _read(option: Option, source: str, text: str) -> Any:
    try:
        if option.choices and text not in option.choices:
            raise ValueError(f"{text!r} is none of {', '.join(option.choices)}")
        return option.read(text)
    except ValueError as error:
        raise OperatorError(f"{source}: {error}") from None
