"""PostgreSQL restarts under load."""

import asyncio
import time

import pytest

from tests.faults.connection import get
from tests.faults.measurements import Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.servers import Mode
from tests.faults.system import KINDS, Kind, System, refused_in

pytestmark = pytest.mark.fault

RATE = 30
AWAY_SECONDS = 1.0
HEALED_SECONDS = 2.0
ANSWERED_SECONDS = 1.0


@KINDS
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_restart_causes_only_503_and_recovers(
    system: System, measure: Measurements, mode: Mode, kind: Kind
) -> None:
    await system.serve(1, kind)
    processes = system.replicas[0].processes
    async with system.load(rate=RATE).running():
        await asyncio.sleep(1)
        began = time.monotonic()
        await in_server_thread(system.postgres.end, mode)
        unready = await _until_ready_is(system, expected=503)
        await asyncio.sleep(AWAY_SECONDS)
        await in_server_thread(system.postgres.start)
        back = time.monotonic()
        ready = await _until_ready_is(system, expected=200)
        await asyncio.sleep(HEALED_SECONDS + 1)
    assert system.replicas[0].processes == processes
    system.only(
        lambda event: refused_in(event, began, back + HEALED_SECONDS, within=ANSWERED_SECONDS),
        f"PostgreSQL was away for {back - began:.1f} s",
    )
    failed = system.history.failures()
    assert failed, "the outage was not felt"
    name = "workers-" if kind else ""
    healed = max(0, max(event.end for event in failed) - back)
    measure(f"postgres-{mode}-{name}healed", healed, HEALED_SECONDS, unit="s")
    measure(
        f"postgres-{mode}-{name}refusal", max(event.seconds for event in failed), ANSWERED_SECONDS, unit="s"
    )
    measure(f"postgres-{mode}-{name}unready", unready, HEALED_SECONDS, unit="s")
    measure(f"postgres-{mode}-{name}ready", ready, HEALED_SECONDS, unit="s")
    await system.judge()


async def _until_ready_is(system: System, *, expected: int) -> float:
    """Return the seconds until readiness has the expected status."""
    began = time.monotonic()
    while (
        response := await get(system.replicas[0].admin_port, "/readyz")
    ) is None or response.status != expected:
        await asyncio.sleep(0.02)
        assert time.monotonic() < began + 20, f"readiness is not {expected}"
    return time.monotonic() - began
