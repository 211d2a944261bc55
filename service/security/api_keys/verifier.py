"""API keys: `slw_<prefix>_<secret>`. The prefix finds the row, the hash of the secret proves the holder.

The secret has 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
"""

import contextlib
import difflib
import hashlib
import hmac
import math
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from prometheus_client import Gauge
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.cache.single_flight import SingleFlight
from service.database import Database, DatabaseUnavailableError
from service.models.api_key import ApiKey
from service.observability.metrics import cache_requests
from service.security.api_keys.last_use import LastUse
from service.security.principals import Principal
from service.security.refusals import Reason, RefusedError

SCHEME = "slw"
KEY = re.compile(r"^slw_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$")
SCOPE = re.compile(r"^[a-z][a-z0-9_-]{0,30}(:[a-z][a-z0-9_-]{0,30})?$")
NAME = re.compile(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
_CACHED_KEYS = 10_000
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

_SEEN_SECONDS = 600.0  # for which a good key counts for its principal while it is verified again
# Ignore short-lived keys; the alert would always fire.
_SOONEST = (
    "SELECT min(expires_at) FROM api_key WHERE revoked_at IS NULL AND expires_at > now()"
    " AND expires_at - created_at > interval '14 days'"
)
_LOOK_UP = "SELECT id, secret_hash, scopes, expires_at, revoked_at FROM api_key WHERE prefix = $1"


_hits, _misses = cache_requests.labels("api_keys", "hit"), cache_requests.labels("api_keys", "miss")
_soonest = Gauge(
    "slipway_api_key_expiry_timestamp_seconds",
    "When the next of the valid API keys made for more than 14 days ends, in seconds since 1970; NaN when none does.",
    multiprocess_mode="livemostrecent",
)
_soonest.set(math.nan)


class NoSuchKeyError(Exception):
    """No key has this id or prefix."""


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def near_scopes(scope: str, known: Collection[str]) -> list[str]:
    """Return known scopes similar to an unknown one, the closest first."""
    return [] if scope in known else difflib.get_close_matches(scope, known, n=3, cutoff=0.85)


def unknown_scope(scope: str, known: Collection[str]) -> str | None:
    """Return the message for an unknown scope, with similar known ones; None for a known scope."""
    if scope in known:
        return None
    near = near_scopes(scope, known)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"No route asks for the scope {scope}.{meant} Known scopes: {', '.join(sorted(known))}."


async def create_key(
    session: AsyncSession, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key. The second value is the key itself: it is shown now and never again.

    Raises `ValueError` for a name or scope that cannot be one.
    """
    if not 1 <= len(name) <= 100:  # noqa: PLR2004  # the column's length
        raise ValueError("a key's name has 1 to 100 characters")
    if not NAME.fullmatch(name):
        raise ValueError("a key's name has no line breaks or control characters")
    if wrong := [scope for scope in scopes if not SCOPE.fullmatch(scope)]:
        raise ValueError(f"not a scope: {', '.join(wrong)}")
    if not scopes:
        raise ValueError("a key needs at least one scope")
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    key = ApiKey(
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=sorted(set(scopes)),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    return key, f"{SCHEME}_{prefix}_{secret}"


async def list_keys(session: AsyncSession) -> Sequence[ApiKey]:
    """All keys, oldest first; none of them tells its secret."""
    return (await session.exec(select(ApiKey).order_by(col(ApiKey.id)))).all()


async def revoke_key(session: AsyncSession, prefix: str) -> ApiKey:
    """End a key at once. Raises `NoSuchKeyError`; revoking twice keeps the first time."""
    key = (await session.exec(select(ApiKey).where(ApiKey.prefix == prefix))).one_or_none()
    if key is None:
        raise NoSuchKeyError(prefix)
    key.revoked_at = key.revoked_at or clock.now()
    return key


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    until: float  # of clock.monotonic()
    expires_at: datetime | None


class ApiKeyVerifier:
    """Verifies keys. What was found good is believed for `cache_seconds`; the cache holds hashes, no secrets."""

    def __init__(self, database: Database, cache_seconds: float) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        # Callers that join a look-up late must not extend the life of a key revoked meanwhile.
        self._look_ups: SingleFlight[bytes, Principal] = SingleFlight(join_within=cache_seconds)
        self.last_use = LastUse(database)

    def known(self, presented: str) -> Principal | None:
        """The principal of a key that was found good a moment ago; None means: verify it."""
        found = self._verified.get(_hash(presented))
        if found is None or found.until <= clock.monotonic() or not _unexpired(found.expires_at):
            return None
        _hits.inc()
        return found.principal

    def seen(self, presented: str) -> Principal | None:
        """The principal of a key that was good some minutes ago: enough to count by, not to let in."""
        found = self._verified.get(_hash(presented))
        return (
            found.principal if found is not None and found.until + _SEEN_SECONDS > clock.monotonic() else None
        )

    async def verify(self, presented: str) -> Principal | None:
        """Return the principal of a key; None for text without the form of a key.

        Raises `RefusedError` for a key that is unknown, expired or revoked. Callers with the same key share a look-up.
        """
        match = KEY.match(presented)
        if match is None:
            return None
        known = self.known(presented)
        if known is not None:
            return known
        prefix, secret = match.groups()
        digest = _hash(presented)
        try:
            return await self._look_ups.do(digest, lambda: self._look_up(prefix, secret, digest))
        except RefusedError:
            self._verified.pop(digest, None)  # the key is no longer valid
            raise

    async def _look_up(self, prefix: str, secret: str, digest: bytes) -> Principal:
        _misses.inc()
        asked = clock.monotonic()
        rows = await self._database.fetch(_LOOK_UP, [prefix], reads=True)
        stored = rows[0]["secret_hash"] if rows else b""
        if not hmac.compare_digest(stored, _hash(secret)):
            raise RefusedError(Reason.KEY_UNKNOWN)
        row = rows[0]
        if row["revoked_at"] is not None:
            raise RefusedError(Reason.KEY_REVOKED, f"key {prefix}")
        if not _unexpired(row["expires_at"]):
            raise RefusedError(Reason.KEY_EXPIRED, f"key {prefix}")
        principal = Principal(f"key:{prefix}", frozenset(row["scopes"]))
        self._remember(digest, _Verified(principal, asked + self._cache_seconds, row["expires_at"]))
        self.last_use.note(prefix)
        return principal

    async def report(self) -> None:
        """Tell the metrics when the next key of a long life ends. Says nothing while the database is away."""
        with contextlib.suppress(DatabaseUnavailableError, asyncpg.PostgresError):
            [[soonest]] = await self._database.fetch(_SOONEST, reads=True)
            _soonest.set(math.nan if soonest is None else soonest.timestamp())

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        while len(self._verified) > _CACHED_KEYS:
            self._verified.popitem(last=False)


def _unexpired(expires_at: datetime | None) -> bool:
    return expires_at is None or expires_at > clock.now()
