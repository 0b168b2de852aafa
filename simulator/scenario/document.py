"""The whole scenario as one model; its parts are the models of core/, one for each key."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from simulator.core.auth import Schemes
from simulator.core.clock import ClockWords
from simulator.core.costs import BudgetModel
from simulator.core.faults import Faults
from simulator.core.idempotency import Words
from simulator.core.limits import Limits
from simulator.core.operations import Operations
from simulator.core.refusals import ErrorsModel
from simulator.core.resources import Name, ResourceModel
from simulator.core.values import DrawnDuration

PREFIX = re.compile(r"(/|(/[A-Za-z0-9._~-]+)+)?")
SEED_MAX = 2**63 - 1


def _prefix(text: str) -> str:
    if PREFIX.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no prefix; one begins with a slash and does not end with one, such as /api/v3")
    return text


Prefix = Annotated[str, AfterValidator(_prefix), WithJsonSchema({"type": "string", "pattern": f"^{PREFIX.pattern}$"})]


class Scenario(BaseModel):
    """One YAML file: a service and how it behaves."""

    model_config = ConfigDict(extra="forbid", title="simulator scenario")

    scenario: Name = Field(description="The service's name")
    summary: str = Field("", description="For people")
    seed: int | None = Field(None, ge=0, le=SEED_MAX, description="Decides every draw; without it a new one each start")
    base_path: Prefix = Field("", description="Before every path below", examples=["/v3"])
    mount: Prefix | None = Field(None, description="Where in the server; / for one file, /<scenario> for several")
    clock: ClockWords | None = Field(None, description="How the service's clock runs")
    auth: Schemes = Field({}, description="Who may ask: named schemes, any of which will do")
    errors: ErrorsModel = Field(default_factory=ErrorsModel, description="How the service says no")
    idempotency: Words | None = Field(None, description="Same key, same answer; a model, or a profile's name")
    limits: Limits = Field([], description="How often clients may ask; beyond it 429")
    budget: BudgetModel | None = Field(None, description="How much clients may spend")
    latency: DrawnDuration | None = Field(None, description="How long the service takes to answer")
    faults: Faults = Field([], description="How the service misbehaves")
    resources: dict[Name, ResourceModel] = Field({}, description="The kinds of things the service keeps")
    operations: Operations = Field(
        {},
        description="What requests do, by `METHOD /path`",
        json_schema_extra={"propertyNames": {"pattern": "^(GET|POST|PUT|PATCH|DELETE) /"}},
    )
