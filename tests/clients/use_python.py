"""Calls every operation with the client from openapi-python-client; runs in the generator's environment.

Arguments: the service's URL, an API key, and a text that no other run uses.
"""

import json
import sys
import uuid
from types import ModuleType
from typing import Any

from slipway_client import AuthenticatedClient, Client, models
from slipway_client.api.articles import (
    bulk_change_articles,
    create_article,
    delete_article,
    export_articles,
    list_articles,
    list_articles_of_shelf,
    patch_article,
    read_article,
    read_history_of_article,
    replace_article,
    restock_article,
    restore_article,
)
from slipway_client.api.feature_flags import (
    list_feature_flag_changes,
    list_feature_flags,
    read_feature_flag,
    set_feature_flag,
    unset_feature_flag,
)
from slipway_client.api.features import list_features
from slipway_client.api.health import read_health
from slipway_client.api.keys import create_api_key, list_api_keys, revoke_api_key
from slipway_client.api.parcels import (
    bulk_change_parcels,
    create_parcel,
    delete_parcel,
    export_parcels,
    list_parcels,
    list_parcels_of_parcel,
    patch_parcel,
    read_history_of_parcel,
    read_parcel,
    replace_parcel,
    restore_parcel,
    send_parcel,
)
from slipway_client.api.shelves import (
    bulk_change_shelves,
    create_shelf,
    delete_shelf,
    export_shelves,
    list_shelves,
    patch_shelf,
    read_history_of_shelf,
    read_shelf,
    replace_shelf,
    restore_shelf,
    summarise_shelf,
)

URL, KEY, MARK = sys.argv[1:]
CLIENT = AuthenticatedClient(base_url=URL, token=KEY, raise_on_unexpected_status=True)


def ok(operation: ModuleType, *path: Any, **given: Any) -> tuple[Any, str]:
    """Return the parsed response, and its ETag."""
    response = operation.sync_detailed(*path, client=CLIENT, **given)
    assert response.status_code < 300, response.content
    return response.parsed, response.headers.get("ETag", "")


def refused(operation: ModuleType, *path: Any, **given: Any) -> models.Problem:
    response = operation.sync_detailed(*path, client=CLIENT, **given)
    assert isinstance(response.parsed, models.Problem), response.content
    return response.parsed


def keys() -> None:
    made, _ = ok(create_api_key, body=models.KeyCreate(name=MARK, scopes=["shop:read"], days=1))
    page, _ = ok(list_api_keys)
    assert made.prefix in [key.prefix for key in page.items]
    ok(revoke_api_key, made.prefix)


def features() -> None:
    flag, tag = ok(read_feature_flag, "greeting")
    assert flag.default == "hello"
    rule = models.Rule(value="hi", percent=25)
    changed = models.FeatureFlagWrite(value=MARK, rules=[rule])
    _, newer = ok(set_feature_flag, "greeting", body=changed, if_match=tag)
    assert refused(set_feature_flag, "greeting", body=changed, if_match=tag).code == "precondition_failed"
    assert MARK in [flag.value for flag in ok(list_feature_flags)[0].items]
    ok(unset_feature_flag, "greeting", if_match=newer)
    changes, _ = ok(list_feature_flag_changes, "greeting")
    assert [change.action for change in changes.items[:2]] == ["unset", "set"]
    assert "greeting" in [feature.name for feature in ok(list_features)[0].items]


def shelves() -> uuid.UUID:
    body = models.ShelfCreate(slug=f"{MARK}-a", name="A")
    made, tag = ok(create_shelf, body=body, idempotency_key=MARK)
    assert ok(create_shelf, body=body, idempotency_key=MARK)[0] == made
    assert read_shelf.sync_detailed(made.id, client=CLIENT, if_none_match=tag).status_code == 304
    patched, newer = ok(patch_shelf, made.id, body=models.ShelfPatch(name="B"), if_match=tag)
    assert (patched.name, patched.version) == ("B", 2)
    late = refused(patch_shelf, made.id, body=models.ShelfPatch(name="C"), if_match=tag)
    assert late.code == "precondition_failed"
    _, newest = ok(replace_shelf, made.id, body=body, if_match=newer)
    known = uuid.uuid4()
    ok(
        replace_shelf,
        known,
        body=models.ShelfCreate(slug=f"{MARK}-b", name="B"),
        if_none_match="*",
    )
    ok(delete_shelf, made.id, if_match=newest)
    ok(restore_shelf, made.id)
    history, _ = ok(read_history_of_shelf, made.id, limit=2)
    assert [entry.action for entry in history.items] == ["restore", "delete"]
    rename = models.ShelfPatchOperation(
        op="patch", id=known, if_match="*", changes=models.ShelfPatch(name="D")
    )
    results, _ = ok(bulk_change_shelves, body=models.ShelfBulk(operations=[rename]))
    assert [(result.status, result.item.name) for result in results.results] == [(200, "D")]
    slugs = [f"{MARK}-a", f"{MARK}-b"]
    order = [models.ListShelvesSortItem.NAME_DESC, models.ListShelvesSortItem.CREATED_AT]
    page, _ = ok(list_shelves, slug_in=slugs, sort=order)
    assert [item.name for item in page.items] == ["D", "A"], page
    text, _ = ok(export_shelves, slug_in=slugs)
    assert len(text.splitlines()) == 2
    return uuid.UUID(str(made.id))


