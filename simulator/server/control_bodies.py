"""The bodies that the control plane takes.

Rules: unknown keys are errors; a body says one thing at a time.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.core.clock import RATE_MAX, ClockWords, InstantMs, Mode
from simulator.core.resources import StateName
from simulator.core.values import Duration

HOLD_MS = 5_000


class Strict(BaseModel):
    """A body of the control plane: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class ClockMove(Strict):
    """What to do to the clock."""

    advance: Duration | None = Field(None, description="Move on by this much, through every due moment")
    advance_to: Literal["next"] | InstantMs | None = Field(
        None, description="Move on to the next due moment, or an instant"
    )
    mode: Mode | None = None
    rate: float | None = Field(None, strict=True, gt=0, le=RATE_MAX)

    @model_validator(mode="after")
    def _one_thing(self) -> ClockMove:
        moves = [key for key in ("advance", "advance_to", "mode") if getattr(self, key) is not None]
        if len(moves) != 1:
            raise ValueError("say one of advance, advance_to or mode")
        if (self.mode == "scaled") != (self.rate is not None):
            raise ValueError("a rate goes with {mode: scaled}, and a scaled clock needs one")
        return self


class Hold(Strict):
    """A lease that keeps a jumping clock from leaping."""

    for_: Duration = Field(HOLD_MS, alias="for")
    lease: str | None = Field(None, description="Renew this lease")
    release: str | None = Field(None, description="Give this lease back")


class RecordBody(Strict):
    """A record as it is put from outside."""

    state: StateName | None = None
    record: dict[str, Any] = {}


class Move(Strict):
    """A forced transition, or a signal."""

    to: StateName | None = None
    signal: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Move:
        if (self.to is None) == (self.signal is None):
            raise ValueError("say where to, or which signal")
        return self


class NewSandbox(Strict):
    """What a new sandbox begins with."""

    seed: int | None = Field(None, strict=True, ge=0, lt=2**63)
    clock: ClockWords | None = None
    scenarios: list[str | dict[str, Any]] | None = Field(None, description="Names of loaded scenarios, or documents")
