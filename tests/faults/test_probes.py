"""The probes while PostgreSQL and Redis hang."""

import asyncio
import time

import pytest

from tests.faults.connection import get
from tests.faults.history import Event, percentile
from tests.faults.measurements import Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.system import KINDS, Kind, System

LIVE_SECONDS, READY_SECONDS = 0.05, 2.0
PROBES, ROUNDS = 100, 3


async def live(system: System) -> float:
    """Return the p99 of liveness."""
    seconds: list[float] = []
    for _ in range(PROBES):
        began = time.monotonic()
        response = await get(system.replicas[0].admin_port, "/livez")
        seconds.append(time.monotonic() - began)
        assert response is not None
        assert response.status == 200
        await asyncio.sleep(0.005)
    return percentile(seconds, 0.99)


async def until_ready_is(system: System, status: int) -> float:
    began = time.monotonic()
    while (
        response := await get(system.replicas[0].admin_port, "/readyz", seconds=5)
    ) is None or response.status != status:
        assert time.monotonic() < began + 20, response
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def reported(event: Event) -> bool:
    return event.status in (503, 504)


@pytest.mark.fault
@KINDS
async def test_liveness_has_no_dependency_and_readiness_names_failures(
    system: System, measure: Measurements, kind: Kind
) -> None:
    await system.serve(1, {"database__statement_timeout": 1, **kind})
    async with system.load(rate=20).running():
        await asyncio.sleep(1)
        await in_server_thread(system.postgres.pause)
        system.redis.pause()
        unready = await until_ready_is(system, 503)
        alive = min([await live(system) for _ in range(ROUNDS)])
        response = await get(system.replicas[0].admin_port, "/readyz", seconds=5)
        metric = system.replicas[0].served.metric
        up = [
            await in_server_thread(metric, f'slipway_dependency_up{{dependency="{name}"}}')
            for name in ("database", "redis")
        ]
        await in_server_thread(system.postgres.resume)
        system.redis.resume()
        ready = await until_ready_is(system, 200)
        await asyncio.sleep(2)
    assert response is not None
    checks = response.json["checks"]
    assert (checks["database"]["ok"], checks["database"]["critical"]) == (False, True)
    assert checks["database"]["detail"] == "no response in 1 s"
    assert checks["redis"] == {"ok": False, "critical": False}
    assert up == [0, 0]
    system.only(reported, "PostgreSQL was silent")
    name = "workers-" if kind else ""
    measure(f"silent-servers-{name}liveness-p99", alive, LIVE_SECONDS, unit="s")
    measure(f"silent-servers-{name}unready", unready, READY_SECONDS, unit="s")
    measure(f"silent-servers-{name}ready", ready, READY_SECONDS, unit="s")
    await system.judge()
