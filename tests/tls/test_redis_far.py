"""A distant Redis over TLS: connecting takes longer than a command may, and no request waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.dev.free_ports import LOOPBACK
from service.security.rate_limits.policy import Policy
from service.security.rate_limits.shared_limiter import SharedRateLimiter
from tests.api.conftest import unique
from tests.faults.proxy import Endpoint, Proxy
from tests.services import Client
from tests.tls.terminator import Authority, terminator

DELAY = 0.05  # seconds one way: a command takes two delays, connecting at least six
COMMAND, CONNECT = 0.25, 3.0


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@asynccontextmanager
async def far(
    services: Client, authority: Authority, *, command: float = COMMAND, connect: float = CONNECT
) -> AsyncIterator[tuple[Redis, Proxy]]:
    """A client of a real Redis through a proxy that delays."""
    parts = urlsplit(services.redis(0))
    async with (
        terminator(authority.server(LOOPBACK), parts.hostname or "", parts.port or 6379) as port,
        Proxy(Endpoint(LOOPBACK, port)) as proxy,
    ):
        proxy.delay = DELAY
        where = {"port": proxy.port, "password": parts.password, "tls": True, "root_cert": authority.root}
        limits = {"timeout": command, "connect_timeout": connect, "retry_after": 0.2}
        redis = Redis(RedisSettings.model_validate({**where, **limits}))
        try:
            yield redis, proxy
        finally:
            await redis.close()


def breaker() -> float:
    return REGISTRY.get_sample_value("slipway_redis_breaker_open") or 0.0


async def eventually(redis: Redis) -> None:
    async with asyncio.timeout(20):
        while not await redis.ping():  # noqa: ASYNC110  # the client does not expose its event
            await asyncio.sleep(0.05)


async def test_limits_use_a_distant_redis_and_recover(
    services: Client, authority: Authority, lines: list[EventDict]
) -> None:
    policy = Policy(unique("far"), 1, 60)
    async with far(services, authority) as (redis, proxy):
        await redis.start()
        limiters = [SharedRateLimiter(redis), SharedRateLimiter(redis)]
        assert [(await limiter.take(policy, "caller")).allowed for limiter in limiters] == [True, False]
        assert (breaker(), lines) == (0, [])
        proxy.reset()
        await asyncio.sleep(2 * DELAY)
        began = time.perf_counter()
        await redis.script("return {}", "far")
        assert time.perf_counter() - began < COMMAND, "a request does not wait for a connection"
        await eventually(redis)
        assert await redis.script("return {1}", "far") == [1]


async def test_log_names_the_exceeded_timeout(
    services: Client, authority: Authority, lines: list[EventDict]
) -> None:
    async with far(services, authority, command=0.02) as (redis, _):
        await redis.start()
        assert await redis.script("return {1}", "far") is None
        assert "SLIPWAY_REDIS__TIMEOUT" in lines[0]["reason"]
    async with far(services, authority, connect=0.1) as (redis, _):
        await redis.start()
        assert "SLIPWAY_REDIS__CONNECT_TIMEOUT" in lines[1]["reason"]
        await asyncio.sleep(0.5)
    assert len(lines) == 2, "probes log nothing new"


async def test_unresponsive_redis_delays_no_request(lines: list[EventDict]) -> None:
    async with Proxy(None) as proxy:
        proxy.swallow()
        settings = {"port": proxy.port, "connect_timeout": 0.3, "retry_after": 60}
        redis = Redis(RedisSettings.model_validate(settings))
        starting = asyncio.create_task(redis.start())
        await asyncio.wait_for(starting, 5)
        began = time.perf_counter()
        assert [await redis.script("return {}", "silent") for _ in range(100)] == [None] * 100
        assert time.perf_counter() - began < 2  # each would wait for 0.05 s or longer
        assert [line["reason"].rpartition(" ")[2] for line in lines] == ["(SLIPWAY_REDIS__CONNECT_TIMEOUT)"]
        await redis.close()
