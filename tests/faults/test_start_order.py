"""The service starts before its servers, or with a Redis that refuses its login."""

import asyncio
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.faults.connection import get
from tests.faults.measurements import Measurements
from tests.faults.proxy import Proxy
from tests.faults.server_thread import in_server_thread
from tests.faults.system import KINDS, Kind, System
from tests.faults.test_probes import until_ready_is
from tests.faults.test_redis import LOST, metric, until

TRIALS = 3  # of a server that is down or refuses
WRONG = "wr0ng-passw0rd"
ENOUGH = 10  # responses
IDLE, MINIMUM = 'slipway_database_connections{state="idle"}', 4
FAR_SECONDS = 0.01  # for a message to the database, each way
READY_SECONDS = 5.0  # the longest pause between two attempts, with its jitter, and a connection


@KINDS
async def test_service_waits_for_postgresql_and_redis(
    system: System, measure: Measurements, kind: Kind
) -> None:
    await in_server_thread(system.redis.stop)
    await in_server_thread(system.postgres.end, "fast")
    system.make(1, kind)
    replica = system.replicas[0]
    await replica.launch()
    await in_server_thread(replica.served.listening)
    for path, status in (("/livez", 200), ("/startupz", 200), ("/readyz", 503)):
        response = await get(replica.admin_port, path)
        assert response is not None
        assert response.status == status
    processes = len(replica.workers) or 1

    async def tried() -> bool:
        both = replica.served.lines(event=LOST), replica.served.lines(event="database unreachable")
        return len(both[0]) >= processes and len(both[1]) >= TRIALS * processes

    await until(tried, "not every process says what it cannot reach", seconds=30)
    await in_server_thread(system.postgres.start)
    await in_server_thread(system.redis.start)
    ready = await until_ready_is(system, 200)
    pauses = [line["retry_in"] for line in replica.served.lines(event="database unreachable")]
    assert kind or pauses == sorted(pauses), "they grow"
    assert len(pauses) <= 20 * processes
    reasons = Counter(line["reason"] for line in replica.served.lines(event=LOST))
    assert reasons["connecting failed: ConnectionError"] == processes
    password = urlsplit(system.database_url).password
    assert password
    assert password not in replica.served.output
    measure(f"servers-come-late-{'workers-' if kind else ''}ready", ready, READY_SECONDS, unit="s")
    began = time.monotonic()
    while await in_server_thread(replica.served.metric, "slipway_redis_breaker_open") != 0:
        assert time.monotonic() < began + 10
        await asyncio.sleep(0.1)


async def _ask(port: int, responses: list[int]) -> None:
    while True:
        if (response := await get(port, "/health", seconds=10)) is not None:
            responses.append(response.status)
        await asyncio.sleep(0.01)


@KINDS
async def test_first_requests_find_open_connections(system: System, kind: Kind) -> None:
    """Whichever worker answers: readiness is that of one worker."""
    responses: list[int] = []
    async with Proxy(system.database_endpoint) as far:
        far.delay = FAR_SECONDS
        url = system.database_by(far)
        system.make(1, {"database__url": url, "database__pool_min": MINIMUM, **kind})
        await system.replicas[0].launch()
        asking = asyncio.create_task(_ask(system.replicas[0].port, responses))
        served = system.replicas[0].served
        await in_server_thread(served.listening)
        idle = MINIMUM * (2 if kind else 1)
        while (await in_server_thread(served.metric, IDLE) or 0) < idle:
            assert not asking.done(), responses
            await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while len(responses) <= ENOUGH:
                assert not asking.done(), responses
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        asking.cancel()
        await system.close()
    assert set(responses) == {200}


@pytest.mark.fault
async def test_redis_login_failure_is_one_log_line_without_the_secret(system: System) -> None:
    port = urlsplit(system.redis.url).port
    await system.serve(1, {"redis__url": f"redis://:{WRONG}@127.0.0.1:{port}/0"})
    async with system.load(rate=20).running():

        async def tried() -> bool:
            return await metric(system, "slipway_redis_failures_total") >= TRIALS

        await until(tried, "Redis is not tried again", seconds=30)
    served = system.replicas[0].served
    [line] = served.lines(event=LOST)
    assert line["reason"] == "connecting failed: AuthenticationError"
    assert WRONG not in served.output
    assert WRONG not in (await in_server_thread(served.admin.get, "/readyz")).text
    system.only(lambda _: False, "Redis is not needed to respond")
    await system.judge()
