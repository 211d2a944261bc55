"""Turns a bearer token into a principal, or a reason for refusal: for the log, never for the caller."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.cache.single_flight import SingleFlight
from service.config import SecuritySettings
from service.config.issuer import IssuerSettings
from service.http.content import strict_json
from service.http.problems import InvalidJson
from service.observability.metrics import cache_requests
from service.security.principals import Principal
from service.security.refusals import Reason, RefusedError
from service.security.tokens.jwks import JwksClient

LONGEST_TOKEN = 8192
LONGEST_KID = 200
TIMEOUT = 3.0  # seconds for a fetch of keys
_CACHED_TOKENS = 10_000
_CACHE_SECONDS = 300.0
_JOIN_SECONDS = 1.0
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
# OpenID Connect Core 1.0, 2: at most 255 ASCII characters. Directories have subjects with spaces in them.
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}\Z")
# Headers that would let a token say how to verify it, or that change how its parts are read (RFC 7515, RFC 7797).
_REFUSED_HEADERS = frozenset({"crit", "b64", "enc", "zip", "jwk", "jku", "x5u", "x5c"})


_hits, _misses = cache_requests.labels("tokens", "hit"), cache_requests.labels("tokens", "miss")


# The first match counts: some of the library's errors are base classes of others.
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (jwt.ExpiredSignatureError, Reason.EXPIRED),
    (jwt.ImmatureSignatureError, Reason.NOT_YET_VALID),
    (jwt.InvalidAudienceError, Reason.AUDIENCE),
    (jwt.InvalidIssuerError, Reason.ISSUER),
    (jwt.exceptions.InvalidSubjectError, Reason.SUBJECT),
    (jwt.InvalidAlgorithmError, Reason.ALGORITHM),
    (jwt.InvalidSignatureError, Reason.SIGNATURE),
    (jwt.DecodeError, Reason.MALFORMED),
    (jwt.PyJWTError, Reason.CLAIMS),
    (InvalidJson, Reason.MALFORMED),
)
_MISSING = {"aud": Reason.AUDIENCE, "iss": Reason.ISSUER, "sub": Reason.SUBJECT}


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    until: float  # of clock.monotonic()


class TokenVerifier:
    """Verifies tokens of the configured issuers. Good ones are believed by their hash, never beyond `exp`."""

    def __init__(self, settings: SecuritySettings) -> None:
        self._leeway = settings.token_leeway
        self._issuers: dict[str, tuple[IssuerSettings, JwksClient]] = {}
        self._verified: BoundedDict[bytes, _Verified] = BoundedDict(_CACHED_TOKENS)
        self._verifications: SingleFlight[bytes, Principal] = SingleFlight(join_within=_JOIN_SECONDS)
        self._client: httpx2.AsyncClient | None = None
        if settings.issuers:  # a client reads the system's certificates, which takes a while
            self._client = httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False)
            for issuer in settings.issuers:
                self._issuers[issuer.issuer] = issuer, JwksClient(issuer, settings, self._client)

    async def close(self) -> None:
        for _, keys in self._issuers.values():
            await keys.close()
        if self._client is not None:
            await self._client.aclose()

    async def renew(self) -> None:
        """Fetch every issuer's keys that are old, so that no request waits for it, and metrics tell how they are."""
        for _, keys in self._issuers.values():
            keys.renew()

    def known(self, presented: str) -> Principal | None:
        """The principal of a token that was found good before and has not expired."""
        found = self._verified.get(_digest(presented))
        if found is None or found.until <= clock.monotonic():
            return None
        _hits.inc()
        return found.principal

    def seen(self, presented: str) -> Principal | None:
        """As `known`: a token is verified once, and then no more until it expires."""
        return self.known(presented)

    async def verify(self, presented: str) -> Principal:
        """The principal of a token.

        Raises `RefusedError` for an invalid token, and `Unavailable` if the issuer's keys are missing. Callers with the
        same token share its verification.
        """
        if len(presented) > LONGEST_TOKEN:
            raise RefusedError(Reason.TOO_LARGE, f"{len(presented)} characters")
        if not _SHAPE.match(presented):
            raise RefusedError(Reason.MALFORMED)
        known = self.known(presented)
        if known is not None:
            return known
        return await self._verifications.do(_digest(presented), lambda: self._verify(presented))

    async def _verify(self, token: str) -> Principal:
        try:
            return await self._verified_principal(token)
        except (jwt.PyJWTError, InvalidJson) as error:
            raise _refused(error) from None

    async def _verified_principal(self, token: str) -> Principal:
        header, claims = (_object(part) for part in token.split(".")[:2])
        known = self._issuers.get(str(claims.get("iss")))
        if known is None:
            raise RefusedError(Reason.ISSUER, f"iss {_printable(claims.get('iss'))}")
        _misses.inc()
        issuer, keys = known
        algorithm = _algorithm(header, issuer)
        kid = _key_id(header)
        key = await keys.find(kid, algorithm)
        if key is None:
            raise RefusedError(Reason.KEY_ID, f"kid {_printable(kid)} of {issuer.issuer} for {algorithm}")
        _check_times(claims)
        claims = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=self._leeway,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        principal = _principal(claims, issuer)
        self._remember(token, principal, float(claims["exp"]))
        return principal

    def _remember(self, token: str, principal: Principal, expires_at: float) -> None:
        left = min(expires_at - clock.now().timestamp(), _CACHE_SECONDS)
        if left <= 0:
            return  # good only by the leeway: not to be believed for longer
        self._verified[_digest(token)] = _Verified(principal, clock.monotonic() + left)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _refused(error: Exception) -> RefusedError:
    """Return the library's message. It names claims, not their values, except for an algorithm or a key."""
    reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
    if isinstance(error, jwt.MissingRequiredClaimError):
        reason = _MISSING.get(error.claim, Reason.CLAIMS)
    return RefusedError(reason)


