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
from service.resources.statements.statement import Statement, compile_statement, parameter

_HISTORY: sa.Table = RowHistory.__table__  # type: ignore[attr-defined]


class HistoryStatements:
    """The history statements of one resource. Rows are (body, version, action, actor, request_id, at, gone).

    They are sorted newest first; `gone` marks versions in which the item is deleted.

    `as_of` takes the parameters id and at, and returns at most one row; `page` takes id, below (a version) and limit.
    """

    def __init__(self, resource: RestResource) -> None:
        self._resource = resource
        self._defaults = _defaults(resource)
        self.as_of = self._statement(
            _HISTORY.c.at <= TIMESTAMP.bound("at"),
            limit=sa.literal_column("1", sa.Integer()),
        )
        self.page = self._statement(
            _HISTORY.c.version < parameter("below", sa.BigInteger()), limit=parameter("limit", sa.Integer())
        )

    def _statement(self, condition: sa.ColumnElement[bool], *, limit: sa.ColumnElement[int]) -> Statement:
        table = self._resource.table
        past = (
            sa.select(_HISTORY)
            .where(
                _HISTORY.c.table_name == _text(table.name),
                _HISTORY.c.row_id == parameter("id", sa.Uuid()),
                condition,
            )
            .order_by(_HISTORY.c.version.desc())
            .limit(limit)
            .subquery("_past")
        )
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
            ).select_from(past.join(record, sa.true()).join(item, sa.true())),
            reads=True,
        )

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
