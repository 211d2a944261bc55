"""A long mixed load: nothing grows."""

import asyncio
import os

import asyncpg
import pytest

from tests.faults.connection import get
from tests.faults.measurements import FULL, Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.system import MEMORY_SHARE, System

SECONDS = float(os.environ.get("SLIPWAY_FAULT_SOAK", "600" if FULL else "30"))
RATE = 60
WARM_SHARE = 0.2


@pytest.mark.fault
@pytest.mark.timeout(SECONDS + 120)
async def test_memory_connections_and_files_do_not_grow(system: System, measure: Measurements) -> None:
    await system.serve(2)
    async with system.load(rate=RATE, fresh=0.3).running():
        await asyncio.sleep(SECONDS * WARM_SHARE)
        before = await _sizes(system)
        system.remember_memory()
        await asyncio.sleep(SECONDS * (1 - WARM_SHARE))
        after = await _sizes(system)
    system.only(lambda _: False, "nothing was done to it")
    measure("soak-memory", after["memory"] / before["memory"], MEMORY_SHARE, unit="times as much as before")
    measure("soak-files", after["files"] - before["files"], 20, unit="more than before")
    measure("soak-tasks", after["tasks"] - before["tasks"], 20, unit="more than before")
    measure("soak-series", after["series"] - before["series"], 0, unit="more than before")
    measure("soak-connections", after["connections"] - before["connections"], 20, unit="more than before")
    await system.judge()


async def _tasks(system: System) -> int:
    """Return the lowest number of tasks within a second, as requests have tasks too."""
    found = []
    for _ in range(4):
        told = [
            await in_server_thread(replica.served.metric, "slipway_event_loop_tasks")
            for replica in system.replicas
        ]
        found.append(sum(int(number or 0) for number in told))
        await asyncio.sleep(0.3)
    assert min(found) > 0
    return min(found)


async def _sizes(system: System) -> dict[str, int]:
    metrics = [await get(replica.admin_port, "/metrics") for replica in system.replicas]
    connection = await asyncpg.connect(system.database_url)
    try:
        connections = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return {
        "tasks": await _tasks(system),
        "memory": sum(replica.memory() for replica in system.replicas),
        "files": sum(replica.files() for replica in system.replicas),
        "series": sum(len(response.body.splitlines()) for response in metrics if response is not None),
        "connections": connections,
    }
