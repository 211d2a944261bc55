"""A hand-written route: sums up a shelf with the ORM."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, func
from sqlmodel import col, select

from service.http.handwritten import ALWAYS, SessionDep, answers_json, responses_of
from service.http.problems import NotFound
from service.security.access import require_scope
from service.security.principals import Principal
from tests.shop import flags
from tests.shop.models import Article, ArticleStatus, Shelf

router = APIRouter(prefix="/shelves", tags=["shelves"], dependencies=[Depends(answers_json)])


class ShelfSummary(BaseModel):
    """What a shelf holds."""

    articles: int = Field(description="Articles that are not deleted.")
    active: int = Field(description="Articles that are for sale.")
    stock: int = Field(description="Pieces on stock.")
    value: Decimal = Field(description="Price times stock, summed.")


@router.get("/{id}/summary", summary="Sum up a shelf", responses=responses_of(*ALWAYS, NotFound))
async def summarise_shelf(
    id: UUID,  # noqa: A002  # the name in the path
    session: SessionDep,
    principal: Annotated[Principal, require_scope("shop:read")],
) -> ShelfSummary:
    """How many articles a shelf has, and what they are worth."""
    shelf = await session.get(Shelf, id)
    if shelf is None or shelf.deleted_at is not None:
        raise NotFound("There is no such shelf.")
    price, stock, active = col(Article.price), col(Article.stock), col(Article.status) == ArticleStatus.ACTIVE
    value: ColumnElement[Decimal] = func.sum(price * stock)
    if flags.value_of_active(principal):
        value = value.filter(active)
    counted = select(
        func.count(),
        func.count().filter(active),
        func.coalesce(func.sum(stock), 0),
        func.coalesce(value, 0),
    ).where(Article.shelf_id == id, col(Article.deleted_at).is_(None))
    articles, sold, pieces, worth = (await session.exec(counted)).one()
    return ShelfSummary(articles=articles, active=sold, stock=pieces, value=worth)
