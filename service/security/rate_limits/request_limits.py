"""Applies the rate limits to requests, and reports what is left in the `RateLimit` fields."""

import math
from collections.abc import Sequence
from typing import Protocol

from service.cache.redis_client import NoRedis, Redis
from service.config import RateLimitSettings
from service.http.middleware.state import RequestState
from service.http.problems import TooManyRequests
from service.jobs.job import Job
from service.security.rate_limits.limiter import RateLimiter
from service.security.rate_limits.limiter_metrics import initialise_decisions
from service.security.rate_limits.policy import Decision, Policy
from service.security.rate_limits.shared_limiter import SharedRateLimiter


class Limits(Protocol):
    """The limits on the requests of each caller. A caller is a principal's id, or an address."""

    @property
    def jobs(self) -> Sequence[Job]:
        """What must run in the background while the limits are in use."""

    async def count(self, state: RequestState, caller: str) -> None:
        """Count a request. Raises `TooManyRequests`."""

    async def count_write(self, state: RequestState, caller: str) -> None:
        """Count a request that may change something. Raises `TooManyRequests`."""

    async def count_failure(self, address: str) -> None:
        """Count an invalid credential sent from an address."""

    def check_failures(self, state: RequestState, address: str) -> None:
        """Raise `TooManyRequests` if too many invalid credentials came from the address."""


class NoLimits:
    """The limits of a service without rate limits: every request passes, and no field reports limits."""

    jobs: Sequence[Job] = ()

    async def count(self, state: RequestState, caller: str) -> None:
        pass

    async def count_write(self, state: RequestState, caller: str) -> None:
        pass

    async def count_failure(self, address: str) -> None:
        pass

    def check_failures(self, state: RequestState, address: str) -> None:
        pass


class RequestLimits:
    """The limits of the settings, counted by a limiter."""

    def __init__(self, limiter: RateLimiter, settings: RateLimitSettings) -> None:
        self._limiter = limiter
        self._default = Policy("default", settings.requests, settings.window)
        self._write = Policy("write", settings.writes, settings.window)
        self._failure = Policy("auth-failure", settings.auth_failures, settings.window)
        policies = (self._default, self._write, self._failure)
        for policy in policies:
            initialise_decisions(policy.name)
        self._policies = ", ".join(f'"{p.name}";q={p.requests};w={p.window}' for p in policies).encode()

    @property
    def jobs(self) -> Sequence[Job]:
        return self._limiter.jobs

    async def count(self, state: RequestState, caller: str) -> None:
        decision = self._limiter.decide(self._default, caller)
        if decision is None:
            decision = await self._limiter.take(self._default, caller)
        self._apply(state, self._default, decision)

    async def count_write(self, state: RequestState, caller: str) -> None:
        decision = self._limiter.decide(self._write, caller)
        if decision is None:
            decision = await self._limiter.take(self._write, caller)
        self._apply(state, self._write, decision)

    async def count_failure(self, address: str) -> None:
        await self._limiter.take(self._failure, address)

    def check_failures(self, state: RequestState, address: str) -> None:
        seconds = self._limiter.exhausted(self._failure, address)
        if seconds > 0:
            self._apply(state, self._failure, Decision(allowed=False, remaining=0, retry_after=seconds))

    def _apply(self, state: RequestState, policy: Policy, decision: Decision) -> None:
        """Add what is left of a policy to the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10)."""
        headers = state.extra_headers
        item = f'"{policy.name}";r={decision.remaining}'.encode()
        items = headers[-1][1] + b", " + item if headers else item
        headers[:] = [(b"ratelimit-policy", self._policies), (b"ratelimit", items)]
        if not decision.allowed:
            seconds = max(1, math.ceil(decision.retry_after))
            raise TooManyRequests(headers={"Retry-After": str(seconds)})


def limits_of(settings: RateLimitSettings, redis: Redis | NoRedis) -> Limits:
    """Return the limits that the settings ask for, shared through Redis if there is one."""
    if not settings.enabled:
        return NoLimits()
    limiter = RateLimiter() if isinstance(redis, NoRedis) else SharedRateLimiter(redis)
    return RequestLimits(limiter, settings)
