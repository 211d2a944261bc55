"""Rate limits: a bucket of tokens for each caller and policy (as GCRA: one time stamp is the whole bucket).

Replicas share the buckets in Redis, by Redis' clock, and take tokens out of them some at a time: what a process has
leased it hands out without asking again. So no more is ever admitted than the limit; what a process leases and does
not use is lost to the caller, at most `1 / LEASES` of the limit a second.

Redis may be restarted, be emptied, or have its clock set. So a process that asks says what it knows of the bucket, by
its own clock, and the larger debt counts. While Redis is away each process counts for itself, and takes as many tokens
for a request as there were processes: all of them together then admit what one bucket would. What it let in meanwhile
it tells Redis afterwards. A process says every second that it is there, whether it is asked for anything or not: a
share that nobody counted would come on top of the limit. One that starts while Redis is away knows of no other, and
lets in as much as it alone could.
"""

import asyncio
import math
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge

from service import clock
from service.cache.redis import Redis

decisions = Counter(
    "slipway_limiter_decisions", "Decisions of the rate limiter.", ["policy", "decision", "counted_by"]
)
processes = Gauge(
    "slipway_limiter_processes",
    "Processes that share the limits, as far as this one knows: while Redis is away it takes one share of so many.",
    multiprocess_mode="livemax",
)

_OUTCOMES = (
    ("allowed", "lease"), ("allowed", "redis"), ("refused", "redis"), ("allowed", "process"), ("refused", "process"),
)  # fmt: skip

LEASES = 200
LEASE_SECONDS = 1.0
COUNT_SECONDS = 1.0  # how often a process says that it is there
BELIEVED = 3  # times as long it is believed, and a count is remembered
_CALLERS = 20_000
_SLACK = 1e-6  # seconds; what floating point loses must not cost a request

# KEYS[1] the bucket: when it is full again, and when that was written, which tells a clock that went back.
# ARGV: seconds for a token, seconds of burst, tokens wanted; seconds until it is full as far as the caller knows, and
# how many more for what it let in by itself. Answers {tokens granted, seconds until the bucket is full}, the latter as
# text, since Lua's numbers lose their fraction on the way. A value that no bucket can have counts as a full one.
_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known, alone = tonumber(ARGV[4]), tonumber(ARGV[5])
local held = redis.pcall('GET', KEYS[1])
local debt = 0
if type(held) == 'string' then
  local full, written = string.match(held, '^(%S+) (%S+)$')
  full, written = tonumber(full), tonumber(written)
  if full and written and full - written < burst + step then debt = full - math.max(written, now) end
