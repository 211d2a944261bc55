"""Letting requests in: limit first, then who it is, then what they may do."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from service.config import RateLimitSettings, SecuritySettings
from service.http.problems import Forbidden, TooManyRequests, Unauthenticated
from service.http.state import state_of
from service.security.keys import KeyRing
from service.security.limits import Limiter
from service.security.principals import Principal, anonymous

# These two only document themselves in OpenAPI; `Gate` reads the headers.
bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key as bearer token.")
api_key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="apiKey", description="An API key.")

_ANONYMOUS_MAY: Mapping[str, tuple[str, ...]] = {"none": (), "read": ("read",), "write": ("read", "write")}


class Gate:
    """Admits requests to `/api`. Raises `TooManyRequests`, `Unauthenticated` or `Forbidden`."""

    def __init__(
        self, *, keys: KeyRing, limiter: Limiter, security: SecuritySettings, rates: RateLimitSettings
    ) -> None:
        self._keys = keys
        self._limiter = limiter
        self._anonymous_may = _ANONYMOUS_MAY[security.anonymous]
        self._policy = f'"default";q={rates.requests};w={rates.window}'.encode()

    async def admit(self, request: Request, scope: str) -> Principal:
        """The principal of the request, which holds `scope`."""
        credential = _credential(request)
        await self._count(request, credential)
        principal = await self._identify(credential, scope)
        state_of(request.scope).principal = principal
        if not principal.may(scope):
            raise Forbidden(f"The scope {scope} is needed.")
        return principal

    async def _count(self, request: Request, credential: str | None) -> None:
        # The digest keeps secrets out of Redis; whether the credential is a good one is not known yet.
        caller = hashlib.sha256(credential.encode()).hexdigest()[:24] if credential else _address(request)
        decision = await self._limiter.take(caller)
        # RateLimit fields as in draft-ietf-httpapi-ratelimit-headers-10.
        remaining = f'"default";r={decision.remaining}'.encode()
        state_of(request.scope).extra_headers += [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", remaining),
        ]
        if not decision.allowed:
            raise TooManyRequests(headers={"Retry-After": str(max(1, math.ceil(decision.retry_after)))})

    async def _identify(self, credential: str | None, scope: str) -> Principal:
        if credential is None:
            if scope.rpartition(":")[2] in self._anonymous_may:
                return anonymous({scope})
            raise Unauthenticated
        principal = await self._keys.verify(credential)
        if principal is None:
            raise Unauthenticated(
                headers={"WWW-Authenticate": 'Bearer realm="slipway", error="invalid_token"'}
            )
        return principal


def _credential(request: Request) -> str | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value:
        return value.strip()
    return request.headers.get("x-api-key")


def _address(request: Request) -> str:
    return f"address:{request.client.host if request.client else 'unknown'}"


async def current_principal(
    request: Request,
    scopes: SecurityScopes,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    _key: Annotated[str | None, Depends(api_key)],
) -> Principal:
    """The dependency of hand-written routes: `Annotated[Principal, Security(current_principal, scopes=["…"])]`."""
    gate: Gate = request.app.state.gate
    return await gate.admit(request, scopes.scopes[0])


def needs(scope: str) -> object:
    """A dependency that admits only principals with `scope`."""
    return Security(current_principal, scopes=[scope])
