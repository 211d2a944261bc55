"""Resources declared over awkward tables: reserved words, NULLs in sorts, hidden and immutable fields, sub-lists."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request

from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import BASE, Api, Json, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

ANY = {"If-Match": "*"}


async def make(api: Api, path: str, **item: Any) -> Json:
    made: Json = (await api.make(path, **item)).json()
    return made


async def test_sql_keywords_work_as_names(shop: Shop) -> None:
    api = await shop()
    item = await make(api, "groups", order="first", select="the brass ones")
    url = f"{BASE}/groups/{item['id']}"
    assert (await api.client.get(url)).json() == item
    found = await api.client.get(f"{BASE}/groups", params={"q": "brass", "order": "first", "sort": "order"})
    assert found.json()["items"] == [item]
    assert (await api.client.patch(url, json={"select": "x"}, headers=ANY)).status_code == 200
    operations = [
        {"op": "create", "item": {"order": "second"}},
        {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"order": "third"}},
    ]
    done = await api.client.post(f"{BASE}/groups/bulk", json={"operations": operations})
    assert [r["status"] for r in done.json()["results"]] == [201, 200]
    assert (await api.client.delete(url, headers=ANY)).status_code == 204
    assert (await api.client.post(f"{url}/restore")).json()["order"] == "third"
    history = (await api.client.get(f"{url}/history")).json()["items"]
    assert [e["action"] for e in history] == ["restore", "delete", "update", "update", "create"]
    past = await api.client.get(url, params={"as_of": item["updated_at"]})
    assert past.json() == item
    assert len((await api.client.get(f"{BASE}/groups/export")).text.splitlines()) == 2


async def walk(api: Api, sort: str, limit: str) -> list[Json]:
    items: list[Json] = []
    query = {"sort": sort, "limit": limit}
    for _ in range(100):
        response = await api.client.get(f"{BASE}/gadgets", params=query)
        assert response.status_code == 200, response.text
        items += response.json()["items"]
        if response.json()["next_cursor"] is None:
            return items
        query["cursor"] = response.json()["next_cursor"]
    raise AssertionError("the list does not end")


async def walk_back(api: Api, sort: str) -> list[Json]:
    """Return the same from the last page backwards, by following links."""
    response = await api.client.get(f"{BASE}/gadgets", params={"sort": sort, "limit": "4"})
    while "next" in response.links:
        response = await api.client.get(response.links["next"]["url"])
    items: list[Json] = response.json()["items"]
    while "prev" in response.links:
        response = await api.client.get(response.links["prev"]["url"])
        items = response.json()["items"] + items
    return items


SORTS = (
    "rank", "-rank", "rank,-weight", "-rank,built", "built", "weight", "-weight,rank", "built,rank,weight",
)  # fmt: skip


async def test_paging_works_with_nulls_and_every_type(shop: Shop) -> None:
    api = await shop()
    for number in range(17):
        await make(
            api,
            "gadgets",
            code=f"G{number}",
            rank=None if number % 3 == 0 else number % 4,
            built=None if number % 5 == 0 else f"2026-0{1 + number % 3}-01",
            weight=[1e-7, 2.5, 3e300][number % 3],
        )
    for sort in SORTS:
        items = await walk(api, sort, "200")
        assert len(items) == 17
        keys = [tuple(_place(item, field) for field in sort.split(",")) for item in items]
        assert keys == sorted(keys), sort
        for limit in ("1", "4"):
            assert await walk(api, sort, limit) == items, sort
        assert await walk_back(api, sort) == items, sort


def _place(item: Json, field: str) -> Any:
    """Return a sort key like the field's: NULL is larger than every value, in both directions."""
    value = item[field.removeprefix("-")]
    if isinstance(value, str):
        value = int(value.replace("-", ""))
    found = (value is None, value or 0)
    return (not found[0], -found[1]) if field.startswith("-") else found


