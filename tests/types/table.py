"""A table with a column of every accepted type."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from pydantic import StringConstraints
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.migrations.operations import track_history
from service.models.base import Resource
from service.models.indexes import array_index, prefix_index, search_index, sort_index
from service.models.types import text_enum
from service.resources.declaration import RestResource, Scopes
from tests.shop.metadata import new_metadata

NAME = "zz_probe"
SCOPES = Scopes(read="shop:read", write="shop:write")
METADATA = new_metadata()
Word = Annotated[str, StringConstraints(max_length=200)]


class Colour(StrEnum):
    """An enum whose order is not alphabetical."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Shade(StrEnum):
    DARK = "dark"
    LIGHT = "light"


COLOUR = sa.Enum(Colour, name="zz_colour", values_callable=lambda e: [member.value for member in e])
SCALARS = (
    "small", "whole", "big", "ratio", "double", "exact", "any_number", "label", "day", "clock", "at", "span", "flag",
    "colour", "shade", "ref",
)  # fmt: skip
ARRAYS = ("words", "wholes", "bigs", "numbers", "doubles", "days", "ats", "spans", "flags", "refs", "colours")
GENERATED = ("doubled", "serial")


def _array(item: Any) -> Any:
    return Field(default_factory=list, sa_type=sa.ARRAY(item), max_length=20)


class ZzProbe(Resource, table=True):
    """An item with an optional value of every type."""

    metadata: ClassVar[sa.MetaData] = METADATA
    __tablename__ = NAME
    __table_args__ = (
        *(sort_index(NAME, name) for name in (*SCALARS, *GENERATED, "created_at")),
        *(array_index(NAME, name) for name in ARRAYS),
        prefix_index(NAME, "label"),
        search_index(NAME, "title"),
    )

    small: int | None = Field(default=None, sa_type=sa.SmallInteger)
    whole: int | None = None
    big: int | None = Field(default=None, sa_type=sa.BigInteger)
    ratio: float | None = Field(default=None, sa_type=sa.REAL)
    double: float | None = None
    exact: Decimal | None = Field(default=None, max_digits=12, decimal_places=4)
    any_number: Decimal | None = None
    label: str | None = Field(default=None, max_length=100)
    title: str = Field(default="", max_length=100)
    essay: str | None = Field(default=None, sa_type=sa.Text)
    day: date | None = None
    clock: time | None = None
    at: datetime | None = None
    span: timedelta | None = None
    flag: bool | None = None
    colour: Colour | None = Field(default=None, sa_type=COLOUR)
    shade: Shade | None = Field(default=None, sa_type=text_enum(Shade))
    ref: UUID | None = None
    doc: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    words: list[Word] = _array(sa.Text)
    wholes: list[int] = _array(sa.Integer)
    bigs: list[int] = _array(sa.BigInteger)
    numbers: list[Decimal] = _array(sa.Numeric)
    doubles: list[float] = _array(sa.Double)
    days: list[date] = _array(sa.Date)
    ats: list[datetime] = _array(sa.DateTime(timezone=True))
    spans: list[timedelta] = _array(sa.Interval)
    flags: list[bool] = _array(sa.Boolean)
    refs: list[UUID] = _array(sa.Uuid)
    colours: list[Colour] = _array(COLOUR)
    given: int | None = Field(
        default=None, sa_column=sa.Column(sa.Integer, server_default=sa.text("7"), nullable=False)
    )
    doubled: int | None = Field(
        default=None, sa_column=sa.Column(sa.BigInteger, sa.Computed("whole::bigint * 2", persisted=True))
    )
    serial: int | None = Field(default=None, sa_column=sa.Column(sa.Integer, sa.Identity(always=True)))


PROBES = RestResource(
    model=ZzProbe,
    path="zz-probes",
    singular="zz-probe",
    scopes=SCOPES,
    filterable=(*SCALARS, *ARRAYS, *GENERATED),
    sortable=(*SCALARS, *GENERATED, "created_at"),
    searchable=("title",),
)


def create_table(connection: sa.Connection) -> None:
    """Create the tables, as a migration would."""
    METADATA.create_all(connection)
    with Operations.context(MigrationContext.configure(connection)):
        track_history(NAME)
