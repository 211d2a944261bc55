"""A hand-written route, which sums up the products of a category with the ORM, and keeps the sums for a second."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.cache.cached_function import cached
from service.domains.catalog import flags
from service.domains.catalog.models import Category, Product, ProductStatus
from service.http.handwritten import ALWAYS, CachesDep, answers_json, responses_of
from service.http.problems import NotFound
from service.security.access import require_scope
from service.security.principals import Principal

router = APIRouter(prefix="/categories", tags=["categories"], dependencies=[Depends(answers_json)])


class CategorySummary(BaseModel):
    """Totals of the products in a category."""

    products: int = Field(description="Number of products.")
    active: int = Field(description="Number of active products.")
    stock: int = Field(description="Number of units in stock.")
    value: Decimal = Field(description="Sum of price times stock.")


@cached(seconds=1, stale=4, tables=("category", "product"))
async def summary_of_category(
    session: AsyncSession, category_id: UUID, *, value_of_active: bool
) -> CategorySummary:
    """Sum up the products of a category. Raises `NotFound`."""
    category = await session.get(Category, category_id)
    if category is None or category.deleted_at is not None:
        raise NotFound("There is no such category.")
    price, stock, active = col(Product.price), col(Product.stock), col(Product.status) == ProductStatus.ACTIVE
    value: ColumnElement[Decimal] = func.sum(price * stock)
    if value_of_active:
        value = value.filter(active)
    counted = select(
        func.count(),
        func.count().filter(active),
        func.coalesce(func.sum(stock), 0),
        func.coalesce(value, 0),
    ).where(Product.category_id == category_id, col(Product.deleted_at).is_(None))
    products, sold, pieces, worth = (await session.exec(counted)).one()
    return CategorySummary(products=products, active=sold, stock=pieces, value=worth)


@router.get("/{id}/summary", summary="Sum up a category", responses=responses_of(*ALWAYS, NotFound))
async def summarise_category(
    id: UUID,  # noqa: A002  # the name in the path
    caches: CachesDep,
    principal: Annotated[Principal, require_scope("catalog:read")],
) -> CategorySummary:
    """Returns the number of products in a category and the value of their stock."""
    return await summary_of_category(caches, id, value_of_active=flags.value_of_active(principal))
