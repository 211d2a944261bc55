"""Statements that take too long, for one client and for all."""

import asyncio
import time
from collections.abc import Awaitable
from statistics import median

import asyncpg
import pytest

from tests.faults.connection import Connection
from tests.faults.figures import FULL, Figures
from tests.faults.history import Event, percentile
from tests.faults.trial import PATIENT, Trial

ACQUIRE_SECONDS = 0.25
SLACK_SECONDS = 0.1  # for making 200 answers on a core that also makes 200 requests
LIVENESS_SECONDS = 0.05
RECOVERED_SECONDS = 1.0
TWICE = 2.0
SHORT_SECONDS = 0.02  # under which a share of the time is noise


@pytest.mark.fault
async def test_full_pool_refuses_at_once_and_recovers(trial: Trial, figure: Figures) -> None:
    await trial.serve(1, {"database__pool_max": 2})
    await trial.slow_down()
    load = trial.load(rate=30, mix={"read": 1}, port=trial.replicas[0].port)
    async with load.running():
        await asyncio.sleep(0.5)
        probing = asyncio.create_task(_liveness(trial, 3.0))
        began = time.monotonic()
        slow = await asyncio.gather(*(_later(n * 0.005, load.slow(0.5)) for n in range(200)))
        ended = time.monotonic()
        liveness = await probing
        await asyncio.sleep(RECOVERED_SECONDS + 0.5)
    refused = [event for event in trial.history.failures() if began <= event.start]
    assert any(event.good for event in slow)
    assert refused, "the pool was never full"
    assert {event.status for event in refused} == {503}, trial.history.around(refused)
    late = max(0, max(event.end for event in refused) - ended)
    figure(
        "full-pool-refused",
        percentile([e.seconds for e in refused], 0.5),
        ACQUIRE_SECONDS + SLACK_SECONDS,
        unit="s",
    )
    figure("full-pool-liveness", percentile(liveness, 0.99), LIVENESS_SECONDS, unit="s")
    figure("full-pool-recovered", late, RECOVERED_SECONDS, unit="s")
    await trial.judge()


async def _later(seconds: float, what: Awaitable[Event]) -> Event:
    await asyncio.sleep(seconds)
    return await what


async def _liveness(trial: Trial, seconds: float) -> list[float]:
    """How long each probe took."""
    connection = await Connection.open(trial.replicas[0].admin_port)
    taken, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await connection.ask("GET", "/livez", {})).status == 200
        taken.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    connection.close()
    return taken


async def test_slow_statement_is_cancelled_and_harms_nobody(trial: Trial, figure: Figures) -> None:
    budget = 1.0
    await trial.serve(1, {"database__statement_timeout": budget, **PATIENT})
    await trial.slow_down()
    load = trial.load(rate=40, mix={"read": 1})
    async with load.running():
        await asyncio.sleep(0.5)
        slow = await asyncio.gather(*(load.slow(5) for _ in range(4)))
    assert {event.status for event in slow} <= {503, 504}, trial.history.around(slow)
    trial.only(lambda event: event in slow, "only the slow ones may")
    figure("slow-statement-answered", max(event.seconds for event in slow) - budget, 1.0, unit="s")
    connection = await asyncpg.connect(trial.database_url)
    try:
        assert await connection.fetch("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == []
    finally:
        await connection.close()
    await trial.judge()


@pytest.mark.fault
async def test_slow_statements_do_not_slow_others(trial: Trial, figure: Figures) -> None:
    """In turns without and with them, so that what else the machine does is in both."""
    await trial.serve(1, {"database__statement_timeout": 1})
    await trial.slow_down()
    load, ratios = trial.load(rate=60, mix={"read": 1}), []
    async with load.running():
        for _ in range(9 if FULL else 5):
            calm = await _reads(trial)
            slow = [asyncio.create_task(load.slow(5)) for _ in range(4)]
            ratios.append(await _reads(trial) / max(calm, SHORT_SECONDS))
            assert {event.status for event in await asyncio.gather(*slow)} <= {503, 504}
    figure("slow-statement-others", median(ratios), TWICE, unit="times the p99 without")
    await trial.judge()


async def _reads(trial: Trial) -> float:
    """The 99th percentile of the reads of the next moment."""
    before = len(trial.history.events)
    await asyncio.sleep(1.0)
    reads = [event for event in trial.history.events[before:] if event.operation == "read" and event.good]
    return percentile([event.seconds for event in reads], 0.99)
