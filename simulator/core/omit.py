"""`omit`: the value of what is not there.

An absent field of the input is OMIT, so is anything looked up in it, and whatever would hold it is left out. It
is false, empty, equal to nothing but itself, and neither below nor above anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final


class Omit:
    """The type of OMIT; there is one."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __contains__(self, _: object) -> bool:
        return False

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "omit"

    def template_field(self, _: str) -> Omit:
        """Nothing has no fields, and asking is no error."""
        return self


OMIT: Final = Omit()


def field(value: Any, name: str) -> Any:
    """`value.name` in a template: a mapping's key, or what a type of ours shows; else OMIT. Never an attribute."""
    if type(value) is dict:
        return value.get(name, OMIT)
    reader = getattr(type(value), "template_field", None)
    return OMIT if reader is None else reader(value, name)


def item(value: Any, key: Any) -> Any:
    """`value[key]` in a template: as `field` for text keys, an element for whole numbers; else OMIT."""
    if isinstance(key, str):
        return field(value, key)
    if isinstance(value, list | tuple | str) and isinstance(key, int) and -len(value) <= key < len(value):
        return value[key]
    return OMIT
