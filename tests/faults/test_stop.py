"""SIGTERM under load: no request fails, slow requests finish, and the exit code is 0."""

import asyncio
import os
import signal

import pytest

from tests.faults.connection import Connection
from tests.faults.measurements import FULL, Measurements
from tests.faults.replica import Replica
from tests.faults.system import CROWDED, GUNICORN, KINDS, PATIENT, Kind, System

EXIT_SECONDS = 10.0
SLOW_SECONDS = 3.0
# The balancer looks ten times a second, and both it and the clients run in this process, which may be late. Slow
# requests end after the delay.
DRAIN = {"server__drain_delay": 2, "server__shutdown_timeout": 8}
RATE = int(os.environ.get("SLIPWAY_FAULT_RATE", "300" if FULL else "60"))


async def _end_and_start(system: System, replica: Replica, *, slow: bool) -> float:
    """Stop a replica while it runs a slow request, and restart it. Return the seconds that stopping took."""
    running = asyncio.create_task(system.load(rate=1, port=replica.port).slow(SLOW_SECONDS)) if slow else None
    await asyncio.sleep(0.3)
    code, seconds = await replica.terminate()
    assert code == 0
    if running is not None:
        assert (await running).status == 201
    await replica.start()
    return seconds


async def _rounds(system: System, count: int, *, rate: float) -> float:
    """Restart replicas one after another, and return the longest stop in seconds."""
    await system.slow_down()
    longest = 0.0
    async with system.load(rate=rate, fresh=0.5).running():
        for number in range(count):
            seconds = await _end_and_start(system, system.replicas[number % 2], slow=True)
            longest = max(longest, seconds)
            await asyncio.sleep(0.5)
    system.only(lambda _: False, "SIGTERM costs none")
    return longest


@pytest.mark.fault
async def test_sigterm_fails_no_request(system: System, measure: Measurements) -> None:
    await system.serve(2, {**DRAIN, **PATIENT})
    seconds = await _rounds(system, 1, rate=30)
    measure("sigterm-exit-once", seconds, EXIT_SECONDS, unit="s")
    await system.judge()


@pytest.mark.fault
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("workers", [1, 2])
async def test_repeated_sigterm_under_load_fails_no_request(
    system: System, measure: Measurements, workers: int
) -> None:
    rounds = (20 if workers == 1 else 6) if FULL else 4 - workers
    # Four workers, the balancer and the clients share a few processors.
    more = {**CROWDED, **GUNICORN} if workers > 1 else PATIENT
    await system.serve(2, {**DRAIN, **more})
    seconds = await _rounds(system, rounds, rate=RATE)
    measure(f"sigterm-failed-workers-{workers}", len(system.history.failures()), 0, unit="requests")
    measure(f"sigterm-exit-workers-{workers}", seconds, EXIT_SECONDS, unit="s")
    await system.judge()


@pytest.mark.fault
@KINDS
async def test_connections_in_the_backlog_at_sigterm_are_served(system: System, kind: Kind) -> None:
    await system.serve(1, {"server__drain_delay": 0, **kind})
    replica = system.replicas[0]
    silent = [await Connection.open(replica.port) for _ in range(20)]
    used = [await Connection.open(replica.port) for _ in range(20)]
    for connection in used:
        assert (await connection.ask("GET", "/health", {})).status == 200
    serving = replica.workers or [replica.pid]
    for process in serving:  # so that the signal and the requests arrive at the same time
        os.kill(process, signal.SIGSTOP)
    waiting = [await Connection.open(replica.port) for _ in range(20)]  # to be accepted
    connections = [*silent, *used, *waiting]
    for connection in connections:
        connection.send("GET", "/health", {})
    await asyncio.sleep(0.1)
    ending = asyncio.create_task(replica.terminate())
    await asyncio.sleep(0.1 if kind else 0)  # until the master has signalled its workers
    for process in serving:
        os.kill(process, signal.SIGCONT)
    responses = await asyncio.gather(*(connection.response() for connection in connections))
    for connection in connections:
        connection.close()
    assert {response.status for response in responses} <= {200, 503}  # it is not ready once it stops
    assert (await ending)[0] == 0
