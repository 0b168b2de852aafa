"""`latency:` how long the service takes, of the wire's time.

Rules: an operation's own latency stands in place of the service's; the draw is named by the operation and the request's
ordinal, so that no other request changes it.
"""

from __future__ import annotations

from simulator.core.turns import Turn
from simulator.core.values import Span


def latency_ms(service: Span | None, own: Span | None, turn: Turn, operation: str, ordinal: int) -> int:
    """How many milliseconds the reply waits once it is decided; `own` is the operation's latency."""
    span = service if own is None else own
    if span is None:
        return 0
    if span.fixed_ms is not None:
        return span.fixed_ms
    return span.draw_ms(turn.service.chance.unit(f"latency/{operation}/request/{ordinal}"))
