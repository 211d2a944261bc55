"""Statements that read row history. Row images of any age become items through the table's current row type.

A renamed column lists its old names in `info={"formerly": ("old",)}`; a column that an old image lacks has the default
of its field. So images are never rewritten.
"""

from typing import Any

import orjson
import sqlalchemy as sa
from pydantic_core import PydanticUndefined, to_jsonable_python
from sqlalchemy.dialects.postgresql import JSONB

from service.models.row_history import RowHistory
from service.resources.columns.scalars import TIMESTAMP
from service.resources.declaration import RestResource
from service.resources.statements.columns import item_of, member, null_row
from service.resources.statements.ownership import RowAccess
from service.resources.statements.statement import Statement, compile_statement, parameter

_HISTORY: sa.Table = RowHistory.__table__  # type: ignore[attr-defined]


class HistoryStatements:
    """The history statements of one resource. Rows are (body, version, action, actor, request_id, at, gone).

    They are sorted newest first; `gone` marks versions in which the item is deleted.

    `as_of` takes the parameters id and at, and returns at most one row; `page` takes id, below (a version) and limit.
    With an owner, callers see the versions in which an item was theirs, as long as it is.
    """

    def __init__(self, resource: RestResource, access: RowAccess) -> None:
        self._resource = resource
        self._access = access
        self._defaults = _defaults(resource)
        self.as_of = self._statement(
            _HISTORY.c.at <= TIMESTAMP.bound("at"),
            limit=sa.literal_column("1", sa.Integer()),
        )
        self.page = self._statement(
            _HISTORY.c.version < parameter("below", sa.BigInteger()),
            *self._version_is_own(_HISTORY),
            limit=parameter("limit", sa.Integer()),
        )

    def _statement(
        self,
        *conditions: sa.ColumnElement[bool],
        limit: sa.ColumnElement[int],
    ) -> Statement:
        table = self._resource.table
        past = self._past(*conditions).limit(limit).subquery("_past")
        columns = [sa.column(column.name, column.type) for column in table.columns]
        record = (
            sa.func.jsonb_populate_record(null_row(table), self._image(past.c.row))
            .table_valued(*columns, name="_record")
            .lateral("_record")
        )
        item, body = item_of(record, self._resource.shown_fields)
        return compile_statement(
            sa.select(
                body,
                past.c.version,
                past.c.action,
                past.c.actor,
                past.c.request_id,
                member(past.c.at).label("at"),
                # The image decides, not the action: SQL past the API can update a deleted row.
                sa.or_(
                    past.c.action == _text("erase"), past.c.row.op("->>")(_text("deleted_at")).isnot(None)
                ).label("gone"),
            )
            .select_from(past.join(record, sa.true()).join(item, sa.true()))
            # Here too: the version in force at a time is the latest of all, even if an earlier one is the caller's.
            .where(*self._version_is_own(past)),
            reads=True,
        )

    def _past(self, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return (
            sa.select(_HISTORY)
            .where(
                _HISTORY.c.table_name == _text(self._resource.table.name),
                _HISTORY.c.row_id == parameter("id", sa.Uuid()),
                *conditions,
                *self._item_is_own(),
            )
            .order_by(_HISTORY.c.version.desc())
        )

    def _version_is_own(self, past: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return the condition that the item belonged to the caller in a version."""
        own = self._access.own
        return [] if own is None else [own.image_is_own(past.c.row)]

    def _item_is_own(self) -> list[sa.ColumnElement[bool]]:
        """Return the condition that the caller sees the item as it is now, deleted or not."""
        own = self._access.own
        if own is None:
            return []
        now = self._resource.table.alias("_now")
        one: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            now.c.id == parameter("id", sa.Uuid()), own.condition(now)
        )
        return [sa.or_(own.sees_every(), sa.exists(one))]

    def _image(self, row: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return the row image with current column names, and defaults for the columns that it lacks."""
        image: sa.ColumnElement[Any] = sa.literal_column(self._defaults, JSONB)
        for column in self._resource.table.columns:
            for old in column.info.get("formerly", ()):
                moved = sa.func.jsonb_build_object(_text(column.name), row.op("->")(_text(old)), type_=JSONB)
                nothing: sa.ColumnElement[Any] = sa.literal_column("'{}'::jsonb", JSONB)
                image = image.op("||")(sa.case((row.op("?")(_text(old)), moved), else_=nothing))
        return image.op("||")(row)


def _defaults(resource: RestResource) -> str:
    """Return the defaults of the own fields as an SQL literal, one JSON object."""
    found: dict[str, Any] = {}
    for name in resource.own_fields:
        info = resource.model.model_fields[name]
        if info.default_factory is not None or info.default is not PydanticUndefined:
            found[name] = to_jsonable_python(info.get_default(call_default_factory=True, validated_data={}))
    return "'" + orjson.dumps(found).decode().replace("'", "''") + "'::jsonb"


def _text(name: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{name}'", sa.Text())
