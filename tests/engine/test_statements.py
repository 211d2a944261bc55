"""The number of statements that each call sends to the server, counted by the proxy of wire.py."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest
from httpx2 import Response

from tests.engine.api import ARTICLES, SHELVES, Api, Json, running, unique
from tests.engine.wire import Wire, wire_to, without_jobs


class Watched(NamedTuple):
    """An application whose statements are recorded, and a shelf for articles."""

    api: Api
    wire: Wire
    shelf: str

    def article(self) -> Json:
        return {"sku": unique("COUNT"), "name": "Lamp", "price": "1.00", "shelf_id": self.shelf}

    async def made(self) -> str:
        return str((await self.api.make("articles", **self.article())).headers["location"])

    async def ask(self, method: str, url: str, **options: object) -> tuple[Response, list[str]]:
        """Return the response and the first words of its statements, once connection and key are cached."""
        with self.wire.counted() as statements:
            response = await self.api.client.request(method, url, **options)  # type: ignore[arg-type]
        return response, [" ".join(text.split()[:2]).rstrip(";") for text in statements]


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def watched(database_url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    async with wire_to(database_url) as wire:
        without_jobs(patch)
        # One connection, so that each statement is prepared after its first run.
        database = {"pool_max": 1, "pool_min": 1}
        async with running(wire.url, database={"url": wire.url, **database}) as api:
            watched = Watched(api, wire, await api.shelf())
            # The driver queries each array type once per connection.
            await api.client.patch(await watched.made(), json={"tags": ["a"]}, headers={"If-Match": "*"})
            yield watched


def one(response: Response, statements: list[str], status: int) -> None:
    assert response.status_code == status, response.text
    assert len(statements) == 1, statements


async def test_read_is_one_statement(watched: Watched) -> None:
    url = await watched.made()
    one(*await watched.ask("GET", url), 200)
    one(*await watched.ask("HEAD", url), 200)
    one(*await watched.ask("GET", url, headers={"If-None-Match": "*"}), 304)
    one(*await watched.ask("GET", url, params={"expand": "shelf"}), 200)
    one(*await watched.ask("GET", f"{ARTICLES}/{uuid4()}"), 404)


async def test_list_is_one_statement(watched: Watched) -> None:
    for _ in range(3):
        await watched.made()
    query = {"limit": "2", "sort": "-price,name", "status": "draft", "q": "lamp"}
    first, statements = await watched.ask("GET", ARTICLES, params=query)
    one(first, statements, 200)
    one(*await watched.ask("GET", ARTICLES, params={**query, "expand": "shelf"}), 200)
    cursor = {**query, "cursor": first.json()["next_cursor"]}
    one(*await watched.ask("GET", ARTICLES, params=cursor), 200)
    one(*await watched.ask("GET", f"{SHELVES}/{watched.shelf}/articles"), 200)
    counted, statements = await watched.ask("GET", ARTICLES, params={**query, "count": "exact"})
    assert (counted.status_code, len(statements)) == (200, 2)


async def test_create_is_one_statement(watched: Watched) -> None:
    one(*await watched.ask("POST", ARTICLES, json=watched.article()), 201)


async def test_idempotent_create_is_one_statement(watched: Watched) -> None:
    item, headers = watched.article(), {"Idempotency-Key": str(uuid4())}
    one(*await watched.ask("POST", ARTICLES, json=item, headers=headers), 201)
    again, statements = await watched.ask("POST", ARTICLES, json=item, headers=headers)
    assert (again.status_code, len(statements)) == (201, 2)  # the failed attempt, then the stored response


async def test_update_is_one_statement(watched: Watched) -> None:
    url = await watched.made()
    for patch in ({"stock": 5, "attributes": {"a": 1}}, {"stock": 5}, {}):
        one(*await watched.ask("PATCH", url, json=patch, headers={"If-Match": "*"}), 200)
    stale = await watched.ask("PATCH", url, json={"stock": 6}, headers={"If-Match": '"9-x"'})
    one(*stale, 412)


async def test_put_is_one_statement(watched: Watched) -> None:
    item, url = watched.article(), f"{ARTICLES}/{uuid4()}"
    one(*await watched.ask("PUT", url, json=item, headers={"If-None-Match": "*"}), 201)
    replaced = {**item, "name": "Other"}
    one(*await watched.ask("PUT", url, json=replaced, headers={"If-Match": "*"}), 200)


async def test_delete_and_restore_are_one_statement_each(watched: Watched) -> None:
    url = await watched.made()
    one(*await watched.ask("DELETE", url, headers={"If-Match": "*"}), 204)
    one(*await watched.ask("POST", f"{url}/restore"), 200)


async def test_history_and_as_of_are_one_statement_each(watched: Watched) -> None:
    url = await watched.made()
    one(*await watched.ask("GET", f"{url}/history"), 200)
    one(*await watched.ask("GET", url, params={"as_of": "2999-01-01T00:00:00Z"}), 200)


async def test_bulk_is_one_statement_per_kind(watched: Watched) -> None:
    def delete(url: str) -> Json:
        return {"op": "delete", "id": url.rpartition("/")[2], "if_match": "*"}

    operations = [{"op": "create", "item": watched.article()} for _ in range(20)]
    operations += [delete(await watched.made()) for _ in range(5)]
    for _ in range(5):
        operations.append({**delete(await watched.made()), "op": "patch", "changes": {"stock": 3}})
    response, statements = await watched.ask("POST", f"{ARTICLES}/bulk", json={"operations": operations})
    assert response.status_code == 200, response.text
    assert statements[0].startswith("BEGIN")
    assert statements[-1].startswith("COMMIT")
    kinds = [text for text in statements[1:-1] if not text.startswith(("SAVEPOINT", "RELEASE"))]
    assert len(kinds) == 3, statements
    assert len(statements) == 2 + 3 * 3


async def test_api_key_lookup_is_cached(watched: Watched) -> None:
    seen = [text for text in watched.wire.statements if "FROM api_key" in text]
    await watched.ask("GET", ARTICLES)
    assert [text for text in watched.wire.statements if "FROM api_key" in text] == seen
