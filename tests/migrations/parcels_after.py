"""The models of tests/migrations/parcels_before.py after a change of everything that can change."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import search_index, sort_index, unique_index
from service.models.table import Table
from service.models.types import text_enum
from service.resources.declaration import Owner, RestResource, Scopes

METADATA = MetaData(naming_convention=Table.metadata.naming_convention)


class Status(StrEnum):
    NEW = "new"
    SENT = "sent"
    LOST = "lost"


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Depot(Resource, table=True):
    """Where parcels wait."""

    metadata: ClassVar[MetaData] = METADATA
    __tablename__ = "changing_depot"
    __table_args__ = (sort_index("changing_depot", "created_at"),)

    name: str = Field(max_length=40)
    town: str | None = Field(default=None, max_length=40)


class Parcel(Resource, table=True):
    """A parcel."""

    metadata: ClassVar[MetaData] = METADATA
    __tablename__ = "changing_parcel"
    __table_args__ = (
        sort_index("changing_parcel", "created_at"),
        sort_index("changing_parcel", "tenant", "created_at"),
        unique_index("changing_parcel", "tenant", "number"),
        search_index("changing_parcel", "note"),
        CheckConstraint("weight > 0", name="weight"),
        CheckConstraint("worth >= 0", name="worth"),
    )

    weight: int
    status: Status = Field(default=Status.NEW, sa_type=text_enum(Status))
    label: str = Field(max_length=30)
    remark: str = Field(max_length=20)
    depot_id: UUID = Field(foreign_key="changing_depot.id")
    tenant: str = Field(max_length=60, sa_column_kwargs={"server_default": ""})
    number: UUID | None = None
    gift: bool = False
    note: str = Field(default="it's: a note", max_length=100)
    worth: Decimal = Field(default=Decimal("1.50"), max_digits=8, decimal_places=2)
    size: Size = Field(default=Size.SMALL, sa_type=text_enum(Size))
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    more: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    seen_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
    bundle_id: UUID | None = Field(default=None, foreign_key="changing_parcel.id")


class Stamp(Resource, table=True):
    """A table that is new."""

    metadata: ClassVar[MetaData] = METADATA
    __tablename__ = "changing_stamp"
    __table_args__ = (
        sort_index("changing_stamp", "created_at"),
        sort_index("changing_stamp", "tenant", "created_at"),
    )

    tenant: int
    parcel_id: UUID = Field(foreign_key="changing_parcel.id")


_SCOPES = Scopes(read="parcels:read", write="parcels:write")
_OWNER = Owner("tenant", claim="tenant")
RESOURCES = (
    RestResource(model=Depot, path="changing-depots", scopes=_SCOPES),
    RestResource(model=Parcel, path="changing-parcels", scopes=_SCOPES, owner=_OWNER),
    RestResource(model=Stamp, path="changing-stamps", scopes=_SCOPES, owner=_OWNER),
)
