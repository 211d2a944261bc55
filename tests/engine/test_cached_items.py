"""Cached items over HTTP: what a hit costs, and what ends it. Shelves are cached, articles are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import REGISTRY

from service.actor import Actor, acting_as
from service.http.content.preconditions import TagMaker, Tags
from service.resources.declaration import Cached, Change, DeclarationError, Hooks
from tests.engine.api import SHELVES, Api, Json, running, unique
from tests.engine.wire import Wire, wire_to, without_jobs
from tests.shop.models import Shelf
from tests.shop.resources import articles, shelves

ANY = {"If-Match": "*"}
LIFETIME = 1.0


def test_weak_tag_names_a_version_that_a_cached_item_must_have() -> None:
    maker = TagMaker(["name"])
    none = frozenset[str]()
    weak = frozenset(maker.tag(version).strip('"') for version in (7, 9))
    assert maker.newest(Tags(any=False, strong=none, all=weak)) == 9
    assert maker.newest(Tags(any=True, strong=none, all=none)) == 0


class RenamesShelf(Hooks):
    """Changes another row in the same transaction."""

    async def before_commit(self, change: Change) -> None:
        await change.connection.execute(
            "UPDATE tests_shelf SET name = name || '+' WHERE id = $1", change.values["shelf_id"]
        )


class Cache:
    """An application with one connection, and the statements it sends."""

    def __init__(self, api: Api, wire: Wire) -> None:
        self.api = api
        self.wire = wire

    async def shelf(self) -> tuple[str, Json]:
        made = await self.api.make("shelves", slug=unique("cached"), name="Shelf")
        url = made.headers["location"]
        return url, (await self.api.client.get(url)).json()

    async def read(self, url: str, **headers: str) -> tuple[Any, int]:
        """Return the response, and the number of its statements."""
        with self.wire.counted() as statements:
            response = await self.api.client.get(url, headers=headers)
        return response, len(statements)


@pytest.fixture(scope="module")
def patch() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def cache(database_url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Cache]:
    resources = (replace(shelves, visible={}), replaced(articles, hooks=RenamesShelf()))
    async with wire_to(database_url) as wire:
        without_jobs(patch)
        one = {"url": wire.url, "pool_max": 1, "pool_min": 1}
        async with running(wire.url, resources, database=one) as api:
            yield Cache(api, wire)


def replaced(resource: Any, **changes: Any) -> Any:
    names = ("model", "path", "singular", "scopes", "filterable", "sortable", "searchable", "immutable")
    return type(resource)(**{name: getattr(resource, name) for name in names} | changes)


async def test_hit_costs_no_statement(cache: Cache) -> None:
    url, item = await cache.shelf()
    response, statements = await cache.read(url)
    assert (response.status_code, response.json(), statements) == (200, item, 0)
    tag = response.headers["etag"]
    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-Match": tag}, 200),
        ({"If-Match": '"7-x"'}, 412),
    ):
        response, statements = await cache.read(url, **headers)
        assert (response.status_code, statements) == (status, 0), headers
    with cache.wire.counted() as sent:
        head = await cache.api.client.head(url)
    assert (head.status_code, head.headers["etag"], sent) == (200, tag, [])


async def patched(api: Api, url: str) -> None:
    await api.client.patch(url, json={"name": "New"}, headers=ANY)


async def in_bulk(api: Api, url: str) -> None:
    operation = {"op": "patch", "id": url[-36:], "if_match": "*", "changes": {"name": "New"}}
    await api.client.post(f"{SHELVES}/bulk", json={"operations": [operation]})


async def in_a_session(api: Api, url: str) -> None:
    async with api.database.session() as session:
        shelf = await session.get(Shelf, UUID(url[-36:]))
        assert shelf is not None
        shelf.name = "New"


async def by_sql(api: Api, url: str) -> None:
    await api.database.fetch(
        "UPDATE tests_shelf SET name = 'New' WHERE id = $1 RETURNING id", [UUID(url[-36:])]
    )


async def by_a_hook(api: Api, url: str) -> None:
    await api.make("articles", sku=unique("HOOK"), name="Lamp", price="1", shelf_id=url[-36:])


async def deleted_and_restored(api: Api, url: str) -> None:
    await api.client.delete(url, headers=ANY)
    assert (await api.client.get(url)).status_code == 404
    await api.client.post(f"{url}/restore")


@pytest.mark.parametrize("change", [patched, in_bulk, in_a_session, by_sql, by_a_hook, deleted_and_restored])
async def test_next_read_sees_a_change(cache: Cache, change: Callable[[Api, str], Awaitable[None]]) -> None:
    url, before = await cache.shelf()
    with acting_as(Actor("job:test")):
        await change(cache.api, url)
    response, statements = await cache.read(url)
    assert response.json()["version"] > before["version"]
    assert statements == 1


async def test_erased_item_is_gone(cache: Cache) -> None:
    url, _ = await cache.shelf()
    with acting_as(Actor("job:test")):
        await cache.api.database.fetch("DELETE FROM tests_shelf WHERE id = $1", [UUID(url[-36:])])
    response, _ = await cache.read(url)
    assert response.status_code == 404


async def test_rolled_back_change_leaves_the_item_as_it_was(cache: Cache) -> None:
    url, before = await cache.shelf()
    change = {"op": "patch", "id": url[-36:], "if_match": "*", "changes": {"name": "Never"}}
    refused = {"op": "create", "item": {"slug": before["slug"], "name": "Twice"}}
    atomic = {"mode": "atomic", "operations": [refused, change]}
    response = await cache.api.client.post(f"{SHELVES}/bulk", json=atomic)
    assert response.status_code == 409, response.text
    assert (await cache.read(url))[0].json() == before


async def test_sql_from_elsewhere_is_seen_after_the_lifetime(cache: Cache, database_url: str) -> None:
    url, before = await cache.shelf()
    await cache.api.client.get(url, headers={"Cache-Control": "no-cache"})
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE tests_shelf SET name = 'Elsewhere' WHERE id = $1", UUID(url[-36:]))
    finally:
        await connection.close()
    began = changed = time.monotonic()
    while (await cache.read(url))[0].json()["version"] == before["version"]:
        assert began < changed + LIFETIME, "a read that began after the lifetime got the old item"
        await asyncio.sleep(0.02)
        began = time.monotonic()


async def test_client_that_knows_a_newer_version_gets_it(cache: Cache, database_url: str) -> None:
    url, before = await cache.shelf()
    tag = (await cache.read(url))[0].headers["etag"]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE tests_shelf SET name = 'Elsewhere' WHERE id = $1", UUID(url[-36:]))
    finally:
        await connection.close()
    newer = tag.replace(f'"{before["version"]}-', f'"{before["version"] + 1}-')
    assert newer != tag
    response, statements = await cache.read(url, **{"If-None-Match": newer})
    assert (response.status_code, response.headers["etag"], statements) == (304, newer, 1)


async def test_all_items_are_forgotten_when_changes_may_have_been_missed(cache: Cache) -> None:
    url, _ = await cache.shelf()
    assert (await cache.read(url))[1] == 0
    feed = cache.api.app.state.units._engines.of(Shelf).services.feed
    feed._join()  # as when Redis is there again
    assert [(await cache.read(url))[1] for _ in range(2)] == [1, 0]


async def test_client_may_refuse_the_cache(cache: Cache) -> None:
    url, _ = await cache.shelf()
    for refusal in ("no-cache", "max-age=0", "no-store", "No-Cache"):
        response, statements = await cache.read(url, **{"Cache-Control": refusal})
        assert (response.status_code, statements) == (200, 1), refusal


async def test_cached_item_is_for_callers_with_the_scope_only(cache: Cache) -> None:
    url, _ = await cache.shelf()
    response, _ = await cache.read(url, Authorization="Bearer slw_unknown")
    assert response.status_code == 401


async def test_metrics_count_hits_misses_and_invalidations(cache: Cache) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"cache": "shelves", **labels}) or 0

    def counts() -> list[float]:
        found = [count("slipway_cache_requests_total", result=result) for result in ("hit", "miss")]
        return [*found, count("slipway_cache_invalidations_total")]

    url, _ = await cache.shelf()
    before = counts()
    await cache.read(url)
    await patched(cache.api, url)
    await cache.read(url)
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1]


async def test_cache_can_be_switched_off(database_url: str, patch: pytest.MonkeyPatch) -> None:
    async with wire_to(database_url) as wire:
        without_jobs(patch)
        off = {"cache_memory": 0}
        async with running(wire.url, database={"url": wire.url}, performance=off) as api:
            cache = Cache(api, wire)
            url, _ = await cache.shelf()
            assert [(await cache.read(url))[1] for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cache": Cached(0)}, "cache must keep items for more than 0 and at most 1 seconds"),
        ({"cache": Cached(1.5)}, "cache must keep items for more than 0 and at most 1 seconds"),
        ({"cache": Cached(), "without": frozenset({"read"})}, "cache needs the operation read"),
    ],
)
def test_wrong_declaration_is_refused(changes: Json, reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        replaced(shelves, **changes)
