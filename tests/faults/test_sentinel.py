"""The primary of Redis is killed, frozen, or cut off from its Sentinel: the service follows the new one."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client

from service.dev.redis_server import RedisServer
from tests.faults.measurements import Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.system import System
from tests.faults.test_redis import ASKING, metric, until
from tests.sentinels import Watched

pytestmark = pytest.mark.fault

RETRY_AFTER = 0.5
# After the Sentinel names it: an attempt to connect, which may have begun at the old primary, another
# one after the pause, and the wait for other processes.
FOLLOWED_SECONDS = 4.0


@pytest.fixture
async def watched(system: System, tmp_path: Path) -> AsyncIterator[Watched]:
    """Two servers and their Sentinel, which a replica of the service uses under load."""
    found = Watched(tmp_path / "redis")
    system.at_end(lambda: in_server_thread(found.stop))
    await in_server_thread(found.start)
    await system.serve(1, {**ASKING, **found.settings(dead=True), "redis__retry_after": RETRY_AFTER})
    async with system.load(rate=50).running():
        await used(system, found.nodes[0])
        yield found
    system.only(lambda _: False, "Redis is not needed to respond")
    await system.judge()


async def connections(server: RedisServer) -> int:
    """Return how many connections the service has to a server. Those of a Sentinel and of servers have names."""
    async with Client.from_url(server.url, client_name="test") as client:
        return sum(one["name"] == "" and one["flags"] in {"N", "P"} for one in await client.client_list())


async def used(system: System, primary: RedisServer) -> float:
    """Wait until the service counts limits on a server and listens there for changes. Returns the seconds."""
    began = time.monotonic()

    async def there() -> bool:
        async with Client.from_url(primary.url, client_name="test") as client:
            before = await client.info("commandstats")
            listens = await client.pubsub_channels("slipway:changes:*")
            after = await client.info("commandstats")
        counts = "cmdstat_evalsha" in before and before["cmdstat_evalsha"] != after["cmdstat_evalsha"]
        return bool(listens and counts and await metric(system, "slipway_redis_breaker_open") == 0)

    await until(there, "the service does not use the primary")
    return time.monotonic() - began


async def promoted(watched: Watched) -> RedisServer:
    """Wait until the Sentinel names the replica, and return it."""

    async def named() -> bool:
        return await in_server_thread(watched.primary) is watched.nodes[1]

    await until(named, "the Sentinel promotes no replica")
    return watched.nodes[1]


async def test_killed_primary_is_replaced(system: System, watched: Watched, measure: Measurements) -> None:
    watched.send(signal.SIGKILL, watched.nodes[0])
    seconds = await used(system, await promoted(watched))
    measure("redis-primary-killed-followed", seconds, FOLLOWED_SECONDS, unit="s")


async def test_primary_that_is_replaced_alive_gets_nothing(
    system: System, watched: Watched, measure: Measurements
) -> None:
    first, second = watched.nodes
    watched.send(signal.SIGSTOP, first)
    seconds = await used(system, await promoted(watched))
    watched.send(signal.SIGCONT, first)  # a primary still, until its Sentinel notices some seconds later
    assert await connections(first) == 0
    measure("redis-primary-frozen-followed", seconds, FOLLOWED_SECONDS, unit="s")
    await in_server_thread(watched.split, first)
    seconds = await used(system, first)
    assert await connections(second) == 0
    measure("redis-primary-cut-off-followed", seconds, FOLLOWED_SECONDS, unit="s")
