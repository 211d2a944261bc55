"""The application in this process, on this worker's database, and clients with keys of different scopes."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.database import Database
from service.main import create_app
from service.security.api_keys.commands import create_key
from tests.asgi import lifespan
from tests.conftest import ClaimsOf
from tests.shop import SHOP

Json = dict[str, Any]
MakeClient = Callable[..., Awaitable[AsyncClient]]

ORIGIN = "https://page.example"  # of pages that may call the API

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """Return a text that no other test of this worker uses: `unique("SKU")` is `SKU-17`."""
    return f"{prefix}-{next(_numbers)}"


@pytest.fixture(scope="session")
def settings(database_url: str, redis_url: str, settings_class: type[Settings]) -> Settings:
    return settings_class(
        app={"environment": "test"},
        database={"url": database_url, "acquire_timeout": 5},
        redis={"url": redis_url},
        security={"secret_key": "test-" * 8, "key_cache_seconds": 0.2, "cors_origins": [ORIGIN]},
        rate_limit={"requests": 1_000_000, "writes": 1_000_000, "auth_failures": 1_000_000},
        logging={"access": False},
    )


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, (SHOP,))
    async with lifespan(app):
        yield app


@pytest.fixture(scope="session")
def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database


@pytest.fixture(scope="session")
async def client_with(app: FastAPI, database: Database, claims_of: ClaimsOf) -> AsyncIterator[MakeClient]:
    """`await client_with("shop:read")` is a client whose key has these scopes; without any it has no key.

    It acts for a tenant, which is the same for all unless the test names another.
    """
    clients = []

    async def make(*scopes: str, tenant: str = "tests") -> AsyncClient:
        headers = {}
        if scopes:
            claims = await claims_of(tenant)
            async with database.session() as session:
                _, key = await create_key(session, name="test", scopes=scopes, claims=claims)
            headers["Authorization"] = f"Bearer {key}"
        transport = ASGITransport(app, raise_app_exceptions=False)
        clients.append(AsyncClient(transport=transport, base_url="http://slipway.test", headers=headers))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture(scope="session")
async def client(client_with: MakeClient) -> AsyncClient:
    """A client that may read and write the shop."""
    return await client_with("shop:read", "shop:write")


@pytest.fixture(scope="session")
async def shelf(client: AsyncClient) -> Json:
    """A shelf for articles."""
    response = await client.post("/api/v1/shelves", json={"slug": unique("shared").lower(), "name": "Shared"})
    assert response.status_code == 201, response.text
    made: Json = response.json()
    return made


@pytest.fixture
def new_article(shelf: Json) -> Callable[..., Json]:
    """The body of an article that can be created, with the changes given."""

    def make(**changes: Any) -> Json:
        body = {"sku": unique("SKU"), "name": "Lamp", "price": "12.50", "shelf_id": shelf["id"]}
        return {**body, **changes}

    return make


@pytest.fixture
async def article(client: AsyncClient, new_article: Callable[..., Json]) -> Json:
    """A new article."""
    response = await client.post("/api/v1/articles", json=new_article())
    assert response.status_code == 201, response.text
    made: Json = response.json()
    return made
