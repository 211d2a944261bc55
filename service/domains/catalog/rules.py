"""The rules of the catalogue that a field's bounds cannot express."""

from pydantic import Field

from service.domains.catalog.models import Product
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
    """Takes sold units from the stock. Requests for one product take turns, so the stock is never negative."""
    if sale.units > product.stock:
        raise OutOfStock(f"There are {product.stock} in stock.")
    change.values["stock"] = product.stock - sale.units


def _check_slug(change: Change) -> None:
    if change.values.get("slug") in RESERVED_SLUGS:
        raise ValidationFailed(errors=[FieldError("is reserved for a page of the shop", pointer="/slug")])
