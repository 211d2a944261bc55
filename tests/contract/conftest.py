"""A service for this worker on a separate database."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from sqlalchemy.ext.asyncio import create_async_engine

from tests.contract.specimens import create_table, specimens
from tests.engine.api import Api, running
from tests.process.conftest import new_key
from tests.process.served import Served
from tests.services import Client
from tests.shop import SHOP

# A seed repeats what Schemathesis did.
SEED = int(os.environ.get("SLIPWAY_TEST_SEED", random.SystemRandom().randrange(2**31)))

settings.register_profile(
    "contract",
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("contract")


@dataclass(frozen=True, slots=True)
class Target:
    """A running service for arbitrary data, a key with all scopes, and a shelf."""

    url: str
    key: str
    shelf: str


@pytest.fixture(scope="session")
async def target(
    services: Client, worker: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    """`slipway serve` on a database that nothing else uses."""
    name = f"contract_{worker}"
    url = services.create_database(name, migrated=True)
    service = Served(
        tmp_path_factory.mktemp("contract"),
        database__url=url,
        redis__enabled="false",
        rate_limit__enabled="false",
        logging__access="false",
        server__shutdown_timeout="1",
    )
    try:
        service.ready()
        key = await new_key(url, "admin", "shop:read", "shop:write")
        made = service.api.post(
            "/api/v1/shelves",
            json={"slug": "contract", "name": "Contract"},
            headers={"Authorization": f"Bearer {key}"},
        )
        yield Target(str(service.api.base_url).rstrip("/"), key, made.json()["id"])
    finally:
        service.close()
        services.drop_database(name)


@asynccontextmanager
async def serving_specimens(services: Client, name: str) -> AsyncIterator[Api]:
    """The application with the specimens and the shop, on a new database of this name."""
    url = services.create_database(name, migrated=True)
    try:
        engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.run_sync(create_table)
        await engine.dispose()
        async with running(url, [specimens], domains=[SHOP]) as api:
            yield api
    finally:
        services.drop_database(name)


@pytest.fixture(scope="session")
async def specimen_api(services: Client, worker: int) -> AsyncIterator[Api]:
    """A place for specimens."""
    async with serving_specimens(services, f"specimens_{worker}") as api:
        yield api
