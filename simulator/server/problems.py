"""The control plane's one shape of error: RFC 9457 problem details."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

PROBLEM_TYPE = "application/problem+json"


def problem(status: int, detail: str, **members: Any) -> Response:
    """A problem (RFC 9457) of the simulator itself; members are its extensions."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return Response(orjson.dumps(body), status, media_type=PROBLEM_TYPE)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON reply of the control plane."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
        status,
        media_type="application/json",
    )
