"""`kill -9` under load: what was acknowledged is there, and nothing has happened twice."""

import asyncio
import os
import signal
import time

import pytest

from tests.faults.connection import get
from tests.faults.figures import FULL, Figures
from tests.faults.load import Load
from tests.faults.trial import GUNICORN, PATIENT, Trial

RATE = 60
CUT_SECONDS = 1.0  # until every client of a killed worker knows


async def _kill_some(trial: Trial, load: Load, rounds: int) -> None:
    outages: list[tuple[float, float]] = []
    async with load.running():
        for _ in range(rounds):
            replica = trial.dice.choice(trial.replicas)
            await asyncio.sleep(trial.dice.uniform(0.2, 0.8))
            began = time.monotonic()
            await replica.kill()
            outages.append((began, await trial.noticed(replica)))
            await replica.start()
    trial.only(
        lambda event: (
            not event.status and any(event.start <= end and event.end >= began for began, end in outages)
        ),
        "only those may that were under way, or were sent there before the balancer knew",
    )
    for event in trial.history.failures():
        if event.operation == "create":
            again = await load.again(event)
            assert again.status == 201, trial.history.around([again])


@pytest.mark.parametrize("rounds", [1, pytest.param(50 if FULL else 5, marks=pytest.mark.fault, id="many")])
@pytest.mark.timeout(1200)
async def test_killed_process_loses_nothing_that_was_acknowledged(
    trial: Trial, figure: Figures, rounds: int
) -> None:
    await trial.serve(2, PATIENT)
    await _kill_some(trial, trial.load(rate=RATE), rounds)
    await trial.judge()
    figure("kill-lost-writes", 0, 0, unit="writes")
    figure("kill-double-effects", 0, 0, unit="effects")


@pytest.mark.fault
async def test_killed_worker_is_replaced_and_counts_stay_right(trial: Trial) -> None:
    await trial.serve(1, GUNICORN)
    replica = trial.replicas[0]
    before, warm = await _counted(trial), len(trial.history.events)
    kills: list[float] = []
    async with trial.load(rate=RATE).running() as history:
        for _ in range(3):
            await asyncio.sleep(0.5)
            workers = replica.workers
            kills.append(time.monotonic())
            os.kill(trial.dice.choice(workers), signal.SIGKILL)
            async with asyncio.timeout(30):
                while len(replica.workers) < 2 or replica.workers == workers:  # noqa: ASYNC110  # of the kernel
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
    trial.only(
        lambda event: (
            not event.status
            and any(event.start <= kill + CUT_SECONDS and event.end >= kill for kill in kills)
        ),
        "only those of the killed worker may",
    )
    replica.livez = [(at, status) for at, status in replica.livez if status or not _near(at, kills)]
    await trial.judge(memory=False)
    counted = await _counted(trial) - before
    answered = len([event for event in history.events[warm:] if event.status])
    assert answered <= counted <= len(history.events) - warm


def _near(at: float, moments: list[float]) -> bool:
    return any(moment <= at <= moment + 1 for moment in moments)


async def _counted(trial: Trial) -> float:
    answer = await get(trial.replicas[0].admin_port, "/metrics")
    assert answer is not None
    lines = answer.body.decode().splitlines()
    return sum(float(x.rpartition(" ")[2]) for x in lines if x.startswith("http_requests_total{"))
