"""Two replicas and one Idempotency-Key."""

import asyncio
from uuid import uuid4

import asyncpg
import orjson
import pytest

from tests.faults.connection import Connection, Response
from tests.faults.load import ARTICLES
from tests.faults.measurements import FULL
from tests.faults.proxy import Proxy
from tests.faults.system import System
from tests.process.conftest import new_key

CLIENTS = 50


async def _post(port: int, headers: dict[str, str], body: bytes) -> Response:
    connection = await Connection.open(port)
    try:
        return await connection.ask("POST", ARTICLES, headers, body)
    finally:
        connection.close()


async def _times(system: System, sku: str) -> int:
    connection = await asyncpg.connect(system.database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM tests_article WHERE sku = $1", sku))
    finally:
        await connection.close()


@pytest.mark.fault
async def test_concurrent_requests_with_one_key_have_one_effect(system: System) -> None:
    await system.serve(2)
    ports = [replica.port for replica in system.replicas]
    headers = {**system.headers, "Content-Type": "application/json", "Idempotency-Key": f"k-{system.seed}"}
    body = system.article("ONCE")
    responses = await asyncio.gather(*(_post(ports[n % 2], headers, body) for n in range(CLIENTS)))
    made = [response for response in responses if response.status == 201]
    assert {response.status for response in responses} <= {201, 409}
    assert (
        len({(response.body, response.headers["location"], response.headers["etag"]) for response in made})
        == 1
    )
    assert await _times(system, "ONCE") == 1
    for port in ports:
        assert (await _post(port, headers, body)).body == made[0].body
        assert (await _post(port, headers, system.article("OTHER"))).status == 422
    other = {"Authorization": f"Bearer {await new_key(system.database_url, 'admin')}"}
    theirs = await _post(ports[0], {**headers, **other}, system.article("THEIRS"))
    assert (theirs.status, theirs.json["sku"]) == (201, "THEIRS")
    await system.judge()


@pytest.mark.fault
async def test_retry_gets_the_response_lost_in_a_crash_after_commit(system: System) -> None:
    await system.serve(2)
    first, second = system.replicas
    async with Proxy(system.database_endpoint) as way:
        await first.close()
        # It waits for the dropped response until it is killed.
        first.change(database__url=system.database_by(way), database__statement_timeout=60)
        await first.start()
        headers = {**system.headers, "Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
        body = system.article("KILLED")
        await _post(first.port, {**headers, "Idempotency-Key": str(uuid4())}, system.article("WARM"))
        way.swallow(responses_only=True)
        lost = asyncio.create_task(_post(first.port, headers, body))
        async with asyncio.timeout(15):
            while not await _times(system, "KILLED"):  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(0.02)
        await first.kill()
        assert isinstance((await asyncio.gather(lost, return_exceptions=True))[0], Exception)
        response = await _post(second.port, headers, body)
    assert response.status == 201
    assert orjson.loads(response.body)["sku"] == "KILLED"
    assert await _times(system, "KILLED") == 1


@pytest.mark.fault
async def test_no_update_is_lost(system: System) -> None:
    count = 1000 if FULL else 300
    await system.serve(2)
    headers = {**system.headers, "Content-Type": "application/json"}
    made = await _post(system.replicas[0].port, headers, system.article("COUNT"))
    path = made.headers["location"]
    statuses = [await asyncio.gather(*(_increment(r.port, headers, path, count) for r in system.replicas))]
    acknowledged = sum(given.count(200) for given in statuses[0])
    assert {status for given in statuses[0] for status in given} <= {200, 412}
    connection = await Connection.open(system.replicas[0].port)
    now = await connection.ask("GET", path, headers)
    connection.close()
    assert now.json["stock"] == acknowledged
    assert now.json["version"] == acknowledged + 1
    await system.judge()


async def _increment(port: int, headers: dict[str, str], path: str, count: int) -> list[int]:
    connection = await Connection.open(port)
    statuses = []
    patch = {**headers, "Content-Type": "application/merge-patch+json"}
    for _ in range(count):
        seen = await connection.ask("GET", path, headers)
        body = orjson.dumps({"stock": seen.json["stock"] + 1})
        response = await connection.ask("PATCH", path, {**patch, "If-Match": seen.headers["etag"]}, body)
        statuses.append(response.status)
    connection.close()
    return statuses
