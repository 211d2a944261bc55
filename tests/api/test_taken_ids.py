"""PUT with `If-None-Match: *` under an id that something else has or had."""

from collections.abc import Callable
from uuid import UUID, uuid4

from httpx2 import AsyncClient

from service.database import Database
from tests.api.conftest import Json
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"
CREATE = {"If-None-Match": "*"}


async def test_put_with_the_id_of_an_item(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    response = await client.put(f"{ARTICLES}/{article['id']}", json=new_article(), headers=CREATE)
    problem(response, 412, "precondition_failed")


async def test_put_with_the_id_of_a_deleted_item(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    assert (await client.delete(url, headers={"If-Match": "*"})).status_code == 204
    body = problem(await client.put(url, json=new_article(), headers=CREATE), 409, "conflict")
    assert "restore" in body["detail"]


async def test_put_with_the_id_of_an_erased_item(
    client: AsyncClient, database: Database, article: Json, new_article: Callable[..., Json]
) -> None:
    """Its history stays, and no other item's may be added to it. No value of the request is taken."""
    await database.fetch("DELETE FROM tests_article WHERE id = $1", [UUID(article["id"])])
    response = await client.put(f"{ARTICLES}/{article['id']}", json=new_article(), headers=CREATE)
    assert "errors" not in problem(response, 409, "conflict")


async def test_put_with_a_unique_value_of_another_item(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    url = f"{ARTICLES}/{uuid4()}"
    response = await client.put(url, json=new_article(sku=article["sku"]), headers=CREATE)
    assert [e["pointer"] for e in problem(response, 409, "duplicate")["errors"]] == ["/sku"]
    assert (await client.put(url, json=new_article(), headers=CREATE)).status_code == 201


async def test_put_unless_one_version_matches_creates_nothing(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    """Only `*` says that there must be no item."""
    url = f"{ARTICLES}/{uuid4()}"
    response = await client.put(url, json=new_article(), headers={"If-None-Match": '"1-x"'})
    problem(response, 428, "precondition_required")
    problem(await client.get(url), 404, "not_found")
