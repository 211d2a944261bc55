"""Tables without a column for their owner, which is that of a parcel: labels on parcels, and marks on labels.

A database has them after `create_labels`.
"""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Connection, ForeignKey, MetaData, Table
from sqlmodel import Field

from service.migrations.row_security import secure_rows
from service.models.base import Resource
from service.models.indexes import search_index, sort_index, unique_index
from service.models.types import text_enum
from service.resources.declaration import Cached, OwnedThrough, RestResource, Transition
from tests.engine.secured import in_migration
from tests.shop import tables as shop
from tests.shop.metadata import new_metadata
from tests.shop.models import Parcel
from tests.shop.resources import SCOPES, parcels

_METADATA = new_metadata()


class LabelStatus(StrEnum):
    """Where a label is."""

    NEW = "new"
    GLUED = "glued"


class Label(Resource, table=True):
    """Something that a parcel says."""

    metadata: ClassVar[MetaData] = _METADATA
    __tablename__ = "tests_label"
    __table_args__ = (
        unique_index("tests_label", "parcel_id", "number"),
        sort_index("tests_label", "parcel_id", "created_at"),
        sort_index("tests_label", "created_at"),
        search_index("tests_label", "text"),
    )

    parcel_id: UUID = Field(
        sa_column_args=[ForeignKey(Parcel.__table__.c.id)],  # type: ignore[attr-defined]
        description="Parcel that it is on.",
    )
    number: str = Field(min_length=1, max_length=40, description="Number, unique on the parcel.")
    text: str = Field(default="", max_length=500, description="What it says.")
    status: LabelStatus = Field(
        default=LabelStatus.NEW, sa_type=text_enum(LabelStatus), description="Where it is."
    )


class Mark(Resource, table=True):
    """Something on a label."""

    metadata: ClassVar[MetaData] = _METADATA
    __tablename__ = "tests_mark"
    __table_args__ = (
        sort_index("tests_mark", "label_id", "created_at"),
        sort_index("tests_mark", "created_at"),
    )

    label_id: UUID = Field(foreign_key="tests_label.id", description="Label that it is on.")
    name: str = Field(default="x", max_length=40, description="Name.")


owned_parcels = RestResource(
    model=Parcel,
    path="parcels",
    singular="parcel",
    scopes=SCOPES,
    owner=parcels.owner,
    children={"labels": "labels"},
    filterable=("number",),
    readonly=("status",),
    cache=Cached(),
)
labels = RestResource(
    model=Label,
    path="labels",
    scopes=SCOPES,
    owner=OwnedThrough("parcel_id", owned_parcels),
    expand={"parcel": ("id", "number")},
    children={"marks": "marks"},
    filterable=("number", "parcel_id", "parcel.number"),
    searchable=("text",),
    readonly=("status",),
    actions=(Transition("glue", field="status", source=LabelStatus.NEW, target=LabelStatus.GLUED),),
)
marks = RestResource(
    model=Mark,
    path="marks",
    scopes=SCOPES,
    owner=OwnedThrough("label_id", labels),
    expand={"label": ("id", "number")},
    filterable=("label_id", "label.number"),
)
RESOURCES = (owned_parcels, labels, marks)


async def create_labels(url: str, *, secure: bool = False) -> None:
    """Create the tables in a database with the shop, with row-level security if asked."""

    def create(connection: Connection) -> None:
        tables: list[Table] = _METADATA.sorted_tables
        shop.create_tables(connection, tables)

    await shop.in_database(url, create)
    if secure:
        await shop.in_database(url, in_migration(_secure))


def _secure() -> None:
    secure_rows("tests_label", "parcel_id", through="tests_parcel")
    secure_rows("tests_mark", "label_id", through="tests_label")
