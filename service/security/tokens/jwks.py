"""An issuer's public keys: fetched in the background, and kept for a limited time while the issuer is down."""

import asyncio
from typing import Any

import httpx2
import structlog
from prometheus_client import Counter, Gauge

from service import clock
from service.cache.single_flight import SingleFlight
from service.config import SecuritySettings
from service.config.issuer import IssuerSettings
from service.http.problems import InvalidJson, Unavailable
from service.observability.metrics import dependency_up
from service.security.tokens.jwks_source import FetchError, JwksSource
from service.security.tokens.public_keys import FAMILIES, PublicKey

log = structlog.get_logger(__name__)
# Over several workers the newest: a worker without requests has no reason to fetch.
_fetched = Gauge(
    "slipway_token_keys_fetched_timestamp_seconds",
    "When an issuer's keys were last fetched, in seconds since 1970.",
    ["issuer"],
    multiprocess_mode="livemax",
)
_fetches = Counter(
    "slipway_token_keys_fetches", "Fetches of an issuer's keys by result (ok, failed).", ["issuer", "result"]
)
FETCH_SECONDS = 6.0  # for discovery and keys together, however slowly they drip
_FLIGHT = "keys"


class JwksClient:
    """The keys of one issuer.

    Fresh keys are used at once. Older ones are used up to `jwks_max_age`, while new ones are fetched in the background.
    An unknown key id causes a fetch, but at most one per cool-down, however many tokens name it.
    """

    def __init__(self, issuer: IssuerSettings, limits: SecuritySettings, client: httpx2.AsyncClient) -> None:
        self._issuer = issuer
        self._limits = limits
        self._source = JwksSource(issuer, client)
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetches: SingleFlight[str, None] = SingleFlight()
        for result in ("ok", "failed"):
            _fetches.labels(
                issuer.issuer, result
            )  # starts at 0, so that the first failure shows as an increase

    async def find(self, kid: str | None, algorithm: str) -> Any | None:
        """Return the key that verifies; None if the issuer has none that fits. Raises `Unavailable` without keys."""
        if not self._trusted():
            await self._fetch()
            if not self._trusted():
                raise Unavailable("The issuer's keys cannot be fetched.")
        else:
            self.renew()
        found = self._match(kid, algorithm)
        if found is None:
            await self._fetch()
            found = self._match(kid, algorithm)
        return found

    def renew(self) -> None:
        """Refresh old keys in the background."""
        if self._age() > self._limits.jwks_refresh:
            self._start_fetch()

    async def close(self) -> None:
        """Cancel a running fetch."""
        await self._fetches.close()

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else clock.monotonic() - self._fetched_at

    def _trusted(self) -> bool:
        return self._age() <= self._limits.jwks_max_age

    def _match(self, kid: str | None, algorithm: str) -> Any | None:
        fitting = [
            key
            for key in self._keys
            if key.family == FAMILIES[algorithm[:2]] and key.algorithm in (None, algorithm)
        ]
        if kid is not None:
            fitting = [key for key in fitting if key.kid == kid]
        return fitting[0].key if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        fetching = self._start_fetch()
        if fetching is not None:
            await asyncio.shield(fetching)  # others wait for it too

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the running fetch; start one unless one was tried within the cool-down. None if none runs."""
        running, now = self._fetches.running(_FLIGHT), clock.monotonic()
        if running is not None:
            return running
        if self._tried_at is not None and now - self._tried_at < self._limits.jwks_cooldown:
            return None
        self._tried_at = now
        return self._fetches.start(_FLIGHT, self._refresh)

    async def _refresh(self) -> None:
        issuer = self._issuer.issuer
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = await self._source.fetch()
        except (FetchError, httpx2.HTTPError, httpx2.InvalidURL, InvalidJson, TimeoutError) as error:
            reason = str(error)[:200] or f"not within {FETCH_SECONDS:g} s"
            log.warning("cannot fetch the issuer's keys", issuer=issuer, reason=reason)
            _fetches.labels(issuer, "failed").inc()
            dependency_up.labels(issuer).set(0)
            return
        self._fetched_at = clock.monotonic()
        _fetches.labels(issuer, "ok").inc()
        _fetched.labels(issuer).set(clock.now().timestamp())
        dependency_up.labels(issuer).set(1)
