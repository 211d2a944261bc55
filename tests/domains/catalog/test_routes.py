"""The hand-written route of the sample."""

from collections.abc import Callable
from uuid import uuid4

from httpx2 import AsyncClient

from tests.api.conftest import Json, MakeClient, unique
from tests.api.test_items import problem


async def test_summary_counts_products_that_are_not_deleted(
    client: AsyncClient, new_product: Callable[..., Json]
) -> None:
    category = (
        await client.post("/api/v1/categories", json={"slug": unique("sum").lower(), "name": "S"})
    ).json()
    url = f"/api/v1/categories/{category['id']}/summary"
    assert (await client.get(url)).json() == {"products": 0, "active": 0, "stock": 0, "value": "0"}
    for status, stock, price in (("active", 2, "1.50"), ("draft", 3, "2.00"), ("active", 4, "9.00")):
        body = new_product(category_id=category["id"], status=status, stock=stock, price=price)
        last = await client.post("/api/v1/products", json=body)
    await client.delete(last.headers["location"], headers={"If-Match": "*"})
    assert (await client.get(url)).json() == {"products": 2, "active": 1, "stock": 5, "value": "9.00"}


async def test_summary_of_an_unknown_category_is_not_found(client: AsyncClient) -> None:
    problem(await client.get(f"/api/v1/categories/{uuid4()}/summary"), 404, "not_found")


async def test_summary_needs_its_scope(client_with: MakeClient, category: Json) -> None:
    url = f"/api/v1/categories/{category['id']}/summary"
    problem(await (await client_with()).get(url), 401, "unauthenticated")
    problem(await (await client_with("catalog:write")).get(url), 403, "forbidden")
