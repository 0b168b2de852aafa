"""Access and refresh tokens: given out, looked up, replaced, taken back (RFC 6749, 7009; RFC 9700 section 4.14.2).

Rules: what is kept is a digest of a token, never its text; a token is expired from the very millisecond it was given
for; all tokens that come from one grant are a family, and the family knows which generation of refresh tokens is the
living one: an older one that comes again is a theft, and ends the family, unless it comes within the grace.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.chance import Draws
from simulator.core.credentials import CREDENTIAL_MAX, USES_MAX, unknown_token
from simulator.core.events import TokenChanged
from simulator.core.jwts import Algorithm, SigningKeys
from simulator.core.records import Entry
from simulator.core.refusals import Refused
from simulator.core.secrets import digest
from simulator.core.turns import Turn
from simulator.core.values import MS, Duration

TOKEN_LENGTH = 32  # characters of base62: 190 bits
REPLACED = "was replaced by a newer one"
EXPIRED_KEPT_MS = MS["d"]  # how long "expired" can be told from "not known"


class AccessTokenModel(BaseModel):
    """The tokens that requests carry."""

    model_config = ConfigDict(extra="forbid")

    ttl: Duration = Field(600_000, gt=0, description="How long one is good; 10m by default", examples=["10m"])
    format: Literal["opaque", "jwt"] = Field("opaque", description="Letters and digits, or a JWT (RFC 9068)")
    algorithm: Algorithm = Field("RS256", description="What signs a JWT: RS256 or EdDSA")
    audience: str | None = Field(None, description="The JWT's `aud`; the issuer by default")
    uses: int | None = Field(None, ge=1, le=USES_MAX, description="How often one is good; without end by default")


class RefreshTokenModel(BaseModel):
    """The tokens that get new access tokens."""

    model_config = ConfigDict(extra="forbid")

    ttl: Duration = Field(30 * MS["d"], gt=0, description="How long one is good; 30d by default", examples=["30d"])
    rotate: bool = Field(True, description="Whether each use gives a new one in its place")
    reuse_grace: Duration = Field(0, description="How long after that the old one still works, for a lost reply")


class Token(NamedTuple):
    """What is kept of a token."""

    kind: str  # access | refresh
    client: str
    scopes: tuple[str, ...] | None  # None: everything
    family: str
    generation: int
    issued_ms: int
    expires_ms: int | None
    alone: bool = False  # no refresh token belongs to its family
    uses: int = 0
    revoked: bool = False


class Family(NamedTuple):
    """How far a grant's tokens have come."""

    generation: int = 0  # of the refresh token that lives
    moved_ms: int = 0  # when it took the place of the one before it
    revoked: bool = False


class Pair(NamedTuple):
    """What a client is given."""

    access: str
    refresh: str | None


class Shown(NamedTuple):
    """A text that somebody showed, and the token it stands for."""

    text: str
    key: str  # of its entry; "" where the scenario itself has it
    token: Token


