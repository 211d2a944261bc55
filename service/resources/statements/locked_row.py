"""Reads the row of an item for code that is about to change it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from service.models.base import Resource
from service.resources.columns import json_text
from service.resources.declaration import RestResource
from service.resources.declaration.hooks import ReadRow
from service.resources.statements.columns import not_deleted
from service.resources.statements.ownership import RowAccess, Rows
from service.resources.statements.statement import DIALECT, compile_statement, parameter

Convert = Callable[[Any], Any]


class LockedRow:
    """Reads one row as an instance of its model, and locks it until the end of the transaction.

    The lock is the one that an update of the row takes, so the row stays as it is. The instance belongs to no session:
    a change of it changes nothing.
    """

    def __init__(self, resource: RestResource, access: RowAccess) -> None:
        self._model = cast("type[Resource]", resource.model)  # views are not locked
        self._table = resource.table.name
        rows = _select(resource, access)
        self._statement = compile_statement(rows)
        action = sa.func.set_config(
            sa.literal_column("'slipway.action'"), parameter("action", sa.Text()), sa.true()
        )
        self._for_action = compile_statement(rows.add_columns(action.label("_action")))
        self._converters = _converters(resource)

    def reader(self, rows: Rows) -> ReadRow:
        """Return what reads an item among the rows of a caller."""
        return partial(self._read, rows)

    async def _read(self, rows: Rows, connection: asyncpg.Connection, item_id: UUID) -> Resource | None:
        values = {"id": item_id, **rows.arguments}
        found = await connection.fetch(self._statement.sql, *self._statement.arguments(values))
        return self._item(found[0]) if found else None

    async def read_for_action(
        self, connection: asyncpg.Connection, item_id: UUID, rows: Rows, action: str
    ) -> Resource | None:
        """Return the item, and let its history name the action for the rest of the transaction."""
        values = {"id": item_id, "action": f"{self._table} {item_id} {action}", **rows.arguments}
        found = await connection.fetch(self._for_action.sql, *self._for_action.arguments(values))
        return self._item(found[0]) if found else None

    def _item(self, row: Mapping[str, Any]) -> Resource:
        values = {name: row[name] for name in self._model.model_fields}
        for name, convert in self._converters.items():
            if values[name] is not None:
                values[name] = convert(values[name])
        return self._model(**values)


def _select(resource: RestResource, access: RowAccess) -> sa.Select[Any]:
    table = resource.table
    return (
        sa.select(*table.columns)
        .where(table.c.id == parameter("id", sa.Uuid()), not_deleted(table), *access.seen(table))
        .with_for_update(key_share=True)
    )


def _converters(resource: RestResource) -> dict[str, Convert]:
    """Return what turns the driver's values into those that an ORM session gives, by column; others are the same."""
    found = ((column.name, _converter(column.type)) for column in resource.table.columns)
    return {name: convert for name, convert in found if convert is not None}


def _converter(type_: sa.types.TypeEngine[Any]) -> Convert | None:
    if isinstance(type_, sa.JSON):
        return json_text.read
    if isinstance(type_, sa.Enum):
        enum: Convert | None = type_.result_processor(DIALECT, None)  # type: ignore[no-untyped-call]
        return enum
    element = _converter(type_.item_type) if isinstance(type_, sa.ARRAY) else None
    if element is None:
        return None
    return lambda values: [None if value is None else element(value) for value in values]
