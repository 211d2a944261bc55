"""A replayed response is marked as such, and a key on a request without idempotency is refused, not ignored."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient

from tests.api.conftest import Json, MakeClient
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"


async def test_replayed_response_is_marked(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    create = {"op": "create", "item": new_article()}
    bodies: dict[str, Any] = {
        ARTICLES: new_article(),
        f"{ARTICLES}/bulk": {"mode": "atomic", "operations": [create]},
    }
    for path, body in bodies.items():
        headers = {"Idempotency-Key": str(uuid4())}
        first, *repeated = [await client.post(path, json=body, headers=headers) for _ in range(3)]
        assert first.status_code in (200, 201), first.text
        assert "idempotency-replayed" not in first.headers
        assert [response.headers["idempotency-replayed"] for response in repeated] == ["true", "true"]
        assert {response.content for response in repeated} == {first.content}
    assert (await client.get(ARTICLES, headers=headers)).status_code == 200, "it means nothing here"


async def test_unsupported_idempotency_key_is_refused(
    client: AsyncClient, client_with: MakeClient, article: Json
) -> None:
    boss = await client_with("admin")
    item, tag = (
        f"{ARTICLES}/{article['id']}",
        {"If-Match": (await client.get(f"{ARTICLES}/{article['id']}")).headers["ETag"]},
    )
    for method, path, body in (
        ("PATCH", item, {"name": "N"}),
        ("PUT", item, {}),
        ("DELETE", item, None),
        ("POST", f"{item}/restore", None),
        ("POST", "/api/v1/keys", {"name": "k", "scopes": ["shop:read"]}),
        ("DELETE", "/api/v1/keys/none", None),
    ):
        response = await boss.request(method, path, json=body, headers={"Idempotency-Key": "k", **tag})
        found = problem(response, 400, "idempotency_key_not_supported")
        assert found["errors"][0]["header"] == "Idempotency-Key"
    assert (await client.patch(item, json={"name": "N"}, headers=tag)).status_code == 200
