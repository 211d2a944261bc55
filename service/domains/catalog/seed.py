"""Loads the sample catalogue, in three statements. Existing rows stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.domains.catalog.models import Category, Product
from service.models.base import Resource
from service.resources.domain import Example, Seed


@dataclass(frozen=True)
class Loaded:
    """The number of rows added, and of all rows of the sample."""

    categories: int
    products: int
    all_categories: int
    all_products: int

    def __str__(self) -> str:
        if not self.categories and not self.products:
            return (
                f"nothing to add: all {self.all_categories} categories and {self.all_products} products exist"
            )
        return f"added {self.categories} categories and {self.products} products"


async def load_sample(session: AsyncSession) -> Loaded:
    """Add the missing rows of the sample. Existing rows stay as they are, even if changed or soft-deleted.

    If a category already has the slug of a sample category, the sample's products go into it. Products of a deleted
    category are left out. The caller commits.
    """
    from service.domains.catalog.sample.rows import categories, products  # noqa: PLC0415  # half a MB, for this alone

    some_categories, some_products = categories(), products()
    new_categories = await _add(session, Category, some_categories)
    alive = select(Category.slug, Category.id).where(col(Category.deleted_at).is_(None))
    ids: dict[str, UUID] = dict((await session.exec(alive)).all())
    rows = [
        {**product, "category_id": ids[slug]}
        for product in some_products
        if (slug := product.pop("category")) in ids
    ]
    new_products = await _add(session, Product, rows)
    return Loaded(new_categories, new_products, len(some_categories), len(some_products))


async def is_empty(session: AsyncSession) -> bool:
    """Whether the catalogue has no category and no product, not even a deleted one."""
    something = select(func.coalesce(exists(select(Category.id)) | exists(select(Product.id)), False))
    return not (await session.exec(something)).one()


async def _add(session: AsyncSession, table: type[Resource], rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows in bulk; skip one whose id or unique name is taken. Return how many were inserted."""
    statement = insert(table).on_conflict_do_nothing().returning(col(table.id))
    complete = [{**row, "updated_at": row["created_at"]} for row in rows]
    return len((await session.exec(statement, params=complete)).all()) if complete else 0


async def _load(session: AsyncSession) -> str:
    return f"sample catalogue: {await load_sample(session)}"


async def _examples(session: AsyncSession) -> Sequence[Example]:
    """Example requests: list the newest products; create a product in the first category, or a category if none
    exists; announce a delivery of the first product."""
    category, product = await _first(session, Category), await _first(session, Product)
    requests = [Example("products?status=active&sort=-created_at&limit=3")]
    if category is None:
        requests.append(Example("categories", """{"slug": "try-'$RANDOM'", "name": "A first category"}"""))
    else:
        rest = f'"name": "Paper lantern", "price": "24.90", "category_id": "{category}"'
        requests.append(Example("products", f"""{{"sku": "TRY-'$RANDOM'", {rest}}}"""))
    if product is not None:
        rest = f'"expected": "{clock.now():%Y-%m-%d}", "lines": [{{"product_id": "{product}", "units": 12}}]'
        requests.append(Example("deliveries", f"""{{"number": "TRY-'$RANDOM'", {rest}}}"""))
    return requests


async def _first(session: AsyncSession, table: type[Resource]) -> UUID | None:
    """Return the id of the oldest row that is not deleted."""
    rows = select(table.id).where(col(table.deleted_at).is_(None)).order_by(col(table.id))
    return (await session.exec(rows.limit(1))).first()


SEED = Seed(load=_load, is_empty=is_empty, examples=_examples)
