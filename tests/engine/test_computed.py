"""Members that PostgreSQL computes: everywhere in representations, and nowhere else."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from service.resources.declaration import Cached, Computed, DeclarationError
from service.resources.imports.importer import Importer
from service.security.api_keys.commands import create_key
from tests.engine.api import ARTICLES, SHELVES, Api, Json, engine_of, problem, running, unique
from tests.shop.models import Article, Parcel
from tests.shop.resources import articles, parcels, shelves

ANY = {"If-Match": "*"}


def pieces(row: Any) -> Any:
    other: Any = Article
    stock = sa.func.coalesce(sa.func.sum(other.stock), 0)
    of_shelf = sa.select(sa.cast(stock, sa.BigInteger)).where(
        other.shelf_id == row.id, other.deleted_at.is_(None)
    )
    return of_shelf.scalar_subquery()


def weight_of_parts(row: Any) -> Any:
    other: Any = Parcel
    weight = sa.func.coalesce(sa.func.sum(other.weight), 0)
    return sa.select(sa.cast(weight, sa.BigInteger)).where(other.bundle_id == row.id).scalar_subquery()


VALUE = Computed(lambda row: sa.cast(row.price * row.stock * 2, sa.Numeric(14, 2)), "Twice what it is worth.")
RESOURCES = (
    replace(
        shelves,
        cache=None,
        hidden=("description",),
        filterable=("slug", "rent"),
        sortable=("created_at",),
        searchable=(),
        computed={
            "pieces": Computed(pieces, "Pieces on it."),
            "told": Computed(lambda row: sa.func.upper(row.description, type_=sa.Text()) + "!", "Loud."),
            "yearly": Computed(lambda row: row.rent * 12, "Rent of a year.", nullable=True),
        },
        visible={"rent": "shop:internal", "yearly": "shop:internal"},
    ),
    replace(
        articles,
        filterable=("sku", "shelf_id"),
        expand={},
        computed={"value": VALUE, "labels": Computed(lambda row: row.tags, "Its tags.")},
    ),
    replace(parcels, cache=None, computed={"heavy": Computed(weight_of_parts, "Weight of its parts.")}),
)


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url, RESOURCES, ("shop:read", "shop:write", "shop:internal")) as api:
        yield api


def new(shelf: str) -> Json:
    return {
        "sku": unique("COMP"),
        "name": "Lamp",
        "price": "1.50",
        "stock": 3,
        "shelf_id": shelf,
        "tags": ["a"],
    }


async def test_every_representation_has_the_computed_members(api: Api) -> None:
    client, shelf = api.client, await api.shelf()
    made = await client.post(ARTICLES, json=new(shelf), headers={"Idempotency-Key": unique("c")})
    item = made.json()
    assert (item["value"], item["labels"]) == ("9.00", ["a"])
    url = made.headers["location"]
    shown = [
        (await client.get(url)).json(),
        *(await client.get(ARTICLES, params={"shelf_id": shelf})).json()["items"],
        *(await client.get(f"{SHELVES}/{shelf}/articles")).json()["items"],
        orjson.loads((await client.get(f"{ARTICLES}/export", params={"shelf_id": shelf})).content),
        (await client.patch(url, json={}, headers=ANY)).json(),
        (await client.patch(url, json={"stock": 3}, headers=ANY)).json(),
    ]
    assert shown == [item] * 6
    changed = (await client.patch(url, json={"stock": 4}, headers=ANY)).json()
    assert (changed["value"], changed["version"]) == ("12.00", 2)
    put = {**new(shelf), "sku": item["sku"], "price": "2.00"}
    assert (await client.put(url, json=put, headers=ANY)).json()["value"] == "12.00"
    stocked = await client.post(f"{url}/restock", json={"pieces": 1})
    assert stocked.json()["value"] == "16.00"
    operations = [
        {"op": "create", "item": new(shelf)},
        {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"stock": 5}},
    ]
    results = (await client.post(f"{ARTICLES}/bulk", json={"operations": operations})).json()["results"]
    assert [result["item"]["value"] for result in results] == ["9.00", "20.00"]
    assert (await client.delete(url, headers=ANY)).status_code == 204
    assert (await client.post(f"{url}/restore")).json()["value"] == "20.00"


async def test_member_that_depends_on_children_counts_those_of_the_same_request(api: Api) -> None:
    parts = [{"number": unique("P"), "weight": weight} for weight in (2, 3)]
    made = await api.make("parcels", number=unique("P"), parts=parts)
    assert made.json()["heavy"] == 5
    assert (await api.client.get(made.headers["location"])).json()["heavy"] == 5


async def test_export_can_be_imported(api: Api) -> None:
    shelf = await api.shelf()
    await api.make("articles", **new(shelf))
    lines = (await api.client.get(f"{ARTICLES}/export", params={"shelf_id": shelf})).content
    tally = await Importer(engine_of(api, RESOURCES[1])).run(io.BytesIO(lines))
    assert (tally.known, tally.wrong) == (1, 0)


async def test_history_has_none(api: Api) -> None:
    made = await api.make("articles", **new(await api.shelf()))
    url = made.headers["location"]
    (entry,) = (await api.client.get(f"{url}/history")).json()["items"]
    assert "value" not in [change["field"] for change in entry["changes"]]
    past = (await api.client.get(url, params={"as_of": "2999-01-01T00:00:00Z"})).json()
    assert past == {name: value for name, value in made.json().items() if name not in ("value", "labels")}


async def test_clients_neither_set_them_nor_filter_and_sort_by_them(api: Api) -> None:
    shelf = await api.shelf()
    refused = await api.client.post(ARTICLES, json={**new(shelf), "value": "1"})
    assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/value"
    for query in ({"sort": "value"}, {"value": "1"}, {"value__gte": "1"}):
        problem(await api.client.get(ARTICLES, params=query), 400, "invalid_parameter")
    schemas = (await api.client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["ArticleRead"]["properties"]["value"]["description"].startswith("Twice what it is worth.")
    assert "value" not in schemas["ArticleCreate"]["properties"]
    assert "value" not in schemas["ArticlePatch"]["properties"]


async def test_tag_changes_when_only_a_computed_member_does(api: Api) -> None:
    """What another table changes. A change accepts both tags: the version is the same."""
    shelf = await api.shelf()
    url = f"{SHELVES}/{shelf}"
    first = await api.client.get(url)
    assert (first.json()["pieces"], first.json()["told"]) == (0, "!")
    tag = first.headers["etag"]
    assert (await api.client.get(url, headers={"If-None-Match": tag})).status_code == 304
    await api.make("articles", **new(shelf))
    second = await api.client.get(url, headers={"If-None-Match": tag})
    assert (second.status_code, second.json()["pieces"], second.json()["version"]) == (200, 3, 1)
    body = {"name": "Other", "description": "wood"}
    changed = await api.client.patch(url, json=body, headers={"If-Match": second.headers["etag"]})
    assert (changed.status_code, changed.json()["told"], changed.json()["pieces"]) == (200, "WOOD!", 3)
    assert "description" not in changed.json()


async def test_computed_member_is_visible_to_its_scope_alone(api: Api) -> None:
    async with api.database.session() as session:
        _, key = await create_key(session, name="outsider", scopes=("shop:read",))
    made = await api.make("shelves", slug=unique("rent").lower(), name="Rented", rent="2.00")
    assert made.json()["yearly"] == "24.00"
    url = made.headers["location"]
    outside = (await api.client.get(url, headers={"Authorization": f"Bearer {key}"})).json()
    assert "yearly" not in outside
    assert "rent" not in outside
    assert outside["pieces"] == 0


@pytest.mark.parametrize(
    ("name", "computed", "more", "words"),
    [
        ("version", VALUE, {}, "version has the name of another member"),
        ("a b", VALUE, {}, "needs a name of letters"),
        ("value", Computed(lambda row: row.nothing, ""), {}, "value cannot be computed: nothing"),
        ("value", Computed(lambda _: sa.func.now(), ""), {}, "with sa.cast"),
        ("value", Computed(lambda row: row.name + " $1", ""), {}, "has \\$ and a digit"),
        (
            "value",
            Computed(lambda row: row.name == sa.literal(object(), sa.Text()), ""),
            {},
            "cannot be written as SQL",
        ),
        ("value", VALUE, {"cache": Cached()}, "nothing tells when computed members change"),
        (
            "value",
            VALUE,
            {"sortable": ("value",)},
            "value is computed when it is read, so it cannot be sortable",
        ),
        ("value", VALUE, {"visible": {"stock": "shop:internal"}}, "value uses stock, which takes the scope"),
    ],
)
def test_refused(name: str, computed: Computed, more: Json, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        replace(articles, computed={name: computed}, **more)
