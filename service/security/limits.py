"""Rate limits: a bucket of tokens for each caller and policy (as GCRA: one time stamp is the whole bucket).

Replicas share the buckets in Redis, by Redis' clock, and take tokens out of them some at a time: what a process has
leased it hands out without asking again. So no more is ever admitted than the limit; what a process leases and does
not use is lost to the caller, at most `1 / LEASES` of the limit a second. Without Redis each process counts for itself.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from prometheus_client import Counter

from service import clock
from service.cache.redis import Redis

decisions = Counter(
    "slipway_limiter_decisions", "Decisions of the rate limiter.", ["policy", "decision", "counted_by"]
)

LEASES = 200
LEASE_SECONDS = 1.0
_CALLERS = 20_000
_SLACK = 1e-6  # seconds; what floating point loses must not cost a request

# KEYS[1] the bucket; ARGV: seconds for a token, seconds of burst, tokens wanted. Answers {tokens granted, seconds
# until the bucket is full again}, the latter as text, since Lua's numbers lose their fraction on the way.
_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.pcall('GET', KEYS[1])
local full = now
if type(held) == 'string' then full = math.max(tonumber(held) or now, now) end
local granted = math.min(wanted, math.floor((burst - (full - now)) / step + 0.000001))
if granted <= 0 then return {0, tostring(full - now)} end
full = full + granted * step
redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.max(1, math.ceil((full - now) * 1000)))
return {granted, tostring(full - now)}
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """`requests` in `window` seconds, all at once if the caller likes."""

    name: str
    requests: int
    window: int

    @property
    def step(self) -> float:
        """Seconds in which one token grows."""
        return self.window / self.requests

    @property
    def lease(self) -> int:
        """Tokens to take out of the shared bucket at a time."""
        return max(1, self.requests // LEASES)


@dataclass(frozen=True, slots=True)
class Decision:
    """`remaining` requests are left right now; after `retry_after` seconds there is at least one."""

    allowed: bool
    remaining: int
    retry_after: float


@dataclass(slots=True)
class _Bucket:
    """What this process knows of one bucket. Times are of `clock.monotonic()`."""

    full_at: float  # when the bucket will be full again, as far as we know
    leased: int = 0
    leased_until: float = 0.0
    leasing: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimiter:
    """Decides on each request of each caller, in about the time of a dictionary look-up."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def take(self, policy: Policy, caller: str) -> Decision:
        """Count one request of `caller`."""
        now = clock.monotonic()
        bucket = self._bucket(f"{policy.name}:{caller}", now)
        if _use_lease(bucket, now):
            return self._decide(policy, bucket, now, allowed=True, counted_by="lease")
        if self._redis is not None and bucket.full_at - now <= policy.window - policy.step + _SLACK:
            granted = await self._lease(policy, caller, bucket)
            if granted is not None:
                return self._decide(policy, bucket, clock.monotonic(), allowed=granted, counted_by="redis")
        return self._decide(policy, bucket, now, allowed=_take(policy, bucket, now), counted_by="process")

    def exhausted(self, policy: Policy, caller: str) -> float:
        """Seconds until `caller` has a token again, as far as this process knows; 0 when there is one."""
        now = clock.monotonic()
        bucket = self._buckets.get(f"{policy.name}:{caller}")
        return 0.0 if bucket is None else max(0.0, bucket.full_at + policy.step - now - policy.window)

    def _bucket(self, name: str, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(full_at=now)
            while len(self._buckets) > _CALLERS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket

    async def _lease(self, policy: Policy, caller: str, bucket: _Bucket) -> bool | None:
        """Take tokens out of the shared bucket, and use one of them; None when Redis is away."""
        assert self._redis is not None
        async with bucket.leasing:  # one lease at a time: the others find what it brought
            if _use_lease(bucket, clock.monotonic()):
                return True
            return await self._ask(self._redis, policy, caller, bucket)

    async def _ask(self, redis: Redis, policy: Policy, caller: str, bucket: _Bucket) -> bool | None:
        key = f"slipway:limit:{policy.name}:{caller}"
        arguments = (repr(policy.step), repr(float(policy.window)), str(policy.lease))
        answer = await redis.script(_SCRIPT, key, *arguments)
        if answer is None:
            return None
        now = clock.monotonic()
        granted, debt = int(answer[0]), float(answer[1])
        bucket.full_at = now + debt
        if granted:
            bucket.leased, bucket.leased_until = granted - 1, now + LEASE_SECONDS
        return granted > 0

    def _decide(
        self, policy: Policy, bucket: _Bucket, now: float, *, allowed: bool, counted_by: str
    ) -> Decision:
        decisions.labels(policy.name, "allowed" if allowed else "refused", counted_by).inc()
        debt = max(bucket.full_at - now, 0.0)
        left = int((policy.window - debt + _SLACK) / policy.step) + bucket.leased
        return Decision(
            allowed, min(max(left, 0), policy.requests), max(debt + policy.step - policy.window, 0.0)
        )


def _use_lease(bucket: _Bucket, now: float) -> bool:
    """Use one of the tokens that are leased already."""
    if bucket.leased <= 0 or now >= bucket.leased_until:
        return False
    bucket.leased -= 1
    return True


def _take(policy: Policy, bucket: _Bucket, now: float) -> bool:
    """Take one token out of the bucket of this process."""
    full = max(bucket.full_at, now)
    if full + policy.step - now > policy.window + _SLACK:
        return False
    bucket.full_at = full + policy.step
    return True
