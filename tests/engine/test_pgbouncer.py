"""The service behind PgBouncer in transaction mode, with one setting."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.main import create_app
from service.security.api_keys.commands import create_key
from tests.api.conftest import unique
from tests.asgi import lifespan
from tests.bouncer import bounced, needs_pgbouncer
from tests.conftest import DatabaseFactory
from tests.shop import SHOP

pytestmark = needs_pgbouncer


@pytest.fixture
def bouncer_url(fresh_database: DatabaseFactory) -> Iterator[str]:
    """The URL of a new database, through a PgBouncer."""
    with bounced(fresh_database()) as url:
        yield url


@pytest.fixture
async def client(bouncer_url: str, redis_url: str) -> AsyncIterator[AsyncClient]:
    settings = Settings.model_validate(
        {
            "app": {"environment": "test"},
            "database": {"url": bouncer_url, "pgbouncer": True, "acquire_timeout": 10, "pool_max": 8},
            "redis": {"url": redis_url},
            "logging": {"access": False},
        }
    )
    app = create_app(settings, (SHOP,))
    async with lifespan(app):
        async with app.state.database.session() as session:
            _, key = await create_key(session, name="bounced", scopes=["admin"])
        headers = {"X-API-Key": key}
        async with AsyncClient(
            transport=ASGITransport(app), base_url="http://slipway.test", headers=headers
        ) as client:
            yield client


async def test_all_operations_work_through_pgbouncer(client: AsyncClient) -> None:
    shelves, articles = "/api/v1/shelves", "/api/v1/articles"
    made = await client.post(shelves, json={"slug": unique("bounced").lower(), "name": "B"})
    assert made.status_code == 201, made.text
    shelf = made.json()

    async def one(number: int) -> None:
        body = {"sku": f"B-{number}", "name": "x", "price": "1.00", "shelf_id": shelf["id"]}
        created = await client.post(articles, json=body, headers={"Idempotency-Key": str(uuid4())})
        assert created.status_code == 201, created.text
        url = created.headers["location"]
        patched = await client.patch(
            url, json={"stock": number + 1}, headers={"If-Match": created.headers["etag"]}
        )
        assert patched.status_code == 200, patched.text
        assert (await client.get(url)).json()["stock"] == number + 1
        assert len((await client.get(f"{url}/history")).json()["items"]) == 2

    await asyncio.gather(*(one(number) for number in range(40)))
    page = await client.get(articles, params={"limit": 7, "sort": "-price,name", "count": "exact"})
    assert page.json()["total"] == 40
    assert (await client.get(f"{shelves}/{shelf['id']}/summary")).json()["articles"] == 40
    assert len((await client.get(f"{articles}/export")).text.splitlines()) == 40
    operations = [{"op": "delete", "id": item["id"], "if_match": "*"} for item in page.json()["items"]]
    assert (await client.post(f"{articles}/bulk", json={"operations": operations})).status_code == 200
