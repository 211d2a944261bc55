"""Converts columns to members of a JSON representation."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from service.resources.columns.column_types import kind_of
from service.resources.declaration import RestResource
from service.resources.statements.computed_members import computed_members


def member(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the column as a member of a JSON object: decimals as text, times in UTC as RFC 3339."""
    return kind_of(column.type).member(column)


def not_deleted(source: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition for rows that are not deleted. Those of a view without the column are not."""
    return source.c.deleted_at.is_(None) if "deleted_at" in source.c else sa.true()


def with_version(source: sa.FromClause, names: Iterable[str]) -> list[sa.ColumnElement[Any]]:
    """Return the named columns and the version, which is 0 for the rows of a view without the column."""
    version = source.c.version if "version" in source.c else sa.literal_column("0").label("version")
    return list(dict.fromkeys((version, *(source.c[name] for name in names))))


def null_row(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return NULL with the row type of the table.

    `NULL::point` would have another type: PostgreSQL resolves its own types before a table of the same name.
    """
    return (
        sa.select(sa.literal_column("_row"))
        .select_from(table.alias("_row"))
        .where(sa.false())
        .scalar_subquery()
    )


def item_of(
    source: sa.FromClause, names: Iterable[str], more: Iterable[sa.ColumnElement[Any]] = ()
) -> tuple[sa.FromClause, sa.ColumnElement[str]]:
    """Return a lateral row with the members of an item, to be joined, and the column with its JSON text.

    `more` are members that are not columns of `source`.
    """
    item = (
        sa.select(*(member(source.c[name]).label(name) for name in names), *more)
        .correlate(source)
        .lateral("_item")
    )
    return item, sa.func.row_to_json(sa.literal_column("_item"), type_=sa.Text).label("body")


def representation(
    source: NamedFromClause, resource: RestResource, more: Iterable[sa.ColumnElement[Any]] = ()
) -> sa.Select[tuple[str, int]]:
    """Return a `SELECT` of (JSON text, version) for each row of `source`, which has the resource's `read_columns`.

    The server makes the JSON. `more` are members that no declaration of a column names.
    """
    item, body = item_of(source, resource.shown_fields, [*computed_members(resource, source), *more])
    return sa.select(body, source.c.version).select_from(source.join(item, sa.true()))
