"""What the operator chooses: flags beat variables beat defaults, and what is wrong is named."""

from __future__ import annotations

import re
from typing import Any

import pytest

from simulator.errors import OperatorError
from simulator.settings import OPTIONS, Settings, networks, read_settings, switch
from tests.live import ROOT

LOOPBACK = networks("127.0.0.0/8,::1")


def test_without_a_word_everything_is_safe_on_a_developers_machine() -> None:
    assert read_settings({}, {}) == Settings(control_from=LOOPBACK)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "0.0.0.0", "0.0.0.0"),
        ("port", "0", 0),
        ("port", "65535", 65535),
        ("store", "memory://", "memory://"),
        ("seed", "0", 0),
        ("seed", str(2**63 - 1), 2**63 - 1),
        ("clock", "scaled:60@2026-01-01T00:00:00Z", "scaled:60@2026-01-01T00:00:00Z"),
        ("public_url", "https://x.example/a/", "https://x.example/a"),
        ("control_from", "10.0.0.1/8, fd00::/8", networks("10.0.0.0/8,fd00::/8")),
        ("control_token", "secret", "secret"),
        ("cors", "on", True),
        ("compress", "TRUE", True),
        ("reload", "no", False),
        ("body_max_bytes", "1kB", 1000),
        ("body_max_bytes", "123", 123),
        ("journal_max", "5", 5),
        ("log_format", "json", "json"),
        ("jump_idle_ms", "10", 10),
        ("sandbox_idle_ms", "10", 10),
    ],
)
def test_a_flag_and_a_variable_say_the_same(name: str, text: str, value: Any) -> None:
    for settings in (read_settings({name: text}, {}), read_settings({}, {f"SIMULATOR_{name.upper()}": text})):
        assert getattr(settings, name) == value


def test_a_flag_beats_a_variable_and_a_variable_the_default() -> None:
    environment = {"SIMULATOR_PORT": "1", "SIMULATOR_SEED": "2"}
    settings = read_settings({"port": "3"}, environment)
    assert (settings.port, settings.seed, settings.host) == (3, 2, "127.0.0.1")


def test_a_switch_that_was_flipped_by_a_flag_beats_its_variable() -> None:
    assert read_settings({"cors": False}, {"SIMULATOR_CORS": "on"}).cors is False
    assert read_settings({"cors": True}, {"SIMULATOR_CORS": "off"}).cors is True


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("port", ""),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("seed", str(2**63)),
        ("clock", "sundial"),
        ("clock", "scaled"),
        ("clock", "manual@yesterday"),
        ("clock", "real:60"),
        ("public_url", "x.example"),
        ("public_url", "ftp://x.example"),
        ("control_from", "localhost"),
        ("control_from", "10.0.0.0/64"),
        ("cors", "perhaps"),
        ("body_max_bytes", "big"),
        ("journal_max", "-1"),
        ("log_format", "xml"),
        ("jump_idle_ms", "1s"),
    ],
)
def test_what_is_wrong_names_its_flag_or_its_variable(name: str, text: str) -> None:
    flag, variable = "--" + name.replace("_", "-"), f"SIMULATOR_{name.upper()}"
    with pytest.raises(OperatorError, match=f"^{flag}: "):
        read_settings({name: text}, {})
    with pytest.raises(OperatorError, match=f"^{variable}: "):
        read_settings({}, {variable: text})


def test_what_is_wrong_is_quoted_with_what_would_be_legal() -> None:
    with pytest.raises(OperatorError, match=re.escape("'sundial' is no clock; write real, manual, jump or scaled:60")):
        read_settings({"clock": "sundial"}, {})
    with pytest.raises(OperatorError, match=re.escape("'xml' is none of console, json, none")):
        read_settings({"log_format": "xml"}, {})


@pytest.mark.parametrize("text", ["²", "1_000", " 1", "+1", "0x1"])
def test_a_number_is_written_in_plain_digits(text: str) -> None:
    for name in ("port", "seed", "journal_max"):
        with pytest.raises(OperatorError, match=f"^--{name.replace('_', '-')}: "):
            read_settings({name: text}, {})


@pytest.mark.parametrize("text", ["1", "true", "on", "yes", "ON", "Yes"])
def test_a_switch_is_on(text: str) -> None:
    assert switch(text)


@pytest.mark.parametrize("text", ["", "0", "false", "off", "no", "NO"])
def test_a_switch_is_off(text: str) -> None:
    assert not switch(text)


def test_every_choice_has_one_option_and_the_defaults_agree() -> None:
    assert [option.name for option in OPTIONS] == list(Settings._fields)
    fallback = Settings(control_from=LOOPBACK)._asdict()
    for option in OPTIONS:
        assert option.default is None or option.read(option.default) == fallback[option.name]
        assert option.sentence.endswith(".")


def test_the_runbook_lists_every_option() -> None:
    runbook = (ROOT / "RUNBOOK.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(--[a-z-]+)` \| `(SIMULATOR_[A-Z_]+)` \| ([^|]+) \|", runbook, re.MULTILINE)
    assert [(flag, variable) for flag, variable, _ in rows] == [(option.flag, option.variable) for option in OPTIONS]
    for (_, _, default), option in zip(rows, OPTIONS, strict=True):
        assert option.default is None or default in (f"`{option.default}`", option.default)
