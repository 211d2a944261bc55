"""`expand`: items that show the items that they refer to. Articles show their shelf, gadgets their group."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple, cast
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlmodel import Field

from service.http.problems import Forbidden
from service.main import create_app
from service.models.indexes import sort_index
from service.resources.declaration import DeclarationError, RestResource, Scopes
from service.resources.relations.expanded_items import ExpandedItems
from service.resources.relations.expansions import Expansion, Expansions
from service.resources.relations.relation import Relation
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
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
from tests.engine.tables import ShopTable, gadgets, groups
from tests.shop.resources import articles, shelves

ANY = {"If-Match": "*"}
SHELF = {"expand": "shelf"}
READ, WRITE, PLACES, INTERNAL = "shop:read", "shop:write", "places:read", "shop:internal"
RESOURCES = (replace(shelves, scopes=Scopes(read=PLACES, write=WRITE)), articles)


NEAR, FAR = [
    Relation(name, "shelf_id", replace(shelves, scopes=Scopes(read=f"{name}:read", write=WRITE)), ("id",), ())
    for name in ("near", "far")
]


class Callers(NamedTuple):
    """Callers who see whole shelves, shelves without the rent, and no shelves."""

    insider: AsyncClient
    reader: AsyncClient
    stranger: AsyncClient


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url, RESOURCES, (READ, WRITE, PLACES, INTERNAL)) as api:
        yield api


@pytest.fixture(scope="module")
async def callers(api: Api) -> Callers:
    headers = []
    for scopes in ((READ, WRITE, PLACES), (READ, WRITE)):
        async with api.database.session() as session:
            _, key = await create_key(session, name="caller", scopes=scopes)
        headers.append({"Authorization": f"Bearer {key}"})
    transport, url = api.client._transport, api.client.base_url
    return Callers(
        api.client, *(AsyncClient(transport=transport, base_url=url, headers=one) for one in headers)
    )


async def made(api: Api) -> tuple[Json, Json]:
    """Create a shelf with an article, and return both."""
    shelf = await api.make("shelves", slug=unique("expand").lower(), name="Shelf", rent="10.00")
    article = await api.make(
        "articles", sku=unique("EXPAND"), name="Lamp", price="1.00", shelf_id=shelf.json()["id"]
    )
    return shelf.json(), article.json()


async def test_item_list_and_export_show_what_the_caller_may_see(api: Api, callers: Callers) -> None:
    shelf, article = await made(api)
    one = {"sku": article["sku"], **SHELF}
    for client, names in (
        (callers.insider, ("id", "slug", "name", "rent")),
        (callers.reader, ("id", "slug", "name")),
    ):
        expected = {**article, "shelf": {name: shelf[name] for name in names}}
        assert (await client.get(f"{ARTICLES}/{article['id']}", params=SHELF)).json() == expected
        assert (await client.get(ARTICLES, params=one)).json()["items"] == [expected]
        assert (await client.get(f"{ARTICLES}/export", params=one)).json() == expected
        under = f"{SHELVES}/{shelf['id']}/articles"
        assert (await client.get(under, params=SHELF)).json()["items"] == [expected]
        assert (await client.get(under)).json()["items"] == [article]
    await api.client.delete(f"{ARTICLES}/{article['id']}", headers=ANY)
    problem(await api.client.get(f"{ARTICLES}/{article['id']}", params=SHELF), 404, "not_found")


async def test_other_items_need_their_own_scope(api: Api, callers: Callers) -> None:
    shelf, article = await made(api)
    for path in (
        f"{ARTICLES}/{article['id']}", ARTICLES, f"{ARTICLES}/export", f"{SHELVES}/{shelf['id']}/articles",
    ):  # fmt: skip
        assert (await callers.stranger.get(path)).status_code == 200
        refused = problem(await callers.stranger.get(path, params=SHELF), 403, "forbidden")
        assert refused["detail"] == f"The scope {PLACES} is needed."


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("expand=cellar", "`cellar` cannot be expanded; relations that can are shelf."),
        ("expand=", "`` cannot be expanded; relations that can are shelf."),
        ("expand=shelf,shelf", "`shelf` is listed twice."),
        ("expand=shelf&expand=shelf", "`shelf` is listed twice."),
        (
            "expand=shelf&as_of=2026-01-01T00:00:00Z",
            "Other items are shown as they are now, so not with as_of.",
        ),
    ],
)
async def test_wrong_parameter_is_refused(api: Api, query: str, message: str) -> None:
    _, article = await made(api)
    paths = [f"{ARTICLES}/{article['id']}"] if "as_of" in query else [f"{ARTICLES}/{article['id']}", ARTICLES]
    for path in paths:
        refused = problem(await api.client.get(f"{path}?{query}"), 400, "invalid_parameter")
        assert refused["errors"] == [{"parameter": "expand", "message": message}]


async def test_parameter_is_for_items_and_lists_with_relations(api: Api) -> None:
    shelf, article = await made(api)
    url = f"{ARTICLES}/{article['id']}"
    for response in (
        await api.client.get(f"{SHELVES}/{shelf['id']}", params=SHELF),
        await api.client.get(SHELVES, params=SHELF),
        await api.client.get(f"{url}/history", params=SHELF),
        await api.client.patch(url, params=SHELF, json={}, headers=ANY),
    ):
        refused = problem(response, 400, "invalid_parameter")
        assert refused["errors"] == [{"parameter": "expand", "message": "This parameter does not exist."}]


async def test_tag_covers_both_items(api: Api, callers: Callers) -> None:
    shelf, article = await made(api)
    url = f"{ARTICLES}/{article['id']}"

    async def tag(client: AsyncClient = api.client) -> str:
        response = await client.get(url, params=SHELF)
        return str(response.headers["etag"])

    first = await tag()
    plain = (await api.client.get(url)).headers["etag"]
    assert len({first, plain, await tag(callers.reader)}) == 3
    same = await api.client.get(url, params=SHELF, headers={"If-None-Match": first})
    assert (same.status_code, same.headers["etag"]) == (304, first)
    assert (await api.client.get(url, headers={"If-None-Match": first})).status_code == 200
    await api.client.patch(f"{SHELVES}/{shelf['id']}", json={"name": "Other"}, headers=ANY)
    assert (await api.client.get(url, params=SHELF, headers={"If-None-Match": first})).status_code == 200
    problem(await api.client.get(url, params=SHELF, headers={"If-Match": first}), 412, "precondition_failed")
    second = await tag()
    assert second != first
    # It names the version of the article, so it guards a change of the article.
    changed = await api.client.patch(url, json={"stock": 5}, headers={"If-Match": second})
    assert changed.status_code == 200
    problem(
        await api.client.patch(url, json={"stock": 6}, headers={"If-Match": second}),
        412,
        "precondition_failed",
    )
    assert await tag() not in (first, second)


async def test_links_to_other_pages_keep_it(api: Api) -> None:
    shelf, _ = await made(api)
    await api.make("articles", sku=unique("EXPAND"), name="Lamp", price="2.00", shelf_id=shelf["id"])
    query = {"shelf_id": shelf["id"], "sort": "price", "limit": "1", **SHELF}
    first = await api.client.get(ARTICLES, params=query)
    following = await api.client.get(first.links["next"]["url"])
    back = await api.client.get(following.links["prev"]["url"])
    prices = [
        (page.json()["items"][0]["price"], page.json()["items"][0]["shelf"]["id"])
        for page in (first, following, back)
    ]
    assert prices == [("1.00", shelf["id"]), ("2.00", shelf["id"]), ("1.00", shelf["id"])]
    without = await api.client.get(
        ARTICLES,
        params={k: v for k, v in query.items() if k != "expand"} | {"cursor": first.json()["next_cursor"]},
    )
    assert "shelf" not in without.json()["items"][0]


async def test_no_item_and_a_deleted_one_are_null(shop: Shop) -> None:
    api = await shop(groups(), gadgets(expand={"group": ()}))
    group = (await api.make("groups", order="a")).json()
    of_group, of_none = [
        (await api.make("gadgets", code=code, group_id=value)).json()
        for code, value in (("a", group["id"]), ("b", None))
    ]

    async def shown(item: Json) -> Any:
        url, query = f"{BASE}/gadgets/{item['id']}", {"expand": "group"}
        one = (await api.client.get(url, params=query)).json()["group"]
        listed = (await api.client.get(f"{BASE}/gadgets", params={**query, "id__in": item["id"]})).json()
        assert listed["items"][0]["group"] == one
        return one

    assert [await shown(item) for item in (of_group, of_none)] == [group, None]
    async with api.database.transaction() as connection:
        # The foreign key's guard refuses this otherwise.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute('UPDATE "group" SET deleted_at = now()')
    assert await shown(of_group) is None


def test_document_has_the_parameter_and_an_optional_member(api: Api) -> None:
    document = api.app.openapi()
    schemas = document["components"]["schemas"]
    assert schemas["ArticleRead"]["properties"]["shelf"]["anyOf"] == [
        {"$ref": "#/components/schemas/ArticleShelf"}, {"type": "null"},
    ]  # fmt: skip
    assert "shelf" not in schemas["ArticleRead"]["required"]
    assert set(schemas["ArticleShelf"]["required"]) == {"id", "slug", "name"}
    for path, named in (
        (ARTICLES, True),
        (f"{ARTICLES}/{{id}}", True),
        (f"{ARTICLES}/export", True),
        (SHELVES, False),
    ):
        parameters = {p["name"]: p for p in document["paths"][path]["get"]["parameters"]}
        assert ("expand" in parameters) is named


@pytest.mark.parametrize(
    ("changes", "others", "told"),
    [
        ({"expand": {"shop": ()}}, (groups(),), "Gadget has no foreign key shop_id"),
        (
            {"expand": {"group": ()}, "hidden": ("group_id",), "filterable": ()},
            (groups(),),
            "group_id is hidden",
        ),
        (
            {"expand": {"group": ("colour",)}},
            (groups(),),
            "gadgets shows group.colour, which groups itself never shows",
        ),
        (
            {"expand": {"group": ("select",)}},
            (groups(hidden=("select",), searchable=()),),
            "which groups itself never shows",
        ),
        ({"expand": {"group": ()}, "filterable": ()}, (), "0 resources serve the table group"),
        (
            {"expand": {"group": ("select",)}},
            (groups(visible={"select": "x:y"}, searchable=()),),
            "gadgets shows nothing of group to callers without the scopes",
        ),
    ],
)
def test_relation_that_cannot_be_shown_is_refused(
    changes: Json, others: tuple[RestResource, ...], told: str
) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DeclarationError, match=told):
        create_app(settings, domain_of(*others, gadgets(**changes)))


def test_tag_covers_the_relation() -> None:
    """Two relations may lead to one item."""
    items = ExpandedItems(articles, cast("Any", None))
    row = cast("Any", ("{}", 1, 7))
    assert len({items.item(row, [Expansion(one, one.shown)]).others for one in (NEAR, FAR)}) == 2


def test_each_relation_needs_its_scope() -> None:
    with pytest.raises(Forbidden) as refused:
        Expansions((NEAR, FAR)).asked(["near", "far"], Principal("key:x", frozenset({"near:read"})))
    assert refused.value.detail == "The scope far:read is needed."


async def test_caller_who_lacks_another_scope_expands_all_the_same(shop: Shop) -> None:
    api = await shop(groups(), gadgets(expand={"group": ("id",)}, visible={"rank": "shop:rank"}))
    group = (await api.make("groups", order="g")).json()["id"]
    made = await api.make("gadgets", code="a", group_id=group)
    shown = (await api.client.get(f"{made.headers['location']}?expand=group")).json()
    assert (shown["group"], "rank" in shown) == ({"id": group}, False)
    # Who does not see the foreign key learns nothing through its relation either.
    secret = gadgets(
        expand={"group": ("id",)}, filterable=("group.order",), visible={"group_id": "shop:rank"}
    )
    api = await shop(groups(), secret)
    for query in ("expand=group", "group.order=g"):
        refused = problem(await api.client.get(f"{BASE}/gadgets?{query}"), 400, "invalid_parameter")
        assert refused["errors"] == [
            {"parameter": query.partition("=")[0], "message": "This parameter does not exist."}
        ]
    assert not {"group", "group_id"} & (await api.client.get(made.headers["location"])).json().keys()


class Sticker(ShopTable, table=True):
    """Refers to a group by something else than its id."""

    __table_args__ = (sort_index("sticker", "created_at"),)

    group_id: str = Field(foreign_key="group.order")


def test_relation_by_another_column_than_the_id_is_refused() -> None:
    with pytest.raises(DeclarationError, match="group_id refers to another column than an id"):
        RestResource(model=Sticker, path="stickers", scopes=articles.scopes, expand={"group": ()})


class Badge(ShopTable, table=True):
    """Has the name of its group as well."""

    __table_args__ = (sort_index("badge", "created_at"),)

    group: str
    group_id: UUID = Field(foreign_key="group.id")


def test_relation_with_the_name_of_a_field_is_refused() -> None:
    with pytest.raises(DeclarationError, match="expand would show group, which is a field of Badge already"):
        RestResource(model=Badge, path="badges", scopes=articles.scopes, expand={"group": ()})
