"""Applies the rate limits to requests, and reports what is left in the `RateLimit` fields."""

import math
from collections.abc import Sequence
from typing import NoReturn, Protocol

from service.cache.redis_client import NoRedis, Redis
from service.config import RateLimitSettings
from service.http.middleware.state import RequestState
from service.http.problems import TooManyRequests
from service.jobs.job import Job
from service.security.rate_limits.limiter import RateLimiter
from service.security.rate_limits.limiter_metrics import initialise_decisions
from service.security.rate_limits.policy import Policy
from service.security.rate_limits.shared_limiter import SharedRateLimiter


class Limits(Protocol):
    """The limits on the requests of each caller. A caller is a principal's id, or an address."""

    @property
    def jobs(self) -> Sequence[Job]:
        """What must run in the background while the limits are in use."""

    @property
    def all(self) -> Sequence[Policy]:
        """The limits on all requests."""

    @property
    def write(self) -> Sequence[Policy]:
        """The further limits on requests that may change something."""

    async def count(self, state: RequestState, caller: str, policies: Sequence[Policy]) -> None:
        """Count a request against each of these limits, until one refuses it. Raises `TooManyRequests`."""

    async def count_failure(self, address: str) -> None:
        """Count an invalid credential sent from an address."""

    def check_failures(self, state: RequestState, address: str) -> None:
        """Raise `TooManyRequests` if too many invalid credentials came from the address."""


class NoLimits:
    """The limits of a service without rate limits: every request passes, and no field reports limits."""

    jobs: Sequence[Job] = ()
    all: Sequence[Policy] = ()
    write: Sequence[Policy] = ()

    async def count(self, state: RequestState, caller: str, policies: Sequence[Policy]) -> None:
        pass

    async def count_failure(self, address: str) -> None:
        pass

    def check_failures(self, state: RequestState, address: str) -> None:
        pass


class RequestLimits:
    """The limits of the settings, counted by a limiter."""

    def __init__(self, limiter: RateLimiter, settings: RateLimitSettings) -> None:
        self._limiter = limiter
        self.all = (Policy("default", settings.requests, settings.window),)
        self.write = (Policy("write", settings.writes, settings.window),)
        self._failure = Policy("auth-failure", settings.auth_failures, settings.window)
        policies = (*self.all, *self.write, self._failure)
        for policy in policies:
            initialise_decisions(policy.name)
        self._policies = ", ".join(f'"{p.name}";q={p.requests};w={p.window}' for p in policies).encode()

    @property
    def jobs(self) -> Sequence[Job]:
        return self._limiter.jobs

    async def count(self, state: RequestState, caller: str, policies: Sequence[Policy]) -> None:
        left = []
        for policy in policies:
            decision = self._limiter.decide(policy, caller)
            if decision is None:
                decision = await self._limiter.take(policy, caller)
            left.append(f'"{policy.name}";r={decision.remaining}')
            if not decision.allowed:
                self._refuse(state, left, decision.retry_after)
        self._report(state, left)

    async def count_failure(self, address: str) -> None:
        await self._limiter.take(self._failure, address)

    def check_failures(self, state: RequestState, address: str) -> None:
        seconds = self._limiter.exhausted(self._failure, address)
        if seconds > 0:
            self._refuse(state, [f'"{self._failure.name}";r=0'], seconds)

    def _report(self, state: RequestState, left: Sequence[str]) -> None:
        """Add what is left of some policies to the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10)."""
        headers, items = state.extra_headers, ", ".join(left).encode()
        if headers:
            items = headers[-1][1] + b", " + items
        headers[:] = [(b"ratelimit-policy", self._policies), (b"ratelimit", items)]

    def _refuse(self, state: RequestState, left: Sequence[str], seconds: float) -> NoReturn:
        self._report(state, left)
        raise TooManyRequests(headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def limits_of(settings: RateLimitSettings, redis: Redis | NoRedis) -> Limits:
    """Return the limits that the settings ask for, shared through Redis if there is one."""
    if not settings.enabled:
        return NoLimits()
    limiter = RateLimiter() if isinstance(redis, NoRedis) else SharedRateLimiter(redis)
    return RequestLimits(limiter, settings)
