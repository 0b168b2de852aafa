"""A service's `auth` as a client meets it: requests, time, and what is kept between them, without an engine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

import orjson
from pydantic import TypeAdapter

from simulator.core.auth import Answer, Auth, Endpoint, Schemes, compile_auth
from simulator.core.chance import Chance
from simulator.core.events import TokenChanged
from simulator.core.places import nowhere
from simulator.core.records import Changes, Record
from simulator.core.refusals import Refused
from simulator.core.requests import Request
from simulator.core.resources import Resource, request_names
from simulator.core.skew import RIGHT
from simulator.core.turns import Turn
from tests.core.world import START_MS, Look

FORM = "application/x-www-form-urlencoded"
BASE = "http://api.test"
SCHEMES: TypeAdapter[Schemes] = TypeAdapter(Schemes)


class Home:
    """What a turn asks of its service."""

    digest, key, looks_around = "d", b"k" * 32, False
    resources: Mapping[str, Resource] = {}
    unique: Mapping[str, tuple[tuple[str, ...], ...]] = {}

    def __init__(self, name: str = "shop", seed: int = 7) -> None:
        self.name = name
        self.chance = Chance(seed, name)

    def past_ms(self, kind: str) -> int:
        return 0

    def resource_of(self, kind: str) -> Resource | None:
        return None

    def settle(self, turn: Turn, resource: Resource, record: Record) -> Record:
        return record


class Said(NamedTuple):
    """What an endpoint answered."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    error: str | None
    turn: Turn

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """The token events: what, kind, generation."""
        return [(e.what, e.kind, e.generation) for e in self.turn.events if isinstance(e, TokenChanged)]


class Asking:
    """A service that asks for credentials. Time stands still until it is moved."""

    def __init__(
        self,
        schemes: Mapping[str, Any],
        base_path: str = "",
        seed: int = 7,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        place = nowhere()
        models = SCHEMES.validate_python(schemes, context={"environment": environment or {}})
        auth = compile_auth(models, place, request_names(), "shop", base_path)
        assert auth is not None
        assert all(complaint.warning for complaint in place.complaints), place.complaints
        self.auth: Auth = auth
        self.home = Home(seed=seed)
        self.base = BASE
        self.base_path = base_path
        self.look = Look()
        self.now_ms = START_MS
        self.skew = RIGHT
        self.count = 0
        self.endpoints: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in auth.endpoints()}

    def turn(
        self, method: str = "GET", url: str = "/jobs", headers: Mapping[str, str] | None = None, raw: bytes = b""
    ) -> Turn:
        """A turn that answers one request."""
        self.count += 1
        path, _, query = url.partition("?")
        lines = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        request = Request(method, path, query.encode(), lines, raw, self.base)
        return Turn(
            self.home, self.look, self.now_ms, 3, f"{method} {path}/request/{self.count}", self.url, request, self.skew
        )

    @property
    def url(self) -> str:
        return self.base + self.base_path

    def admit(self, names: tuple[str, ...] | None = None, scopes: tuple[str, ...] = (), **request: Any) -> Turn:
        """Ask the gate; what it keeps is kept, whether it raises Refused or not."""
        turn = self.turn(**request)
        try:
            self.auth.admit(turn, turn.scope(), names, scopes)
        finally:
            self.commit(turn.kept())
        return turn

    def refused(self, names: tuple[str, ...] | None = None, scopes: tuple[str, ...] = (), **request: Any) -> Refused:
        """The refusal that the gate answers with."""
        try:
            self.admit(names, scopes, **request)
        except Refused as refused:
            return refused
        raise AssertionError("nobody was refused")

    def call(self, name: str, raw: bytes = b"", headers: Mapping[str, str] | None = None) -> Said:
        """Ask an endpoint."""
        endpoint = self.endpoints[name]
        turn = self.turn(endpoint.method, endpoint.path, headers, raw)
        reply, error = answer = endpoint.answer(turn, turn.scope())
        assert isinstance(answer, Answer)
        self.commit(turn.changes())
        return Said(*reply[::2], reply.headers, error, turn)

    def post(self, path: str, headers: Mapping[str, str] | None = None, /, **fields: Any) -> Said:
        """Send a form to an endpoint."""
        return self.call(f"POST {path}", urlencode(fields).encode(), {"Content-Type": FORM, **(headers or {})})

    def token(self, **fields: str) -> Said:
        """Ask for a token as the client `demo`."""
        own = {"client_id": "demo", "client_secret": "demo-secret", "grant_type": "client_credentials"}
        return self.post("/oauth/token", **{**own, **fields})

    def refresh(self, token: str, **fields: str) -> Said:
        """Ask for new tokens."""
        return self.token(grant_type="refresh_token", refresh_token=token, **fields)

    def with_token(self, token: str, **more: Any) -> Turn:
        """Ask the gate with a bearer token."""
        return self.admit(headers=bearer(token), **more)

    def move(self, ms: int) -> None:
        self.now_ms += ms

    def commit(self, changes: Changes) -> None:
        """Keep it, as a store would: as JSON."""
        entries = tuple(each._replace(value=orjson.loads(orjson.dumps(each.value))) for each in changes.entries)
        self.look.commit(changes._replace(entries=entries))


def bearer(token: str) -> dict[str, str]:
    """The header with a bearer token."""
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    """The header with user and password."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def client_basic(name: str, secret: str) -> dict[str, str]:
    """The header of a client at OAuth's endpoints, each part form-encoded first."""
    return basic(quote_plus(name), quote_plus(secret))


def challenges(refused: Refused) -> list[str]:
    """The WWW-Authenticate lines."""
    return [value.decode() for name, value in refused.headers if name == b"WWW-Authenticate"]


def oauth(**more: Any) -> dict[str, Any]:
    """A scheme named oauth with the client `demo`."""
    return {"oauth": {"oauth2": {"clients": {"demo": {"secret": "demo-secret", "scopes": ["a", "b"]}}, **more}}}
