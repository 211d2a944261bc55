"""Feature flags on two replicas: a change is seen everywhere within a second, also right after an outage."""

import asyncio
import time

import orjson
import pytest

from tests.faults.connection import Connection, get
from tests.faults.measurements import Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.system import System
from tests.process.conftest import new_key

SEEN_SECONDS = 1.0
BACK_SECONDS = 2.0
FLAG = "/api/v1/feature-flags/greeting"
FEATURES = "/api/v1/features"
Seen = list[tuple[float, int, str]]


@pytest.mark.fault
async def test_flips_are_seen_everywhere_across_restarts_of_both_servers(
    system: System, measure: Measurements
) -> None:
    await system.serve(2, {"security__key_cache_seconds": 60})  # callers stay known in the outage
    key = await new_key(system.database_url, "features:read")
    seen: list[Seen] = [[] for _ in system.replicas]
    watching = [
        asyncio.create_task(_watch(replica.port, key, found))
        for replica, found in zip(system.replicas, seen, strict=True)
    ]
    async with system.load(rate=20).running():
        before = await _flips(system, seen, "before")
        await in_server_thread(system.redis.stop)
        await in_server_thread(system.redis.start)
        began = time.monotonic()
        await in_server_thread(system.postgres.end, "fast")
        await asyncio.sleep(1)
        kept = [found[-1][1:] for found in seen]
        await in_server_thread(system.postgres.start)
        back = time.monotonic()
        for replica in system.replicas:
            while (response := await get(replica.admin_port, "/readyz")) is None or response.status != 200:
                await asyncio.sleep(0.05)
                assert time.monotonic() < back + 20
        after = await _flips(system, seen, "after")
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert kept == [(200, "before 4")] * 2, "a flag does not keep its value while PostgreSQL is down"
    measure("feature-flag-seen-everywhere", max(before, after), SEEN_SECONDS, unit="s")
    assert all(status == 200 for found in seen for _, status, _ in found)
    for found in seen:  # never an older value after a newer one
        values = [value for _, _, value in found]
        assert list(dict.fromkeys(values)) == [
            value for n, value in enumerate(values) if not n or values[n - 1] != value
        ]
    system.only(
        lambda event: began <= event.end and event.start <= back + BACK_SECONDS,
        "PostgreSQL was away",
    )


async def _flips(system: System, seen: list[Seen], name: str) -> float:
    """Change the flag five times; return the longest time until both replicas showed it."""
    longest = 0.0
    for number in range(5):
        value = f"{name} {number}"
        connection = await Connection.open(system.replicas[number % 2].port)
        body = orjson.dumps({"value": value})
        headers = {**system.headers, "If-Match": "*", "Content-Type": "application/json"}
        response = await connection.ask("PUT", FLAG, headers, body)
        changed = time.monotonic()
        connection.close()
        assert response.status == 200, response.body
        while not all(found and found[-1][2] == value for found in seen):  # watchers note it
            await asyncio.sleep(0.005)
            assert time.monotonic() < changed + 20, f"{value} was not seen"
        longest = max(longest, time.monotonic() - changed)
    return longest


async def _watch(port: int, key: str, found: Seen) -> None:
    """Ask one replica for its features, over and over."""
    connection = await Connection.open(port)
    try:
        while True:
            response = await connection.ask("GET", FEATURES, {"X-API-Key": key})
            items = {item["name"]: item["value"] for item in response.json.get("items", ())}
            found.append((time.monotonic(), response.status, items.get("greeting", "")))
            await asyncio.sleep(0.01)
    finally:
        connection.close()
