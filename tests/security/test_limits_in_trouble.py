"""Limits across three processes while Redis is emptied, restarted, unreachable, or its clock jumps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.dev.redis_server import RedisServer as Server
from service.security.rate_limits.policy import Policy
from tests.api.conftest import unique
from tests.ports import placed
from tests.security.limiting import CALLER, HOUR, Clock, Reference, Trio, moving_clock
from tests.services import Client

__all__ = ["moving_clock"]

OWN = 8  # number of the first logical database that no worker uses
MakeTrio = Callable[[int], Trio]


@pytest.fixture
async def trio(services: Client, worker: int) -> AsyncIterator[MakeTrio]:
    """`trio(requests)`: three processes with that limit per hour, and a Redis of their own."""
    made: list[Trio] = []
    # Not the worker's database, where long-lived applications count themselves.
    redis_url = services.redis(OWN + worker)
    redis = Redis.from_url(redis_url)
    await redis.flushdb()
    await redis.aclose()

    def make(requests: int) -> Trio:
        made.append(Trio(redis_url, Policy(unique("trouble"), requests, HOUR)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.mark.parametrize("requests", [100, 1000])
async def test_emptied_redis_is_restored_by_the_processes(trio: MakeTrio, requests: int) -> None:
    three = trio(requests)
    admitted = 0
    for _ in range(2):
        admitted += await three.flood(requests // 3)
        await three.client.flushdb()
    admitted += await three.flood(3 * requests)
    assert requests * 0.95 <= admitted <= requests * 1.05


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 86_400, -86_400, 1, -1])
async def test_limits_hold_when_the_clock_of_redis_changes(trio: MakeTrio, jump: float) -> None:
    three = trio(1000)
    admitted = 0
    for _ in range(3):
        admitted += await three.flood(300)
        await three.set_clock(jump)
    admitted += await three.flood(1000)
    assert 950 <= admitted <= 1050


async def test_limit_of_a_new_process_holds_after_a_clock_step_back(trio: MakeTrio) -> None:
    """No process knows the bucket any more; Redis holds how full it was when it was last written."""
    old, new = trio(1000), trio(1)
    new.policy = old.policy
    admitted = await old.flood(600)
    await old.set_clock(-86_400)
    admitted += await new.flood(1200)
    assert 950 <= admitted <= 1050


@pytest.mark.parametrize("held", ["", "x", "1", "1e300 5", "5 1e300", "-inf 7", "9999999999.0 1.0"])
async def test_corrupt_value_blocks_a_bucket_at_most_one_window(
    trio: MakeTrio, moving_clock: Clock, held: str
) -> None:
    three = trio(200)
    await three.client.set(three.key, held)
    await three.flood(3)
    moving_clock.now += HOUR
    await three.set_clock(HOUR)
    assert await three.flood(200) >= 190


async def test_processes_share_the_limit_while_redis_is_away(trio: MakeTrio, moving_clock: Clock) -> None:
    three = trio(1000)
    await three.meet()
    admitted = await three.flood(300)
    three.lose(lost=True)
    away = await three.flood(3000)
    three.lose(lost=False)
    admitted += away + await three.flood(3000)
    assert away > 500
    assert 900 <= admitted <= 1050


async def test_usage_during_an_outage_is_reported_to_redis(trio: MakeTrio, moving_clock: Clock) -> None:
    three = trio(999)
    await three.meet()
    three.lose(lost=True)
    alone = sum([(await three.limiters[0].take(three.policy, CALLER)).allowed for _ in range(500)])
    three.lose(lost=False)
    assert 300 <= alone <= 333  # its share
    others = await three.flood(2000)
    assert 900 <= alone + others <= 999 * 1.05


async def test_small_limit_still_admits_requests_without_redis(trio: MakeTrio, moving_clock: Clock) -> None:
    three = trio(2)
    await three.meet()
    moving_clock.now += HOUR
    three.lose(lost=True)
    assert await three.flood(30) == 3  # one each: a third of two would be none
    refused = await three.take()
    assert 0 < refused.retry_after <= HOUR


@pytest.mark.parametrize("used", [0, 8])
async def test_exhausted_bucket_is_seen_by_peeks_without_redis(
    trio: MakeTrio, moving_clock: Clock, used: int
) -> None:
    """As for credentials: they are checked until the bucket is empty, and wrong ones take tokens."""
    three = trio(10)
    await three.meet()
    moving_clock.now += HOUR
    await three.client.delete(three.key)
    await three.flood(used)
    three.lose(lost=True)
    one, looks = three.limiters[0], 0
    for _ in range(30):
        if one.exhausted(three.policy, CALLER) == 0:
            looks += 1
            await one.take(three.policy, CALLER)
    assert looks <= 4


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    server = Server(placed(tmp_path / "redis"))
    server.start()
    yield server
    server.stop()


async def test_redis_restart_admits_no_extra_requests(own_redis: Server) -> None:
    three = Trio(own_redis.url, Policy("restarted", 1000, HOUR))
    admitted = 0
    await three.meet()
    admitted += await three.flood(240)
    for _ in range(2):
        own_redis.stop()
        admitted += await three.flood(150)
        own_redis.start()
        async with asyncio.timeout(20):
            while not all([await redis.ping() for redis in three.redis]):  # noqa: ASYNC110  # each notices by itself
                await asyncio.sleep(0.02)
        admitted += await three.flood(150)
    admitted += await three.flood(2000)
    assert 900 <= admitted <= 1050
    await three.close()


Step = tuple[str, float]
STEPS = st.one_of(
    st.tuples(st.just("flood"), st.integers(1, 90)),
    st.tuples(st.just("pause"), st.sampled_from([0.5, 5.0, 60.0, 900.0, HOUR])),
)
TROUBLES = st.one_of(
    st.tuples(st.just("away"), st.integers(1, 150)),
    st.tuples(st.just("jump"), st.sampled_from([-86_400, -HOUR, -10, 10, HOUR, 86_400])),
    st.tuples(st.just("flush"), st.just(0)),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.integers(40, 400),
    parts=st.lists(st.tuples(st.lists(STEPS, max_size=3), TROUBLES), max_size=3),
)
async def test_three_processes_act_as_one_bucket_through_redis_failures(
    trio: MakeTrio, moving_clock: Clock, requests: int, parts: list[tuple[list[Step], Step]]
) -> None:
    three = trio(requests)
    await three.client.flushdb()  # the processes of the previous example
    await three.meet()
    moving_clock.now += HOUR
    await three.client.delete(three.key)
    bucket = Reference(three.policy, moving_clock.now)
    lost = 0.0  # leased but unused tokens, and tokens that refilled between two requests before the clock went back
    goes_back = any(kind == "jump" and amount < 0 for _, (kind, amount) in parts)
    for kind, amount in [step for steps, trouble in parts for step in (*steps, trouble, ("flood", 40))]:
        if kind == "pause":
            moving_clock.now += amount
            await three.set_clock(amount)
            lost += 3 * three.policy.lease + goes_back * amount / three.policy.step
        elif kind == "jump":
            await three.set_clock(amount)
        elif kind == "flush":
            await three.client.flushdb()
        three.lose(lost=kind == "away")
        bucket.grow(moving_clock.now)
        for _ in range(int(amount) if kind in {"flood", "away"} else 0):
            allowed = (await three.take()).allowed
            bucket.tokens -= allowed
            assert bucket.tokens >= -0.05 * requests - 3
            assert allowed or bucket.tokens <= 0.05 * requests + 3 + lost
