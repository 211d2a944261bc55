"""Reads items at the end of the transaction that has changed them."""

import sqlalchemy as sa

from service.resources.declaration import RestResource
from service.resources.statements.columns import representation, with_version
from service.resources.statements.statement import Statement, compile_statement, parameter


def read_changed(resource: RestResource) -> Statement:
    """Return the statement. Parameter: ids. Rows are (body, version, id), one for each item, deleted or not.

    It has no condition for owners: the transaction has changed the items, so their caller has seen them.
    """
    table = resource.table
    named = [name for name in resource.read_columns if name != "id"]
    rows = (
        sa.select(*with_version(table, ("id", *named)))
        .where(table.c.id == sa.any_(parameter("ids", sa.ARRAY(sa.Uuid()))))
        .subquery("_rows")
    )
    return compile_statement(representation(rows, resource).add_columns(rows.c.id))
