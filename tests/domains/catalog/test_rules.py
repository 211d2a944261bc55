"""The rules of the catalogue."""

import asyncio
from collections.abc import Callable

from httpx2 import AsyncClient

from tests.api.conftest import Json, unique
from tests.api.test_items import problem

CATEGORIES = "/api/v1/categories"
RESERVED = [{"pointer": "/slug", "message": "is reserved for a page of the shop"}]


async def test_category_cannot_use_a_reserved_slug(client: AsyncClient) -> None:
    refused = problem(
        await client.post(CATEGORIES, json={"slug": "new", "name": "New"}), 422, "validation_failed"
    )
    assert refused["errors"] == RESERVED
    made = await client.post(CATEGORIES, json={"slug": unique("new").lower(), "name": "New"})
    url, matching = made.headers["location"], {"If-Match": made.headers["etag"]}
    refused = problem(
        await client.patch(url, json={"slug": "search"}, headers=matching), 422, "validation_failed"
    )
    assert refused["errors"] == RESERVED
    assert (await client.patch(url, json={"name": "Newer"}, headers=matching)).status_code == 200


async def test_stock_of_three_is_enough_for_three(
    client: AsyncClient, new_product: Callable[..., Json]
) -> None:
    made = await client.post("/api/v1/products", json=new_product(stock=3))
    url = made.headers["location"]
    done = await asyncio.gather(*(client.post(f"{url}/sell", json={"units": 1}) for _ in range(6)))
    assert sorted(response.status_code for response in done) == [200] * 3 + [409] * 3
    refused = next(response for response in done if response.status_code == 409)
    assert problem(refused, 409, "out_of_stock")["detail"] == "There are 0 in stock."
    assert (await client.get(url)).json()["stock"] == 0
    history = (await client.get(f"{url}/history")).json()["items"]
    assert [entry["action"] for entry in history] == ["sell"] * 3 + ["create"]
