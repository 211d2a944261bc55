"""A token on its way through the application."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.main import create_app
from tests.api.conftest import unique
from tests.api.test_items import problem
from tests.security.issuer import AUDIENCE, Issuer, local_issuer


@pytest.fixture
async def trusting(settings: Settings) -> AsyncIterator[tuple[AsyncClient, Issuer]]:
    """A client of an application that trusts a local issuer, and the issuer."""
    async with local_issuer() as issuer:
        changed = settings.model_dump() | {"security": settings.security.model_dump()}
        changed["security"]["issuers"] = [{"issuer": issuer.url, "audience": AUDIENCE}]
        app = create_app(Settings(**changed))
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client,
        ):
            yield client, issuer


async def test_subject_becomes_the_author(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting
    headers = {"Authorization": f"Bearer {issuer.token(sub='ada')}"}
    body = {"slug": unique("token").lower(), "name": "T"}
    made = await client.post("/api/v1/categories", json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.json()["created_by"] == f"token:ada@{issuer.url.removeprefix('http://')}"


async def test_scopes_of_the_token_count(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting
    headers = {"Authorization": f"Bearer {issuer.token(scope='catalog:read')}"}
    assert (await client.get("/api/v1/products", headers=headers)).status_code == 200
    problem(await client.post("/api/v1/products", json={}, headers=headers), 403, "forbidden")


async def test_issuer_that_is_away_is_no_fault_of_the_caller(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting
    issuer.status = "500 Internal Server Error"
    answer = await client.get("/api/v1/products", headers={"Authorization": f"Bearer {issuer.token()}"})
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
