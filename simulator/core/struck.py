"""What faults do to a request once it is known which of them strike it: before it is heard, and after it is done.

Rules: at arrival nothing has happened yet and nothing does; at the reply all has happened, is kept and remembered, and
only what leaves is changed.
"""

from __future__ import annotations

from simulator.core.auth import Auth
from simulator.core.faults import Fault, Strike, answer, fallen, pages_of, spoil
from simulator.core.refusals import Refused
from simulator.core.replies import Reply
from simulator.core.templates import LiveScope
from simulator.core.turns import Turn


def arrive(
    faults: tuple[Fault, ...], auth: Auth | None, turn: Turn, scope: LiveScope, operation: str, began_ms: int
) -> Reply | None:
    """Decide what strikes; the reply of what answers at once. Raises Refused, TemplateError, NotLoaded."""
    turn.strikes = strikes = fallen(faults, turn, scope, operation, began_ms)
    turn.stale, turn.pages = strikes.stale, pages_of(strikes, turn)
    turn.jump_ms = sum(strike.fault.jump_ms for strike in strikes.all)
    refused = _withdrawn(strikes.arrival, auth, turn)
    reply = answer(strikes.arrival, turn, scope)
    if reply is None and refused is not None:
        raise refused
    return reply


def leave(auth: Auth | None, turn: Turn, scope: LiveScope, reply: Reply) -> Reply:
    """The reply as it leaves. Raises Refused, TemplateError."""
    strikes = turn.strikes
    _withdrawn(strikes.reply, auth, turn)
    answered = answer(strikes.reply, turn, scope)
    return spoil(strikes, reply if answered is None else answered, scope)


def _withdrawn(strikes: tuple[Strike, ...], auth: Auth | None, turn: Turn) -> Refused | None:
    """Let the credential that came expire, or take it back, where a fault says so; what that refuses from now on."""
    refused = None
    for strike in strikes:
        if strike.fault.tokens is not None and auth is not None:
            refused = auth.withdraw(turn, strike.fault.tokens) or refused
    return refused
