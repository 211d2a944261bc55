"""Rate limits: a token bucket for each caller (as GCRA: one time stamp is the whole bucket).

Replicas share the buckets in Redis, by Redis' clock. Without Redis each process counts for itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter

from service import clock
from service.cache.redis import Redis
from service.config import RateLimitSettings

decisions = Counter("slipway_limiter_decisions", "Decisions of the rate limiter.", ["decision", "counted_by"])

_LOCAL_CALLERS = 20_000

# KEYS[1] the caller; ARGV: seconds between requests, seconds of burst. Answers {allowed, seconds until the bucket
# is full again} as text, since Lua's numbers lose their fraction on the way.
_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now) or now, now)
if full + step - now > burst + 0.000001 then return {0, tostring(full - now)} end
redis.call('SET', KEYS[1], string.format('%.6f', full + step), 'PX', math.ceil((full + step - now) * 1000))
return {1, tostring(full + step - now)}
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """`remaining` requests are left right now; after `retry_after` seconds there is at least one."""

    allowed: bool
    remaining: int
    retry_after: float


class Limiter(Protocol):
    async def take(self, caller: str) -> Decision:
        """Count one request of `caller`."""


class Unlimited:
    """The limiter when limits are off."""

    async def take(self, caller: str) -> Decision:
        del caller
        return Decision(allowed=True, remaining=1, retry_after=0)


class RateLimiter:
    """One bucket for each caller: `requests` in `window` seconds, all at once if the caller likes."""

    def __init__(self, settings: RateLimitSettings, redis: Redis | None) -> None:
        self._step = settings.window / settings.requests
        self._burst = float(settings.window)
        self._redis = redis
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, caller: str) -> Decision:
        answer = None
        if self._redis is not None:
            answer = await self._redis.script(
                _SCRIPT, f"slipway:limit:{caller}", repr(self._step), repr(self._burst)
            )
        if answer is None:
            allowed, debt, counted_by = *self._take_here(caller), "process"
        else:
            allowed, debt, counted_by = bool(answer[0]), float(answer[1]), "redis"
        decisions.labels("allowed" if allowed else "refused", counted_by).inc()
        left = int((self._burst - debt) / self._step + 1e-6)
        return Decision(allowed, max(left, 0), max(debt + self._step - self._burst, 0.0))

    def _take_here(self, caller: str) -> tuple[bool, float]:
        now = clock.monotonic()
        full = max(self._full_at.get(caller, now), now)
        if full + self._step - now > self._burst + 1e-6:
            return False, full - now
        self._full_at[caller] = full + self._step
        self._full_at.move_to_end(caller)
        while len(self._full_at) > _LOCAL_CALLERS:
            self._full_at.popitem(last=False)
        return True, full + self._step - now
