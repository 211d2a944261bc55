"""The tokens that a process has leased from a shared bucket."""

from service.security.rate_limits.bucket import Bucket
from service.security.rate_limits.limiter import RateLimiter
from service.security.rate_limits.policy import Policy

NOW = 1000.0


def test_leased_tokens_are_used_until_their_time_and_then_lost() -> None:
    bucket = Bucket(full_at=NOW, shared_at=NOW)
    bucket.add_lease(2, NOW, 10)
    bucket.add_lease(1, NOW + 5, 10)
    assert bucket.use_lease(NOW + 14)
    assert not bucket.use_lease(NOW + 15)
    bucket.add_lease(1, NOW + 15, 10)
    assert [bucket.use_lease(NOW + 16) for _ in range(2)] == [True, False]


def test_leased_tokens_remain_for_the_caller() -> None:
    policy, bucket = Policy("test", 100, 100), Bucket(full_at=NOW + 40, shared_at=NOW + 40)
    bucket.add_lease(5, NOW, 10)
    assert RateLimiter()._decide(policy, bucket, NOW, allowed=True, counted_by="redis").remaining == 60 + 5
