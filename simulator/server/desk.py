"""What every desk of the control plane shares: whose sandbox is meant, bodies as models, query parameters.

Rules: every body is checked before anything changes; whatever is wrong is an OperatorError that says what would be
legal; a request means the sandbox under whose prefix it stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.core.bodies import BadBody, parse_json
from simulator.core.places import Marks, Place, unknown_name
from simulator.errors import Complaint, OperatorError
from simulator.scenario.shape import complain_of
from simulator.server.sandbox import Sandbox
from simulator.server.sandboxes import Sandboxes
from simulator.settings import Settings

Handler = Callable[[Request], Awaitable[Response]]
Table = list[tuple[str, str, Handler]]  # method, path below /_simulator/, handler
PAGE_MAX = 10_000  # events or records in one reply


class Desk:
    """Some of the control plane's handlers."""

    def __init__(self, sandboxes: Sandboxes, settings: Settings) -> None:
        self.sandboxes = sandboxes
        self.settings = settings

    def table(self) -> Table:
        """What this desk answers."""
        raise NotImplementedError

    def origin(self, request: Request, sandbox: Sandbox) -> str:
        """Where a sandbox stands for whoever asks."""
        return (
            self.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        ) + sandbox.prefix

    async def body(self, request: Request, model: type[Any], empty: Any = None) -> Any:
        """The body as a model. Raises OperatorError with every fault of it."""
        raw = await self.raw(request)
        try:
            data = empty if not raw and empty is not None else parse_json(raw)
            return model.model_validate(data)
        except BadBody as error:
            raise OperatorError(str(error)) from None
        except ValidationError as error:
            complaints: list[Complaint] = []
            complain_of(error, Place(Marks("body"), complaints), model)
            raise OperatorError("; ".join(dict.fromkeys(each.what for each in complaints)), 422) from None

    async def raw(self, request: Request) -> bytes:
        """The body, within its bound. Raises OperatorError."""
        raw = bytearray()
        async for part in request.stream():
            raw += part
            if len(raw) > self.settings.body_max_bytes:
                raise OperatorError(f"the body is larger than {self.settings.body_max_bytes} bytes", 413)
        return bytes(raw)


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox that is meant."""
    sandbox: Sandbox = request.scope["sandbox"]
    sandbox.used_ms = sandbox.machine.wall_ms()
    return sandbox


def only(request: Request, *names: str) -> None:
    """Refuse a query parameter that would be ignored."""
    for name in request.query_params:
        if name not in names:
            raise OperatorError(unknown_name("query parameter", name, names))


def number(request: Request, name: str, default: int) -> int:
    """A query parameter that is a whole number. Raises OperatorError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise OperatorError(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)
