"""`kill -9` under load: acknowledged writes are kept, and nothing happens twice."""

import asyncio
import os
import signal
import time

import pytest

from tests.faults.connection import get
from tests.faults.load import Load
from tests.faults.measurements import FULL, Measurements
from tests.faults.system import GUNICORN, System

RATE = 60
ROUNDS = 50 if FULL else 5
CUT_SECONDS = 1.0  # until every client of a killed worker has noticed


async def _kill_some(system: System, load: Load) -> None:
    outages: list[tuple[float, float]] = []
    async with load.running():
        for _ in range(ROUNDS):
            replica = system.dice.choice(system.replicas)
            await asyncio.sleep(system.dice.uniform(0.2, 0.8))
            began = time.monotonic()
            await replica.kill()
            outages.append((began, await system.noticed(replica)))
            await replica.start()
    system.only(
        lambda event: (
            not event.status and any(event.start <= end and event.end >= began for began, end in outages)
        ),
        "only those may that were under way, or were sent there before the balancer knew",
    )
    for event in system.history.failures():
        if event.operation == "create":
            again = await load.again(event)
            assert again.status == 201, system.history.around([again])


@pytest.mark.fault
@pytest.mark.timeout(1200)
async def test_killed_process_loses_no_acknowledged_write(system: System, measure: Measurements) -> None:
    await system.serve(2)
    await _kill_some(system, system.load(rate=RATE))
    await system.judge()
    measure("kill-lost-writes", 0, 0, unit="writes")
    measure("kill-double-effects", 0, 0, unit="effects")


@pytest.mark.fault
async def test_killed_worker_is_replaced_and_metrics_stay_correct(system: System) -> None:
    await system.serve(1, GUNICORN)
    replica = system.replicas[0]
    before, warm = await _counted(system), len(system.history.events)
    kills: list[float] = []
    async with system.load(rate=RATE).running() as history:
        for _ in range(3):
            await asyncio.sleep(0.5)
            workers = replica.workers
            kills.append(time.monotonic())
            os.kill(system.dice.choice(workers), signal.SIGKILL)
            async with asyncio.timeout(30):
                while len(replica.workers) < 2 or replica.workers == workers:  # noqa: ASYNC110  # of the kernel
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
    system.only(
        lambda event: (
            not event.status
            and any(event.start <= kill + CUT_SECONDS and event.end >= kill for kill in kills)
        ),
        "only those of the killed worker may",
    )
    replica.livez = [(at, status) for at, status in replica.livez if status or not _near(at, kills)]
    await system.judge(memory=False)
    counted = await _counted(system) - before
    answered = len([event for event in history.events[warm:] if event.status])
    # A worker sends a response before it counts it, one at a time, and may be killed in between.
    assert answered - len(kills) <= counted <= len(history.events) - warm


def _near(at: float, moments: list[float]) -> bool:
    return any(moment <= at <= moment + 1 for moment in moments)


async def _counted(system: System) -> float:
    response = await get(system.replicas[0].admin_port, "/metrics")
    assert response is not None
    lines = response.body.decode().splitlines()
    return sum(float(x.rpartition(" ")[2]) for x in lines if x.startswith("http_requests_total{"))
