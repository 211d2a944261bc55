"""An issuer's public keys: fetched without blocking, kept while the issuer is away, never fetched at a token's will."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from prometheus_client import Counter, Gauge

from service import clock
from service.cache.single_flight import SingleFlight
from service.config import SecuritySettings
from service.config.issuer import IssuerSettings, is_loopback
from service.http.content import strict_json
from service.http.problems import InvalidJson, Unavailable
from service.observability.metrics import dependency_up

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

LARGEST = 256 * 1024  # bytes of a key set or discovery document
FETCH_SECONDS = 6.0  # for discovery and keys together, however slowly they drip
MOST_KEYS = 100
SHORTEST_RSA = 2048  # bits; NIST SP 800-131A
_KEYS = "keys"
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class FetchError(Exception):
    """The keys could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set. `algorithm` is None when the set names none."""

    kid: str | None
    family: str
    algorithm: str | None
    key: Any


class JwksClient:
    """The keys of one issuer.

    Fresh keys answer at once. Older ones still do while new ones are fetched behind them, up to `jwks_max_age`. An
    unknown key id causes a fetch, but never two within the cool-down, however many tokens ask.
    """

    def __init__(self, issuer: IssuerSettings, limits: SecuritySettings, client: httpx2.AsyncClient) -> None:
        self._issuer = issuer
        self._limits = limits
        self._client = client
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetches: SingleFlight[str, None] = SingleFlight()
        for result in ("ok", "failed"):
            _fetches.labels(issuer.issuer, result)  # from 0 on, so that the first failure is seen as a growth

    async def find(self, kid: str | None, algorithm: str) -> Any | None:
        """The key to verify with, None when there is none. Raises `Unavailable` when no key can be trusted."""
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
        """Fetch old keys anew, in the background."""
        if self._age() > self._limits.jwks_refresh:
            self._start_fetch()

    async def close(self) -> None:
        """End a fetch that is under way."""
        await self._fetches.close()

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else clock.monotonic() - self._fetched_at

    def _trusted(self) -> bool:
        return self._age() <= self._limits.jwks_max_age

    def _match(self, kid: str | None, algorithm: str) -> Any | None:
        fitting = [
            key
            for key in self._keys
            if key.family == _FAMILIES[algorithm[:2]] and key.algorithm in (None, algorithm)
        ]
        if kid is not None:
            fitting = [key for key in fitting if key.kid == kid]
        return fitting[0].key if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        fetching = self._start_fetch()
        if fetching is not None:
            await asyncio.shield(fetching)

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the running fetch; start one unless one was tried within the cool-down. None if none runs."""
        running, now = self._fetches.running(_KEYS), clock.monotonic()
        if running is not None:
            return running
        if self._tried_at is not None and now - self._tried_at < self._limits.jwks_cooldown:
            return None
        self._tried_at = now
        return self._fetches.start(_KEYS, self._refresh)

    async def _refresh(self) -> None:
        issuer = self._issuer.issuer
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = await self._download()
        except (FetchError, httpx2.HTTPError, httpx2.InvalidURL, InvalidJson, TimeoutError) as error:
            reason = str(error)[:200] or f"not within {FETCH_SECONDS:g} s"
            log.warning("issuer's keys not fetched", issuer=issuer, reason=reason)
            _fetches.labels(issuer, "failed").inc()
            dependency_up.labels(issuer).set(0)
            return
        self._fetched_at = clock.monotonic()
        _fetches.labels(issuer, "ok").inc()
        _fetched.labels(issuer).set(clock.now().timestamp())
        dependency_up.labels(issuer).set(1)

    async def _download(self) -> tuple[PublicKey, ...]:
        document = await self._document(await self._jwks_url())
        members = document.get("keys")
        if not isinstance(members, list) or len(members) > MOST_KEYS:
            raise FetchError("the answer is no key set")
        keys = tuple(key for member in members if (key := _public_key(member)) is not None)
        if not keys:
            raise FetchError("the key set has no usable key")
        return keys

    async def _jwks_url(self) -> str:
        if self._issuer.jwks_url is not None:
            return self._issuer.jwks_url
        issuer = self._issuer.issuer
        document = await self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise FetchError("the discovery document is another issuer's")
        url = document.get("jwks_uri")
        # What says where keys are is as good as a key: https, but for a loopback issuer's own.
        safe = isinstance(url, str) and (
            url.startswith("https://") or (is_loopback(url) and is_loopback(issuer))
        )
        if not safe:
            raise FetchError("the discovery document names no https jwks_uri")
        return str(url)

    async def _document(self, url: str) -> Mapping[str, Any]:
        body = b""
        async with self._client.stream("GET", url, headers={"Accept": "application/json"}) as response:
            if response.status_code != 200:  # noqa: PLR2004  # redirects are not followed either
                raise FetchError(f"the answer has status {response.status_code}")
            async for part in response.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise FetchError(f"the answer is larger than {LARGEST} bytes")
        document = strict_json.parse(body)
        if not isinstance(document, dict):
            raise FetchError("the answer is no JSON object")
        return document


def _public_key(member: Any) -> PublicKey | None:
    """A key for signatures, None for one that is of another use, secret, weak, or broken."""
    if not isinstance(member, dict) or member.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if member.get("use", "sig") != "sig" or "d" in member:
        return None
    kid, algorithm = member.get("kid"), member.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        key = jwt.PyJWK(member, algorithm or _default_algorithm(member)).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_RSA:
        return None
    return PublicKey(kid, member["kty"], algorithm, key)


def _default_algorithm(member: Mapping[str, Any]) -> str:
    if member["kty"] == "EC":
        return {"P-256": "ES256", "P-384": "ES384"}.get(str(member.get("crv")), "ES512")
    return "RS256" if member["kty"] == "RSA" else "EdDSA"
