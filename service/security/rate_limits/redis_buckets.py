"""Where the limiter talks to Redis: the shared buckets, and the count of the processes that share them.

Redis' clock counts, never the caller's.
"""

import math
import secrets

from service.cache.redis_client import Redis
from service.security.rate_limits.policy import Policy

COUNT_SECONDS = 1.0  # how often a process reports that it is running
REMEMBERED_COUNTS = 3  # how many reports a process may miss before it no longer counts

# KEYS[1] the bucket: when it is full again, and when that was written, which reveals a clock that was set back.
# ARGV: seconds for a token, seconds of the whole burst, tokens wanted; seconds until the bucket is full as far as the
# caller knows, and the seconds to add for what it admitted without Redis. Returns {tokens granted, seconds until the
# bucket is full}, the latter as text, since Redis truncates Lua's numbers. An impossible value counts as a full bucket.
_LEASE = """
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
local granted = math.min(wanted, math.floor((burst - debt) / step + 0.000001))
debt = debt + granted * step
redis.call('SET', KEYS[1], string.format('%.6f %.6f', now + debt, now), 'PX', math.max(1, math.ceil(debt * 1000)))
return {granted, tostring(debt)}
"""

# KEYS[1] the processes that use this Redis, by the time of their last report; ARGV: this process, seconds that a
# report counts. Returns {number of processes}.
_COUNT = """
local now = tonumber(redis.call('TIME')[1])
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {redis.call('ZCARD', KEYS[1])}
"""


class RedisBuckets:
    """The buckets that all processes share."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._process = secrets.token_hex(8)

    async def lease(
        self, policy: Policy, caller: str, wanted: int, *, known: float, alone: float
    ) -> tuple[int, float] | None:
        """Take up to `wanted` tokens from the bucket of `caller`.

        `known` is the seconds until the bucket is full as far as this process knows, `alone` the seconds for what it
        admitted without Redis. Returns the tokens granted and the seconds until the bucket is full; None without Redis.
        """
        key = f"slipway:limit:{policy.name}:{caller}"
        step, window = repr(policy.step), repr(float(policy.window))
        reply = await self._redis.script(_LEASE, key, step, window, str(wanted), repr(known), repr(alone))
        return None if reply is None else (int(reply[0]), float(reply[1]))

    async def count_processes(self) -> int | None:
        """Report that this process is running. Returns how many share the buckets; None without Redis."""
        seconds = str(math.ceil(REMEMBERED_COUNTS * COUNT_SECONDS))
        reply = await self._redis.script(_COUNT, "slipway:limiters", self._process, seconds)
        return None if reply is None else int(reply[0])
