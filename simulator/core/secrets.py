"""Secrets of a scenario: texts that may come from the environment, and how they are compared.

Rules: `${NAME}` and `${NAME:-default}` are replaced while a model is validated, from the mapping that the validation
context calls `environment`, never from the process; a message names the variable and shows no value; comparing takes
the same time wherever two texts differ.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
SECRET_MAX = 8192  # characters; a PEM of an RSA key of 8192 bits still fits
DIGEST_BYTES = 16  # enough that no two of a sandbox's tokens ever share one


def substituted(text: str, environment: Mapping[str, str]) -> str:
    """The text with `${NAME}` and `${NAME:-default}` replaced; `$${` is `${`.

    The default stands for a variable that is not set or empty, as in a shell. Raises ValueError with the variable's
    name and the remedy.
    """
    return VARIABLE.sub(lambda match: _value(match, environment), text)


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default = match.groups()
    if match[0] == "$${":
        return "${"
    if name is None:
        raise ValueError("${ begins a variable, written ${NAME} or ${NAME:-default}; for the text itself write $${")
    value = environment.get(name)
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(f"the variable {name} is not set; set it, or give a default: ${{{name}:-…}}")
    return value


def _from_environment(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    return substituted(value, (info.context or {}).get("environment", {}))


Secret = Annotated[
    str,
    BeforeValidator(_from_environment),
    Field(min_length=1, max_length=SECRET_MAX, examples=["s3cret", "${API_KEY:-s3cret}"]),
]
"""A secret in a model: a text, where `${NAME}` and `${NAME:-default}` come from the environment."""


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def digest(text: str) -> str:
    """What stands for a credential in the names of entries: 32 characters of hex, and no way back."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()
