"""The rate limiter against a reference, across processes, and without Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client

from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.security.rate_limits.limiter import RateLimiter
from service.security.rate_limits.policy import Policy
from service.security.rate_limits.shared_limiter import SharedRateLimiter
from tests.api.conftest import unique
from tests.faults.proxy import Endpoint, Proxy
from tests.security.limiting import Clock, Reference, moving_clock

__all__ = ["moving_clock"]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = Redis(RedisSettings.model_validate({"url": redis_url, "timeout": 2}))
    yield redis
    await redis.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.integers(1, 20),
    window=st.integers(1, 20),
    pauses=st.lists(st.sampled_from([0, 0, 0, 0.25, 0.5, 1, 7]), max_size=60),
)
async def test_limiter_matches_a_token_bucket(
    moving_clock: Clock, requests: int, window: int, pauses: list[float]
) -> None:
    policy = Policy("p", requests, window)
    limiter, reference = RateLimiter(), Reference(policy, moving_clock.now)
    for pause in pauses:
        moving_clock.now += pause
        decision = await limiter.take(policy, "caller")
        assert decision.allowed == reference.take(moving_clock.now)
        assert abs(decision.remaining - reference.tokens) <= 1
        if not decision.allowed:
            assert 0 < decision.retry_after <= policy.step + 1e-6


async def test_callers_and_policies_have_separate_buckets(moving_clock: Clock) -> None:
    limiter = RateLimiter()
    one, other = Policy("one", 1, 60), Policy("other", 1, 60)
    assert (await limiter.take(one, "a")).allowed
    assert not (await limiter.take(one, "a")).allowed
    assert (await limiter.take(one, "b")).allowed
    assert (await limiter.take(other, "a")).allowed
    assert limiter.exhausted(one, "a") == pytest.approx(60)
    assert limiter.exhausted(one, "c") == 0


async def test_bucket_in_use_is_not_forgotten_for_new_ones(
    moving_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.security.rate_limits.limiter.MOST_BUCKETS", 2)
    limiter, policy = RateLimiter(), Policy("one", 1, 60)
    for caller in ("a", "b", "a", "c"):
        await limiter.take(policy, caller)
    assert [limiter.exhausted(policy, caller) > 0 for caller in "abc"] == [True, False, True]


@pytest.mark.parametrize("requests", [7, 400, 1000])
async def test_three_processes_admit_the_limit_together(redis: Redis, redis_url: str, requests: int) -> None:
    policy = Policy(unique("shared"), requests, 3600)
    others = [Redis(RedisSettings.model_validate({"url": redis_url, "timeout": 2})) for _ in range(2)]
    limiters = [SharedRateLimiter(r) for r in (redis, *others)]

    async def flood(limiter: RateLimiter) -> int:
        return sum([(await limiter.take(policy, "caller")).allowed for _ in range(requests)])

    admitted = sum(await asyncio.gather(*(flood(limiter) for limiter in limiters)))
    assert requests * 0.95 <= admitted <= requests + 1  # one token may refill meanwhile
    for other in others:
        await other.close()


async def test_concurrent_requests_share_a_lease(redis: Redis) -> None:
    policy, limiter = Policy(unique("burst"), 1000, 3600), SharedRateLimiter(redis)
    admitted = 0
    for _ in range(22):
        decisions = await asyncio.gather(*(limiter.take(policy, "caller") for _ in range(50)))
        admitted += sum(decision.allowed for decision in decisions)
    assert 990 <= admitted <= 1001


async def test_concurrent_requests_query_an_empty_bucket_once(redis: Redis) -> None:
    policy, limiter = Policy(unique("rush"), 10, 3600), SharedRateLimiter(redis)
    before = _commands()
    decisions = await asyncio.gather(*(limiter.take(policy, "caller") for _ in range(300)))
    assert sum(decision.allowed for decision in decisions) == 10
    assert _commands() - before <= 15  # one per token, one that finds none, some to count processes


@pytest.mark.parametrize("requests", [100, 10_000])
async def test_concurrent_requests_do_not_queue_for_a_slow_redis(redis_url: str, requests: int) -> None:
    """However many come at once, each waits for about two round trips, not for one after the other."""
    url = urlsplit(redis_url)
    assert url.port
    policy = Policy(unique("slow"), requests, 1)
    async with Proxy(Endpoint("127.0.0.1", url.port)) as proxy:
        far = url._replace(netloc=f":{url.password}@127.0.0.1:{proxy.port}").geturl()
        redis = Redis(RedisSettings.model_validate({"url": far, "timeout": 2}))
        limiter = SharedRateLimiter(redis)
        await asyncio.gather(*(limiter.take(policy, f"caller {n}") for n in range(8)))  # opens connections
        proxy.delay = 0.05  # each way
        before = _commands()
        began = time.monotonic()
        decisions = await asyncio.gather(*(limiter.take(policy, "caller") for _ in range(90)))
        assert time.monotonic() - began < 0.05 * 2 * 5
        assert all(decision.allowed for decision in decisions)
        assert _commands() - before < 15
        await redis.close()


@pytest.mark.parametrize(("requests", "at_once"), [(399, 4), (400, 1)])
async def test_requests_share_the_lease_under_way_if_it_has_tokens_for_them(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, requests: int, at_once: int
) -> None:
    limiter, policy = SharedRateLimiter(redis), Policy(unique("turns"), requests, 3600)
    lease, running = limiter._shared.lease, [0]

    async def counted(*given: Any, **more: Any) -> Any:
        running.append(running[-1] + 1)
        try:
            return await lease(*given, **more)
        finally:
            running.append(running[-1] - 1)

    monkeypatch.setattr(limiter._shared, "lease", counted)
    await asyncio.gather(*(limiter.take(policy, "caller") for _ in range(20)))
    assert max(running) == at_once


def _commands() -> float:
    return REGISTRY.get_sample_value("slipway_redis_command_seconds_count") or 0.0


@pytest.mark.parametrize(
    "poison",
    [["a list"], "", "no number", "nan nan", "inf inf", "inf 0", "1e300 1", "0x7fffffff 0", "7 x", "x 7"],
)
async def test_unreadable_bucket_counts_as_full(
    redis: Redis, redis_url: str, poison: str | list[str]
) -> None:
    policy = Policy(unique("poison"), 2, 3600)
    key = f"slipway:limit:{policy.name}:caller"
    async with Client.from_url(redis_url) as client:
        await (client.rpush(key, *poison) if isinstance(poison, list) else client.set(key, poison))
    limiters = [SharedRateLimiter(redis) for _ in range(3)]
    assert [(await limiter.take(policy, "caller")).allowed for limiter in limiters] == [True, True, False]


async def test_process_counts_alone_without_redis() -> None:
    gone = Redis(RedisSettings.model_validate({"url": "redis://127.0.0.1:1/0", "timeout": 0.05}))
    limiter, policy = SharedRateLimiter(gone), Policy("gone", 3, 3600)
    allowed = [(await limiter.take(policy, "caller")).allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False]
    await gone.close()


async def test_memory_is_bounded(moving_clock: Clock) -> None:
    limiter, policy = RateLimiter(), Policy("many", 1, 60)
    for number in range(30_000):
        await limiter.take(policy, str(number))
    assert len(limiter._buckets) <= 20_000
