"""What the limiter's scripts answer and leave in Redis, value by value."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from redis.asyncio import Redis as Client

from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.security.rate_limits.policy import Policy
from service.security.rate_limits.redis_buckets import RedisBuckets
from tests.api.conftest import unique
from tests.services import Client as Services

OWN = 8  # number of the first logical database that no worker uses
CALLER = "somebody"
HOUR = 3600
LIMITERS = "slipway:limiters"


class Scene(NamedTuple):
    """The buckets of a process, and a client that sees what they leave."""

    buckets: RedisBuckets
    client: Client

    async def now(self) -> float:
        seconds, microseconds = await self.client.time()
        return float(seconds) + float(microseconds) / 1e6

    async def holds(self, policy: Policy, full: float, written: float) -> None:
        """Let the bucket be full, and written, that many seconds from now."""
        now = await self.now()
        await self.client.set(
            f"slipway:limit:{policy.name}:{CALLER}", f"{now + full:.6f} {now + written:.6f}"
        )

    async def lease(
        self, policy: Policy, wanted: int, known: float = 0.0, alone: float = 0.0
    ) -> tuple[int, float]:
        answer = await self.buckets.lease(policy, CALLER, wanted, known=known, alone=alone)
        assert answer is not None
        return answer


@pytest.fixture
async def scene(services: Services, worker: int) -> AsyncIterator[Scene]:
    url = services.redis(OWN + worker)
    redis = Redis(RedisSettings.model_validate({"url": url, "timeout": 2}))
    async with Client.from_url(url) as client:
        await client.flushdb()
        yield Scene(RedisBuckets(redis), client)
    await redis.close()


@pytest.mark.parametrize(
    ("held", "known", "alone", "answer"),
    [
        (None, 0, 0, (10, 10)),
        ((20, -5), 0, 0, (10, 30)),  # the bucket has filled since it was written
        ((-20, -50), 0, 0, (10, 10)),  # it is full
        ((120, 100), 0, 0, (10, 30)),  # the clock was set back since it was written
        ((4000, 2000), 0, 0, (10, 2010)),
        ((5000, 1000), 0, 0, (10, 10)),  # over the burst: no bucket
        ((20, -5), 50, 0, (10, 60)),  # the larger debt counts
        ((20, -5), 10, 5, (10, 35)),  # and what was admitted without Redis on top
        (None, 3595, 0, (5, HOUR)),
        (None, HOUR, 0, (0, HOUR)),
        (None, 0, 10 * HOUR, (0, HOUR)),  # never over the burst
    ],
)
async def test_lease_adds_to_the_largest_debt_that_is_known(
    scene: Scene, held: tuple[int, int] | None, known: float, alone: float, answer: tuple[int, float]
) -> None:
    policy = Policy(unique("lease"), HOUR, HOUR)  # one token a second
    if held:
        await scene.holds(policy, *held)
    granted, debt = await scene.lease(policy, 10, known, alone)
    assert granted == answer[0]
    assert answer[1] - 0.5 < debt <= min(answer[1] + 0.5, HOUR)
    left = await scene.client.pttl(f"slipway:limit:{policy.name}:{CALLER}")
    assert left == pytest.approx(debt * 1000, abs=500)


@pytest.mark.parametrize(("requests", "window"), [(93, 1), (105, 1), (7, 60), (1000, 3600)])
async def test_rounding_of_the_step_loses_no_token(scene: Scene, requests: int, window: int) -> None:
    assert (await scene.lease(Policy(unique("all"), requests, window), requests + 1))[0] == requests


async def test_bucket_fills_between_two_seconds_of_redis(scene: Scene) -> None:
    policy = Policy(unique("fills"), 100, 1)
    for _ in range(3):
        await scene.lease(policy, 100)
        began = await scene.now()
        await asyncio.sleep(0.3)
        granted, _ = await scene.lease(policy, 100)
        assert 29 <= granted <= 100 * (await scene.now() - began) + 2


async def test_processes_count_by_reports_of_the_last_three_seconds(scene: Scene) -> None:
    now = int(await scene.now())
    for name, age in (("old", 5), ("young", 1), ("of a clock that was set back", -60)):
        await scene.client.zadd(LIMITERS, {name: now - age})
    assert await scene.buckets.count_processes() == 2
    assert b"young" in await scene.client.zrange(LIMITERS, 0, -1)
    await scene.client.zadd(LIMITERS, {"young": int(await scene.now()) - 3})
    assert await scene.buckets.count_processes() == 1


async def test_count_that_is_none_is_begun_again(scene: Scene) -> None:
    await scene.client.set(LIMITERS, "no set")
    assert await scene.buckets.count_processes() == 1