class Tokens:
    """The tokens of one scheme."""

    def __init__(
        self,
        scheme: str,
        access: AccessTokenModel,
        refresh: RefreshTokenModel | None,
        keys: SigningKeys | None,
        first: dict[str, Token],
    ) -> None:
        """`keys` sign where tokens are JWTs; `first` are the refresh tokens that are there from the beginning."""
        self.scheme = scheme
        self.access = access
        self.refresh = refresh
        self.keys = keys
        self._first = {digest(text): token for text, token in first.items()}
        self._lasting = frozenset(token.family for token in first.values())

    def find(self, turn: Turn, text: str) -> Shown | None:
        """The token of this text, whatever became of it; one look at the store where there is none."""
        first = self._first.get(digest(text))
        if first is not None:
            return Shown(text, "", first)
        name = self._name(turn, text) if len(text) <= CREDENTIAL_MAX else None
        key = self._key(turn, name or "")
        kept = turn.entry(key) if name else None
        if kept is None or (kept["kind"] == "access" and self.keys is not None and name == text):
            return None  # a JWT's id alone is no token
        return Shown(text, key, _token(kept))

    def trouble(self, turn: Turn, token: Token) -> str | None:
        """Why a token is not good, as the end of a sentence; None where it is."""
        family = Family() if token.alone else self._family(turn, token.family)
        if token.revoked or family.revoked:
            return "was revoked"
        if token.expires_ms is not None and turn.now_ms >= token.expires_ms:
            return "has expired"
        if token.kind == "access":
            return "is used up" if self.access.uses is not None and token.uses >= self.access.uses else None
        return REPLACED if self._is_replaced(turn, token, family) else None

    def admitted(self, turn: Turn, text: str) -> Token:
        """The good access token of this text, after one more use of it. Raises Refused."""
        shown = self.find(turn, text)
        if shown is None or shown.token.kind != "access":
            raise unknown_token(text)
        trouble = self.trouble(turn, shown.token)
        if trouble is not None:
            raise Refused("unauthorized", f"The access token {trouble}.")
        if self.access.uses is not None:
            used = shown.token._replace(uses=shown.token.uses + 1)
            turn.keep(shown.key, _plain(used), _end(used))
        return shown.token

    def first_pair(self, turn: Turn, client: str, scopes: tuple[str, ...] | None, issuer: str) -> Pair:
        """The tokens of a new grant."""
        draws = self._draws(turn)
        new = Token("access", client, scopes, draws.hex(16), 0, turn.now_ms, None, alone=self.refresh is None)
        text = self._put(turn, draws, "issued", new, issuer)
        if self.refresh is None:
            return Pair(text, None)
        self._put_family(turn, new.family, Family(0, turn.now_ms))
        return Pair(text, self._put(turn, draws, "issued", new._replace(kind="refresh"), issuer))

    def next_pair(self, turn: Turn, shown: Shown, scopes: tuple[str, ...] | None, issuer: str) -> Pair:
        """New tokens for a good refresh token.

        Within the grace a replaced one gives a pair of the generation that replaced it, beside the pair that was
        lost: whichever of the two is refreshed first goes on, and the other is then a replaced one itself.
        """
        draws, old = self._draws(turn), shown.token
        rotates = self.refresh is not None and self.refresh.rotate
        family = self._family(turn, old.family)
        if not rotates or old.generation == family.generation:
            family = Family(family.generation + 1, turn.now_ms)
            if rotates:
                self._told(turn, "superseded", old, shown.text)
        self._put_family(turn, old.family, family)
        new = old._replace(kind="access", scopes=scopes, generation=family.generation, issued_ms=turn.now_ms)
        text = self._put(turn, draws, "refreshed", new, issuer)
        if not rotates:
            return Pair(text, None)
        again = new._replace(kind="refresh", scopes=old.scopes)  # RFC 6749 section 6: these stay the same
        return Pair(text, self._put(turn, draws, "refreshed", again, issuer))

    def reused(self, turn: Turn, shown: Shown) -> None:
        """A replaced refresh token came again: somebody has what is not his, and nobody knows who."""
        self._told(turn, "reused", shown.token, shown.text)
        self._end_family(turn, shown)

    def withdraw(self, turn: Turn, shown: Shown, how: str) -> None:
        """Let an access token expire now, or end its family; kept although the request is refused."""
        token = shown.token
        gone = token._replace(expires_ms=turn.now_ms) if how == "expire" else token._replace(revoked=True)
        turn.keep(shown.key, _plain(gone), _end(gone))
        if how == "revoke" and not token.alone:
            family = self._family(turn, token.family)._replace(revoked=True)
            turn.keep(self._family_key(turn, token.family), list(family))
        whose = (token.kind, token.family, token.generation, shown.text, token.client)
        what = "revoked" if how == "revoke" else "expired"
        turn.lasting_events.append(TokenChanged(turn.now_ms, turn.wire_us, turn.service.digest, what, *whose))

    def revoke(self, turn: Turn, shown: Shown) -> None:
        """Take a token back; a refresh token with all of its family (RFC 7009 section 2.1)."""
        if shown.token.kind == "refresh":
            self._end_family(turn, shown)
            return
        gone = shown.token._replace(revoked=True)
        turn.entries.append(Entry(shown.key, _plain(gone), _end(gone)))
        self._told(turn, "revoked", gone, shown.text)

    def _put(self, turn: Turn, draws: Draws, what: str, token: Token, issuer: str) -> str:
        """Give out a token like this one."""
        ttl_ms = self.access.ttl if token.kind == "access" or self.refresh is None else self.refresh.ttl
        token = token._replace(expires_ms=turn.now_ms + ttl_ms)
        name = text = draws.base62(TOKEN_LENGTH)
        if self.keys is not None and token.kind == "access":
            text = self.keys.sign(self._claims(turn, token, issuer, name), turn.service.chance, turn.now_ms)
        turn.entries.append(Entry(self._key(turn, name), _plain(token), _end(token)))
        turn.secrets.append(text)
        self._told(turn, what, token, text)
        return text

    def _claims(self, turn: Turn, token: Token, issuer: str, name: str) -> dict[str, Any]:
        """RFC 9068 section 2.2; a whole second is cut off, so that nobody takes it for longer than it is."""
        return {
            "iss": issuer,
            "sub": token.client,
            "client_id": token.client,
            "aud": self.access.audience or issuer,
            **({} if token.scopes is None else {"scope": " ".join(token.scopes)}),
            **times(turn, token),
            "jti": name,
        }

    def _name(self, turn: Turn, text: str) -> str | None:
        """By what a token is kept: a JWT by its `jti`, any other by its text."""
        if self.keys is None or "." not in text:
            return text
        claims = self.keys.verified(text, turn.service.chance, turn.now_ms) or {}
        name = claims.get("jti")
        return name if isinstance(name, str) else None

    def _is_replaced(self, turn: Turn, token: Token, family: Family) -> bool:
        if self.refresh is None or not self.refresh.rotate or token.generation == family.generation:
            return False
        graced = token.generation == family.generation - 1
        return not (graced and turn.now_ms < family.moved_ms + self.refresh.reuse_grace)

    def _end_family(self, turn: Turn, shown: Shown) -> None:
        family = self._family(turn, shown.token.family)
        self._put_family(turn, shown.token.family, family._replace(revoked=True))
        self._told(turn, "revoked", shown.token, shown.text)

    def _family(self, turn: Turn, family: str) -> Family:
        kept = turn.entry(self._family_key(turn, family))
        return Family() if kept is None else Family(*kept)

    def _put_family(self, turn: Turn, family: str, state: Family) -> None:
        longest_ms = max(self.access.ttl, self.refresh.ttl if self.refresh else 0)
        ends_ms = None if family in self._lasting else turn.now_ms + longest_ms + EXPIRED_KEPT_MS
        turn.entries.append(Entry(self._family_key(turn, family), list(state), ends_ms))

    def _told(self, turn: Turn, what: str, token: Token, text: str) -> None:
        whose = (token.kind, token.family, token.generation, text, token.client)
        turn.events.append(TokenChanged(turn.now_ms, turn.wire_us, turn.service.digest, what, *whose))

    def _draws(self, turn: Turn) -> Draws:
        return Draws(turn.service.chance, f"{turn.name}/token", turn.now_ms)

    def _key(self, turn: Turn, name: str) -> str:
        return f"token/{turn.service.name}/{self.scheme}/{digest(name)}"

    def _family_key(self, turn: Turn, family: str) -> str:
        return f"family/{turn.service.name}/{self.scheme}/{family}"


def times(turn: Turn, token: Token) -> dict[str, int]:
    """When it was given out and when it expires, in seconds, by the clock that clients see."""
    ends = {} if token.expires_ms is None else {"exp": turn.shown_ms(token.expires_ms) // 1000}
    return {"iat": turn.shown_ms(token.issued_ms) // 1000, **ends}


def first_token(client: str, scopes: tuple[str, ...] | None, text: str) -> Token:
    """A refresh token that is there when the service starts; it does not expire."""
    return Token("refresh", client, scopes, f"first-{digest(text)[:16]}", 0, 0, None)


def _end(token: Token) -> int | None:
    return None if token.expires_ms is None else token.expires_ms + EXPIRED_KEPT_MS


def _plain(token: Token) -> dict[str, Any]:
    return {**token._asdict(), "scopes": None if token.scopes is None else list(token.scopes)}


def _token(kept: dict[str, Any]) -> Token:
    fields = {name: kept[name] for name in Token._fields if name in kept}
    return Token(**{**fields, "scopes": None if kept["scopes"] is None else tuple(kept["scopes"])})
