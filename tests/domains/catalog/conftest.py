"""Clients of the catalogue, categories and products."""

from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import Json, MakeClient, unique


@pytest.fixture(scope="session")
async def client(client_with: MakeClient) -> AsyncClient:
    """A client that may read and write the catalogue."""
    return await client_with("catalog:read", "catalog:write")


@pytest.fixture(scope="session")
async def category(client: AsyncClient) -> Json:
    """A category for products."""
    response = await client.post(
        "/api/v1/categories", json={"slug": unique("shared").lower(), "name": "Shared"}
    )
    assert response.status_code == 201, response.text
    made: Json = response.json()
    return made


@pytest.fixture
def new_product(category: Json) -> Callable[..., Json]:
    """The body of a product that can be created, with the changes given."""

    def make(**changes: Any) -> Json:
        body = {"sku": unique("SKU"), "name": "Lamp", "price": "12.50", "category_id": category["id"]}
        return {**body, **changes}

    return make
