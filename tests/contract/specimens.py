"""A resource with a column of every kind, most of them nullable, and a plain Python model of its lists."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
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
from service.models.indexes import array_index, prefix_index, sort_index
from service.models.table import Table
from service.models.types import text_enum
from service.resources.declaration import RestResource, Scopes
from tests.engine.tables import set_apart

Json = dict[str, Any]


class Colour(StrEnum):
    BLUE = "blue"
    GREEN = "green"
    RED = "red"


class Apart(Resource):
    """Metadata apart from the service's, which the migrations are compared with."""

    metadata: ClassVar[sa.MetaData] = sa.MetaData(naming_convention=Table.metadata.naming_convention)


SORTABLE = ("label", "rank", "score", "at", "flag", "colour", "ref", "created_at")


class Specimen(Apart, table=True):
    """An item to sort and filter."""

    __table_args__ = (
        *(sort_index("specimen", name) for name in SORTABLE),
        prefix_index("specimen", "label"),
        array_index("specimen", "tags"),
    )

    label: str = Field(max_length=600, sa_type=sa.Text(collation="C"), description="Sorts by code point.")
    rank: int | None = Field(default=None, description="A number or none.")
    score: Decimal | None = Field(default=None, max_digits=8, decimal_places=2, description="Exact, or none.")
    at: datetime | None = Field(
        default=None, sa_type=sa.DateTime(timezone=True), description="A time, or none."
    )
    flag: bool = Field(default=False, description="Yes or no.")
    colour: Colour = Field(default=Colour.RED, sa_type=text_enum(Colour), description="One of three.")
    ref: UUID | None = Field(default=None, description="An id, or none.")
    tags: list[Annotated[str, StringConstraints(max_length=600)]] = Field(
        default_factory=list, sa_type=sa.ARRAY(sa.Text), description="Words."
    )
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB, description="Whatever.")


specimens = RestResource(
    model=Specimen,
    path="specimens",
    scopes=Scopes(read="shop:read", write="shop:write"),
    filterable=("label", "rank", "score", "at", "flag", "colour", "ref", "tags"),
    sortable=SORTABLE,
)


def create_table(connection: sa.Connection) -> None:
    """Create the tables, as a migration would."""
    set_apart(connection)
    Apart.metadata.create_all(connection)
    with Operations.context(MigrationContext.configure(connection)):
        track_history("specimen")


def typed(field: str, text: Any) -> Any:
    """Return a field of an item, or the text of a filter, as a comparable value."""
    if text is None or field in ("label", "colour", "created_at"):
        return text
    if field in ("flag", "tags"):
        return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text
    makers: dict[str, Any] = {"rank": int, "score": Decimal, "at": datetime.fromisoformat, "ref": UUID}
    return makers[field](text)


def passes(item: Json, parameter: str, given: str | list[str]) -> bool:
    """Whether a filter keeps the item."""
    field, _, operator = parameter.partition("__")
    value = typed(field, item[field])
    if isinstance(given, list):
        return value is not None and value in [typed(field, text) for text in given]
    return _passes(field, operator, value, given)


def _passes(field: str, operator: str, value: Any, text: str) -> bool:
    if operator == "isnull":
        return (value is None) is (text == "true")
    if operator == "contains":
        return text in value
    given = typed(field, text)
    if operator == "ne":
        return bool(value != given)
    return value is not None and _compares(operator, value, given)


def _compares(operator: str, value: Any, given: Any) -> bool:
    responses = {
        "": lambda: value == given,
        "lt": lambda: value < given,
        "lte": lambda: value <= given,
        "gt": lambda: value > given,
        "gte": lambda: value >= given,
        "startswith": lambda: value.startswith(given),
    }
    return bool(responses[operator]())


def in_order(items: Sequence[Json], keys: Sequence[str]) -> list[Json]:
    """Return the items in the order of `sort`: NULL is the largest value, and the id breaks ties in the last
    direction."""
    last = "-" if keys[-1].startswith("-") else ""
    found = list(items)
    for key in reversed([*keys, f"{last}id"]):
        field = key.removeprefix("-")
        found.sort(key=partial(_rank, field), reverse=key.startswith("-"))
    return found


def _rank(field: str, item: Json) -> tuple[bool, Any]:
    value = item[field]
    return value is None, value if value is None or field == "id" else typed(field, value)
