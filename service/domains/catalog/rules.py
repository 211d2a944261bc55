"""The rules of the catalogue that a field's bounds cannot express."""

from typing import Any

import sqlalchemy as sa
from pydantic import Field
from sqlmodel import col, select

from service.domains.catalog.models import Delivery, DeliveryLine, Product
from service.http.handwritten import Input
from service.http.problems import Conflict, FieldError, ValidationFailed
from service.resources.declaration import Change, Hooks

RESERVED_SLUGS = frozenset({"all", "new", "search"})


class CategoryRules(Hooks):
    """A category's page is `/<slug>`, so its slug must not be that of another page of the shop."""

    async def before_create(self, change: Change) -> None:
        _check_slug(change)

    async def before_update(self, change: Change) -> None:
        _check_slug(change)


class Sale(Input):
    """Units that were sold."""

    units: int = Field(ge=1, examples=[3])


class OutOfStock(Conflict):
    """The stock holds fewer units."""

    code, title = "out_of_stock", "There are not enough units in stock."


async def sell(change: Change, product: Product, sale: Sale) -> None:
    """Take sold units from the stock. Requests for one product take turns, so the stock is never negative."""
    if sale.units > product.stock:
        raise OutOfStock(f"There are {product.stock} in stock.")
    change.values["stock"] = product.stock - sale.units


async def receive(change: Change, delivery: Delivery) -> None:
    """Add the delivered units to the stock."""
    found = select(DeliveryLine).where(
        DeliveryLine.delivery_id == delivery.id, col(DeliveryLine.deleted_at).is_(None)
    )
    async with change.session() as session:
        lines = (await session.exec(found)).all()
    for line in sorted(lines, key=lambda line: line.product_id):  # two deliveries lock products in one order
        product = await change.get(Product, line.product_id)
        if product is not None:
            await change.update(Product, product.id, {"stock": product.stock + line.units})


def units_of(delivery: Any) -> sa.ColumnElement[int]:
    """Sum up the units of a delivery's lines."""
    units = sa.select(sa.func.coalesce(sa.func.sum(DeliveryLine.units), 0))
    return units.where(
        col(DeliveryLine.delivery_id) == delivery.id, col(DeliveryLine.deleted_at).is_(None)
    ).scalar_subquery()


def _check_slug(change: Change) -> None:
    if change.values.get("slug") in RESERVED_SLUGS:
        raise ValidationFailed(errors=[FieldError("is reserved for a page of the shop", pointer="/slug")])