async def test_filters_work_for_every_type(shop: Shop) -> None:
    api = await shop()
    await make(api, "gadgets", code="a", rank=1, built="2026-01-31", weight=0.1, price="1.10")
    await make(api, "gadgets", code="b", rank=None, built=None, weight=1e-7)
    for query, codes in {
        "rank__isnull=true": "b",
        "rank__isnull=false": "a",
        "rank__ne=1": "b",
        "built=2026-01-31": "a",
        "built__lt=2026-02-01": "a",
        "built__isnull=true": "b",
        "weight=0.1": "a",
        "weight__lt=0.000001": "b",
        "weight=1e-7": "b",
        "price__gte=1.1": "a",
        "price__in=1.1,2": "a",
        "code__in=a,b&sort=weight": "ba",
    }.items():
        response = await api.client.get(f"{BASE}/gadgets?{query}")
        assert response.status_code == 200, response.text
        assert "".join(i["code"] for i in response.json()["items"]) == codes, query
    for query in (
        "built=2026-02-30",
        "built=2026-1-1",
        "weight=NaN",
        "weight=inf",
        "weight=1e999",
        "weight=0x1",
    ):
        problem(await api.client.get(f"{BASE}/gadgets?{query}"), 400, "invalid_parameter")


async def test_hidden_and_immutable_fields_are_respected(shop: Shop) -> None:
    api = await shop()
    item = await make(api, "gadgets", code="a", secret="shibboleth")
    url = f"{BASE}/gadgets/{item['id']}"
    patched = await api.client.patch(url, json={"secret": "shibboleth2", "rank": 1}, headers=ANY)
    operation = {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"secret": "shibboleth3"}}
    responses = [
        patched,
        await api.client.get(url),
        await api.client.get(f"{BASE}/gadgets"),
        await api.client.get(f"{BASE}/gadgets/export"),
        await api.client.get(f"{url}/history"),
        await api.client.get(url, params={"as_of": "2999-01-01T00:00:00Z"}),
        await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": [operation]}),
    ]
    assert {response.status_code for response in responses} == {200}
    assert not any("shibboleth" in response.text for response in responses)
    stored = await api.database.fetch("SELECT secret FROM gadget")
    assert stored[0]["secret"] == "shibboleth3"
    problem(await api.client.get(f"{BASE}/gadgets?secret=shibboleth3"), 400, "invalid_parameter")
    problem(await api.client.patch(url, json={"code": "b"}, headers=ANY), 422, "validation_failed")
    problem(await api.client.put(url, json={"code": "b"}, headers=ANY), 422, "validation_failed")
    operation["changes"] = {"code": "b"}
    bulk = await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": [operation]})
    problem(bulk, 422, "validation_failed")
    assert (await api.client.put(url, json={"code": "a", "rank": 5}, headers=ANY)).json()["rank"] == 5


async def test_null_document_is_the_same_in_every_operation(shop: Shop) -> None:
    api = await shop()
    item = await make(api, "gadgets", code="a", notes={"a": 1})
    url = f"{BASE}/gadgets/{item['id']}"

    async def bulk(changes: Json) -> Json:
        operation = {"op": "patch", "id": item["id"], "if_match": "*", "changes": changes}
        response = await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": [operation]})
        result: Json = response.json()["results"][0]["item"]
        return result

    assert (await bulk({"notes": None}))["notes"] is None
    assert [r["n"] for r in await api.database.fetch("SELECT notes IS NULL AS n FROM gadget")] == [True]
    assert (await api.client.patch(url, json={"notes": None}, headers=ANY)).json()["version"] == 2
    assert (await bulk({"notes": None}))["version"] == 2
    assert (await bulk({"notes": {"b": {"c": None, "d": 1}}}))["notes"] == {"b": {"d": 1}}
    assert (await api.client.patch(url, json={"notes": None}, headers=ANY)).json()["notes"] is None
    created = [{"op": "create", "item": {"code": "b", "notes": None}}]
    await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": created})
    rows = await api.database.fetch("SELECT notes IS NULL AS n FROM gadget WHERE code = 'b'")
    assert [r["n"] for r in rows] == [True]


