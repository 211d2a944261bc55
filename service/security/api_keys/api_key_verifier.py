"""Verifies API keys against the database, and caches the valid ones."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import orjson

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.cache.single_flight import SingleFlight
from service.database import Database
from service.observability.instruments import adder
from service.observability.metrics import cache_requests
from service.security.api_keys import key_format
from service.security.api_keys.key_format import KeyParts
from service.security.api_keys.last_use import LastUse
from service.security.principals import Principal
from service.security.refusals import Reason, RefusedError

_CACHED_KEYS = 10_000
_SEEN_SECONDS = 600.0  # for which an expired cache entry still tells whose rate limit a key counts against
_LOOK_UP = "SELECT id, secret_hash, scopes, claims, expires_at, revoked_at FROM api_key WHERE prefix = $1"

_hit, _missed = (adder(cache_requests.labels("api_keys", result)) for result in ("hit", "miss"))


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    until: float  # of clock.monotonic()
    expires_at: datetime | None


class ApiKeyVerifier:
    """Verifies keys. A valid key is cached for `cache_seconds`, by its hash: the cache holds no secrets."""

    def __init__(self, database: Database, cache_seconds: float) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._verified: BoundedDict[bytes, _Verified] = BoundedDict(_CACHED_KEYS)
        # Callers that join a look-up late must not extend the life of a key revoked meanwhile.
        self._look_ups: SingleFlight[bytes, Principal] = SingleFlight(join_within=cache_seconds)
        self.last_use = LastUse(database)

    def known(self, presented: str) -> Principal | None:
        """Return the principal of a cached key; None if the key must be verified."""
        found = self._verified.get(key_format.cache_key(presented))
        if (
            found is None
            or found.until <= clock.monotonic()
            or (found.expires_at is not None and found.expires_at <= clock.now())
        ):
            return None
        _hit(1)
        return found.principal

    def seen(self, presented: str) -> Principal | None:
        """Return the principal of a key that was valid in the last minutes: enough to count by, not to admit."""
        found = self._verified.get(key_format.cache_key(presented))
        return (
            found.principal if found is not None and found.until + _SEEN_SECONDS > clock.monotonic() else None
        )

    async def verify(self, presented: str) -> Principal | None:
        """Return the principal of a key; None for text that does not have the form of a key.

        Raises `RefusedError` for a key that is unknown, expired or revoked. Concurrent calls with the same key share a
        look-up.
        """
        parts = key_format.parse(presented)
        if parts is None:
            return None
        known = self.known(presented)
        if known is not None:
            return known
        digest = key_format.cache_key(presented)
        try:
            return await self._look_ups.do(digest, lambda: self._look_up(parts, digest))
        except RefusedError:
            self._verified.pop(digest, None)  # the key is no longer valid
            raise

    async def _look_up(self, parts: KeyParts, digest: bytes) -> Principal:
        _missed(1)
        asked = clock.monotonic()
        rows = await self._database.fetch(_LOOK_UP, [parts.prefix], reads=True)
        stored = rows[0]["secret_hash"] if rows else b""
        if not hmac.compare_digest(stored, key_format.digest(parts.secret)):
            raise RefusedError(Reason.KEY_UNKNOWN)
        row = rows[0]
        if row["revoked_at"] is not None:
            raise RefusedError(Reason.KEY_REVOKED, f"key {parts.prefix}")
        if row["expires_at"] is not None and row["expires_at"] <= clock.now():
            raise RefusedError(Reason.KEY_EXPIRED, f"key {parts.prefix}")
        claims = MappingProxyType(orjson.loads(row["claims"]))
        principal = Principal(f"key:{parts.prefix}", frozenset(row["scopes"]), claims)
        self._verified[digest] = _Verified(principal, asked + self._cache_seconds, row["expires_at"])
        self.last_use.note(parts.prefix)
        return principal
