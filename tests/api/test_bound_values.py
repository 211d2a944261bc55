"""Values that a client hands back hold for what they were made for: each part altered, one at a time."""

import base64
import json
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import MakeClient, unique
from tests.api.test_items import problem

BASE = "/api/v1"
ARTICLES = f"{BASE}/articles"


@pytest.fixture(scope="module")
async def shelves(client: AsyncClient) -> tuple[str, str]:
    """Two shelves with the same five articles each, of which one has been changed twice."""
    ids = []
    for _ in range(2):
        made = await client.post(f"{BASE}/shelves", json={"slug": unique("bound").lower(), "name": "Bound"})
        ids.append(made.json()["id"])
        items = [
            {
                "sku": unique("BOUND"),
                "name": f"N{n}",
                "price": "1.50",
                "description": "brass",
                "shelf_id": ids[-1],
            }
            for n in range(5)
        ]
        operations = [{"op": "create", "item": item} for item in items]
        assert (await client.post(f"{ARTICLES}/bulk", json={"operations": operations})).status_code == 200
    return ids[0], ids[1]


LIST = "name__in=N0,N1,N2,N3,N4&stock__gte=0&status=draft&q=brass&sort=-price,name&limit=2"
ALTERED = {
    "filter's value": ("status=draft", "status=active"),
    "filter's operator": ("stock__gte=0", "stock__lte=0"),
    "filter's bound": ("stock__gte=0", "stock__gte=-1"),
    "filter dropped": ("&stock__gte=0", ""),
    "filter added": ("&q=", "&price__lt=9&q="),
    "list longer": ("N3,N4", "N3,N4,N5"),
    "list shorter": ("N3,N4", "N3"),
    "list dropped": ("name__in=N0,N1,N2,N3,N4&", ""),
    "q": ("q=brass", "q=chair"),
    "q dropped": ("&q=brass", ""),
    "direction": ("sort=-price,name", "sort=price,name"),
    "second direction": ("sort=-price,name", "sort=-price,-name"),
    "order of sort": ("sort=-price,name", "sort=name,-price"),
    "sort longer": ("sort=-price,name", "sort=-price,name,created_at"),
    "sort shorter": ("sort=-price,name", "sort=-price"),
    "sort dropped": ("&sort=-price,name", ""),
}


@pytest.fixture(scope="module")
async def cursor(client: AsyncClient, shelves: tuple[str, str]) -> str:
    """Of the first page of `LIST` on the first shelf."""
    page = await client.get(f"{ARTICLES}?shelf_id={shelves[0]}&{LIST}")
    assert len(page.json()["items"]) == 2, page.text
    found: str = page.json()["next_cursor"]
    return found


async def _page(client: AsyncClient, path: str, query: str, cursor: str) -> tuple[int, list[str] | str]:
    response = await client.get(f"{path}?{query}{'&' if query else ''}cursor={cursor}")
    if response.status_code != 200:
        return response.status_code, response.json()["code"]
    return 200, [item["name"] for item in response.json()["items"]]


async def test_cursor_works_for_its_own_list(
    client: AsyncClient, shelves: tuple[str, str], cursor: str
) -> None:
    """The size of pages and a count are no part of the list."""
    query = f"shelf_id={shelves[0]}&{LIST}"
    assert await _page(client, ARTICLES, query, cursor) == (200, ["N2", "N3"])
    for other in (query.replace("limit=2", "limit=1"), query.replace("&limit=2", ""), f"{query}&count=exact"):
        status, names = await _page(client, ARTICLES, other, cursor)
        assert (status, names[0]) == (200, "N2")


@pytest.mark.parametrize("part", ALTERED)
async def test_cursor_is_bound_to_every_part_of_its_list(
    client: AsyncClient, shelves: tuple[str, str], cursor: str, part: str
) -> None:
    query = LIST.replace(*ALTERED[part])
    assert query != LIST
    wrong = await _page(client, ARTICLES, f"shelf_id={shelves[0]}&{query}", cursor)
    assert wrong == (400, "invalid_cursor")