def _printable(value: Any) -> str:
    """Return an unverified value of a token, shortened and without line breaks."""
    return ascii(value)[:100]


def _object(part: str) -> Mapping[str, Any]:
    """A part of a token as a JSON object without duplicate names."""
    try:
        document = strict_json.parse(
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError):
        raise RefusedError(Reason.MALFORMED) from None
    if not isinstance(document, dict):
        raise RefusedError(Reason.MALFORMED)
    return document


def _algorithm(header: Mapping[str, Any], issuer: IssuerSettings) -> str:
    kind = header.get("typ", "")
    types = {name.lower() for name in issuer.token_types}
    if present := header.keys() & _REFUSED_HEADERS:
        raise RefusedError(Reason.HEADER, ", ".join(sorted(present)))
    if header.get("cty") is not None:
        raise RefusedError(Reason.HEADER, "cty")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
        raise RefusedError(Reason.TYPE, f"typ {_printable(kind)}")
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise RefusedError(Reason.ALGORITHM, f"alg {_printable(algorithm)}")
    return str(algorithm)


def _key_id(header: Mapping[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= LONGEST_KID):
        raise RefusedError(Reason.KEY_ID, f"a kid is a text of 1 to {LONGEST_KID} characters")
    return kid


def _check_times(claims: Mapping[str, Any]) -> None:
    """Times are plain numbers of this age; the library would take texts and wild values for them."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RefusedError(Reason.CLAIMS, f"{name} is not a number")
        if value is not None and not 0 <= value < 2**40:
            raise RefusedError(Reason.CLAIMS, f"{name} is out of range")


def _principal(claims: Mapping[str, Any], issuer: IssuerSettings) -> Principal:
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.match(subject):
        raise RefusedError(Reason.SUBJECT, "sub is not 1 to 255 printable ASCII characters")
    scopes: set[str] = set()
    for name in issuer.scope_claims:
        scopes.update(_texts(_claim(claims, name)))
    if issuer.roles_claim is not None:
        for role in _texts(_claim(claims, issuer.roles_claim)):
            scopes.update(issuer.role_scopes.get(role, ()))
    # The issuer is part of who it is: two issuers may both have a subject "1".
    return Principal(f"token:{subject}@{issuer.issuer.partition('://')[2]}", frozenset(scopes))


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name, or the one that its dots lead to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return value.split()
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
