"""How columns travel: to the wire of PostgreSQL, and as members of a JSON representation."""

import json
from collections.abc import Iterable
from enum import Enum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

_RFC3339: sa.ColumnElement[str] = sa.literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_UTC: sa.ColumnElement[str] = sa.literal_column("'UTC'")


def kind_of(column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    """The column's type without what SQLModel wraps around it."""
    kind = column.type
    return kind.impl_instance if isinstance(kind, sa.types.TypeDecorator) else kind


def parameter_kind(column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    """The type of a parameter to compare the column with: unbounded, so that a bound is never rounded to fit."""
    kind = kind_of(column)
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.Numeric()
    return sa.Text() if isinstance(kind, sa.String) else kind


def to_wire(column: sa.Column[Any], value: Any) -> Any:
    """The value as asyncpg wants it for this column."""
    if isinstance(kind_of(column), sa.JSON):
        return None if value is None else _json_text(value)
    if isinstance(value, Enum):
        return value.value
    return value


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (
        orjson.JSONEncodeError
    ):  # it has integers of up to 64 bits only; large doubles may be written as such
        return json.dumps(value, ensure_ascii=False)


def member(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column as it becomes a member of a JSON object: decimals as text, times in UTC as RFC 3339."""
    kind = kind_of(column)
    if isinstance(kind, sa.DateTime):
        return sa.func.to_char(sa.func.timezone(_UTC, column), _RFC3339)
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.cast(column, sa.Text)
    return column


def null_row(table: sa.Table) -> sa.ColumnElement[Any]:
    """No row of the table, of the type of its rows.

    `NULL::point` would be of another type: PostgreSQL finds its own types before that of a table of the same name.
    """
    return (
        sa.select(sa.literal_column("_row"))
        .select_from(table.alias("_row"))
        .where(sa.false())
        .scalar_subquery()
    )


def is_json(column: sa.Column[Any]) -> bool:
    """Whether the column holds a JSON document, which a merge patch reaches into."""
    return isinstance(kind_of(column), JSONB)


def item_of(source: sa.FromClause, names: Iterable[str]) -> tuple[sa.FromClause, sa.ColumnElement[str]]:
    """What makes an item of a row: a lateral row of its members to join, and the column with its JSON text."""
    item = (
        sa.select(*(member(source.c[name]).label(name) for name in names)).correlate(source).lateral("item")
    )
    return item, sa.func.row_to_json(sa.literal_column("item"), type_=sa.Text).label("body")


def representation(source: sa.FromClause, names: Iterable[str]) -> sa.Select[tuple[str, int]]:
    """`SELECT` of (JSON text, version) for each row of `source`, made by the server."""
    item, body = item_of(source, names)
    return sa.select(body, source.c.version).select_from(source.join(item, sa.true()))
