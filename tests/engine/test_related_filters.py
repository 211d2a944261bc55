"""Filters over a relation: articles by what their shelf is like, gadgets by their group."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

import pytest
from httpx2 import AsyncClient

from service.main import create_app
from service.resources.declaration import DeclarationError, Scopes
from service.resources.declaration.list_indexes import missing_indexes
from service.security.api_keys.commands import create_key
from tests.engine.api import (
    ARTICLES,
    BASE,
    SHELVES,
    Api,
    Json,
    domain_of,
    problem,
    running,
    settings_for,
    unique,
)
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups
from tests.shop.resources import articles, shelves

READ, WRITE, PLACES, INTERNAL = "shop:read", "shop:write", "places:read", "shop:internal"
RESOURCES = (replace(shelves, scopes=Scopes(read=PLACES, write=WRITE)), articles)


class Shelves(NamedTuple):
    """Two shelves with an article each, and the ids of the articles."""

    mark: str
    first: Json
    second: Json
    articles: list[str]


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url, RESOURCES, (READ, WRITE, PLACES, INTERNAL)) as api:
        yield api


@pytest.fixture(scope="module")
async def filled(api: Api) -> Shelves:
    mark = unique("related").lower()
    made = [
        (await api.make("shelves", slug=f"{mark}-{name}", name=f"{mark} {name}", rent=rent)).json()
        for name, rent in (("a", "10.00"), ("b", None))
    ]
    ids = [
        (await api.make("articles", sku=unique("REL"), name=mark, price="1.00", shelf_id=shelf["id"])).json()[
            "id"
        ]
        for shelf in made
    ]
    return Shelves(mark, made[0], made[1], ids)


async def caller(api: Api, *scopes: str) -> AsyncClient:
    async with api.database.session() as session:
        _, key = await create_key(session, name="caller", scopes=scopes)
    headers = {"Authorization": f"Bearer {key}"}
    return AsyncClient(transport=api.client._transport, base_url=api.client.base_url, headers=headers)


async def test_lists_and_exports_find_items_by_another_item(api: Api, filled: Shelves) -> None:
    mark, (first, second) = filled.mark, filled.articles
    cases: list[tuple[Json, list[str]]] = [
        ({"shelf.slug": f"{mark}-a"}, [first]),
        ({"shelf.slug__in": [f"{mark}-a", f"{mark}-b"]}, [first, second]),
        ({"shelf.slug__ne": f"{mark}-a"}, [second]),
        ({"shelf.name__startswith": mark}, [first, second]),
        ({"shelf.name__startswith": f"{mark} b"}, [second]),
        ({"shelf.rent__gte": "10", "shelf.slug": f"{mark}-a"}, [first]),
        ({"shelf.rent__isnull": "true"}, [second]),
        ({"shelf.name": f"{mark} a", "shelf.rent__isnull": "true"}, []),
    ]
    for query, expected in cases:
        given = {"name": mark, "sort": "created_at", **query}
        page = (await api.client.get(ARTICLES, params={**given, "count": "exact"})).json()
        assert [item["id"] for item in page["items"]] == expected, query
        assert page["total"] == len(expected)
        lines = (await api.client.get(f"{ARTICLES}/export", params=given)).text.splitlines()
        assert len(lines) == len(expected)


async def test_pages_continue_under_the_filter(api: Api, filled: Shelves) -> None:
    query = {"shelf.name__startswith": filled.mark, "sort": "name,created_at", "limit": "1"}
    first = await api.client.get(ARTICLES, params=query)
    following = await api.client.get(first.links["next"]["url"])
    assert [page.json()["items"][0]["id"] for page in (first, following)] == filled.articles
    query["shelf.name__startswith"] = f"{filled.mark} a"
    query["cursor"] = first.json()["next_cursor"]
    problem(await api.client.get(ARTICLES, params=query), 400, "invalid_cursor")


async def test_other_resource_decides_who_may_filter(api: Api, filled: Shelves) -> None:
    under = f"{SHELVES}/{filled.first['id']}/articles"
    stranger, reader = await caller(api, READ, WRITE), await caller(api, READ, PLACES)
    for path in (ARTICLES, f"{ARTICLES}/export", under):
        refused = problem(await stranger.get(path, params={"shelf.slug__in": "a"}), 403, "forbidden")
        assert refused["detail"] == f"The scope {PLACES} is needed."
        assert (await reader.get(path, params={"shelf.slug__in": "a"})).status_code == 200
        refused = problem(await reader.get(path, params={"shelf.rent__gte": "1"}), 400, "invalid_parameter")
        assert refused["errors"] == [
            {"parameter": "shelf.rent__gte", "message": "This parameter does not exist."}
        ]
        refused = problem(await reader.get(path, params={"shelf.description": "x"}), 400, "invalid_parameter")
        assert refused["errors"] == [
            {"parameter": "shelf.description", "message": "This parameter does not exist."}
        ]


async def test_items_without_another_and_with_a_deleted_one_do_not_match(shop: Shop) -> None:
    api = await shop(groups(), gadgets(filterable=("group.order",)))
    group = (await api.make("groups", order="a")).json()["id"]
    of_group = (await api.make("gadgets", code="a", group_id=group)).json()["id"]
    await api.make("gadgets", code="b")

    async def found(**query: str) -> list[str]:
        page = await api.client.get(
            f"{BASE}/gadgets", params={name.replace("_", ".", 1): v for name, v in query.items()}
        )
        return [item["id"] for item in page.json()["items"]]

    assert [await found(group_order="a"), await found(group_order__ne="b")] == [[of_group], [of_group]]
    async with api.database.transaction() as connection:
        # The foreign key's guard refuses this otherwise.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute('UPDATE "group" SET deleted_at = now()')
    assert [await found(group_order="a"), await found(group_order__ne="b")] == [[], []]


def test_document_has_the_filters_and_their_scopes(api: Api) -> None:
    parameters = {
        p["name"]: p["description"] for p in api.app.openapi()["paths"][ARTICLES]["get"]["parameters"]
    }
    assert parameters["shelf.name__startswith"] == (
        "Items whose `shelf.name` starts with. Needs the scope `places:read`."
    )
    assert parameters["shelf.rent__lt"] == (
        "Items whose `shelf.rent` is less than. Needs the scope `places:read`. Only with the scope `shop:internal`."
    )


def test_list_needs_an_index_of_the_foreign_key() -> None:
    assert missing_indexes(gadgets(filterable=("group.order",))) == []
    by_rank = gadgets(filterable=("group.order",), default_sort="rank")
    assert [(missing.field, missing.sort) for missing in missing_indexes(by_rank)] == [("group_id", "rank")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"filterable": ("shop.name",)}, "Gadget has no foreign key shop_id"),
        (
            {"filterable": ("group.colour",)},
            "gadgets filters by group.colour, which groups itself never filters by",
        ),
        ({"filterable": ("group.select",)}, "which groups itself never filters by"),
        ({"filterable": ("group.order",), "hidden": ("group_id",)}, "group_id is hidden"),
    ],
)
def test_filter_that_the_other_resource_lacks_is_refused(changes: Json, told: str) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DeclarationError, match=told):
        create_app(settings, domain_of(groups(), gadgets(**changes)))
