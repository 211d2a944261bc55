"""Erases values of an item from its history. Who changed what and when stays."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import sqlalchemy as sa

from service.database import Database
from service.resources.declaration import RestResource
from service.resources.history.errors import ErasureError, HistoryPrivilegeError

ERASED = "erased"
# Only members that an image has: images of earlier releases have other ones.
_ERASE = """
UPDATE row_history h SET row = h.row || (
  SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each($3::jsonb) e WHERE h.row ? e.key)
WHERE h.table_name = $1 AND h.row_id = $2
RETURNING h.version
"""


async def erase_history(database: Database, resource: RestResource, item: UUID, fields: Sequence[str]) -> int:
    """Replace the values of the fields in all versions of an item, by null, or by `erased` in a column that must have
    a text. Return the number of versions.

    Raises `ErasureError` for a field that can be neither, and `HistoryPrivilegeError`.
    """
    values: dict[str, Any] = {}
    for field in fields:
        column = _column(resource, field)
        for name in (column.name, *column.info.get("formerly", ())):
            values[name] = None if column.nullable else _text(column)
    arguments = [resource.table.name, item, orjson.dumps(values).decode()]
    try:
        return len(await database.fetch(_ERASE, arguments))
    except asyncpg.InsufficientPrivilegeError:
        raise HistoryPrivilegeError from None


def _column(resource: RestResource, field: str) -> sa.Column[Any]:
    if field not in resource.own_fields:
        known = ", ".join(sorted(resource.own_fields))
        raise ErasureError(f"{resource.path} has no field {field}; its fields: {known}")
    return resource.table.c[field]


def _text(column: sa.Column[Any]) -> str:
    kind = getattr(column.type, "impl_instance", column.type)  # SQLModel wraps its strings
    if not isinstance(kind, sa.String):
        raise ErasureError(f"{column.name} can be neither null nor a text, so it cannot be erased")
    return ERASED[: kind.length]
