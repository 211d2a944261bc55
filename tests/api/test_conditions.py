"""Conditional requests (RFC 9110, section 13), HEAD, OPTIONS, negotiation."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import Json
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"


async def test_put_replaces_everything(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    created = await client.post(
        ARTICLES, json=new_article(description="old", attributes={"a": 1}, tags=["x"])
    )
    body = new_article(sku=created.json()["sku"], name="Replaced", attributes={"b": 2})
    response = await client.put(
        created.headers["location"], json=body, headers={"If-Match": created.headers["etag"]}
    )
    assert response.status_code == 200
    after = response.json()
    assert (after["name"], after["description"], after["attributes"], after["tags"]) == (
        "Replaced",
        "",
        {"b": 2},
        [],
    )
    assert after["version"] == 2
    again = await client.put(
        created.headers["location"], json=body, headers={"If-Match": response.headers["etag"]}
    )
    assert (again.status_code, again.content) == (200, response.content)


async def test_put_cannot_change_an_immutable_field(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    response = await client.put(f"{ARTICLES}/{article['id']}", json=new_article(), headers={"If-Match": "*"})
    assert problem(response, 422, "validation_failed")["errors"] == [
        {"pointer": "/sku", "message": "cannot be changed"}
    ]


async def test_put_with_if_none_match_creates_once(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    url, body = f"{ARTICLES}/{uuid4()}", new_article()
    first = await client.put(url, json=body, headers={"If-None-Match": "*"})
    assert (first.status_code, first.headers["location"]) == (201, url)
    assert (await client.get(url)).content == first.content
    problem(await client.put(url, json=body, headers={"If-None-Match": "*"}), 412, "precondition_failed")
    assert (await client.delete(url, headers={"If-Match": first.headers["etag"]})).status_code == 204
    problem(await client.put(url, json=body, headers={"If-None-Match": "*"}), 409, "conflict")


async def test_put_with_both_preconditions_creates_nothing(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    """`If-Match` wants an item, and `If-None-Match: *` wants none."""
    headers = {"If-Match": "*", "If-None-Match": "*"}
    for url in (f"{ARTICLES}/{uuid4()}", f"{ARTICLES}/{article['id']}"):
        before = (await client.get(url)).content
        refused = await client.put(url, json=new_article(sku=article["sku"]), headers=headers)
        problem(refused, 412, "precondition_failed")
        if url.endswith(article["id"]):
            assert (await client.get(url)).content == before
        else:
            problem(await client.get(url), 404, "not_found")


async def test_put_of_another_items_sku_is_a_duplicate(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    response = await client.put(
        f"{ARTICLES}/{uuid4()}", json=new_article(sku=article["sku"]), headers={"If-None-Match": "*"}
    )
    assert problem(response, 409, "duplicate")["errors"][0]["pointer"] == "/sku"


async def test_put_needs_a_precondition(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    url = f"{ARTICLES}/{uuid4()}"
    problem(await client.put(url, json=new_article()), 428, "precondition_required")
    problem(await client.put(url, json=new_article(), headers={"If-Match": "*"}), 412, "precondition_failed")


@pytest.mark.parametrize("form", ["{tag}", "*", '"other", {tag}', '"a",,{tag} , "b"', 'W/"x", {tag}'])
async def test_matching_if_match_allows_the_change(client: AsyncClient, article: Json, form: str) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    assert (await client.get(url, headers={"If-Match": form.format(tag=tag)})).status_code == 200
    response = await client.patch(url, json={"stock": 7}, headers={"If-Match": form.format(tag=tag)})
    assert response.status_code == 200


async def test_tags_of_repeated_fields_count_together(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    headers = [("If-Match", '"other"'), ("If-Match", tag)]
    assert (await client.patch(url, json={"stock": 7}, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "form", ["W/{tag}", '"other"', '""', '"1"', '"1-00000000"', '"2147483648-{digest}"', '"01-{digest}"']
)
async def test_stale_if_match_is_refused(client: AsyncClient, article: Json, form: str) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    headers = {"If-Match": form.format(tag=tag, digest=tag.strip('"').partition("-")[2])}
    problem(await client.get(url, headers=headers), 412, "precondition_failed")
    problem(await client.patch(url, json={"stock": 7}, headers=headers), 412, "precondition_failed")
    problem(await client.delete(url, headers=headers), 412, "precondition_failed")
    assert (await client.get(url)).json() == article


WEAK, RENAMED, CHANGED = "weak entity tag", "name of a compression", "has changed"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ('W/"{tag}"', WEAK), ('"0-x", W/"{tag}"', WEAK), ('"0-x"', CHANGED), ('"{tag}-gzip"', RENAMED),
        ('"{tag};br"', RENAMED), ('W/"{tag}-gzip"', WEAK), ('"{tag}--gzip", "0-x"', RENAMED),
        ('"{tag}:zstd"', RENAMED), ('"{tag}-deflate"', RENAMED),
    ],
)  # fmt: skip
async def test_error_explains_an_etag_altered_by_a_proxy(
    client: AsyncClient, article: Json, new_article: Callable[..., Json], form: str, told: str
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = form.format(tag=(await client.get(url)).headers["etag"].strip('"'))
    headers = {"If-Match": tag}
    operations = [
        {"op": "patch", "id": article["id"], "if_match": tag, "changes": {"stock": 7}},
        {"op": "delete", "id": article["id"], "if_match": tag},
    ]
    for response in (
        await client.get(url, headers=headers),
        await client.patch(url, json={"stock": 7}, headers=headers),
        await client.patch(url, json={}, headers=headers),
        await client.put(url, json=new_article(sku=article["sku"]), headers=headers),
        await client.delete(url, headers=headers),
        *[
            await client.post(f"{ARTICLES}/bulk", json={"operations": [operation]})
            for operation in operations
        ],
    ):
        document = problem(response, 412, "precondition_failed")
        assert [text for text in (WEAK, RENAMED, CHANGED) if text in document["detail"]] == [told]
    await client.delete(url, headers={"If-Match": "*"})
    document = problem(await client.post(f"{url}/restore", headers=headers), 412, "precondition_failed")
    assert told in document["detail"]


async def test_weak_tag_next_to_the_matching_strong_one_is_ignored(
    client: AsyncClient, article: Json
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    assert (await client.get(url, headers={"If-None-Match": f'"x", W/{tag}'})).status_code == 304
    response = await client.patch(url, json={"stock": 7}, headers={"If-Match": f'W/"x", {tag}'})
    assert response.status_code == 200


async def test_if_none_match_also_guards_changes(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    for unless in (tag, f"W/{tag}", "*"):
        headers = {"If-Match": tag, "If-None-Match": unless}
        for changes in ({"stock": 7}, {}):
            problem(await client.patch(url, json=changes, headers=headers), 412, "precondition_failed")
    headers = {"If-Match": tag, "If-None-Match": '"other"'}
    assert (await client.patch(url, json={"stock": 7}, headers=headers)).status_code == 200


async def test_if_match_is_evaluated_before_if_none_match(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    problem(
        await client.get(url, headers={"If-Match": '"x"', "If-None-Match": tag}), 412, "precondition_failed"
    )
    assert (await client.get(url, headers={"If-Match": tag, "If-None-Match": tag})).status_code == 304


async def test_preconditions_do_not_hide_a_missing_item(client: AsyncClient) -> None:
    url = f"{ARTICLES}/{uuid4()}"
    for headers in ({"If-Match": "*"}, {"If-Match": '"x"'}):
        problem(await client.patch(url, json={"stock": 7}, headers=headers), 404, "not_found")
        problem(await client.delete(url, headers=headers), 404, "not_found")
        problem(await client.get(url, headers=headers), 404, "not_found")


@pytest.mark.parametrize("value", ["", "x", '"a', 'a"', '"a" "b"', "W/*", "*, *", 'w/"a"'])
async def test_malformed_tags_are_refused(client: AsyncClient, article: Json, value: str) -> None:
    response = await client.get(f"{ARTICLES}/{article['id']}", headers={"If-None-Match": value})
    assert problem(response, 400, "malformed_request")["errors"][0]["header"] == "If-None-Match"


async def test_head_is_get_without_content(client: AsyncClient, article: Json) -> None:
    for url in (ARTICLES, f"{ARTICLES}/{article['id']}", f"{ARTICLES}/{uuid4()}", f"{ARTICLES}?sort=x"):
        get, head = await client.get(url), await client.head(url)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "etag"):
            assert head.headers.get(name) == get.headers.get(name)
        if url != f"{ARTICLES}/{uuid4()}" and get.status_code == 200:
            assert head.headers["content-length"] == str(len(get.content))


async def test_options_lists_the_methods(client: AsyncClient, article: Json) -> None:
    response = await client.options(f"{ARTICLES}/{article['id']}")
    assert response.status_code == 204
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}
    problem(await client.options("/api/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200), ("*/*", 200), ("application/*", 200), ("text/html, */*;q=0.1", 200),
        ("application/json;q=0.5, text/html", 200), ("text/html", 406), ("application/json;q=0, */*", 406),
        ("application/xml", 406), ("", 200), ("application/json;q=high", 200),
    ],
)  # fmt: skip
async def test_accept_is_honoured(client: AsyncClient, accept: str, status: int) -> None:
    response = await client.get(ARTICLES, headers={"Accept": accept})
    assert response.status_code == status
