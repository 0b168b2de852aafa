"""Schemathesis, a fuzzer by others, reads the documents that the simulator gives of itself, and no check fails.

Rules: every check is on; where a legal request can still meet a refusal that the document describes, the statuses
that are expected there are named with their reason; inputs are the same every time, and the clock stands still, so
that a move of it is over at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.cli.files import read_file
from simulator.scenario.parse import Draft, parse, parse_data
from tests.live import DOCUMENTS, LIGHT, ORDERS, Live, draft, serving

AT = "/_simulator"
RUN_S = 100  # far above the three or four seconds that one run takes
SUMMARY = re.compile(r"Selected: (\d+)/\d+\n\s+Tested: (\d+)")
BEYOND = {"rate": {"rate": "1000000/s", "burst": 1_000_000}, "quota": {"quota": "100000000/d"}}  # no run gets there

SETTINGS = """
[checks]
enabled = true

[generation]
deterministic = true
database = "none"
max-examples = 15
"""

OF_DOCUMENTS = """
[auth.openapi.key]
api_key = "demo-1"

# What a cursor is, only the page before can tell.
[[operations]]
include-name = ["GET /v3/jobs"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "429"]

# A key that was met before, with another request.
[[operations]]
include-name = ["POST /v3/jobs", "POST /v3/jobs/{id}/cancel"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]

[[operations]]
include-name = ["POST /v3/jobs/{id}/archive"]
parameters = {"path.id" = "done"}
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]

[[operations]]
include-name = ["GET /v3/files/{id}.txt"]
parameters = {"path.id" = "done"}

# This path is one of GET /v3/jobs/{id}, too, as OPTIONS says, and OpenAPI cannot.
[[operations]]
include-name = ["POST /v3/jobs/{id}:retry"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]
checks.allow_header_conformance.enabled = false
"""

OF_ORDERS = """
# An ETag is the current one, or it is refused.
[[operations]]
include-method = ["PATCH", "DELETE"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "412"]
checks.missing_required_header.expected-statuses = ["404", "428"]

# The service's own refusal: there is nothing in the order.
[[operations]]
include-name = ["POST /api/orders/{id}/place"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
"""

OF_CONTROL = """
[[operations]]
include-path-regex = "/records/"
parameters = {"path.resource" = "lamp", "path.id" = "mine"}
# A state that the table has not.
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

# JSON Schema cannot say what a scenario is; and it goes to its own name.
[[operations]]
include-name = ["PUT /_simulator/scenarios/{name}"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409", "422"]

[[operations]]
include-name = ["POST /_simulator/sandboxes"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]

# JSON Schema cannot say what a fault is; the service has no such scenario, or such a fault already.
[[operations]]
include-path-regex = "/_simulator/faults"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]

# Beyond the year 9999 there is no time.
[[operations]]
include-name = ["POST /_simulator/clock"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409"]
"""


def approved(live: Live, document: str, settings: str, folder: Path) -> int:
    """How many operations Schemathesis tried, all of them, without finding anything."""
    config = folder / "schemathesis.toml"
    config.write_text(SETTINGS + settings, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", live.url + document]
    ran = subprocess.run(
        [*command, "--no-color", "--warnings", "off"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | {"NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counted = SUMMARY.search(ran.stdout)
    assert counted is not None, ran.stdout
    assert counted[1] == counted[2]
    return int(counted[1])


def shipped(path: Path, *, unlimited: bool = False) -> Draft:
    """A shipped scenario; where it is to be unlimited, its limits are so far off that nobody meets them."""
    found = parse(str(path), read_file)
    if not unlimited:
        return found
    limits = [each | next((far for key, far in BEYOND.items() if key in each), {}) for each in found.data["limits"]]
    return parse_data({**found.data, "limits": limits}, path.name)


@pytest.mark.slow
@pytest.mark.parametrize("unlimited", [True, False], ids=["before the limits", "at the limits"])
def test_documents_keeps_its_document(unlimited: bool, tmp_path: Path) -> None:
    with serving(shipped(DOCUMENTS, unlimited=unlimited), clock="manual") as live, live.client() as client:
        done = {"state": "COMPLETED", "record": {"input": "a.pdf"}}
        assert client.put(f"{AT}/records/job/done", json=done).status_code == 200
        assert approved(live, f"{AT}/openapi.json", OF_DOCUMENTS, tmp_path) >= 7
        statuses = {event["status"] for event in live.events()}
        assert {200, 202, 400, 401} | (set() if unlimited else {429}) <= statuses


@pytest.mark.slow
def test_orders_keeps_its_document(tmp_path: Path) -> None:
    with serving(shipped(ORDERS), clock="manual") as live:
        assert approved(live, f"{AT}/openapi.json", OF_ORDERS, tmp_path) >= 15
        assert {200, 201, 204, 404, 409, 412, 428} <= {event["status"] for event in live.events()}


@pytest.mark.slow
def test_the_control_plane_keeps_its_document(tmp_path: Path) -> None:
    with serving(draft(LIGHT), clock="manual") as live:
        assert approved(live, f"{AT}/control/openapi.json", OF_CONTROL, tmp_path) >= 19
