"""Database failures: the responses to requests, and recovery."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import make_url

from service.config import Settings
from service.database import Database, DatabaseUnavailableError
from service.dev.free_ports import LOOPBACK
from service.health.probes import CACHE_SECONDS
from service.main import create_app
from service.security.api_keys.commands import create_key
from tests.asgi import lifespan
from tests.faults.proxy import Endpoint, Proxy
from tests.listener import listener
from tests.shop import SHOP

ACQUIRE_SECONDS = 1.0  # for tests whose result must not depend on the load of the machine
SMALL: dict[str, Any] = {"pool_max": 2, "acquire_timeout": 0.25, "lock_timeout": 0.5}


def _settings(url: str, **database: object) -> Settings:
    return Settings.model_validate(
        {
            "app": {"environment": "test"},
            "database": {"url": url, **SMALL, **database},
            "redis": {"enabled": False},
            "logging": {"access": False},
        }
    )


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[tuple[FastAPI, AsyncClient]]:
    """An application with few connections, and a client with all scopes."""
    app = create_app(_settings(database_url), (SHOP,))
    async with lifespan(app):
        async with app.state.database.session() as session:
            _, key = await create_key(session, name="trouble", scopes=["admin"])
        async with AsyncClient(
            transport=ASGITransport(app, raise_app_exceptions=False),
            base_url="http://slipway.test",
            headers={"X-API-Key": key},
        ) as client:
            yield app, client


async def test_lock_timeout_and_full_pool_in_orm_routes_are_reported(
    small: tuple[FastAPI, AsyncClient],
) -> None:
    app, client = small
    made = await client.post("/api/v1/shelves", json={"slug": f"t-{id(client)}", "name": "T"})
    url = f"/api/v1/shelves/{made.json()['id']}/summary"
    async with app.state.database.transaction() as connection:
        await connection.execute("LOCK TABLE tests_article IN ACCESS EXCLUSIVE MODE")
        responses = await asyncio.gather(*(client.get(url) for _ in range(4)))
    assert {response.status_code for response in responses} == {503}, [
        response.text for response in responses
    ]
    assert {response.json()["code"] for response in responses} == {"busy", "unavailable"}
    assert (await client.get(url)).status_code == 200
    assert (await client.delete("/api/v1/keys/%00")).status_code in (404, 422)


async def test_busy_pool_does_not_affect_readiness(small: tuple[FastAPI, AsyncClient]) -> None:
    app, _ = small
    database, health = app.state.database, app.state.health
    async with asyncio.timeout(10):
        while not (await health.checks())["database"].ok:  # noqa: ASYNC110  # until the pool was filled
            await asyncio.sleep(0.02)
    async with database.connection() as one, database.connection() as other:
        assert not one.is_closed()
        assert not other.is_closed()
        with pytest.raises(DatabaseUnavailableError):
            await database.fetch("SELECT 1")
        await asyncio.sleep(CACHE_SECONDS)
        assert (await health.checks())["database"].ok


@contextlib.asynccontextmanager
async def far(database_url: str, acquire_timeout: float) -> AsyncIterator[str]:
    """The URL of a database where connecting takes longer than the acquire timeout."""
    to = make_url(database_url)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * acquire_timeout)
        up_reader, up_writer = await asyncio.open_connection(to.host, to.port)
        try:
            await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
        finally:
            up_writer.close()

    async with listener(relay) as port:
        yield to.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)


@pytest.fixture(params=[1])
async def slow(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Run an application with this minimum of connections."""
    async with far(database_url, ACQUIRE_SECONDS) as url:
        database = Database(_settings(url, pool_min=request.param, acquire_timeout=ACQUIRE_SECONDS))
        await database.start()
        yield database
        await database.stop()


async def test_process_is_not_ready_before_the_pool_is_filled(database_url: str) -> None:
    async with far(database_url, SMALL["acquire_timeout"]) as url:
        app = create_app(_settings(url, pool_min=2), (SHOP,))
        async with lifespan(app), asyncio.timeout(60):
            while not await app.state.health.ready():  # noqa: ASYNC110  # it is polled, as by a kubelet
                await asyncio.sleep(0.02)
            assert app.state.database.pool.free == 2


@pytest.mark.parametrize("slow", [0], indirect=True)
async def test_pool_refills_even_if_connecting_exceeds_the_acquire_timeout(slow: Database) -> None:
    with pytest.raises(DatabaseUnavailableError):
        await slow.fetch("SELECT 1")
    await _all_idle(slow)
    assert (await slow.fetch("SELECT 1"))[0][0] == 1
    await slow.pool.expire()
    failures = 0
    for _ in range(20):
        try:
            assert (await slow.fetch("SELECT 1"))[0][0] == 1
            break
        except DatabaseUnavailableError:
            failures += 1
    assert failures < 20


async def test_released_connection_serves_a_waiting_request(slow: Database) -> None:
    await _all_idle(slow)
    assert slow.pool.size == 1
    await asyncio.gather(slow.fetch("SELECT pg_sleep(0.05)"), slow.fetch("SELECT 1"))


async def test_expired_connection_does_not_extend_the_wait(database_url: str) -> None:
    """What takes the place of a connection that is put back late has only the rest of the acquire timeout."""
    to = make_url(database_url)
    async with Proxy(Endpoint(str(to.host), to.port or 0)) as way:
        url = to.set(host=LOOPBACK, port=way.port).render_as_string(hide_password=False)
        database = Database(_settings(url, pool_min=1, pool_max=4, acquire_timeout=ACQUIRE_SECONDS))
        await database.start()
        try:
            ratios = []
            for _ in range(5):
                with contextlib.suppress(NotTriedError):
                    usual, late = await _refused_with_an_expiring_connection(database, way)
                    ratios.append(late / usual)
                    if ratios[-1] < 1.4:  # it would take 1.8 s each time
                        return
            pytest.fail(f"each time too late, or seen before it was old: {ratios}")
        finally:
            await database.stop()


async def _refused_with_an_expiring_connection(database: Database, way: Proxy) -> tuple[float, float]:
    """Return the seconds until a request is refused: while connecting is impossible, and when an expired connection
    is returned late in the wait."""
    async with database.connection():
        way.delay = 10
        usual = await _refused_after(database)
        waiting = asyncio.create_task(_refused_after(database))
        await asyncio.sleep(0.8 * ACQUIRE_SECONDS)
        await database.pool.expire()
    late = await waiting
    way.delay = 0
    return usual, late


class NotTriedError(Exception):
    """Make the database answer again."""


async def _refused_after(database: Database) -> float:
    """Return the seconds until a request is refused."""
    began = time.monotonic()
    try:
        await database.fetch("SELECT 1")
    except DatabaseUnavailableError:
        return time.monotonic() - began
    raise NotTriedError


@pytest.mark.parametrize("slow", [0], indirect=True)
async def test_cancelled_waiter_leaks_no_connection(slow: Database) -> None:
    for _ in range(2 * SMALL["pool_max"]):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.fetch("SELECT 1"), 0.02)
    await _all_idle(slow)
    assert (await slow.fetch("SELECT 1"))[0][0] == 1


async def _all_idle(database: Database) -> None:
    """Wait until the pool has connections and all are idle."""
    async with asyncio.timeout(20):
        while not 0 < database.pool.size == database.pool.free:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.02)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
