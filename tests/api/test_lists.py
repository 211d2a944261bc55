"""Lists: filters, sorting, cursors, search, counts."""

import json
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import Json, unique
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"


@pytest.fixture
async def shelf(client: AsyncClient) -> Json:
    """A new shelf with 23 articles of seven prices; the last three are like the first three."""
    made: Json = (
        await client.post("/api/v1/shelves", json={"slug": unique("shelf").lower(), "name": "S"})
    ).json()
    for number in range(23):
        body = {
            "sku": unique("SHELF"),
            "name": f"Item {number % 5}",
            "price": f"{number % 20 % 7}.50",
            "stock": number,
            "status": "active" if number % 2 else "draft",
            "shelf_id": made["id"],
            "description": "a brass lamp" if number % 3 == 0 else "a chair",
        }
        assert (await client.post(ARTICLES, json=body)).status_code == 201
    return made


async def _all(client: AsyncClient, **query: str) -> list[Json]:
    items: list[Json] = []
    url = ARTICLES
    for _ in range(100):
        response = await client.get(url, params=query)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]
    raise AssertionError("the list does not end")


@pytest.mark.parametrize(
    "sort", ["price", "-price", "name,-price", "-name,price", "-created_at", "price,name,-created_at"]
)
@pytest.mark.parametrize("limit", ["1", "4", "200"])
async def test_paging_returns_every_item_once_in_order(
    client: AsyncClient, shelf: Json, sort: str, limit: str
) -> None:
    items = await _all(client, shelf_id=shelf["id"], sort=sort, limit=limit)
    assert len(items) == 23
    assert len({item["id"] for item in items}) == 23
    expected = list(items)
    keys = sort.split(",")
    for key in reversed([*keys, ("-" if keys[-1].startswith("-") else "") + "id"]):
        expected.sort(key=lambda item: item[key.removeprefix("-")], reverse=key.startswith("-"))
    assert [item["id"] for item in items] == [item["id"] for item in expected]


async def test_links_lead_to_the_next_and_previous_pages(client: AsyncClient, shelf: Json) -> None:
    first = await client.get(ARTICLES, params={"shelf_id": shelf["id"], "limit": "10", "sort": "-price,name"})
    second = await client.get(_link(first.headers["link"], "next"))
    third = await client.get(_link(second.headers["link"], "next"))
    assert [len(page.json()["items"]) for page in (first, second, third)] == [10, 10, 3]
    assert third.json()["next_cursor"] is None
    assert "prev" not in first.headers["link"]
    back = await client.get(_link(third.headers["link"], "prev"))
    assert back.json()["items"] == second.json()["items"]
    start = await client.get(_link(back.headers["link"], "prev"))
    assert start.json()["items"] == first.json()["items"]
    assert "prev" not in start.headers["link"]
    assert (await client.get(_link(third.headers["link"], "first"))).json() == first.json()


def _link(header: str, rel: str) -> str:
    return next(part.split(">")[0].strip(" <") for part in header.split(", <") if f'rel="{rel}"' in part)


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ("status=active", lambda i: i["status"] == "active"),
        ("status__ne=active", lambda i: i["status"] != "active"),
        ("status__in=draft,discontinued", lambda i: i["status"] == "draft"),
        ("stock__gte=5&stock__lt=9", lambda i: 5 <= i["stock"] < 9),
        ("price__gt=2.505", lambda i: float(i["price"]) > 2.505),
        ("price=1.5", lambda i: i["price"] == "1.50"),
        ("sku__startswith=SHELF-", lambda _: True),
        ("sku__startswith=SHELF_", lambda _: False),
        ("sku__startswith=S%25-", lambda _: False),
        ("sku__startswith=SHELF%5C-", lambda _: False),
        ("sku__startswith=shelf-", lambda _: False),
        ("name=Item 3", lambda i: i["name"] == "Item 3"),
        ("q=brass+LAMP", lambda i: "brass" in i["description"]),
        ("q=brass+-lamp", lambda _: False),
        ("created_at__gt=2020-01-01T00:00:00Z", lambda _: True),
    ],
)
async def test_filters_select_matching_items(
    client: AsyncClient, shelf: Json, query: str, keep: Callable[[Json], bool]
) -> None:
    everything = await _all(client, shelf_id=shelf["id"], limit="200")
    found = await _all(client, shelf_id=shelf["id"], limit="3", **dict(parse_qsl(query)))
    assert {item["id"] for item in found} == {item["id"] for item in everything if keep(item)}


