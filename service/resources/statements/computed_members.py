"""The SQL of computed members."""

from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from service.models.sql_identifiers import quoted
from service.resources.columns.column_types import kind_of
from service.resources.declaration import RestResource


def computed_members(resource: RestResource, source: NamedFromClause) -> list[sa.ColumnElement[Any]]:
    """Return the computed members of a row of `source`, which has the resource's `read_columns`."""
    if not resource.computed:
        return []
    row = SimpleNamespace(
        **{
            name: sa.literal_column(f"{source.name}.{quoted(name)}", resource.table.c[name].type)
            for name in resource.read_columns
        }
    )
    written = ((name, computed.written(row)) for name, computed in resource.computed.items())
    return [kind_of(expression.type).member(expression).label(name) for name, expression in written]
