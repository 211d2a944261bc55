"""One item: create, read, change, delete."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import Json

ARTICLES = "/api/v1/articles"


def problem(response: object, status: int, code: str) -> Json:
    """Return the body of a problem, after checking that it is one."""
    assert response.status_code == status, response.text  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body: Json = response.json()  # type: ignore[attr-defined]
    assert body["code"] == code
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]  # type: ignore[attr-defined]
    return body


async def test_created_item_can_be_read(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    body = new_article(
        description="Ünïcode — 😀",
        stock=3,
        status="active",
        tags=["a", "b"],
        attributes={"x": {"y": [1, None]}},
    )
    created = await client.post(ARTICLES, json=body)
    assert created.status_code == 201
    read = await client.get(created.headers["location"])
    assert read.status_code == 200
    assert read.content == created.content
    assert read.headers["etag"] == created.headers["etag"]
    assert {name: read.json()[name] for name in body} == body
    assert read.json()["version"] == 1
    assert read.json()["created_by"] == read.json()["updated_by"]
    assert read.json()["created_by"].startswith("key:")


async def test_price_is_an_exact_string(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    for given, stored in (("9999999999.99", "9999999999.99"), (0.1, "0.10"), (7, "7.00")):
        created = await client.post(ARTICLES, json=new_article(price=given))
        assert created.json()["price"] == stored


async def test_integer_may_be_written_with_a_decimal_point(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    for given, stored in ((5.0, 5), (2e3, 2000), (-0.0, 0)):
        assert (await client.post(ARTICLES, json=new_article(stock=given))).json()["stock"] == stored
    for wrong in (5.5, True, "5", 2.0**31):
        problem(await client.post(ARTICLES, json=new_article(stock=wrong)), 422, "validation_failed")


async def test_all_invalid_values_are_reported(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    body = new_article(price="1.234", stock=2**31, status="sold", tags=["x", ""], unknown=1)
    response = problem(await client.post(ARTICLES, json=body), 422, "validation_failed")
    assert {error["pointer"] for error in response["errors"]} == {
        "/price",
        "/stock",
        "/status",
        "/tags/1",
        "/unknown",
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"name":"a","name":"b"}', "invalid_json"),
        (b'{"price":NaN}', "invalid_json"),
        (b'{"stock":1e400}', "invalid_json"),
        (b'{"name":1e-99999999999999999999}', "invalid_json"),
        (b'{"name":0.0e99999999999999999999}', "invalid_json"),
        (b'{"name":"\\ud800"}', "invalid_json"),
        (b'{"name":"\\u0000"}', "invalid_json"),
        (b'{"name":"\xff"}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        ('{"name":"x"}'.encode("utf-16"), "invalid_json"),
        (b'{"attributes":' + b'{"a":' * 900 + b"1" + b"}" * 901, "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
async def test_json_is_strict(client: AsyncClient, body: bytes, code: str) -> None:
    response = await client.post(ARTICLES, content=body, headers={"content-type": "application/json"})
    problem(response, 400, code)


OTHER_MEDIA_TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=x", "json",
    "application/json; charset=utf-16", "application/json; version=1; CHARSET=latin1",
    "application/json; charset=utf-8; charset=latin1", 'application/json; charset="utf-8', "application/json version=1",
    "application/json; charset = utf-8", "application/json, text/plain", "application/jsonx; version=1",
)  # fmt: skip
SAME_MEDIA_TYPE = (
    "application/json; version=1", "application/json;version=1;charset=utf-8", 'application/json; charset="UTF-8"',
    "Application/JSON ; Charset=Utf-8; q=1", 'application/json; profile="a;b,\\"c"; charset=utf-8', "application/json;",
    "application/json ; ; a=b ;",
)  # fmt: skip


@pytest.mark.parametrize("kind", SAME_MEDIA_TYPE)
async def test_unknown_media_type_parameters_are_ignored(
    client: AsyncClient, article: Json, kind: str
) -> None:
    post = await client.post(ARTICLES, content=b"{}", headers={"content-type": kind})
    problem(post, 422, "validation_failed")
    bulk = await client.post(f"{ARTICLES}/bulk", content=b"{}", headers={"content-type": kind})
    problem(bulk, 422, "validation_failed")
    merge = kind.lower().replace("json", "merge-patch+json")
    patch = await client.patch(
        f"{ARTICLES}/{article['id']}", content=b"{}", headers={"content-type": merge, "if-match": "*"}
    )
    assert patch.status_code == 200


@pytest.mark.parametrize("kind", OTHER_MEDIA_TYPES)
async def test_other_media_types_are_refused(client: AsyncClient, kind: str) -> None:
    response = await client.post(ARTICLES, content=b"{}", headers={"content-type": kind})
    problem(response, 415, "unsupported_media_type")
    assert response.headers["accept"] == "application/json"
    bulk = await client.post(f"{ARTICLES}/bulk", content=b"{}", headers={"content-type": kind})
    problem(bulk, 415, "unsupported_media_type")


async def test_repeated_media_type_and_content_coding_are_refused(client: AsyncClient) -> None:
    kind, text = "application/json", b'{"slug": "coded", "name": "Coded"}'
    for more, status in (
        ([("content-type", kind)], 415),
        ([("content-encoding", "gzip")], 415),
        ([("content-encoding", "Identity")], 201),
    ):
        headers = [("content-type", kind), *more]
        response = await client.post("/api/v1/shelves", content=text, headers=headers)
        assert response.status_code == status, response.text


async def test_large_body_is_refused(client: AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post(ARTICLES, content=b" " * 1_100_000, headers=headers)
    problem(response, 413, "body_too_large")


async def test_number_of_reported_errors_is_limited(client: AsyncClient) -> None:
    body = {f"field{number}": "x" for number in range(5000)}
    response = await client.post(ARTICLES, json=body)
    assert len(problem(response, 422, "validation_failed")["errors"]) == 100
    long = {"operations": [{"op": "x" * 100_000}], "mode": "partial"}
    assert len((await client.post(f"{ARTICLES}/bulk", json=long)).content) < 5000


async def test_duplicate_sku_is_reported(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    response = await client.post(ARTICLES, json=new_article(sku=article["sku"]))
    assert problem(response, 409, "duplicate")["errors"][0]["pointer"] == "/sku"


async def test_tests_shelf_must_exist(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    response = await client.post(ARTICLES, json=new_article(shelf_id=str(uuid4())))
    assert problem(response, 422, "validation_failed")["errors"][0]["pointer"] == "/shelf_id"


async def test_patch_merges_and_increments_the_version(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    created = await client.post(ARTICLES, json=new_article(attributes={"a": 1, "b": {"c": 2, "d": 3}}))
    patch = {"name": "New", "attributes": {"a": None, "b": {"c": 9}}}
    response = await client.patch(
        created.headers["location"],
        json=patch,
        headers={"If-Match": created.headers["etag"], "content-type": "application/merge-patch+json"},
    )
    assert response.status_code == 200
    assert response.json()["attributes"] == {"b": {"c": 9, "d": 3}}
    assert response.json()["version"] == 2
    assert response.headers["etag"] != created.headers["etag"]
    assert (await client.get(created.headers["location"])).content == response.content


async def test_patch_without_changes_keeps_the_version(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    for patch in ({"name": article["name"], "attributes": {}}, {}):
        response = await client.patch(url, json=patch, headers={"If-Match": "*"})
        assert response.status_code == 200
        assert response.json() == article


async def test_patch_needs_the_current_tag(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    problem(await client.patch(url, json={"name": "x"}), 428, "precondition_required")
    assert (await client.patch(url, json={"name": "x"}, headers={"If-Match": tag})).status_code == 200
    problem(
        await client.patch(url, json={"name": "y"}, headers={"If-Match": tag}), 412, "precondition_failed"
    )
    problem(
        await client.patch(url, json={"name": "y"}, headers={"If-Match": "W/" + tag}),
        412,
        "precondition_failed",
    )
    problem(await client.patch(url, json={}, headers={"If-Match": tag}), 412, "precondition_failed")
    problem(
        await client.patch(url, json={"name": "y"}, headers={"If-Match": "bare"}), 400, "malformed_request"
    )


async def test_patch_refuses_null_and_immutable_fields(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    response = await client.patch(url, json={"name": None, "sku": "X"}, headers={"If-Match": "*"})
    errors = problem(response, 422, "validation_failed")["errors"]
    assert {error["pointer"]: error["message"] for error in errors} == {
        "/name": "must be a string",
        "/sku": "cannot be changed",
    }
    operation = {"op": "patch", "id": article["id"], "if_match": "*", "changes": {"sku": "X", "skew": 1}}
    response = await client.post(f"{ARTICLES}/bulk", json={"operations": [operation]})
    errors = problem(response, 422, "validation_failed")["errors"]
    assert {error["pointer"]: error["message"] for error in errors} == {
        "/operations/0/changes/sku": "cannot be changed",
        "/operations/0/changes/skew": "is not a known field",
    }


async def test_deleted_item_is_not_found_and_its_sku_can_be_reused(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    problem(await client.delete(url), 428, "precondition_required")
    tag = (await client.get(url)).headers["etag"]
    assert (await client.delete(url, headers={"If-Match": tag})).status_code == 204
    problem(await client.get(url), 404, "not_found")
    problem(await client.delete(url, headers={"If-Match": tag}), 404, "not_found")
    problem(await client.patch(url, json={"name": "x"}, headers={"If-Match": tag}), 404, "not_found")
    assert (await client.post(ARTICLES, json=new_article(sku=article["sku"]))).status_code == 201


async def test_tests_shelf_in_use_cannot_be_deleted(client: AsyncClient, article: Json) -> None:
    url = f"/api/v1/shelves/{article['shelf_id']}"
    problem(await client.delete(url, headers={"If-Match": "*"}), 409, "conflict")


async def test_read_honours_if_none_match(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    tag = (await client.get(url)).headers["etag"]
    for given in (tag, f'"other", {tag}', "*", "W/" + tag):
        response = await client.get(url, headers={"If-None-Match": given})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize("item_id", ["1", "x" * 36, str(UUID(int=7)), "%00", "..%2f"])
async def test_unknown_item_is_not_found(client: AsyncClient, item_id: str) -> None:
    problem(await client.get(f"{ARTICLES}/{item_id}"), 404, "not_found")


async def test_unknown_method_lists_the_allowed_methods(client: AsyncClient, article: Json) -> None:
    response = await client.request("PROPFIND", f"{ARTICLES}/{article['id']}")
    problem(response, 405, "method_not_allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(response.headers["allow"].split(", "))


async def test_unknown_parameters_are_refused(client: AsyncClient, article: Json) -> None:
    response = await client.get(f"{ARTICLES}/{article['id']}?x=1")
    assert problem(response, 400, "invalid_parameter")["errors"][0]["parameter"] == "x"
