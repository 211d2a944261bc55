"""Tables of the tests' own, in metadata of their own, so that the project's migrations know nothing of them.

Their names and fields are the awkward ones: words of SQL, NULLs where lists sort, documents that may be absent.
"""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import ARRAY, Date, MetaData, Text, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field

from service.migrations.operations import guard_reference, track_history
from service.models.base import Resource
from service.models.indexes import search_index, sort_index, unique_index
from service.models.table import Table
from service.resources.declaration import RestResource, Scopes

SCOPES = Scopes(read="shop:read", write="shop:write")


def new_metadata() -> MetaData:
    """A place for tables beside the project's, with its way to name constraints."""
    return MetaData(naming_convention=Table.metadata.naming_convention)


METADATA = new_metadata()


class ShopTable(Resource):
    """Base of the tests' tables."""

    metadata: ClassVar[MetaData] = METADATA


class Group(ShopTable, table=True):
    """A table whose name is a word of SQL, as are its columns."""

    __tablename__ = "group"
    __table_args__ = (
        unique_index("group", "order"),
        sort_index("group", "order"),
        sort_index("group", "created_at"),
        search_index("group", "order", "select"),
    )

    order: str = Field(min_length=1, max_length=60)
    select: str = Field(default="", max_length=100)


class Gadget(ShopTable, table=True):
    """A bit of everything that products do not have."""

    __table_args__ = (
        unique_index("gadget", "code"),
        sort_index("gadget", "created_at"),
        sort_index("gadget", "rank"),
        sort_index("gadget", "built"),
        sort_index("gadget", "weight"),
        sort_index("gadget", "group_id", "created_at"),
    )

    code: str = Field(min_length=1, max_length=40)
    title: str = Field(default="", max_length=100, sa_column_kwargs={"info": {"formerly": ("label", "name")}})
    rank: int | None = Field(default=None)
    built: date | None = Field(default=None, sa_type=Date)
    weight: float = Field(default=0.0)
    price: Decimal | None = Field(default=None, max_digits=8, decimal_places=2)
    notes: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    colours: list[str] = Field(default_factory=lambda: ["grey"], sa_type=ARRAY(Text))
    secret: str = Field(default="", max_length=40)
    group_id: UUID | None = Field(default=None, foreign_key="group.id")


def groups(**changes: Any) -> RestResource:
    """The declaration of groups."""
    given = {"filterable": ("order",), "sortable": ("created_at", "order"), "searchable": ("order", "select")}
    return RestResource(model=Group, path="groups", scopes=SCOPES, **(given | changes))


def gadgets(**changes: Any) -> RestResource:
    """The declaration of gadgets."""
    given: dict[str, Any] = {
        "filterable": ("code", "rank", "built", "weight", "price", "group_id"),
        "sortable": ("created_at", "rank", "built", "weight"),
        "immutable": ("code",),
        "hidden": ("secret",),
    }
    return RestResource(model=Gadget, path=changes.pop("path", "gadgets"), scopes=SCOPES, **(given | changes))


def set_apart(connection: Connection) -> None:
    """Let this database have a schema for tables of tests, which is looked at first.

    So they never meet a table of the project's, whatever a team calls its own.
    """
    for sql in (
        "CREATE SCHEMA tests",
        "SET search_path = tests, public",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = tests, public', current_database()); END $$",
    ):
        connection.execute(text(sql))


async def create_tables(url: str, *more: SqlTable) -> None:
    """Create the tests' tables with their history in a database at the head; `more` are tables beside the common."""
    own = [table for table in METADATA.sorted_tables if table.name in ("group", "gadget")]

    def create(connection: Connection) -> None:
        set_apart(connection)
        METADATA.create_all(connection, tables=[*own, *more])
        with Operations.context(MigrationContext.configure(connection)):
            for table in (*own, *more):
                track_history(table.name)
                for key in table.foreign_keys:
                    guard_reference(table.name, key.parent.name, key.column.table.name)

    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(create)
    finally:
        await engine.dispose()
