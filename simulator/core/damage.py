"""What a fault does to a reply's way out: the bytes of its connection, and the records of its page.

Rules: all of it is decided before the first byte; what a page lacks or has twice is lost to the client and never to the
service; a connection that ends without a reply leaves nothing else to damage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from simulator.core.chance import Chance
from simulator.core.pages import Asked
from simulator.core.rates import RATE, rate
from simulator.core.records import Found, Record
from simulator.core.replies import Reply
from simulator.core.values import SIZE, size_bytes, wrong_at

Ending = Literal["reset", "close", "hang", "garbage"]
Pages = Literal["duplicate", "missing", "repeat", "empty"]
SILENT = Reply(0, (), b"")
"""No reply: how the connection ends is all that the client learns."""


class Written(BaseModel):
    """A model that is dumped as it was written: by the names of the language, each value in its own form."""

    model_config = ConfigDict(extra="forbid")

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        names = {name: field.alias or name for name, field in type(self).model_fields.items()}
        return {names.get(name, name): value for name, value in dump(self).items()}


def as_written(read: Callable[[Any], Any]) -> PlainValidator:
    """A value that can be read so, kept in the form in which it was written."""

    def checked(value: Any) -> Any:
        read(value)
        return value

    return PlainValidator(checked)


def cut_at(value: object) -> tuple[float | None, int | None]:
    """`0.5` as a share, `20B` or 20 as bytes. Raises ValueError with what would be legal."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value), None
    if isinstance(value, float):
        raise ValueError(
            f"{value} is no share of a body; a share is from 0 to below 1, bytes are a whole number or 20B"
        )
    return None, size_bytes(value)


def bytes_per_s(value: object) -> int:
    """`1kB/s` as 1000. Raises ValueError with what would be legal."""
    pace = rate(value)
    if pace.amount * 1000 < pace.per_ms:
        raise ValueError(f"{pace.text} is less than a byte a second; write 1/s for the slowest drip there is")
    return pace.amount * 1000 // pace.per_ms


CUT_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": f"^{SIZE.pattern}$"},
    ]
}
Cut = Annotated[float | str, as_written(cut_at), WithJsonSchema(CUT_SCHEMA)]
Pace = Annotated[str, as_written(bytes_per_s), WithJsonSchema({"type": "string", "pattern": f"^{RATE.pattern}$"})]


class ConnectionModel(Written):
    """What happens to the reply's bytes."""

    truncate: Cut | None = Field(None, description="Only this share of the body is sent, or so many bytes of it")
    drip: Pace | None = Field(None, description="So many bytes in a second", examples=["100/s", "1kB/s"])
    length: Literal["wrong", "longer", "shorter"] | None = Field(
        None, description="Content-Length is not the body's: longer, shorter, or a drawn one of these"
    )
    then: Literal["close", "reset", "hang"] | None = Field(
        None, description="How the connection ends after `truncate` or `length`; close by default"
    )

    def damages(self) -> list[str]:
        """Which of truncate, drip and length are given."""
        return [key for key in ("truncate", "drip", "length") if getattr(self, key) is not None]

    @model_validator(mode="after")
    def _does_something(self) -> ConnectionModel:
        if not self.damages():
            raise ValueError("a connection suffers one or more of truncate, drip and length")
        if self.then and self.damages() == ["drip"]:
            raise wrong_at("then", "then goes with truncate or length; take it out")
        return self


Connection = Ending | ConnectionModel


class Damage(NamedTuple):
    """One thing that happens to a connection."""

    kind: Literal["reset", "close", "hang", "garbage", "truncate", "drip", "length"]
    share: float | None = None  # truncate: of the body
    at: int | None = None  # truncate: at this byte
    bytes_per_s: int = 0  # drip
    longer: bool = False  # length: more is announced than there is, else less
    then: Literal["close", "reset", "hang"] = "close"  # truncate and length: how it ends
    raw: bytes = b""  # garbage


