"""Letting requests in: limit first, then who it is, then what they may do."""

import math
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Annotated, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.types import Scope

from service.config import RateLimitSettings, SecuritySettings
from service.http.handwritten.bodies import check_request
from service.http.handwritten.strictness import rules_of
from service.http.middleware.state import state_of
from service.http.problems import Forbidden, TooManyRequests, Unauthenticated
from service.security.principals import ANONYMOUS, Principal, anonymous
from service.security.rate_limits.limiter import Policy, RateLimiter, count_from_zero
from service.security.refusals import Reason, RefusalLog, RefusedError

# These two only document themselves in OpenAPI; `Gate` reads the headers.
bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="An API key, or a token of an issuer."
)
api_key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="apiKey", description="An API key.")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1

_ANONYMOUS_MAY: Mapping[str, tuple[str, ...]] = {"none": (), "read": ("read",), "write": ("read", "write")}


class Verifier(Protocol):
    """What turns a credential into a principal."""

    def known(self, presented: str) -> Principal | None:
        """The principal of a credential that was found good a moment ago, at no cost."""

    def seen(self, presented: str) -> Principal | None:
        """The principal of a credential that was good not long ago: enough to count by, not to let in."""

    async def verify(self, presented: str) -> Principal | None:
        """Return the principal of a credential; None for another kind of credential. Raises `RefusedError`."""


class Gate:
    """Admits requests to `/api`. Raises `TooManyRequests`, `Unauthenticated` or `Forbidden`.

    A credential that is or was good counts for its principal, so strangers at the same address do it no harm. Any
    other counts for the client's address before the database is asked about it, and once more when it is wrong.
    """

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        *,
        limiter: RateLimiter | None,
        security: SecuritySettings,
        rates: RateLimitSettings,
    ) -> None:
        self._verifiers = verifiers
        self._limiter = limiter
        self._refusals = RefusalLog()
        self._anonymous_may = _ANONYMOUS_MAY[security.anonymous]
        self._default = Policy("default", rates.requests, rates.window)
        self._write = Policy("write", rates.writes, rates.window)
        self._failure = Policy("auth-failure", rates.auth_failures, rates.window)
        policies = (self._default, self._write, self._failure)
        if limiter is not None:
            for policy in policies:
                count_from_zero(policy)
        self._policies = ", ".join(f'"{p.name}";q={p.requests};w={p.window}' for p in policies).encode()

    async def admit(self, request: Request, scopes: Sequence[str]) -> Principal:
        """The principal of the request, which holds every one of `scopes`.

        A request is identified and counted once, however many dependencies of its route ask. Without scopes any
        credential will do, and no caller is anonymous.
        """
        state = state_of(request.scope)
        if state.admitted is None:
            state.admitted = await self._admit(request, scopes)
            state.principal = state.admitted
        elif state.admitted.id == ANONYMOUS:
            return self._without_credential(scopes)
        principal: Principal = state.admitted
        if missing := [scope for scope in scopes if not principal.may(scope)]:
            raise Forbidden(_needed(missing))
        return principal

    async def identify(self, scope: Scope) -> None:
        """Identify the caller of a request refused before its route; it counts like any other.

        Raises the errors of `admit`. A request without a credential stays anonymous, at no cost.
        """
        request = Request(scope)
        if _credential(request) is not None:
            await self._admit(request, ())

    def known(self, scope: Scope) -> Principal | None:
        """Return the cached principal of a recently verified credential, at no cost."""
        return self._find(lambda v, c: v.known(c), _credential(Request(scope)))

    async def _admit(self, request: Request, scopes: Sequence[str]) -> Principal:
        state, credential = state_of(request.scope), _credential(request)
        principal = self._find(lambda v, c: v.known(c), credential)
        if principal is not None:
            state.principal = principal  # for the access line, even if the rate limit is exceeded
            await self._count(request, self._default, principal.id)
        else:
            principal = state.principal = await self._identify(request, credential, scopes)
        if request.method not in SAFE_METHODS:
            await self._count(request, self._write, principal.id)
        return principal

    def _without_credential(self, scopes: Sequence[str]) -> Principal:
        if self.is_open(scopes):
            return anonymous(scopes)
        raise Unauthenticated

    def is_open(self, scopes: Sequence[str]) -> bool:
        """Whether anonymous callers have all of these scopes; False for an empty list."""
        return bool(scopes) and all(scope.rpartition(":")[2] in self._anonymous_may for scope in scopes)

    def _find(
        self, look: Callable[[Verifier, str], Principal | None], credential: str | None
    ) -> Principal | None:
        if credential is None:
            return None
        return next((p for v in self._verifiers if (p := look(v, credential)) is not None), None)

    async def _count(self, request: Request, policy: Policy, caller: str) -> None:
        if self._limiter is None:
            return
        decision = await self._limiter.take(policy, caller)
        self._tell(request, policy, decision.remaining)
        if not decision.allowed:
            raise _too_many(decision.retry_after)

    def _tell(self, request: Request, policy: Policy, remaining: int) -> None:
        """Add what is left of a policy to the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10)."""
        headers = state_of(request.scope).extra_headers
        one = f'"{policy.name}";r={remaining}'.encode()
        told = headers[-1][1] + b", " + one if headers else one
        headers[:] = [(b"ratelimit-policy", self._policies), (b"ratelimit", told)]

    async def _identify(self, request: Request, credential: str | None, scopes: Sequence[str]) -> Principal:
        address = _address(request)
        seen = self._find(lambda v, c: v.seen(c), credential)
        state_of(request.scope).principal = seen
        await self._count(request, self._default, seen.id if seen is not None else address)
        if credential is None:
            return self._without_credential(scopes)
        if seen is None and self._limiter is not None:
            wait = self._limiter.exhausted(self._failure, address)
            if wait > 0:
                self._tell(request, self._failure, 0)
                raise _too_many(wait)
        try:
            return await self._verify(credential)
        except RefusedError as refused:
            state_of(request.scope).principal = None
            self._refusals.note(address, refused)
        if self._limiter is not None:
            await self._limiter.take(self._failure, address)
        raise Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="slipway", error="invalid_token"'})

    async def _verify(self, credential: str) -> Principal:
        for verifier in self._verifiers:
            if (principal := await verifier.verify(credential)) is not None:
                return principal
        raise RefusedError(Reason.MALFORMED)


