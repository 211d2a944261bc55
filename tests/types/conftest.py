"""An application with the table of every type, shared by all tests of a worker."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy.ext.asyncio import create_async_engine

from tests.engine.api import Api, running
from tests.services import Client
from tests.shop import SHOP
from tests.types.table import PROBES, create_table

# Without shrinking: examples are small, and each costs a dozen requests.
settings.register_profile(
    "types",
    database=None,
    deadline=None,
    print_blob=True,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture(scope="session")
async def api(services: Client, worker: int) -> AsyncIterator[Api]:
    name = f"types_{worker}"
    url = services.create_database(name, migrated=True)
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(create_table)
        async with running(url, [PROBES], domains=[SHOP]) as api:
            yield api
    finally:
        await engine.dispose()
        services.drop_database(name)
