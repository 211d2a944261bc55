"""Calls every operation with the client from openapi-python-client; runs in the generator's environment.

Arguments: the service's URL, an API key, and a text that no other run uses.
"""

import json
import sys
import uuid
from types import ModuleType
from typing import Any

from slipway_client import AuthenticatedClient, Client, models
from slipway_client.api.categories import (
    bulk_change_categories,
    create_category,
    delete_category,
    export_categories,
    list_categories,
    patch_category,
    read_category,
    read_history_of_category,
    replace_category,
    restore_category,
    summarise_category,
)
from slipway_client.api.health import read_health
from slipway_client.api.keys import create_api_key, list_api_keys, revoke_api_key
from slipway_client.api.products import (
    bulk_change_products,
    create_product,
    delete_product,
    export_products,
    list_products,
    list_products_of_category,
    patch_product,
    read_history_of_product,
    read_product,
    replace_product,
    restore_product,
)

URL, KEY, MARK = sys.argv[1:]
CLIENT = AuthenticatedClient(base_url=URL, token=KEY, raise_on_unexpected_status=True)


def ok(operation: ModuleType, *path: Any, **given: Any) -> tuple[Any, str]:
    """Return the parsed response, and its ETag."""
    answer = operation.sync_detailed(*path, client=CLIENT, **given)
    assert answer.status_code < 300, answer.content
    return answer.parsed, answer.headers.get("ETag", "")


def refused(operation: ModuleType, *path: Any, **given: Any) -> models.Problem:
    answer = operation.sync_detailed(*path, client=CLIENT, **given)
    assert isinstance(answer.parsed, models.Problem), answer.content
    return answer.parsed


def keys() -> None:
    made, _ = ok(create_api_key, body=models.KeyCreate(name=MARK, scopes=["catalog:read"], days=1))
    page, _ = ok(list_api_keys)
    assert made.prefix in [key.prefix for key in page.items]
    ok(revoke_api_key, made.prefix)


def categories() -> uuid.UUID:
    body = models.CategoryCreate(slug=f"{MARK}-a", name="A")
    made, tag = ok(create_category, body=body, idempotency_key=MARK)
    assert ok(create_category, body=body, idempotency_key=MARK)[0] == made
    assert read_category.sync_detailed(made.id, client=CLIENT, if_none_match=tag).status_code == 304
    patched, newer = ok(patch_category, made.id, body=models.CategoryPatch(name="B"), if_match=tag)
    assert (patched.name, patched.version) == ("B", 2)
    late = refused(patch_category, made.id, body=models.CategoryPatch(name="C"), if_match=tag)
    assert late.code == "precondition_failed"
    _, newest = ok(replace_category, made.id, body=body, if_match=newer)
    known = uuid.uuid4()
    ok(
        replace_category,
        known,
        body=models.CategoryCreate(slug=f"{MARK}-b", name="B"),
        if_none_match="*",
    )
    ok(delete_category, made.id, if_match=newest)
    ok(restore_category, made.id)
    history, _ = ok(read_history_of_category, made.id, limit=2)
    assert [entry.action for entry in history.items] == ["restore", "delete"]
    rename = models.CategoryPatchOperation(
        op="patch", id=known, if_match="*", changes=models.CategoryPatch(name="D")
    )
    results, _ = ok(bulk_change_categories, body=models.CategoryBulk(operations=[rename]))
    assert [(result.status, result.item.name) for result in results.results] == [(200, "D")]
    slugs = [f"{MARK}-a", f"{MARK}-b"]
    order = [models.ListCategoriesSortItem.NAME_DESC, models.ListCategoriesSortItem.CREATED_AT]
    page, _ = ok(list_categories, slug_in=slugs, sort=order)
    assert [item.name for item in page.items] == ["D", "A"], page
    text, _ = ok(export_categories, slug_in=slugs)
    assert len(text.splitlines()) == 2
    return uuid.UUID(str(made.id))


def products(category: uuid.UUID) -> None:
    def new(letter: str, name: str, price: Any = "19.99", **more: Any) -> Any:
        sku = f"{MARK.upper()}-{letter}"
        return models.ProductCreate(sku=sku, name=name, price=price, category_id=category, **more)

    made, tag = ok(create_product, body=new("A", "Tables, chairs"))
    creations = [
        models.ProductCreateOperation(op="create", item=item)
        for item in (
            new("B", "Tables", 0.07, status=models.ProductStatus.ACTIVE, tags=["oak"]),
            new("C", "chairs"),
        )
    ]
    ok(bulk_change_products, body=models.ProductBulk(operations=creations))
    page, _ = ok(list_products, category_id=category, name_in=["Tables, chairs"])
    assert [item.name for item in page.items] == ["Tables, chairs"]
    page, _ = ok(list_products, category_id=category, id_in=[made.id], created_at_gte=made.created_at)
    assert [item.price for item in page.items] == ["19.99"]
    states = [models.ProductStatus.DRAFT, models.ProductStatus.ACTIVE]
    page, _ = ok(list_products_of_category, category, status_in=states, limit=2)
    assert len(page.items) == 2
    page, _ = ok(list_products_of_category, category, cursor=page.next_cursor, status_in=states, limit=2)
    assert len(page.items) == 1
    assert "weak" in str(
        refused(patch_product, made.id, body=models.ProductPatch(), if_match=f"W/{tag}").detail
    )
    _, newer = ok(patch_product, made.id, body=models.ProductPatch(stock=1), if_match=tag)
    _, newest = ok(replace_product, made.id, body=new("A", "Tables, chairs"), if_match=newer)
    ok(delete_product, made.id, if_match=newest)
    ok(restore_product, made.id)
    ok(read_product, made.id)
    ok(read_history_of_product, made.id)
    text, _ = ok(export_products, category_id=category)
    assert {json.loads(line)["name"] for line in text.splitlines()} == {"Tables, chairs", "Tables", "chairs"}
    summary, _ = ok(summarise_category, category)
    assert summary.products == 3
    wrong = refused(create_product, body=new("-", "x", "1.234"))
    assert [error.pointer for error in wrong.errors] == ["/price"]


if __name__ == "__main__":
    assert read_health.sync(client=Client(base_url=URL)).status == "ok"
    keys()
    products(categories())
