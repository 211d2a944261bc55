"""Rate limiters under test: a clock, a reference bucket, and three processes on one Redis."""

import asyncio
import itertools
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from service import clock
from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.security.rate_limits.policy import Decision, Policy
from service.security.rate_limits.redis_buckets import COUNT_SECONDS
from service.security.rate_limits.shared_limiter import SharedRateLimiter

CALLER = "caller"
HOUR = 3600


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moving_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moving_clock = Clock()
    monkeypatch.setattr(clock, "monotonic", moving_clock)
    return moving_clock


class Reference:
    """A reference token bucket: tokens refill over time, up to the capacity."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy, self.tokens, self.at = policy, float(policy.requests), now

    def grow(self, now: float) -> None:
        self.tokens = min(self.policy.requests, self.tokens + (now - self.at) / self.policy.step)
        self.at = now

    def take(self, now: float) -> bool:
        self.grow(now)
        if self.tokens + 1e-4 < 1:
            return False
        self.tokens -= 1
        return True


class Trio:
    """The limiters of three processes on one Redis, which take turns for the requests of one caller."""

    def __init__(self, url: str, policy: Policy) -> None:
        settings = RedisSettings.model_validate({"url": url, "timeout": 2, "retry_after": 0.05})
        self.policy = policy
        self.client: Any = Client.from_url(url)
        self.redis = [Redis(settings) for _ in range(3)]
        self.limiters = [SharedRateLimiter(redis) for redis in self.redis]
        self._turns = itertools.cycle(self.limiters)
        self._counted_at = float("-inf")

    @property
    def key(self) -> str:
        """The Redis key of the bucket."""
        return f"slipway:limit:{self.policy.name}:{CALLER}"

    async def take(self) -> Decision:
        if clock.monotonic() - self._counted_at >= COUNT_SECONDS:
            await self.meet()  # as they do every second, also during a pause
        return await next(self._turns).take(self.policy, CALLER)

    async def flood(self, requests: int) -> int:
        """Send requests, and return how many are allowed."""
        return sum([(await self.take()).allowed for _ in range(requests)])

    async def count(self) -> None:
        """Let each process count the processes, as it does every second."""
        self._counted_at = clock.monotonic()
        for limiter in self.limiters:
            await limiter.count()

    async def meet(self) -> None:
        """Let the processes find each other."""
        for _ in range(2):
            await self.count()

    async def set_clock(self, seconds: float) -> None:
        """Simulate a jump of Redis' clock by shifting all stored times."""
        if held := await self.client.get(self.key):
            full, written = (float(number) - seconds for number in held.split())
            await self.client.set(self.key, f"{full:.6f} {written:.6f}", keepttl=True)
        for name, score in await self.client.zrange("slipway:limiters", 0, -1, withscores=True):
            await self.client.zadd("slipway:limiters", {name: score - seconds})

    def lose(self, *, lost: bool) -> None:
        """Make Redis unreachable for the processes, or reachable again."""
        for redis in self.redis:
            if redis._trial is not None:
                redis._trial.cancel()
            redis._trial = asyncio.create_task(asyncio.sleep(HOUR)) if lost else None

    async def close(self) -> None:
        await self.client.aclose()
        for redis in self.redis:
            await redis.close()
