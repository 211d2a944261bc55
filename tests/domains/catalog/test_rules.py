"""The rules of the catalogue."""

from httpx2 import AsyncClient

from tests.api.conftest import unique
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
