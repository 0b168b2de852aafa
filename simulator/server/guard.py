"""Who may use the control plane: peers from the operator's networks, or whoever sends the token.

Rules: the peer is the one at the other end of the connection, never what a header claims; a page of another origin
cannot make a browser use it; health is open to everybody.
"""

from __future__ import annotations

import hmac
import ipaddress

from starlette.requests import Request
from starlette.responses import Response

from simulator.server.problems import problem
from simulator.settings import Network, Settings


def refused(request: Request, settings: Settings) -> Response | None:
    """A 403 for those who may not, else None."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[1:] != ("://", request.headers.get("host")):
        return problem(403, f"The control plane does not answer pages of other origins; this one is {origin[:200]}.")
    if _token(request, settings) or within(request.client.host if request.client else "", settings.control_from):
        return None
    peer = request.client.host if request.client else "unknown"
    if settings.control_token and request.headers.get("authorization"):
        return problem(403, f"The control plane does not answer {peer}: the token that was sent is not the right one.")
    return problem(
        403,
        f"The control plane does not answer {peer}. Start the simulator with --control-from {peer}, "
        "or with --control-token and send it as 'Authorization: Bearer …'.",
    )


def within(host: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address inside IPv6 counts as itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks if network.version == (mapped or address).version)


def _token(request: Request, settings: Settings) -> bool:
    if not settings.control_token:
        return False
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), settings.control_token.encode())