def articles(shelf: uuid.UUID) -> None:
    def new(letter: str, name: str, price: Any = "19.99", **more: Any) -> Any:
        sku = f"{MARK.upper()}-{letter}"
        return models.ArticleCreate(sku=sku, name=name, price=price, shelf_id=shelf, **more)

    made, tag = ok(create_article, body=new("A", "Tables, chairs"))
    creations = [
        models.ArticleCreateOperation(op="create", item=item)
        for item in (
            new("B", "Tables", 0.07, status=models.ArticleStatus.ACTIVE, tags=["oak"]),
            new("C", "chairs"),
        )
    ]
    ok(bulk_change_articles, body=models.ArticleBulk(operations=creations))
    page, _ = ok(list_articles, shelf_slug=f"{MARK}-a", name_in=["Tables, chairs"])
    assert [item.name for item in page.items] == ["Tables, chairs"]
    page, _ = ok(list_articles, shelf_id=shelf, id_in=[made.id], created_at_gte=made.created_at)
    assert [item.price for item in page.items] == ["19.99"]
    states = [models.ArticleStatus.DRAFT, models.ArticleStatus.ACTIVE]
    page, _ = ok(list_articles_of_shelf, shelf, status_in=states, limit=2)
    assert len(page.items) == 2
    page, _ = ok(list_articles_of_shelf, shelf, cursor=page.next_cursor, status_in=states, limit=2)
    assert len(page.items) == 1
    assert "weak" in str(
        refused(patch_article, made.id, body=models.ArticlePatch(), if_match=f"W/{tag}").detail
    )
    _, newer = ok(patch_article, made.id, body=models.ArticlePatch(stock=1), if_match=tag)
    _, newest = ok(replace_article, made.id, body=new("A", "Tables, chairs"), if_match=newer)
    ok(delete_article, made.id, if_match=newest)
    ok(restore_article, made.id)
    ok(read_article, made.id)
    expanded, _ = ok(read_article, made.id, expand=[models.ReadArticleExpandItem.SHELF])
    assert str(expanded.shelf.id) == str(shelf)
    restock(made.id)
    text, _ = ok(export_articles, shelf_id=shelf)
    assert {json.loads(line)["name"] for line in text.splitlines()} == {"Tables, chairs", "Tables", "chairs"}
    summary, _ = ok(summarise_shelf, shelf)
    assert summary.articles == 3
    wrong = refused(create_article, body=new("-", "x", "1.234"))
    assert [error.pointer for error in wrong.errors] == ["/price"]


def restock(article: uuid.UUID) -> None:
    """Run an action, and let it refuse."""
    stocked, tag = ok(restock_article, article, body=models.Restock(pieces=2))
    assert stocked.stock == 2
    refusal = refused(restock_article, article, body=models.Restock(pieces=10**6), if_match=tag)
    assert refusal.code == "no_room"
    history, _ = ok(read_history_of_article, article)
    assert history.items[0].action == "restock"


def parcels() -> None:
    """Items of an owner, whom the service names."""
    body = models.ParcelCreate(number=f"{MARK}-1")
    parts = [models.ParcelPartsCreate(number=f"{MARK}-3")]
    made, tag = ok(create_parcel, body=models.ParcelCreateWithParts(number=body.number, parts=parts))
    assert (made.tenant, made.bundle_id) == ("tests", None)
    assert [(part.number, part.bundle_id) for part in made.parts] == [(f"{MARK}-3", made.id)]
    ok(delete_parcel, made.parts[0].id, if_match="*")
    _, newer = ok(patch_parcel, made.id, body=models.ParcelPatch(weight=2), if_match=tag)
    _, newest = ok(replace_parcel, made.id, body=body, if_match=newer)
    ok(delete_parcel, made.id, if_match=newest)
    ok(restore_parcel, made.id)
    ok(send_parcel, made.id)
    assert refused(send_parcel, made.id).code == "wrong_state"
    inner = models.ParcelCreate(number=f"{MARK}-2", bundle_id=made.id)
    creation = models.ParcelCreateOperation(op="create", item=inner)
    ok(bulk_change_parcels, body=models.ParcelBulk(operations=[creation]))
    page, _ = ok(list_parcels_of_parcel, made.id)
    assert [item.number for item in page.items] == [f"{MARK}-2"]
    assert len(ok(list_parcels, id_in=[made.id])[0].items) == 1
    assert ok(read_parcel, made.id)[0].status == models.ParcelStatus.SENT
    assert ok(read_history_of_parcel, made.id)[0].items[0].action == "send"
    assert len(ok(export_parcels, bundle_id=made.id)[0].splitlines()) == 1


if __name__ == "__main__":
    assert read_health.sync(client=Client(base_url=URL)).status == "ok"
    keys()
    features()
    articles(shelves())
    parcels()
