"""Models that tests/migrations/parcels_after.py changes."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, MetaData
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import sort_index
from service.models.table import Table
from service.models.types import text_enum
from service.resources.declaration import RestResource, Scopes

METADATA = MetaData(naming_convention=Table.metadata.naming_convention)


class Status(StrEnum):
    NEW = "new"
    SENT = "sent"


class Depot(Resource, table=True):
    """Where parcels wait."""

    metadata: ClassVar[MetaData] = METADATA
    __tablename__ = "changing_depot"
    __table_args__ = (sort_index("changing_depot", "created_at"),)

    name: str = Field(max_length=40)


class Parcel(Resource, table=True):
    """A parcel."""

    metadata: ClassVar[MetaData] = METADATA
    __tablename__ = "changing_parcel"
    __table_args__ = (
        sort_index("changing_parcel", "created_at"),
        sort_index("changing_parcel", "colour"),
        CheckConstraint("weight > 0", name="weight"),
    )

    weight: int
    status: Status = Field(default=Status.NEW, sa_type=text_enum(Status))
    colour: str = Field(max_length=20)
    label: str | None = Field(default=None, max_length=20)
    remark: str | None = Field(default=None, max_length=20)
    depot_id: UUID = Field(foreign_key="changing_depot.id")


RESOURCES = tuple(
    RestResource(model=model, path=path, scopes=Scopes(read="parcels:read", write="parcels:write"))
    for model, path in ((Depot, "changing-depots"), (Parcel, "changing-parcels"))
)
