"""Writes the revision that creates tables, from their models."""

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa
from alembic.operations import ops

from service.migrations.policies import Owning
from service.migrations.revision_body import Body, call, rendered
from service.models.base import SYSTEM_FIELDS
from service.models.indexes import SEARCHED


def creation(tables: Sequence[sa.Table], owners: Iterable[Owning]) -> Body:
    """Return the revision that creates the tables, with their indexes, guarded references and row history, and
    row-level security by the columns of `owners`."""
    body = Body()
    for table in sa.schema.sort_tables(tables):
        body.add(rendered([ops.CreateTableOp.from_table(table)]), [call("op.drop_table", table.name)])
        body.add(rendered([*map(ops.CreateIndexOp.from_index, sorted_indexes(table))]))
        body.add(call("create_search_statistics", table.name, *columns) for columns in searched(table))
        for guard in guards(table):
            body.add([call("guard_reference", *guard)], [call("unguard_reference", *guard)])
        if _is_resource(table):
            body.add([call("track_history", table.name)])
        for owner in owners:
            if owner.column.table is table:
                body.add(*securing(owner))
    return body


def sorted_indexes(table: sa.Table) -> list[sa.Index]:
    """Return the indexes of a table by name."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def searched(table: sa.Table) -> Iterator[Sequence[str]]:
    """Yield the columns of each search index."""
    for index in sorted_indexes(table):
        if columns := index.info.get(SEARCHED):
            yield columns


def guards(table: sa.Table) -> Iterator[tuple[str, str, str]]:
    """Yield the table, the column and the target of each reference that soft deletes concern."""
    for column in table.columns:
        for key in column.foreign_keys:
            if _is_resource(table) and _is_resource(key.column.table):
                yield table.name, column.name, key.column.table.name


def securing(owner: Owning) -> tuple[list[str], list[str]]:
    """Return what secures the rows of a table by the column of their owner, and what undoes that."""
    more, column = {}, owner.column
    if owner.through is not None:
        more = {"through": owner.through}
    elif isinstance(column.type, sa.Uuid):
        more = {"type_": "uuid"}
    elif isinstance(column.type, sa.Integer):
        more = {"type_": "bigint"}
    names = column.table.name, column.name
    return [call("secure_rows", *names, **more)], [call("unsecure_rows", *names)]


def _is_resource(table: sa.Table) -> bool:
    return set(table.columns.keys()) >= SYSTEM_FIELDS
