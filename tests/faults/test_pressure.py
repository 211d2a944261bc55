"""Statements that take too long, for one client and for all."""

import asyncio
import time
from collections.abc import Awaitable
from statistics import median

import asyncpg
import pytest

from tests.faults.connection import Connection
from tests.faults.history import Event, percentile
from tests.faults.measurements import FULL, Measurements
from tests.faults.system import PATIENT, System

ACQUIRE_SECONDS = 0.25
SLACK_SECONDS = 0.1  # to produce 200 responses on a core that also produces 200 requests
LIVENESS_SECONDS = 0.05
RECOVERED_SECONDS = 1.0
TWICE = 2.0
SHORT_SECONDS = 0.02  # below this, a ratio is noise


@pytest.mark.fault
async def test_full_pool_refuses_quickly_and_recovers(system: System, measure: Measurements) -> None:
    await system.serve(1, {"database__pool_max": 2})
    await system.slow_down()
    load = system.load(rate=30, mix={"read": 1}, port=system.replicas[0].port)
    async with load.running():
        await asyncio.sleep(0.5)
        probing = asyncio.create_task(_liveness(system, 3.0))
        began = time.monotonic()
        slow = await asyncio.gather(*(_later(n * 0.005, load.slow(0.5)) for n in range(200)))
        ended = time.monotonic()
        liveness = await probing
        await asyncio.sleep(RECOVERED_SECONDS + 0.5)
    refused = [event for event in system.history.failures() if began <= event.start]
    assert any(event.good for event in slow)
    assert refused, "the pool was never full"
    assert {event.status for event in refused} == {503}, system.history.around(refused)
    late = max(0, max(event.end for event in refused) - ended)
    measure(
        "full-pool-refused",
        percentile([e.seconds for e in refused], 0.5),
        ACQUIRE_SECONDS + SLACK_SECONDS,
        unit="s",
    )
    measure("full-pool-liveness", percentile(liveness, 0.99), LIVENESS_SECONDS, unit="s")
    measure("full-pool-recovered", late, RECOVERED_SECONDS, unit="s")
    await system.judge()


async def _later(seconds: float, what: Awaitable[Event]) -> Event:
    await asyncio.sleep(seconds)
    return await what


async def _liveness(system: System, seconds: float) -> list[float]:
    """Return the duration of each probe."""
    connection = await Connection.open(system.replicas[0].admin_port)
    taken, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await connection.ask("GET", "/livez", {})).status == 200
        taken.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    connection.close()
    return taken


async def test_slow_statement_is_cancelled_without_side_effects(
    system: System, measure: Measurements
) -> None:
    budget = 1.0
    await system.serve(1, {"database__statement_timeout": budget, **PATIENT})
    await system.slow_down()
    load = system.load(rate=40, mix={"read": 1})
    async with load.running():
        await asyncio.sleep(0.5)
        slow = await asyncio.gather(*(load.slow(5) for _ in range(4)))
    assert {event.status for event in slow} <= {503, 504}, system.history.around(slow)
    system.only(lambda event: event in slow, "only the slow ones may")
    measure("slow-statement-answered", max(event.seconds for event in slow) - budget, 1.0, unit="s")
    connection = await asyncpg.connect(system.database_url)
    try:
        assert await connection.fetch("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == []
    finally:
        await connection.close()
    await system.judge()


@pytest.mark.fault
async def test_slow_statements_do_not_slow_down_other_requests(system: System, measure: Measurements) -> None:
    """Alternate rounds with and without slow statements, so that other load affects both."""
    await system.serve(1, {"database__statement_timeout": 1})
    await system.slow_down()
    load, ratios = system.load(rate=60, mix={"read": 1}), []
    async with load.running():
        for _ in range(9 if FULL else 5):
            calm = await _reads(system)
            slow = [asyncio.create_task(load.slow(5)) for _ in range(4)]
            ratios.append(await _reads(system) / max(calm, SHORT_SECONDS))
            assert {event.status for event in await asyncio.gather(*slow)} <= {503, 504}
    measure("slow-statement-others", median(ratios), TWICE, unit="times the p99 without")
    await system.judge()


async def _reads(system: System) -> float:
    """Return the p99 of reads over a moment."""
    before = len(system.history.events)
    await asyncio.sleep(1.0)
    reads = [event for event in system.history.events[before:] if event.operation == "read" and event.good]
    return percentile([event.seconds for event in reads], 0.99)
