"""A service of this worker's own, on a database of its own, and how hard the contract is tested."""

import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from tests.process.conftest import new_key
from tests.process.served import Served
from tests.services import Client

# The longer profile: SLIPWAY_TEST_EXAMPLES=500 pytest tests/contract. A seed repeats what Schemathesis did.
EXAMPLES = int(os.environ.get("SLIPWAY_TEST_EXAMPLES", "0"))
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
    """A running service that may be filled with rubbish, a key that may do everything, and a category."""

    url: str
    key: str
    category: str


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
        key = await new_key(url, "catalog:read", "catalog:write")
        made = service.api.post(
            "/api/v1/categories",
            json={"slug": "contract", "name": "Contract"},
            headers={"Authorization": f"Bearer {key}"},
        )
        yield Target(str(service.api.base_url).rstrip("/"), key, made.json()["id"])
    finally:
        service.close()
        services.drop_database(name)
