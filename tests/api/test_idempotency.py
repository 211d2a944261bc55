"""Idempotency-Key: one effect, the same response."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from service.database import Database
from service.resources.requests.idempotency import IdempotencyStore, KeyedRequest
from tests.api.conftest import Json, MakeClient
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"


def _same(one: object, other: object) -> bool:
    names = ("content-type", "location", "etag", "content-length")
    return (
        one.status_code == other.status_code  # type: ignore[attr-defined]
        and one.content == other.content  # type: ignore[attr-defined]
        and all(one.headers.get(n) == other.headers.get(n) for n in names)  # type: ignore[attr-defined]
    )


async def test_repeated_request_gets_the_same_response(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    body, key = new_article(), str(uuid4())
    first = await client.post(ARTICLES, json=body, headers={"Idempotency-Key": key})
    assert first.status_code == 201
    await client.patch(first.headers["location"], json={"name": "Changed since"}, headers={"If-Match": "*"})
    for form in (key, f'"{key}"'):
        again = await client.post(ARTICLES, json=body, headers={"Idempotency-Key": form})
        assert _same(again, first)
    history = (await client.get(first.headers["location"] + "/history")).json()["items"]
    assert len(history) == 2


@pytest.mark.parametrize("start", ["k", "k" * 219, r"a\b"])
async def test_form_of_a_key_makes_no_difference(
    client: AsyncClient, new_article: Callable[..., Json], start: str
) -> None:
    """Bare or quoted, with escapes and blanks around it; up to 255 characters."""
    key, body = f"{start}{uuid4()}", new_article()
    quoted = key.replace("\\", "\\\\").join('""')
    first = await client.post(ARTICLES, json=body, headers={"Idempotency-Key": key})
    assert first.status_code == 201, first.text
    for form in (quoted, f"  {quoted} "):
        again = await client.post(ARTICLES, json=body, headers={"Idempotency-Key": form})
        assert again.headers["idempotency-replayed"] == "true"
        assert _same(again, first)


async def test_key_with_a_different_body_is_refused(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = new_article()
    assert (await client.post(ARTICLES, json=body, headers=headers)).status_code == 201
    response = await client.post(ARTICLES, json={**body, "name": "Other"}, headers=headers)
    problem(response, 422, "idempotency_key_reused")
    response = await client.post(ARTICLES, json=new_article(), headers=headers)
    problem(response, 422, "idempotency_key_reused")


async def test_keys_belong_to_their_principal(
    client: AsyncClient, client_with: MakeClient, new_article: Callable[..., Json]
) -> None:
    headers = {"Idempotency-Key": "shared-key-" + str(uuid4())}
    other = await client_with("shop:write", "shop:read")
    first = await client.post(ARTICLES, json=new_article(), headers=headers)
    second = await other.post(ARTICLES, json=new_article(), headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


async def test_failed_request_does_not_consume_the_key(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    problem(
        await client.post(ARTICLES, json=new_article(sku=article["sku"]), headers=headers), 409, "duplicate"
    )
    assert (await client.post(ARTICLES, json=new_article(), headers=headers)).status_code == 201


async def test_fifty_concurrent_requests_have_one_effect(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    body, headers = new_article(), {"Idempotency-Key": str(uuid4())}
    responses = await asyncio.gather(*(client.post(ARTICLES, json=body, headers=headers) for _ in range(50)))
    first = next(response for response in responses if response.status_code == 201)
    assert all(_same(response, first) or response.json()["code"] == "still_running" for response in responses)
    found = (await client.get(ARTICLES, params={"sku": body["sku"]})).json()["items"]
    assert [item["id"] for item in found] == [first.json()["id"]]


async def test_expired_key_works_again(
    client: AsyncClient, database: Database, new_article: Callable[..., Json]
) -> None:
    headers = {"Idempotency-Key": f"old-{uuid4()}"}
    assert (await client.post(ARTICLES, json=new_article(), headers=headers)).status_code == 201
    await database.fetch(
        "UPDATE idempotency_record SET created_at = now() - interval '25 hours' WHERE key = $1",
        [headers["Idempotency-Key"]],
    )
    assert (await client.post(ARTICLES, json=new_article(), headers=headers)).status_code == 201


async def test_replay_succeeds_even_if_the_request_would_fail_now(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    slug = f"gone-{uuid4()}"
    shelf = (await client.post("/api/v1/shelves", json={"slug": slug, "name": "Gone"})).json()
    body, headers = new_article(shelf_id=shelf["id"]), {"Idempotency-Key": str(uuid4())}
    first = await client.post(ARTICLES, json=body, headers=headers)
    for url in (first.headers["location"], f"/api/v1/shelves/{shelf['id']}"):
        assert (await client.delete(url, headers={"If-Match": "*"})).status_code == 204
    assert _same(await client.post(ARTICLES, json=body, headers=headers), first)


async def test_expired_key_works_again_for_concurrent_requests(
    client: AsyncClient, database: Database, new_article: Callable[..., Json]
) -> None:
    for _ in range(5):
        key = f"old-{uuid4()}"
        assert (
            await client.post(ARTICLES, json=new_article(), headers={"Idempotency-Key": key})
        ).status_code == 201
        await database.fetch(
            "UPDATE idempotency_record SET created_at = now() - interval '25 hours' WHERE key = $1", [key]
        )
        body = new_article()
        responses = await asyncio.gather(
            *(client.post(ARTICLES, json=body, headers={"Idempotency-Key": key}) for _ in range(6))
        )
        assert all(_same(response, responses[0]) for response in responses), [a.text for a in responses]


async def test_unrelated_lock_is_not_taken_for_the_same_request(
    client: AsyncClient, database: Database, new_article: Callable[..., Json]
) -> None:
    slug = f"locked-{uuid4()}"
    shelf = (await client.post("/api/v1/shelves", json={"slug": slug, "name": "Locked"})).json()
    body, headers = new_article(shelf_id=shelf["id"]), {"Idempotency-Key": str(uuid4())}
    async with database.transaction() as connection:
        await connection.execute("SELECT 1 FROM tests_shelf WHERE id = $1 FOR UPDATE", UUID(shelf["id"]))
        problem(await client.post(ARTICLES, json=body, headers=headers), 503, "busy")
    assert (await client.post(ARTICLES, json=body, headers=headers)).status_code == 201


@pytest.mark.parametrize("key", ["", '""', '"a', "a b", "x" * 256, "ü", '"a\\x"'])
async def test_malformed_key_is_refused(
    client: AsyncClient, new_article: Callable[..., Json], key: str
) -> None:
    response = await client.post(ARTICLES, json=new_article(), headers=[(b"Idempotency-Key", key.encode())])
    problem(response, 400, "malformed_request")


async def test_two_keys_are_refused(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    keys = [("Idempotency-Key", str(uuid4())) for _ in range(2)]
    problem(await client.post(ARTICLES, json=new_article(), headers=keys), 400, "malformed_request")


async def test_record_that_is_still_valid_is_not_dropped(
    client: AsyncClient, database: Database, new_article: Callable[..., Json]
) -> None:
    body, headers = new_article(), {"Idempotency-Key": str(uuid4())}
    first = await client.post(ARTICLES, json=body, headers=headers)
    keyed = KeyedRequest(first.json()["created_by"], headers["Idempotency-Key"], b"")
    assert not await IdempotencyStore(database, 24).drop_expired(keyed)
    assert not await IdempotencyStore(database, 0).drop_expired(keyed._replace(principal="another"))
    assert _same(await client.post(ARTICLES, json=body, headers=headers), first)
    assert await IdempotencyStore(database, 0).drop_expired(keyed)


async def test_purge_deletes_only_expired_records(
    client: AsyncClient, database: Database, new_article: Callable[..., Json]
) -> None:
    old, older, fresh = (f"{name}-{uuid4()}" for name in ("old", "older", "fresh"))
    for key in (old, older, fresh):
        await client.post(ARTICLES, json=new_article(), headers={"Idempotency-Key": key})
    await database.fetch(
        "UPDATE idempotency_record SET created_at = now() - interval '25 hours' WHERE key = ANY ($1)",
        [[old, older]],
    )
    assert await IdempotencyStore(database, 24).purge(batch=1) >= 2
    left = {row["key"] for row in await database.fetch("SELECT key FROM idempotency_record")}
    assert fresh in left
    assert left.isdisjoint({old, older})


async def test_bulk_is_idempotent_too(client: AsyncClient, new_article: Callable[..., Json]) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"operations": [{"op": "create", "item": new_article()} for _ in range(3)]}
    first = await client.post(f"{ARTICLES}/bulk", json=body, headers=headers)
    assert first.status_code == 200
    assert _same(await client.post(f"{ARTICLES}/bulk", json=body, headers=headers), first)
    responses = await asyncio.gather(
        *(client.post(f"{ARTICLES}/bulk", json=body, headers=headers) for _ in range(5))
    )
    assert all(_same(response, first) for response in responses)
