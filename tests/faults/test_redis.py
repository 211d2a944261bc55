"""Redis is down, hanging, slow, emptied, full or holds wrong data: only metrics show it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis as Client

from tests.faults.connection import get
from tests.faults.measurements import Measurements
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.server_thread import in_server_thread
from tests.faults.system import KINDS, Kind, System
from tests.process.served import Served, eventually

pytestmark = pytest.mark.fault

RATE = 50
WATCH_SECONDS = 4.0
HARM_SECONDS = 0.8
ROUNDS = 5  # on a busy machine, one round may fail
GONE_COSTS, SLOW_COSTS = 0.005, 0.05  # p99 in seconds
# Too low for leases, too high for refusals: each request asks Redis, a write twice.
ASKING: dict[str, object] = {
    "rate_limit__requests": 399,
    "rate_limit__writes": 399,
    "rate_limit__window": 1,
}
OPEN = "slipway_redis_breaker_open"
LOST = "redis unreachable, each process counts for itself"


async def metric(system: System, name: str) -> float:
    return await in_server_thread(system.replicas[0].served.metric, name) or 0.0


async def until(what: Callable[[], Awaitable[bool]], why: str, *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < deadline, why
        await asyncio.sleep(0.05)


async def wait_for_breaker(system: System, state: float) -> None:
    async def reached() -> bool:
        return await metric(system, OPEN) == state

    await until(reached, f"the breaker is not {state}")


async def p99_while_ready(system: System) -> float:
    """Return the p99 over the next seconds, while readiness is 200."""
    began = time.monotonic()
    while time.monotonic() < began + WATCH_SECONDS:
        response = await get(system.replicas[0].admin_port, "/readyz")
        assert response is not None
        assert response.status == 200, response.body
        await asyncio.sleep(0.2)
    return p99_since(system, began)


def p99_since(system: System, began: float) -> float:
    return system.history.latency(0.99, lambda event: event.start >= began)


def assert_no_request_failed(system: System) -> None:
    system.only(lambda _: False, "Redis is not needed to respond")


async def added_latency(
    system: System,
    bound: float,
    damage: Callable[[], Awaitable[None]],
    repair: Callable[[], Awaitable[None]],
    settled: Callable[[], Awaitable[None]] | None = None,
) -> float:
    """Return the seconds that the fault adds to the p99, from the best rounds with and without it."""
    before, during = list[float](), list[float]()
    while len(during) < ROUNDS and (not during or min(during) - min(before) > bound):
        await wait_for_breaker(system, 0)
        before.append(await p99_while_ready(system))
        began = time.monotonic()
        await damage()
        if settled is not None:
            await settled()
            began = time.monotonic()
        await p99_while_ready(system)
        during.append(p99_since(system, began))
        await repair()
    await wait_for_breaker(system, 0)
    return max(0.0, min(during) - min(before))


async def assert_one_line_for_each_reason(served: Served) -> None:
    """Redis was lost and came back: each process wrote every reason once an outage, and that Redis is back."""
    lost = served.lines(event=LOST)
    reasons = Counter(line["reason"] for line in lost)

    async def said() -> bool:
        """Whether all lines are there: a process switches back to Redis before it writes so."""
        return len(served.lines(event="redis is back")) >= max(reasons.values())

    await until(said, f"more than one line for a reason of an outage: {reasons}")
    assert 1 <= len(served.lines(event="redis is back")) <= len(lost)


@KINDS
async def test_lost_redis_fails_no_request(system: System, measure: Measurements, kind: Kind) -> None:
    await system.serve(1, {**ASKING, **kind})

    async def noticed() -> None:
        await wait_for_breaker(system, 1)
        await until(reported, "neither readiness nor a metric says that Redis is gone")

    async def reported() -> bool:
        response = await get(system.replicas[0].admin_port, "/readyz")
        gone = response is not None and response.json["checks"]["redis"]["ok"] is False
        return gone and await metric(system, 'slipway_dependency_up{dependency="redis"}') == 0

    async with system.load(rate=RATE).running():
        cost = await added_latency(
            system,
            GONE_COSTS,
            lambda: in_server_thread(system.redis.stop),
            lambda: in_server_thread(system.redis.start),
            settled=noticed,
        )
    assert_no_request_failed(system)
    await assert_one_line_for_each_reason(system.replicas[0].served)
    assert await metric(system, "slipway_redis_failures_total") > 0
    assert (
        await metric(
            system,
            'slipway_limiter_decisions_total{counted_by="process",decision="allowed",policy="default"}',
        )
        > 0
    )
    measure(f"redis-gone-{'workers-' if kind else ''}added-p99", cost, GONE_COSTS, unit="s")
    await system.judge()


@asynccontextmanager
async def through_a_proxy(system: System) -> AsyncIterator[Proxy]:
    """Start a service that reaches Redis through a proxy."""
    url = urlsplit(system.redis.url)
    assert url.port
    async with Proxy(Endpoint("127.0.0.1", url.port)) as proxy:
        there = url._replace(netloc=f":{url.password}@127.0.0.1:{proxy.port}")
        await system.serve(1, {"redis__url": urlunsplit(there), **ASKING})
        yield proxy


@pytest.mark.parametrize("trouble", ["frozen", "silent", "slow", "slowish"])
async def test_unresponsive_redis_delays_no_request(
    system: System, measure: Measurements, trouble: str
) -> None:
    async with through_a_proxy(system) as proxy:

        async def damage() -> None:
            match trouble:
                case "frozen":
                    system.redis.pause()
                case "silent":
                    proxy.swallow()
                case "slow":
                    proxy.delay = 0.3
                case "slowish":  # just below the timeout
                    proxy.delay = 0.008

        async def repair() -> None:
            system.redis.resume()
            proxy.heal()
            proxy.delay = 0

        async with system.load(rate=RATE).running():
            cost = await added_latency(system, SLOW_COSTS, damage, repair)
        assert_no_request_failed(system)
        measure(f"redis-{trouble}-added-p99", cost, SLOW_COSTS, unit="s")
        await system.judge()


Harm = Callable[[Client], Awaitable[Any]]


async def emptied(client: Client) -> None:
    await client.flushall()
    await client.script_flush()


async def of_another_type(client: Client) -> None:
    async for key in client.scan_iter("slipway:limit:*"):
        async with client.pipeline() as both:
            both.delete(key)
            both.lpush(key, "x")
            await both.execute()


async def garbled(client: Client) -> None:
    async for key in client.scan_iter("slipway:limit:*"):
        await client.set(key, "nan nan")


async def full(client: Client) -> None:
    await client.config_set("maxmemory", 1)


async def evicting(client: Client) -> None:
    await client.config_set("maxmemory-policy", "allkeys-lru")


async def test_corrupted_redis_data_fails_no_request(system: System) -> None:
    await system.serve(1, ASKING)
    async with Client.from_url(system.redis.url) as client, system.load(rate=RATE).running():
        began = time.monotonic()
        for damage in (emptied, of_another_type, garbled, full, evicting):
            ended = time.monotonic() + HARM_SECONDS
            while time.monotonic() < ended:
                await damage(client)
                await asyncio.sleep(0.02)
            response = await get(system.replicas[0].admin_port, "/readyz")
            assert response is not None
            assert response.status == 200, f"{damage.__name__}: {response.body!r}"
        await client.config_set("maxmemory", 0)
        await client.config_set("maxmemory-policy", "noeviction")
        await wait_for_breaker(system, 0)
    assert_no_request_failed(system)
    lines = system.replicas[0].served.lines
    refused = await in_server_thread(eventually, lambda: lines(event="redis refuses commands"))
    assert 1 <= len(refused) <= 1 + (time.monotonic() - began) // 60, "one line a minute"
    await system.judge()