async def test_cursor_is_bound_to_resource_and_parent(client: AsyncClient, shelves: tuple[str, str]) -> None:
    one, other = shelves
    page = (await client.get(f"{BASE}/shelves/{one}/articles?limit=2")).json()
    assert (await _page(client, f"{BASE}/shelves/{one}/articles", "", page["next_cursor"]))[0] == 200
    history = (await client.get(f"{ARTICLES}?limit=1&shelf_id={one}")).json()["items"][0]["id"]
    for path, query in (
        (f"{BASE}/shelves/{other}/articles", ""),
        (ARTICLES, f"shelf_id={other}"),
        (ARTICLES, ""),
        (f"{BASE}/shelves", ""),
        (f"{ARTICLES}/{history}/history", ""),
    ):
        assert await _page(client, path, query, page["next_cursor"]) == (400, "invalid_cursor"), path

    alike = (await client.get(f"{ARTICLES}?limit=2")).json()["next_cursor"]
    assert (await _page(client, ARTICLES, "", alike))[0] == 200
    assert await _page(client, f"{BASE}/shelves", "", alike) == (400, "invalid_cursor")


async def test_cursor_of_a_history_is_bound_to_its_item(
    client: AsyncClient, shelves: tuple[str, str]
) -> None:
    one, other = shelves
    for shelf in shelves:
        for name in ("Second", "Third"):
            await client.patch(f"{BASE}/shelves/{shelf}", json={"name": name}, headers={"If-Match": "*"})
    page = (await client.get(f"{BASE}/shelves/{one}/history?limit=1")).json()
    good = await client.get(f"{BASE}/shelves/{one}/history?cursor={page['next_cursor']}")
    assert [change["version"] for change in good.json()["items"]] == [2, 1]
    for path in (f"{BASE}/shelves/{other}/history", f"{ARTICLES}/{one}/history", f"{BASE}/shelves"):
        assert await _page(client, path, "", page["next_cursor"]) == (400, "invalid_cursor"), path


async def test_cursor_with_any_flipped_bit_is_refused(
    client: AsyncClient, shelves: tuple[str, str], cursor: str
) -> None:
    """One bit of each byte: of the signature, of the direction, of each value."""
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert isinstance(json.loads(raw[12:]), list)  # so 96 bits of it are the signature
    forged = [raw[:n] + bytes([raw[n] ^ 1 << n % 8]) + raw[n + 1 :] for n in range(len(raw))]
    forged += [raw[:-1], raw + b" ", raw[1:], raw[:12], raw[12:], b"", raw[:12] * 2]
    query = f"shelf_id={shelves[0]}&{LIST}"
    for data in forged:
        text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        assert await _page(client, ARTICLES, query, text) == (400, "invalid_cursor"), data


@pytest.mark.parametrize("part", ["path", "body", "principal"])
async def test_idempotency_key_is_bound_to_request_and_principal(
    client: AsyncClient, client_with: MakeClient, shelves: tuple[str, str], part: str
) -> None:
    """The same request gets the first response; with any one part of it altered it is another request."""
    headers = {"Idempotency-Key": str(uuid4())}
    item = {"slug": unique("keyed").lower(), "name": "Keyed"}
    body = {"operations": [{"op": "create", "item": item}]}
    path = f"{BASE}/shelves/bulk"
    first = await client.post(path, json=body, headers=headers)
    assert first.json()["results"][0]["status"] == 201, first.text
    again = await client.post(path, json=body, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    who = client
    match part:
        case "path":
            path = f"{BASE}/articles/bulk"
        case "body":
            item["name"] = "Other"
        case "principal":
            who = await client_with("shop:read", "shop:write")
    response = await who.post(path, json=body, headers=headers)
    if part == "principal":
        problem(response, 409, "duplicate")  # done again
    else:
        problem(response, 422, "idempotency_key_reused")