def _needed(scopes: Sequence[str]) -> str:
    if len(scopes) == 1:
        return f"The scope {scopes[0]} is needed."
    return f"The scopes {', '.join(scopes[:-1])} and {scopes[-1]} are needed."


def _too_many(seconds: float) -> TooManyRequests:
    return TooManyRequests(headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def _credential(request: Request) -> str | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value:
        return value.strip()
    return request.headers.get("x-api-key")


def _address(request: Request) -> str:
    """The client as a caller: its IPv4 address, or the /64 of its IPv6 address, which is one customer's."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return f"address:{host}"
    if isinstance(address, IPv6Address):
        return f"address:{address.ipv4_mapped or IPv6Network((address, 64), strict=False)}"
    return f"address:{address}"


async def current_principal(
    request: Request,
    scopes: SecurityScopes,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    _key: Annotated[str | None, Depends(api_key)],
) -> Principal:
    """The dependency of hand-written routes: `Annotated[Principal, Security(current_principal, scopes=["…"])]`.

    Requires every scope on its path up the tree of dependencies, as FastAPI's `SecurityScopes` does. If a route has it
    on several branches, the route needs the union of their scopes.
    """
    gate: Gate = request.app.state.gate
    principal = await gate.admit(request, scopes.scopes)
    await check_request(request)
    return principal


async def check_ungated(request: Request) -> None:
    """Dependency of every hand-written route: checks a route without a principal here, others after authentication."""
    rules = rules_of(request.scope)
    if rules is not None and current_principal not in rules.dependencies:
        await check_request(request)


def require_scope(*scopes: str) -> object:
    """A dependency that admits only principals with all of `scopes`."""
    return Security(current_principal, scopes=scopes)