@pytest.fixture
async def names(client: AsyncClient) -> Json:
    """A new shelf with articles whose names contain the delimiters of list parameters."""
    made: Json = (
        await client.post("/api/v1/shelves", json={"slug": unique("names").lower(), "name": "N"})
    ).json()
    for name in ("Tables", " chairs", "Tables, chairs", "C++", '"a","b"', "50%2C"):
        body = {"sku": unique("NAME"), "name": name, "price": "1", "shelf_id": made["id"]}
        assert (await client.post(ARTICLES, json=body)).status_code == 201
    return made


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name__in=Tables%2C%20chairs", ["Tables, chairs"]),
        ("name__in=Tables%2C+chairs", ["Tables, chairs"]),
        ("name__in=Tables,%20chairs", [" chairs", "Tables"]),
        ("name__in=Tables&name__in=%20chairs", [" chairs", "Tables"]),
        ("name__in=Tables%2C%20chairs&name__in=Tables,C%2B%2B", ["C++", "Tables", "Tables, chairs"]),
        ("name__in=%22a%22%2C%22b%22", ['"a","b"']),
        ("name__in=50%252C", ["50%2C"]),
        ("name__in=", []),
        ("name__in=,Tables,", ["Tables"]),
    ],
)
async def test_unescaped_commas_separate_values(
    client: AsyncClient, names: Json, query: str, found: list[str]
) -> None:
    for url in (
        f"{ARTICLES}?shelf_id={names['id']}&",
        f"/api/v1/shelves/{names['id']}/articles?",
    ):
        response = await client.get(f"{url}{query}&limit=200")
        assert response.status_code == 200, response.text
        assert sorted(item["name"] for item in response.json()["items"]) == found
        again = await client.get(_link(response.headers["link"], "first"))
        assert again.json() == response.json()
    exported = await client.get(f"{ARTICLES}/export?shelf_id={names['id']}&{query}")
    assert sorted(json.loads(line)["name"] for line in exported.text.splitlines()) == found


@pytest.mark.parametrize(
    "forms",
    [
        ("status__in=draft&status__in=active", "status__in=draft,active", "status__in=draft%2Cactive"),
        ("sort=-price&sort=name", "sort=-price,name", "sort=-price%2Cname"),
        ("stock__in=1&stock__in=2,3", "stock__in=1,2,3", "stock__in=1%2C2%2C3"),
        ("price__in=1.50&price__in=2.50", "price__in=1.50,2.50", "price__in=1.50%2C2.50"),
    ],
)
async def test_list_parameters_may_be_repeated(
    client: AsyncClient, shelf: Json, forms: Sequence[str]
) -> None:
    urls = [f"{ARTICLES}?shelf_id={shelf['id']}&limit=2&{form}" for form in forms]
    first, *others = [(await client.get(url)).json() for url in urls]
    assert len(first["items"]) == 2
    assert [other["items"] for other in others] == [first["items"]] * len(others)
    for url in urls:  # a cursor is valid for the same list, however it is written
        response = await client.get(f"{url}&cursor={first['next_cursor']}")
        assert response.status_code == 200, response.text


async def test_items_are_found_by_their_ids(client: AsyncClient, shelf: Json) -> None:
    items = await _all(client, shelf_id=shelf["id"], limit="200")
    wanted = sorted(item["id"] for item in items[:20])
    url = f"{ARTICLES}?limit=200&" + "&".join(f"id__in={id_}" for id_ in wanted)
    assert sorted(item["id"] for item in (await client.get(url)).json()["items"]) == wanted
    many = "&".join(["stock__in=1"] * 101)
    for query in (f"id__in={'0' * 32}", "id__in=", "id=1", many, f"stock__in={'1,' * 100}1"):
        assert (await client.get(f"{ARTICLES}?{query}")).status_code == 400, query
    hundred = "&".join(f"stock__in={number}" for number in range(100))
    assert (await client.get(f"{ARTICLES}?{hundred}&shelf_id={shelf['id']}")).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=1", "cursor=a&cursor=a", "q=a&q=b", "price__gte=1&price__gte=1", "stock=1&stock=2",
        "nope=1", "limit=0", "limit=201", "limit=1_0", "limit=+1", "limit=", "sort=stock", "sort=price,price",
        "sort=", "price=abc", "price=NaN", "status=sold", "status__in=active,", "shelf_id=1", "stock=1.0",
        "created_at=yesterday", "created_at__gt=2026-01-01", "count=all", "status=active&status=draft", "cursor=",
        "cursor=abc", "q=%00", "name=%ff", "stock=99999999999", "name__contains=x", "offset=10",
    ],
)  # fmt: skip
async def test_wrong_parameters_are_refused(client: AsyncClient, query: str) -> None:
    response = await client.get(f"{ARTICLES}?{query}")
    assert response.status_code == 400, response.text
    assert response.json()["code"] in {"invalid_parameter", "invalid_cursor"}


