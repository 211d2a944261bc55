"""Cached items on two replicas: one writes, the other one reads, while Redis works, loses data, or is in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import orjson
import pytest
from redis.asyncio import Redis as Client

from tests.faults.connection import Connection, get
from tests.faults.measurements import Measurements
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.server_thread import in_server_thread
from tests.faults.system import PATIENT, System

ROUNDS = 30
TROUBLE_SECONDS = 4.0
LIFETIME = 1.0
AGREE_SECONDS = (
    6.0  # after trouble: Redis is asked again every two seconds, and connections count as lost after three
)
HITS = 'slipway_cache_requests_total{cache="shelves",result="hit"}'
FEED = "slipway_cache_feed_up"
# On a busy machine, an response of Redis may take longer than 50 ms.
UNHURRIED: dict[str, object] = {**PATIENT, "redis__timeout": 5}


class Pair:
    """A shelf, and a connection to each of two replicas. Each value is the version of the shelf."""

    def __init__(self, system: System, connections: list[Connection], url: str) -> None:
        self._system = system
        self._connections = connections
        self._url = url
        self.told = 1  # the newest version that a client was told
        self.told_at = time.monotonic()

    async def write(self, replica: int) -> int:
        body = orjson.dumps({"name": f"Shelf {self.told}"})
        headers = {**self._system.headers, "If-Match": "*", "Content-Type": "application/merge-patch+json"}
        response = await self._connections[replica].ask("PATCH", self._url, headers, body)
        assert response.status == 200, response.body
        self.told, self.told_at = int(response.json["version"]), time.monotonic()
        return self.told

    async def read(self, replica: int) -> int:
        response = await self._connections[replica].ask("GET", self._url, self._system.headers)
        assert response.status == 200, response.body
        return int(response.json["version"])


@asynccontextmanager
async def pair(system: System) -> AsyncIterator[Pair]:
    connections = [await Connection.open(replica.port) for replica in system.replicas]
    body = orjson.dumps({"slug": "pair", "name": "Pair"})
    headers = {**system.headers, "Content-Type": "application/json"}
    made = await connections[0].ask("POST", "/api/v1/shelves", headers, body)
    assert made.status == 201, made.body
    yield Pair(system, connections, made.headers["location"])
    for connection in connections:
        connection.close()


async def listening(system: System) -> None:
    """Wait until both replicas hear of changes."""
    async with asyncio.timeout(30):
        for replica in system.replicas:
            while await in_server_thread(replica.served.metric, FEED) != 1:  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.05)


async def test_client_reads_its_own_writes_on_every_replica(system: System) -> None:
    await system.serve(2, UNHURRIED)
    await listening(system)
    async with (
        pair(system) as shelf,
        Client.from_url(system.redis.url) as client,
        system.load(rate=20).running(),
    ):
        for number in range(ROUNDS):
            if number % 10 == 5:
                await client.flushall()
            reader = number % 2
            await shelf.read(reader)  # cached from now on
            assert await shelf.read(reader) == shelf.told
            written = await shelf.write(1 - reader)
            assert await shelf.read(reader) == written, f"round {number}"
    for replica in system.replicas:
        assert (await in_server_thread(replica.served.metric, HITS) or 0) >= ROUNDS / 4
    system.only(lambda _: False, "nothing is wrong")
    await system.judge()


@pytest.mark.fault
@pytest.mark.parametrize("trouble", ["lost", "late", "paused", "gone"])
async def test_trouble_with_redis_costs_a_second_of_freshness_and_no_error(
    system: System, measure: Measurements, trouble: str
) -> None:
    url = urlsplit(system.redis.url)
    assert url.port
    async with Proxy(Endpoint("127.0.0.1", url.port)) as proxy:
        there = url._replace(netloc=f":{url.password}@127.0.0.1:{proxy.port}")
        await system.serve(2, {"redis__url": urlunsplit(there), **PATIENT})
        await listening(system)
        async with pair(system) as shelf:
            match trouble:
                case "lost":
                    proxy.swallow()
                case "late":
                    proxy.delay = 0.3
                case "paused":
                    system.redis.pause()
                case "gone":
                    await in_server_thread(system.redis.stop)
            oldest = await _oldest_read(shelf)
            proxy.delay = 0
            proxy.heal()
            await in_server_thread(system.redis.start) if trouble == "gone" else system.redis.resume()
            back = time.monotonic()
            await listening(system)
            measure(f"cache-{trouble}-staleness", oldest, LIFETIME, unit="s")
            await _agree(shelf)
            measure(f"cache-{trouble}-agrees-again", time.monotonic() - back, AGREE_SECONDS, unit="s")
    for replica in system.replicas:
        assert (await get(replica.admin_port, "/livez")) is not None
    await system.judge(memory=False)


async def _oldest_read(shelf: Pair) -> float:
    """Write on one replica twice a second and read on the other one all the time. Return the highest age of a version
    that was read, in seconds since a newer one was told."""
    oldest, ended = 0.0, time.monotonic() + TROUBLE_SECONDS
    while time.monotonic() < ended:
        await shelf.write(0)
        pause = time.monotonic() + 1.5
        while time.monotonic() < pause:
            began = time.monotonic()
            if await shelf.read(1) < shelf.told:
                oldest = max(oldest, began - shelf.told_at)
            await asyncio.sleep(0.01)
    return oldest


async def _agree(shelf: Pair) -> None:
    """Wait until ten writes in a row are read by the other replica at once."""
    in_a_row = 0
    while in_a_row < 10:
        await shelf.read(1)
        written = await shelf.write(0)
        in_a_row = in_a_row + 1 if await shelf.read(1) == written else 0
