"""The rate limiter of one process: a bucket of tokens for each policy and caller."""

import asyncio
from collections.abc import Sequence

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.jobs.job import Job
from service.security.rate_limits.bucket import SLACK, Bucket
from service.security.rate_limits.limiter_metrics import decision, processes
from service.security.rate_limits.policy import Decision, Policy, decided

MOST_BUCKETS = 20_000


class RateLimiter:
    """Counts in this process alone. Decides in about the time of a dictionary look-up."""

    def __init__(self) -> None:
        self._buckets: BoundedDict[str, Bucket] = BoundedDict(MOST_BUCKETS)
        processes.set(1)

    @property
    def jobs(self) -> Sequence[Job]:
        """What must run in the background while the limiter is in use."""
        return ()

    @property
    def sharers(self) -> int:
        """Processes among which this one divides the limits at present."""
        return 1

    async def take(self, policy: Policy, caller: str) -> Decision:
        """Count one request of `caller`."""
        decision = self.decide(policy, caller)
        assert decision is not None
        return decision

    def decide(self, policy: Policy, caller: str) -> Decision | None:
        """As `take`, but None if another process must be asked first. Most requests need nobody else."""
        now = clock.monotonic()
        return self._take_alone(policy, self._bucket(policy, caller, now), now)

    def exhausted(self, policy: Policy, caller: str) -> float:
        """Return the seconds until `caller` has a token, as far as this process knows; 0 if there is one."""
        now = clock.monotonic()
        bucket = self._buckets.get(f"{policy.name}:{caller}")
        cost = policy.cost(self.sharers)
        return 0.0 if bucket is None else max(0.0, bucket.full_at + cost - now - policy.window - SLACK)

    def _bucket(self, policy: Policy, caller: str, now: float) -> Bucket:
        name = f"{policy.name}:{caller}"
        bucket = self._buckets.get(name)
        if bucket is None:
            leasing = asyncio.Semaphore(policy.leases_at_once)
            bucket = self._buckets[name] = Bucket(full_at=now, shared_at=now, leasing=leasing)
        else:
            self._buckets.move_to_end(name)
        return bucket

    def _take_alone(self, policy: Policy, bucket: Bucket, now: float) -> Decision:
        sharers = self.sharers
        allowed = bucket.take(policy, now, sharers)
        return self._decide(policy, bucket, now, allowed=allowed, counted_by="process", sharers=sharers)

    def _decide(
        self, policy: Policy, bucket: Bucket, now: float, *, allowed: bool, counted_by: str, sharers: int = 1
    ) -> Decision:
        decision(policy.name, "allowed" if allowed else "refused", counted_by)(1)
        debt = max(bucket.full_at - now, 0.0)
        cost = policy.step if sharers == 1 else policy.cost(sharers)
        left = int((policy.window - debt + SLACK) / cost) + bucket.leased
        return decided((allowed, min(max(left, 0), policy.requests), max(debt + cost - policy.window, 0.0)))
