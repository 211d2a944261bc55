"""The tables of the shop, in metadata of their own, so that no check of the service's models meets them."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import ARRAY, CheckConstraint, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import array_index, prefix_index, search_index, sort_index, unique_index
from service.models.types import text_enum
from tests.shop.metadata import new_metadata

METADATA = new_metadata()


class _ShopTable(Resource):
    metadata: ClassVar[MetaData] = METADATA


class Shelf(_ShopTable, table=True):
    """A place for articles."""

    __tablename__ = "tests_shelf"
    __table_args__ = (
        unique_index("tests_shelf", "slug"),
        sort_index("tests_shelf", "name"),
        sort_index("tests_shelf", "created_at"),
        sort_index("tests_shelf", "rent"),
        prefix_index("tests_shelf", "name"),
        search_index("tests_shelf", "name", "description"),
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
        description="Name of the shelf.",
        schema_extra={"examples": ["Desk lamps"]},
    )
    description: str = Field(default="", max_length=2000, description="What stands on it.")
    rent: Decimal | None = Field(
        default=None, max_digits=12, decimal_places=2, description="What the shelf costs the shop in a month."
    )


class ArticleStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    DISCONTINUED = "discontinued"


Tag = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Article(_ShopTable, table=True):
    """Something on a shelf."""

    __tablename__ = "tests_article"
    __table_args__ = (
        unique_index("tests_article", "sku"),
        sort_index("tests_article", "created_at"),
        sort_index("tests_article", "name"),
        sort_index("tests_article", "price"),
        sort_index("tests_article", "stock"),
        sort_index("tests_article", "updated_at"),
        sort_index("tests_article", "shelf_id", "created_at"),
        *(sort_index("tests_article", "status", sort) for sort in ("created_at", "name", "price")),
        prefix_index("tests_article", "sku"),
        array_index("tests_article", "tags"),
        search_index("tests_article", "name", "description"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("stock >= 0", name="stock"),
    )

    sku: str = Field(
        min_length=1,
        max_length=40,
        description="Stock keeping unit, unique.",
        schema_extra={"pattern": "^[A-Z0-9][A-Z0-9-]*$", "examples": ["LMP-0042"]},
    )
    name: str = Field(
        min_length=1, max_length=200, description="Name.", schema_extra={"examples": ["Brass desk lamp"]}
    )
    description: str = Field(default="", max_length=10_000, description="Text for the article's page.")
    price: Decimal = Field(
        ge=0,
        max_digits=12,
        decimal_places=2,
        description="Price of one, in the shop's currency.",
        schema_extra={"examples": ["49.90"]},
    )
    stock: int = Field(default=0, ge=0, description="Pieces on stock.")
    status: ArticleStatus = Field(
        default=ArticleStatus.DRAFT,
        sa_type=text_enum(ArticleStatus),
        description="Only active articles are for sale.",
    )
    tags: list[Tag] = Field(
        default_factory=list,
        sa_type=ARRAY(Text),
        max_length=50,
        description="Words to group by.",
        schema_extra={"examples": [["brass", "indoor"]]},
    )
    attributes: dict[str, Any] = Field(
        default_factory=dict,
        sa_type=JSONB,
        description="Other facts, as a JSON object.",
        schema_extra={"examples": [{"colour": "brass", "watt": 7}]},
    )
    shelf_id: UUID = Field(foreign_key="tests_shelf.id", description="Shelf that the article stands on.")


class ParcelStatus(StrEnum):
    PACKED = "packed"
    SENT = "sent"


class Parcel(_ShopTable, table=True):
    """A parcel of one of the shop's tenants, who do not know of each other."""

    __tablename__ = "tests_parcel"
    __table_args__ = (
        unique_index("tests_parcel", "tenant", "number"),
        sort_index("tests_parcel", "tenant", "created_at"),
        sort_index("tests_parcel", "created_at"),
        sort_index("tests_parcel", "tenant", "weight"),
        sort_index("tests_parcel", "weight"),
        sort_index("tests_parcel", "bundle_id", "created_at"),
        search_index("tests_parcel", "note"),
    )

    tenant: str = Field(
        max_length=60,
        description="Whose parcel it is.",
        schema_extra={"examples": ["acme"]},
        sa_column_kwargs={"info": {"formerly": ("customer",)}},
    )
    number: str = Field(
        min_length=1,
        max_length=40,
        description="Number, unique for each tenant.",
        schema_extra={"examples": ["P-17"]},
    )
    weight: int = Field(default=1, ge=1, le=1_000_000, description="Weight in grams.")
    note: str = Field(default="", max_length=500, description="What is in it.")
    status: ParcelStatus = Field(
        default=ParcelStatus.PACKED, sa_type=text_enum(ParcelStatus), description="Where it is."
    )
    bundle_id: UUID | None = Field(
        default=None, foreign_key="tests_parcel.id", description="Parcel that this one is packed into."
    )