def damages(model: Connection, chance: Chance, named: str) -> tuple[Damage, ...]:
    """What a `connection` means; its draws have names that begin with `named`."""
    if not isinstance(model, ConnectionModel):
        return (Damage(model, raw=_garbage(chance, named) if model == "garbage" else b""),)
    made, then = [], model.then or "close"
    if model.length is not None:
        longer = chance.unit(f"{named}/length") < 0.5 if model.length == "wrong" else model.length == "longer"
        made.append(Damage("length", longer=longer, then=then))
    if model.truncate is not None:
        made.append(Damage("truncate", *cut_at(model.truncate), then=then))
    if model.drip is not None:
        made.append(Damage("drip", bytes_per_s=bytes_per_s(model.drip)))
    return tuple(made)


def _garbage(chance: Chance, named: str) -> bytes:
    """Bytes that begin no reply: a status line begins with a letter."""
    return b"\x15" + chance.digest(f"{named}/garbage/1") + chance.digest(f"{named}/garbage/2")


class Remains(NamedTuple):
    """What goes over the wire of a reply."""

    sent: int  # how many bytes of its body
    declared: int | None = None  # the Content-Length that is told; None is what is sent
    bytes_per_s: int | None = None  # None is all at once
    ending: Literal["normal", "close", "reset", "hang"] = "normal"
    silent: bool = False  # not even a status line
    raw: bytes = b""  # sent where it is silent


def remains(found: Sequence[Damage], length: int) -> Remains:
    """What several damages together leave of a reply whose body has that length.

    What ends the connection without a reply leaves nothing to the others.
    """
    for damage in found:
        if damage.kind == "garbage":
            return Remains(0, ending="close", silent=True, raw=damage.raw)
        if damage.kind in ("reset", "close", "hang"):
            return Remains(0, ending=damage.kind, silent=True)
    left = Remains(length, length)
    for damage in found:
        left = _left(damage, left, length)
    return left._replace(declared=None) if left.declared == left.sent else left


def _left(damage: Damage, left: Remains, length: int) -> Remains:
    if damage.kind == "drip":
        return left._replace(bytes_per_s=min(left.bytes_per_s or damage.bytes_per_s, damage.bytes_per_s))
    if damage.kind == "length":
        by = max(length // 2, 1)
        return left._replace(declared=length + (by if damage.longer or not length else -by), ending=damage.then)
    at = int(length * damage.share) if damage.share is not None else min(damage.at or 0, length)
    return left._replace(sent=min(left.sent, at), ending=damage.then)


class Shown(NamedTuple):
    """A page that a fault has been at."""

    records: tuple[Record, ...]  # what it shows
    found: Found  # what its links are made of
    stays: bool = False  # whether the link to the next page leads to this one again


def spoil_asked(kinds: Sequence[Pages], want: Asked) -> Asked:
    """What is looked for in place of the page that was asked for."""
    scan = want.scan
    if "repeat" in kinds:
        scan = scan._replace(after=None, offset=0)
    elif "duplicate" in kinds and scan.offset:
        scan = scan._replace(offset=scan.offset - 1, most=scan.most + 1)
    return want._replace(scan=scan)


def spoil_page(kinds: Sequence[tuple[Pages, float]], want: Asked, found: Found, by_cursor: bool) -> Shown:
    """The page that is shown of what was found; with each kind goes a number between 0 and 1.

    `want` is what the client asked for, before `spoil_asked`.
    """
    shown = Shown(found.records, found)
    for kind, unit in kinds:
        if kind == "duplicate":
            shown = _twice(shown, want, by_cursor)
        elif kind == "missing" and shown.records:
            gone = int(unit * len(shown.records))
            shown = shown._replace(records=shown.records[:gone] + shown.records[gone + 1 :])
        elif kind == "empty" and shown.found.records and (want.cursor is not None or not by_cursor):
            shown = Shown((), shown.found._replace(more=True), stays=True)
    return shown


def _twice(shown: Shown, want: Asked, by_cursor: bool) -> Shown:
    """A record on two pages: the next one begins with this one's last, or this one began with the last one's.

    Where there is no other page, the first record is shown twice.
    """
    records, found = shown.records, shown.found
    if by_cursor and found.more and len(found.records) > 1:
        return shown._replace(found=found._replace(records=found.records[:-1]))
    if (not by_cursor and want.scan.offset) or not records:
        return shown
    return shown._replace(records=(records[0], *records))
