"""`cost:` and `budget:` what requests cost their client, and when that is too much.

Rules: only what was done costs, neither a refusal nor a replay; costs are summed in millionths, so that sums are
exact; a budget refuses what would go beyond it, before it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.expressions import Names
from simulator.core.places import Place
from simulator.core.records import Entry
from simulator.core.refusals import CompiledError, ErrorModel, Refused, compile_error
from simulator.core.templates import LiveScope, Value, compile_value
from simulator.core.turns import Turn
from simulator.core.values import Duration
from simulator.errors import TemplateError

MILLION = 1_000_000  # parts of one unit of cost
ASKED = frozenset({"body", "query", "headers", "params", "request"})  # what clients decide
COST_MAX = 10**9  # of one request; sums stay far below what 64 bits hold


class BudgetModel(BaseModel):
    """What may be spent."""

    model_config = ConfigDict(extra="forbid")

    most: float = Field(ge=0, le=COST_MAX, description="The most that may be spent, in the unit of `cost`")
    per: Literal["client", "service"] = Field("client", description="Each client's, or all clients' together")
    every: Duration | None = Field(None, description="When it begins anew; never by default", examples=["30d"])
    error: ErrorModel | None = Field(None, description="What is answered beyond it; 402 by default")


class Budget(NamedTuple):
    """A compiled budget."""

    most: int
    per: str
    every_ms: int | None
    error: CompiledError | None


class Charge(NamedTuple):
    """What a request will cost if it is done."""

    amount: int  # millionths
    counters: tuple[str, str]  # that it adds to: the cost, and how many
    budget: Entry | None  # what is spent then


def compile_budget(model: BudgetModel | None, place: Place, names: Names) -> Budget | None:
    """The budget; complaints go to the place."""
    if model is None:
        return None
    error = compile_error(model.error, "over_budget", place / "error", names)
    return Budget(round(model.most * MILLION), model.per, model.every, error)


def compile_cost(cost: Any, place: Place, names: Names) -> Value | None:
    """What an operation costs; complaints go to the place."""
    if cost is None:
        return None
    value = compile_value(cost, place, names)
    if value.constant:
        try:
            amount_of(value.of({}), str(place))
        except TemplateError as error:
            place.complain(error.what)
    return value


def amount_of(value: Any, where: str) -> int:
    """A cost in millionths. Raises TemplateError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COST_MAX:
        raise TemplateError(where, f"{value!r} is no cost; a cost is a number from 0 to {COST_MAX}")
    return round(value * MILLION)


def price(turn: Turn, scope: LiveScope, operation: str, cost: Value, where: str, budget: Budget | None) -> Charge:
    """What the request will cost. Raises Refused where that cannot be told, or the budget does not allow it."""
    amount = _asked(cost, scope, where)
    name = turn.service.name
    counters = (f"cost/{name}/{turn.client}\x1f{operation}", f"charged/{name}/{turn.client}\x1f{operation}")
    if budget is None:
        return Charge(amount, counters, None)
    key, ends_ms = _budget_entry(turn, budget)
    spent = turn.entry(key) or [ends_ms, 0]
    spent = spent[1] if spent[0] == ends_ms else 0
    if spent + amount > budget.most:
        detail = f"{_shown(spent)} of {_shown(budget.most)} is spent, and this would cost {_shown(amount)}."
        raise Refused("over_budget", detail).said(budget.error, scope)
    return Charge(amount, counters, Entry(key, [ends_ms, spent + amount], ends_ms))


def charge(turn: Turn, charge: Charge) -> None:
    """Add up what was done."""
    turn.facts["cost"] = charge.amount
    cost, charged = charge.counters
    turn.adds += [(cost, charge.amount), (charged, 1)]
    if charge.budget is not None:
        turn.entries.append(charge.budget)


def _asked(cost: Value, scope: LiveScope, where: str) -> int:
    """What the request makes of the cost; a request that makes no number of it is not valid."""
    try:
        return amount_of(cost.of(scope), where)
    except TemplateError:
        if cost.constant or not cost.used & ASKED:
            raise
        raise Refused("invalid", "What this would cost cannot be told from the request.") from None


def account_prefixes(service: str) -> tuple[str, str]:
    """How the counters begin that `accounts` reads."""
    return f"cost/{service}/", f"charged/{service}/"


def accounts(counters: Mapping[str, int], service: str) -> list[dict[str, Any]]:
    """What each client spent on each operation, from the service's counters."""
    prefix, _ = account_prefixes(service)
    told = []
    for counter in sorted(counter for counter in counters if counter.startswith(prefix)):
        client, _, operation = counter.removeprefix(prefix).rpartition("\x1f")
        requests = counters.get(f"charged/{service}/{client}\x1f{operation}", 0)
        told.append(
            {"client": client, "operation": operation, "requests": requests, "cost": counters[counter] / MILLION}
        )
    return told


def _budget_entry(turn: Turn, budget: Budget) -> tuple[str, int | None]:
    """Where it is kept what is spent, and when that ends."""
    whose = turn.client if budget.per == "client" else ""
    ends_ms = None if budget.every_ms is None else (turn.now_ms // budget.every_ms + 1) * budget.every_ms
    return f"budget/{turn.service.name}/{whose}", ends_ms


def _shown(amount: int) -> str:
    return f"{amount / MILLION:g}"