async def test_list_under_a_parent_contains_its_children(shop: Shop) -> None:
    api = await shop()
    one, other = await make(api, "groups", order="one"), await make(api, "groups", order="other")
    inside = [await make(api, "gadgets", code=f"in{n}", group_id=one["id"]) for n in range(3)]
    await make(api, "gadgets", code="out", group_id=other["id"])
    url = f"{BASE}/groups/{one['id']}/gadgets"
    first = await api.client.get(url, params={"limit": "2", "sort": "created_at"})
    assert first.json()["items"] == inside[:2]
    second = await api.client.get(first.links["next"]["url"])
    assert second.json()["items"] == inside[2:]
    assert (await api.client.get(f"{url}?code=in1")).json()["items"] == [inside[1]]
    problem(await api.client.get(f"{url}?group_id={one['id']}"), 400, "invalid_parameter")
    problem(await api.client.get(f"{BASE}/groups/{uuid4()}/gadgets"), 404, "not_found")
    empty = await make(api, "groups", order="empty")
    assert (await api.client.get(f"{BASE}/groups/{empty['id']}/gadgets")).json()["items"] == []
    problem(await api.client.delete(f"{BASE}/groups/{one['id']}", headers=ANY), 409, "conflict")


async def test_omitted_operation_is_unavailable_everywhere(shop: Shop) -> None:
    api = await shop(
        groups(), gadgets(without=frozenset({"delete", "restore", "export", "replace", "create"}))
    )
    url = f"{BASE}/gadgets/{uuid4()}"
    problem(await api.client.delete(url, headers=ANY), 405, "method_not_allowed")
    problem(
        await api.client.put(url, json={"code": "a"}, headers={"If-None-Match": "*"}),
        405,
        "method_not_allowed",
    )
    problem(await api.client.post(f"{BASE}/gadgets", json={"code": "a"}), 405, "method_not_allowed")
    problem(await api.client.post(f"{url}/restore"), 404, "not_found")
    problem(await api.client.get(f"{BASE}/gadgets/export"), 404, "not_found")
    for operation in (
        {"op": "delete", "id": str(uuid4()), "if_match": "*"},
        {"op": "create", "item": {"code": "a"}},
    ):
        response = await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": [operation]})
        problem(response, 422, "validation_failed")
    document = api.app.openapi()
    assert not {"GadgetDeleteOperation", "GadgetCreateOperation"} & document["components"]["schemas"].keys()
    assert "GadgetPatchOperation" in document["components"]["schemas"]
    shown = document["paths"][f"{BASE}/gadgets/{{id}}"]["get"]["responses"]["200"]
    assert shown["links"].keys() == {"read", "patch", "history"}
    assert (await api.client.post(f"{BASE}/groups", json={"order": "a"})).status_code == 201


async def test_resources_sharing_a_model_show_different_fields(shop: Shop) -> None:
    public = gadgets(path="public-gadgets", name="PublicGadget", hidden=("secret", "rank"), sortable=("created_at",),
                     filterable=("code", "group_id"), without=frozenset({"replace"}))  # fmt: skip
    api = await shop(groups(), gadgets(), public)
    item = await make(api, "gadgets", code="a", rank=3)
    seen = (await api.client.get(f"{BASE}/public-gadgets/{item['id']}")).json()
    assert seen == {name: value for name, value in item.items() if name != "rank"}
    group = await make(api, "groups", order="a")
    made = await make(api, "public-gadgets", code="b", group_id=group["id"])
    for path in ("gadgets", "public-gadgets"):
        page = (await api.client.get(f"{BASE}/groups/{group['id']}/{path}")).json()
        assert [one["id"] for one in page["items"]] == [made["id"]]
    schemas = api.app.openapi()["components"]["schemas"]
    assert "rank" in schemas["GadgetRead"]["properties"]
    assert "rank" not in schemas["PublicGadgetRead"]["properties"]


async def test_extra_routes_are_served_with_the_generated_ones(shop: Shop) -> None:
    extra = APIRouter()

    @extra.get("/summary")
    async def summary(
        request: Request, principal: Annotated[Principal, require_scope("shop:read")]
    ) -> dict[str, str]:
        return {"path": request.url.path, "by": principal.id}

    api = await shop(groups(), gadgets(extra=extra))
    told = (await api.client.get(f"{BASE}/gadgets/summary")).json()
    assert (told["path"], told["by"][:4]) == (f"{BASE}/gadgets/summary", "key:")
    item = await make(api, "gadgets", code="a")
    assert (await api.client.get(f"{BASE}/gadgets/{item['id']}")).json() == item
    assert f"{BASE}/gadgets/summary" in api.app.openapi()["paths"]
