"""One bucket of tokens, as this process knows it (GCRA: the time at which the bucket is full again says it all)."""

import asyncio
from dataclasses import dataclass, field

from service.security.rate_limits.policy import Policy

SLACK = 1e-6  # seconds; rounding errors must not cost a request


@dataclass(slots=True)
class Bucket:
    """Times are of `clock.monotonic()`."""

    full_at: float  # when the bucket is full again, by this process's count
    shared_at: float  # when it is, according to Redis
    leased: int = 0
    leased_until: float = 0.0
    waiting: int = 0  # requests that need a token of the next lease
    leasing: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)  # as many leases may be under way

    def known(self, now: float) -> float:
        """Seconds until the bucket is full, according to Redis."""
        return max(self.shared_at - now, 0.0)

    def alone(self, now: float, sharers: int) -> float:
        """More seconds for what this process admitted without Redis; each of `sharers` may have done the same."""
        return max(self.full_at - now - self.known(now), 0.0) / sharers

    def use_lease(self, now: float) -> bool:
        """Use a leased token. False if none is left."""
        if self.leased <= 0 or now >= self.leased_until:
            return False
        self.leased -= 1
        return True

    def add_lease(self, tokens: int, now: float, seconds: float) -> None:
        """Hold more leased tokens for some seconds."""
        if now >= self.leased_until:
            self.leased = 0
        self.leased += tokens
        self.leased_until = now + seconds

    def take(self, policy: Policy, now: float, sharers: int) -> bool:
        """Take one token for this process, and one for each other process that shares the limit."""
        full_at = max(self.full_at, now) + policy.cost(sharers)
        if full_at - now > policy.window + SLACK:
            return False
        self.full_at = full_at
        return True
