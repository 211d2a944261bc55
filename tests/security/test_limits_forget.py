"""The limiter forgets unused leases, ended processes and full buckets in time."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client

from service.security.rate_limits.policy import Policy
from service.security.rate_limits.redis_buckets import COUNT_SECONDS
from service.security.rate_limits.shared_limiter import SharedRateLimiter
from tests.api.conftest import unique
from tests.security.limiting import CALLER, HOUR, Clock, Trio, moving_clock
from tests.services import Client as Services

__all__ = ["moving_clock"]

OWN = 8  # number of the first logical database that no worker uses


@pytest.fixture
async def trio(services: Services, worker: int) -> AsyncIterator[Trio]:
    """Three processes with a limit of 1000 per hour, hence leases of five, and a Redis of their own."""
    url = services.redis(OWN + worker)
    async with Client.from_url(url) as client:
        await client.flushdb()
    three = Trio(url, Policy(unique("forget"), 1000, HOUR))
    yield three
    await three.close()


def counted(policy: Policy, by: str) -> float:
    labels = {"policy": policy.name, "decision": "allowed", "counted_by": by}
    return REGISTRY.get_sample_value("slipway_limiter_decisions_total", labels) or 0.0


def known_processes() -> float | None:
    return REGISTRY.get_sample_value("slipway_limiter_processes")


async def test_lease_expires(trio: Trio, moving_clock: Clock) -> None:
    one, policy = trio.limiters[0], trio.policy
    for pause, by_redis, by_lease in (
        (0.0, 1, 0),
        (0.99, 1, 1),  # of five
        (0.02, 2, 1),
        (0.0, 2, 2),
        (1.01, 3, 2),
    ):
        moving_clock.now += pause
        assert (await one.take(policy, CALLER)).allowed
        assert (counted(policy, "redis"), counted(policy, "lease")) == (by_redis, by_lease)
    assert counted(policy, "process") == 0


async def test_lease_covers_few_requests(trio: Trio, moving_clock: Clock) -> None:
    for _ in range(11):
        await trio.limiters[0].take(trio.policy, CALLER)
    assert (counted(trio.policy, "redis"), counted(trio.policy, "lease")) == (3, 8)


async def share(limiter: SharedRateLimiter, three: Trio) -> int:
    """Return how many requests one process allows of an unused limit while Redis is unreachable."""
    policy = Policy(unique("share"), 600, HOUR)
    three.lose(lost=True)
    allowed = sum([(await limiter.take(policy, CALLER)).allowed for _ in range(700)])
    three.lose(lost=False)
    return allowed


async def test_share_of_an_ended_process_expires(trio: Trio, moving_clock: Clock) -> None:
    await trio.meet()
    one, ended = trio.limiters[0], trio.limiters.pop()
    assert await share(one, trio) == 200
    await trio.set_clock(COUNT_SECONDS)
    await trio.count()  # it may only be slow
    assert known_processes() == 3
    for _ in range(4):
        await trio.set_clock(COUNT_SECONDS)
        await trio.meet()
    assert known_processes() == 2
    assert await share(one, trio) == 300
    await ended.count()
    await one.count()
    assert known_processes() == 3
    assert await share(one, trio) == 200


async def test_last_process_leaves_no_keys_in_redis(trio: Trio, moving_clock: Clock) -> None:
    """Counts of processes and buckets expire once they are useless."""
    await trio.meet()
    await trio.flood(3)
    assert 0 < await trio.client.pttl("slipway:limiters") <= 3000
    assert 0 < await trio.client.pttl(trio.key) <= 15 * trio.policy.step * 1000


async def test_processes_remember_each_other_after_redis_is_emptied(trio: Trio, moving_clock: Clock) -> None:
    await trio.meet()
    await trio.client.flushdb()
    await trio.limiters[0].count()  # the first process finds no other
    assert known_processes() == 3