async def test_list_under_an_item_takes_no_filter_by_it(client: AsyncClient, shelf: Json) -> None:
    for query in ("shelf_id={}", "shelf_id__in={}", "shelf_id__ne={}"):
        response = await client.get(f"/api/v1/shelves/{shelf['id']}/articles?{query.format(shelf['id'])}")
        assert problem(response, 400, "invalid_parameter")["detail"] == "The path already specifies shelf_id."


async def test_export_has_one_line_for_an_item_for_every_reader_of_lines(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    item = new_article(name="a\u2028b\u2029c\u0085d")
    assert (await client.post(ARTICLES, json=item)).status_code == 201
    exported = await client.get(f"{ARTICLES}/export", params={"sku": item["sku"]})
    (line,) = exported.text.splitlines()
    assert json.loads(line)["name"] == item["name"]


async def test_list_under_an_item_needs_the_item(client: AsyncClient) -> None:
    shelf = (
        await client.post("/api/v1/shelves", json={"slug": unique("gone").lower(), "name": "Gone"})
    ).json()
    url = f"/api/v1/shelves/{shelf['id']}"
    assert (await client.get(f"{url}/articles")).json() == {"items": [], "next_cursor": None}
    counted = await client.get(f"{url}/articles?count=exact")
    assert counted.json() == {"items": [], "next_cursor": None, "total": 0}
    assert (await client.delete(url, headers={"If-Match": "*"})).status_code == 204
    for missing in (url, f"/api/v1/shelves/{uuid4()}"):
        problem(await client.get(f"{missing}/articles"), 404, "not_found")


@pytest.mark.parametrize("url", [ARTICLES, f"{ARTICLES}/{uuid4()}", f"{ARTICLES}/{uuid4()}/history"])
@pytest.mark.parametrize("times", [1, 2])
async def test_long_name_of_a_parameter_is_shown_in_part(client: AsyncClient, url: str, times: int) -> None:
    query = "&".join(["x" * 300 + "=1"] * times)
    body = problem(await client.get(f"{url}?{query}"), 400, "invalid_parameter")
    assert [error["parameter"] for error in body["errors"]] == ["x" * 100]


async def test_cursor_is_bound_to_its_list(client: AsyncClient, shelf: Json) -> None:
    query = {"shelf_id": shelf["id"], "limit": "2", "sort": "price"}
    cursor = (await client.get(ARTICLES, params=query)).json()["next_cursor"]
    assert (await client.get(ARTICLES, params={**query, "cursor": cursor, "limit": "3"})).status_code == 200
    for other in ({"sort": "-price"}, {"status": "active"}, {"cursor": cursor[:-2] + "xx"}):
        problem(
            await client.get(ARTICLES, params={**query, "cursor": cursor, **other}), 400, "invalid_cursor"
        )


async def test_total_counts_filtered_items(client: AsyncClient, shelf: Json) -> None:
    query = {"shelf_id": shelf["id"], "limit": "2"}
    assert "total" not in (await client.get(ARTICLES, params=query)).json()
    exact = await client.get(ARTICLES, params={**query, "count": "exact"})
    assert exact.json()["total"] == 23
    estimated = await client.get(ARTICLES, params={**query, "count": "estimated"})
    assert estimated.json()["total"] >= 0


async def test_links_escape_special_characters(client: AsyncClient) -> None:
    response = await client.get(ARTICLES, params={"name": 'a&b="c" <d>', "limit": "1"})
    target = _link(response.headers["link"], "first")
    assert dict(parse_qsl(urlsplit(target).query)) == {"name": 'a&b="c" <d>', "limit": "1"}
