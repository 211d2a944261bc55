"""The rate limiter of processes that share their limits through Redis.

A process leases tokens from the shared bucket, a few at a time, and hands them out without asking Redis again. So no
more requests are admitted than the limit; tokens that a process leases and does not use are lost to the caller, at most
`1 / LEASES_PER_WINDOW` of the limit a second.

Redis may be restarted, be emptied, or have its clock set. So each lease tells Redis what the process knows of the
bucket, and the larger debt counts. Without Redis, each process counts alone and takes one token for each process that
shared the limit: all of them together then admit what one bucket would. Once Redis is back, each process tells it what
it admitted meanwhile. Every process reports once a second that it is running, even when idle: an uncounted one would
add its share on top of the limit. A process that starts without Redis knows of no other, and admits the whole limit.
"""

import math
from collections import deque
from collections.abc import Sequence

from service import clock
from service.cache.redis_client import Redis
from service.jobs.job import Job
from service.security.rate_limits.bucket import SLACK, Bucket
from service.security.rate_limits.limiter import RateLimiter
from service.security.rate_limits.limiter_metrics import processes
from service.security.rate_limits.policy import Decision, Policy
from service.security.rate_limits.redis_buckets import COUNT_SECONDS, REMEMBERED_COUNTS, RedisBuckets

LEASE_SECONDS = 1.0


class SharedRateLimiter(RateLimiter):
    """Counts in Redis, and in this process alone while Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._shared = RedisBuckets(redis)
        self._counts = deque([1], maxlen=REMEMBERED_COUNTS)
        self._away = False  # whether Redis failed to answer the last lease

    @property
    def jobs(self) -> Sequence[Job]:
        return (Job("limiter-processes", self.count, COUNT_SECONDS),)

    @property
    def sharers(self) -> int:
        return self._processes if self._away else 1

    @property
    def _processes(self) -> int:
        """The highest of the last counts: the first process to ask an emptied Redis finds itself alone."""
        return max(self._counts)

    def decide(self, policy: Policy, caller: str) -> Decision | None:
        now = clock.monotonic()
        bucket = self._bucket(policy, caller, now)
        if bucket.use_lease(now):
            return self._decide(policy, bucket, now, allowed=True, counted_by="lease")
        if self._spent(policy, bucket, now):
            return self._decide(policy, bucket, now, allowed=False, counted_by="process")
        return None

    async def take(self, policy: Policy, caller: str) -> Decision:
        decided = self.decide(policy, caller)
        if decided is not None:
            return decided
        now = clock.monotonic()
        bucket = self._bucket(policy, caller, now)
        granted = await self._lease(policy, caller, bucket)
        self._away = granted is None
        if granted is None:
            return self._take_alone(policy, bucket, now)
        return self._decide(policy, bucket, clock.monotonic(), allowed=granted, counted_by="redis")

    async def count(self) -> None:
        """Report this process to the others, and learn how many there are. Runs every `COUNT_SECONDS`."""
        number = await self._shared.count_processes()
        if number is not None:
            self._counts.append(number)
            processes.set(self._processes)

    def _spent(self, policy: Policy, bucket: Bucket, now: float) -> bool:
        """Whether the bucket is known to be empty, so that asking Redis is pointless."""
        debt = bucket.known(now) + bucket.alone(now, self._processes)
        return debt > policy.window - policy.step + SLACK

    async def _lease(self, policy: Policy, caller: str, bucket: Bucket) -> bool | None:
        """Lease tokens and use one. False if none was granted; None without Redis."""
        bucket.waiting += 1
        try:
            async with bucket.leasing:
                return await self._lease_in_turn(policy, caller, bucket)
        finally:
            bucket.waiting -= 1

    async def _lease_in_turn(self, policy: Policy, caller: str, bucket: Bucket) -> bool | None:
        now = clock.monotonic()
        if bucket.use_lease(now):  # another request's lease has tokens left
            return True
        if self._spent(policy, bucket, now):  # the lease before this one found the bucket empty
            return False
        # A share for those that wait, so that a slow Redis makes them queue for two round trips at most.
        wanted = max(policy.lease, math.ceil(bucket.waiting / policy.leases_at_once))
        known, alone = bucket.known(now), bucket.alone(now, self._processes)
        lease = await self._shared.lease(policy, caller, wanted, known=known, alone=alone)
        if lease is None:
            return None
        granted, debt = lease
        # Not later than Redis has it: the next lease must not add to the debt.
        bucket.full_at = bucket.shared_at = now + debt
        if granted == 0:
            return bucket.use_lease(clock.monotonic())  # the last tokens may have gone to another lease
        bucket.add_lease(granted - 1, clock.monotonic(), LEASE_SECONDS)
        return True
