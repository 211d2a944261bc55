"""The tables of the catalogue: categories, products and deliveries."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import ARRAY, CheckConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import array_index, prefix_index, search_index, sort_index, unique_index
from service.models.types import text_enum


class Category(Resource, table=True):
    """A group of products."""

    __table_args__ = (
        unique_index("category", "slug"),
        sort_index("category", "name"),
        sort_index("category", "created_at"),
        search_index("category", "name", "description"),
    )

    slug: str = Field(
        min_length=1,
        max_length=60,
        description="Short name for URLs, unique.",
        schema_extra={"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "examples": ["desk-lamps"]},
    )
    name: str = Field(
        min_length=1,
        max_length=120,
        description="Name of the category.",
        schema_extra={"examples": ["Desk lamps"]},
    )
    description: str = Field(default="", max_length=2000, description="What belongs in the category.")


class ProductStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    DISCONTINUED = "discontinued"


Tag = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Product(Resource, table=True):
    """A product for sale."""

    __table_args__ = (
        unique_index("product", "sku"),
        sort_index("product", "created_at"),
        sort_index("product", "name"),
        sort_index("product", "price"),
        sort_index("product", "stock"),
        sort_index("product", "updated_at"),
        sort_index("product", "category_id", "created_at"),
        *(sort_index("product", "status", sort) for sort in ("created_at", "name", "price")),
        prefix_index("product", "sku"),
        array_index("product", "tags"),
        search_index("product", "name", "description"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("stock >= 0", name="stock"),
    )

    sku: str = Field(
        min_length=1,
        max_length=40,
        description="Stock-keeping unit, unique.",
        schema_extra={"pattern": "^[A-Z0-9][A-Z0-9-]*$", "examples": ["LMP-0042"]},
    )
    name: str = Field(
        min_length=1, max_length=200, description="Name.", schema_extra={"examples": ["Brass desk lamp"]}
    )
    description: str = Field(default="", max_length=10_000, description="Text for the page of the product.")
    price: Decimal = Field(
        ge=0,
        max_digits=12,
        decimal_places=2,
        description="Unit price, in the currency of the catalogue.",
        schema_extra={"examples": ["49.90"]},
    )
    cost: Decimal = Field(
        default=Decimal(0),
        ge=0,
        max_digits=12,
        decimal_places=2,
        description="What the shop pays for a unit.",
    )
    stock: int = Field(default=0, ge=0, description="Number of units in stock.")
    status: ProductStatus = Field(
        default=ProductStatus.DRAFT,
        sa_type=text_enum(ProductStatus),
        description="Only active products are for sale.",
    )
    tags: list[Tag] = Field(
        default_factory=list,
        sa_type=ARRAY(Text),
        max_length=50,
        description="Words to group products by.",
        schema_extra={"examples": [["brass", "indoor"]]},
    )
    attributes: dict[str, Any] = Field(
        default_factory=dict,
        sa_type=JSONB,
        description="More facts about the product, as a JSON object.",
        schema_extra={"examples": [{"colour": "brass", "watt": 7}]},
    )
    category_id: UUID = Field(foreign_key="category.id", description="Category that the product belongs to.")


class DeliveryStatus(StrEnum):
    ANNOUNCED = "announced"
    OVERDUE = "overdue"
    RECEIVED = "received"


class Delivery(Resource, table=True):
    """Products that a supplier sends to the shop."""

    __table_args__ = (
        unique_index("delivery", "supplier", "number"),
        *(sort_index("delivery", *owner, "created_at") for owner in ((), ("supplier",))),
        *(sort_index("delivery", *owner, "status", "created_at") for owner in ((), ("supplier",))),
    )

    supplier: str = Field(max_length=512, description="Principal of the supplier.")
    number: str = Field(
        min_length=1,
        max_length=40,
        description="Number of the delivery note, unique for each supplier.",
        schema_extra={"examples": ["DN-2041"]},
    )
    expected: date = Field(description="Day on which it should arrive.")
    status: DeliveryStatus = Field(
        default=DeliveryStatus.ANNOUNCED,
        sa_type=text_enum(DeliveryStatus),
        description="Whether it has arrived, and if not, whether it is late.",
    )


class DeliveryLine(Resource, table=True):
    """Units of one product in a delivery."""

    __tablename__ = "delivery_line"
    __table_args__ = (
        sort_index("delivery_line", "created_at"),
        *(sort_index("delivery_line", key, "created_at") for key in ("delivery_id", "product_id")),
    )

    delivery_id: UUID = Field(foreign_key="delivery.id", description="Delivery that the line belongs to.")
    product_id: UUID = Field(foreign_key="product.id", description="Product that is delivered.")
    units: int = Field(ge=1, le=1_000_000, description="Number of units.", schema_extra={"examples": [12]})
