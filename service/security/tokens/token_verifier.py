"""Verifies bearer tokens, and caches the valid ones. The reason for a refusal is for the log, never for the caller."""

import hashlib
import ssl
from dataclasses import dataclass

import httpx2
import jwt

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.cache.single_flight import SingleFlight
from service.config import SecuritySettings
from service.config.issuer import IssuerSettings
from service.http.problems import InvalidJson
from service.observability.metrics import cache_requests
from service.security.principals import Principal
from service.security.refusals import Reason, RefusedError
from service.security.tokens.claims import check_times, principal_of
from service.security.tokens.jose_header import algorithm_of, key_id_of
from service.security.tokens.jwks import JwksClient
from service.security.tokens.refusal_reasons import refused
from service.security.tokens.token_parts import check_form, printable, read_parts

TIMEOUT = 3.0  # seconds for a fetch of keys
_CACHED_TOKENS = 10_000
_CACHE_SECONDS = 300.0
_JOIN_SECONDS = 1.0
_hits, _misses = cache_requests.labels("tokens", "hit"), cache_requests.labels("tokens", "miss")


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    until: float  # of clock.monotonic()


def _client_of(settings: SecuritySettings) -> httpx2.AsyncClient:
    """Return the client that fetches the issuers' keys."""
    proxy, root = settings.issuers_proxy, settings.issuers_root_cert
    return httpx2.AsyncClient(
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        proxy=None if proxy is None else proxy.get_secret_value(),
        verify=True if root is None else ssl.create_default_context(cafile=root),
    )


class TokenVerifier:
    """Verifies tokens of the configured issuers. Valid ones are cached by their hash, never beyond `exp`."""

    def __init__(self, settings: SecuritySettings) -> None:
        self._leeway = settings.token_leeway
        self._issuers: dict[str, tuple[IssuerSettings, JwksClient]] = {}
        self._verified: BoundedDict[bytes, _Verified] = BoundedDict(_CACHED_TOKENS)
        self._verifications: SingleFlight[bytes, Principal] = SingleFlight(join_within=_JOIN_SECONDS)
        self._client: httpx2.AsyncClient | None = None
        if settings.issuers:  # a client reads the system's certificates, which takes a while
            self._client = _client_of(settings)
            for issuer in settings.issuers:
                self._issuers[issuer.issuer] = issuer, JwksClient(issuer, settings, self._client)

    async def close(self) -> None:
        for _, keys in self._issuers.values():
            await keys.close()
        if self._client is not None:
            await self._client.aclose()

    async def renew(self) -> None:
        """Refresh old keys of all issuers, so that no request waits for it and the metrics are current."""
        for _, keys in self._issuers.values():
            keys.renew()

    def known(self, presented: str) -> Principal | None:
        """Return the principal of a cached token; None if the token must be verified."""
        found = self._verified.get(_digest(presented))
        if found is None or found.until <= clock.monotonic():
            return None
        _hits.inc()
        return found.principal

    def seen(self, presented: str) -> Principal | None:
        """As `known`: a cached token stays valid until it expires."""
        return self.known(presented)

    async def verify(self, presented: str) -> Principal:
        """Return the principal of a token.

        Raises `RefusedError` for an invalid token, and `Unavailable` if the issuer's keys are missing. Callers with the
        same token share its verification.
        """
        check_form(presented)
        known = self.known(presented)
        if known is not None:
            return known
        return await self._verifications.do(_digest(presented), lambda: self._verify(presented))

    async def _verify(self, token: str) -> Principal:
        try:
            return await self._verified_principal(token)
        except (jwt.PyJWTError, InvalidJson) as error:
            raise refused(error) from None

    async def _verified_principal(self, token: str) -> Principal:
        header, claims = read_parts(token)
        known = self._issuers.get(str(claims.get("iss")))
        if known is None:
            raise RefusedError(Reason.ISSUER, f"iss {printable(claims.get('iss'))}")
        _misses.inc()
        issuer, keys = known
        algorithm = algorithm_of(header, issuer)
        kid = key_id_of(header)
        key = await keys.find(kid, algorithm)
        if key is None:
            raise RefusedError(Reason.KEY_ID, f"kid {printable(kid)} of {issuer.issuer} for {algorithm}")
        check_times(claims)
        claims = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=self._leeway,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        principal = principal_of(claims, issuer)
        self._remember(token, principal, float(claims["exp"]))
        return principal

    def _remember(self, token: str, principal: Principal, expires_at: float) -> None:
        left = min(expires_at - clock.now().timestamp(), _CACHE_SECONDS)
        if left <= 0:
            return  # valid only thanks to the leeway: do not extend that
        self._verified[_digest(token)] = _Verified(principal, clock.monotonic() + left)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