end
debt = math.min(math.max(debt, known) + alone, burst)
local granted = math.max(math.min(wanted, math.floor((burst - debt) / step + 0.000001)), 0)
debt = debt + granted * step
redis.call('SET', KEYS[1], string.format('%.6f %.6f', now + debt, now), 'PX', math.max(1, math.ceil(debt * 1000)))
return {granted, tostring(debt)}
"""

# KEYS[1] the processes that count by this Redis, by when they said so; ARGV: one of them, seconds to believe it.
# Answers {how many they are}.
_COUNT = """
local now = tonumber(redis.call('TIME')[1])
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {redis.call('ZCARD', KEYS[1])}
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

    def cost(self, sharers: int) -> float:
        """Seconds of a token for each of `sharers`, of whom nobody may be left without any."""
        return min(self.step * sharers, float(self.window))

    @property
    def lease(self) -> int:
        """Tokens to take out of the shared bucket at a time."""
        return max(1, self.requests // LEASES)


def count_from_zero(policy: Policy) -> None:
    """Let the metrics know all outcomes of a policy, so that the first burst of one is seen as a growth."""
    for decision, counted_by in _OUTCOMES:
        decisions.labels(policy.name, decision, counted_by)


@dataclass(frozen=True, slots=True)
class Decision:
    """`remaining` requests are left right now; after `retry_after` seconds there is at least one."""

    allowed: bool
    remaining: int
    retry_after: float


@dataclass(slots=True)
class _Bucket:
    """What this process knows of one bucket. Times are of `clock.monotonic()`."""

    full_at: float  # when the bucket will be full again, as we count
    shared_at: float  # when it will be by what Redis said
    leased: int = 0
    leased_until: float = 0.0
    leasing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def known(self, now: float) -> float:
        """Seconds until it is full, by what Redis said."""
        return max(self.shared_at - now, 0.0)

    def alone(self, now: float, sharers: int) -> float:
        """Seconds more for what we let in since; each of `sharers` may have done as much."""
        return max(self.full_at - now - self.known(now), 0.0) / sharers


class RateLimiter:
    """Decides on each request of each caller, in about the time of a dictionary look-up."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._name = secrets.token_hex(8)
        self._counts = deque([1], maxlen=BELIEVED)  # of the processes, the last ones
        processes.set(self._sharers)
        self._away = False  # Redis, when it was asked last

    @property
    def shares(self) -> bool:
        """Whether there are buckets to share with other processes."""
        return self._redis is not None

    async def take(self, policy: Policy, caller: str) -> Decision:
        """Count one request of `caller`."""
        now = clock.monotonic()
        bucket = self._bucket(f"{policy.name}:{caller}", now)
        if _use_lease(bucket, now):
            return self._decide(policy, bucket, now, allowed=True, counted_by="lease")
        if self._redis is not None:
            if self._spent(policy, bucket, now):
                return self._decide(policy, bucket, now, allowed=False, counted_by="process")
            granted = await self._lease(policy, caller, bucket)
            self._away = granted is None
            if granted is not None:
                return self._decide(policy, bucket, clock.monotonic(), allowed=granted, counted_by="redis")
        allowed = _take(policy, bucket, now, self._sharers)
        return self._decide(policy, bucket, now, allowed=allowed, counted_by="process", sharers=self._sharers)

    def exhausted(self, policy: Policy, caller: str) -> float:
        """Seconds until `caller` has a token again, as far as this process knows; 0 when there is one."""
        now = clock.monotonic()
        bucket = self._buckets.get(f"{policy.name}:{caller}")
        cost = policy.cost(self._sharers if self._away else 1)
        return 0.0 if bucket is None else max(0.0, bucket.full_at + cost - now - policy.window - _SLACK)

    def _spent(self, policy: Policy, bucket: _Bucket, now: float) -> bool:
        """Whether there is no token, so that Redis need not be asked."""
        debt = bucket.known(now) + bucket.alone(now, self._sharers)
        return debt > policy.window - policy.step + _SLACK

    def _bucket(self, name: str, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(full_at=now, shared_at=now)
            while len(self._buckets) > _CALLERS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket

    async def _lease(self, policy: Policy, caller: str, bucket: _Bucket) -> bool | None:
        """Take tokens out of the shared bucket, and use one of them; None when Redis is away."""
        assert self._redis is not None
        async with bucket.leasing:  # one lease at a time: the others find what it brought
            now = clock.monotonic()
            if _use_lease(bucket, now):
                return True
            if self._spent(policy, bucket, now):  # as the one before has learnt
                return False
            return await self._ask(self._redis, policy, caller, bucket)

    async def _ask(self, redis: Redis, policy: Policy, caller: str, bucket: _Bucket) -> bool | None:
        key = f"slipway:limit:{policy.name}:{caller}"
        asked = clock.monotonic()
        numbers = (policy.step, float(policy.window), bucket.known(asked), bucket.alone(asked, self._sharers))
        step, window, known, alone = map(repr, numbers)
        answer = await redis.script(_SCRIPT, key, step, window, str(policy.lease), known, alone)
        if answer is None:
            return None
        granted, debt = int(answer[0]), float(answer[1])
        # Not later than Redis means: what is said to it next time must not add to the debt.
        bucket.full_at = bucket.shared_at = asked + debt
        if granted:
            bucket.leased, bucket.leased_until = granted - 1, clock.monotonic() + LEASE_SECONDS
        return granted > 0

    async def count(self) -> None:
        """Say that this process is there, and learn how many share the buckets: to be done every `COUNT_SECONDS`."""
        assert self._redis is not None
        believed = str(math.ceil(BELIEVED * COUNT_SECONDS))
        answer = await self._redis.script(_COUNT, "slipway:limiters", self._name, believed)
        if answer is not None:
            self._counts.append(int(answer[0]))
            processes.set(self._sharers)

    @property
    def _sharers(self) -> int:
        """The first that asks a Redis that was emptied finds itself alone, so the counts before count too."""
        return max(self._counts)

    def _decide(
        self, policy: Policy, bucket: _Bucket, now: float, *, allowed: bool, counted_by: str, sharers: int = 1
    ) -> Decision:
        decisions.labels(policy.name, "allowed" if allowed else "refused", counted_by).inc()
        debt, cost = max(bucket.full_at - now, 0.0), policy.cost(sharers)
        left = int((policy.window - debt + _SLACK) / cost) + bucket.leased
        return Decision(allowed, min(max(left, 0), policy.requests), max(debt + cost - policy.window, 0.0))


def _use_lease(bucket: _Bucket, now: float) -> bool:
    """Use one of the tokens that are leased already."""
    if bucket.leased <= 0 or now >= bucket.leased_until:
        return False
    bucket.leased -= 1
    return True


def _take(policy: Policy, bucket: _Bucket, now: float, sharers: int) -> bool:
    """Take one token for us, and one for each other process, out of the bucket as we know it."""
    full = max(bucket.full_at, now) + policy.cost(sharers)
    if full - now > policy.window + _SLACK:
        return False
    bucket.full_at = full
    return True
