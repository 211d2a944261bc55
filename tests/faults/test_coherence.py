"""Two replicas: no client reads an older version than before, and a revoked key stops working on both."""

import asyncio
import time

import pytest

from tests.faults.connection import Connection, get
from tests.faults.measurements import Measurements
from tests.faults.system import PATIENT, System
from tests.process.conftest import new_key

LIST = "/api/v1/articles?limit=1"
REVOKED_SECONDS = 1.0


@pytest.mark.fault
async def test_client_never_sees_an_older_version(system: System) -> None:
    await system.serve(2)
    began = len(system.history.events)
    async with system.load(rate=60, mix={"create": 1, "read": 12, "update": 8}).running():
        await asyncio.sleep(6)
    events = system.history.events[began:]
    assert sum(event.operation == "read" and event.version > 1 for event in events) > 20
    system.only(lambda _: False, "nothing is wrong")
    await system.judge()


async def test_revoked_key_stops_working_everywhere_within_a_second(
    system: System, measure: Measurements
) -> None:
    await system.serve(2, PATIENT)
    key = await new_key(system.database_url, "shop:read")
    done = asyncio.Event()

    async def use(port: int) -> tuple[float, int]:
        """Return the time of the last request that was accepted, and the last status."""
        last, status = 0.0, 0
        connection = await Connection.open(port)
        while not (done.is_set() and status == 401):
            began = time.monotonic()
            status = (await connection.ask("GET", LIST, {"Authorization": f"Bearer {key}"})).status
            last = began if status == 200 else last
            assert status in (200, 401)
            await asyncio.sleep(0.01)
        connection.close()
        return last, status

    using = [asyncio.create_task(use(replica.port)) for replica in system.replicas]
    await asyncio.sleep(1)
    way = await Connection.open(system.replicas[0].port)
    response = await way.ask("DELETE", f"/api/v1/keys/{key.split('_')[1]}", system.headers)
    revoked = time.monotonic()
    way.close()
    assert response.status == 204, response.body
    done.set()
    used = await asyncio.wait_for(asyncio.gather(*using), 20)
    measure(
        "revoked-key-good-for", max(0.0, *(last - revoked for last, _ in used)), REVOKED_SECONDS, unit="s"
    )
    assert (await get(system.replicas[0].admin_port, "/livez")) is not None
    await system.judge()
