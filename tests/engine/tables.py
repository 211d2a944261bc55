"""Awkward tables in addition to the shop's, for tests of the engine. A database has them after `create_tables`.

Their names and fields are the awkward ones: words of SQL, NULLs where lists sort, documents that may be absent.
"""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, Date, MetaData, Text, event, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import search_index, sort_index, unique_index
from service.resources.declaration import RestResource
from tests.migrations.roles import execute
from tests.shop import tables as shop
from tests.shop.metadata import new_metadata
from tests.shop.resources import SCOPES

METADATA = new_metadata()


class ShopTable(Resource):
    """Base class of the tests' tables."""

    metadata: ClassVar[MetaData] = METADATA


class Group(ShopTable, table=True):
    """A table whose name and columns are SQL keywords."""

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
    """A table with features that articles lack."""

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
    given["scopes"] = SCOPES
    return RestResource(model=Gadget, path=changes.pop("path", "gadgets"), **(given | changes))


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


_scripts = dict[tuple[SqlTable, ...], str]()


async def create_tables(url: str, *more: SqlTable) -> None:
    """Create groups and gadgets with their history in a database at the head; `more` are additional tables."""
    tables = (*(table for table in METADATA.sorted_tables if table.name in ("group", "gadget")), *more)
    if tables in _scripts:
        await execute(url, _scripts[tables])
        return
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        assert statement.startswith("SELECT") or not parameters, statement
        statements.append(statement)

    def create(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", note)
        set_apart(connection)
        shop.create_tables(connection, tables)

    await shop.in_database(url, create)
    # Later, they run in one round trip.
    _scripts[tables] = ";\n".join(one for one in statements if not one.startswith("SELECT"))
