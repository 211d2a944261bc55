"""A long mixed load: nothing grows."""

import asyncio
import os

import asyncpg
import pytest

from tests.faults.aside import aside
from tests.faults.connection import get
from tests.faults.figures import FULL, Figures
from tests.faults.trial import MEMORY_SHARE, Trial

SECONDS = float(os.environ.get("SLIPWAY_FAULT_SOAK", "600" if FULL else "30"))
RATE = 60
WARM_SHARE = 0.2


@pytest.mark.fault
@pytest.mark.timeout(SECONDS + 120)
async def test_nothing_grows(trial: Trial, figure: Figures) -> None:
    await trial.serve(2)
    async with trial.load(rate=RATE, fresh=0.3).running():
        await asyncio.sleep(SECONDS * WARM_SHARE)
        before = await _sizes(trial)
        trial.remember_memory()
        await asyncio.sleep(SECONDS * (1 - WARM_SHARE))
        after = await _sizes(trial)
    trial.only(lambda _: False, "nothing was done to it")
    figure("soak-memory", after["memory"] / before["memory"], MEMORY_SHARE, unit="times as much as before")
    figure("soak-files", after["files"] - before["files"], 20, unit="more than before")
    figure("soak-tasks", after["tasks"] - before["tasks"], 20, unit="more than before")
    figure("soak-series", after["series"] - before["series"], 0, unit="more than before")
    figure("soak-connections", after["connections"] - before["connections"], 20, unit="more than before")
    await trial.judge()


async def _tasks(trial: Trial) -> int:
    """The fewest that there are at some moment of the next second: requests have some of their own."""
    found = []
    for _ in range(4):
        told = [await aside(replica.served.metric, "slipway_event_loop_tasks") for replica in trial.replicas]
        found.append(sum(int(number or 0) for number in told))
        await asyncio.sleep(0.3)
    assert min(found) > 0
    return min(found)


async def _sizes(trial: Trial) -> dict[str, int]:
    metrics = [await get(replica.admin_port, "/metrics") for replica in trial.replicas]
    connection = await asyncpg.connect(trial.database_url)
    try:
        connections = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return {
        "tasks": await _tasks(trial),
        "memory": sum(replica.memory() for replica in trial.replicas),
        "files": sum(replica.files() for replica in trial.replicas),
        "series": sum(len(answer.body.splitlines()) for answer in metrics if answer is not None),
        "connections": connections,
    }
