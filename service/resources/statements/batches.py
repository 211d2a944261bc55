"""The statements that change many items: one for each kind of operation, all values in one JSON document."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from service.models.identifiers import quoted
from service.resources.declaration import RestResource
from service.resources.statements.columns import null_row, representation
from service.resources.statements.initial import initial_value
from service.resources.statements.statement import Statement, compile_statement, parameter, request_context

_NOW = sa.func.clock_timestamp()


def unique_fields(table: sa.Table) -> tuple[str, ...]:
    """The columns of the unique indexes, which are what two new rows can meet in."""
    unique = (index.columns for index in table.indexes if index.unique)
    return tuple(dict.fromkeys(column.name for columns in unique for column in columns))


class BatchWriter:
    """Builds the batch statements of one resource. Parameters: document (a JSON array), principal, request id.

    `create` takes rows of id and own fields, and answers (body, version, id) for each that was inserted: one that
    breaks a unique key is left out. `patch` and `delete` take {id, versions, patch} and answer (body, version, id,
    done, allowed) for each item that exists. Rows are locked in the order of their ids, and inserted in the order of
    their unique values, so that batches of one kind wait for each other and do not deadlock. Of two new rows with the
    same unique values the first one wins.
    """

    def __init__(self, resource: RestResource) -> None:
        self._resource = resource
        self._table = resource.table
        names = dict.fromkeys(("id", "version", *resource.shown_fields))
        self._returned = [self._table.c[name] for name in names]
        self.create = self._create()
        self.patch = self._change(patch=True)
        self.delete = self._change(patch=False)

    def _create(self) -> Statement:
        context = request_context()
        own = self._resource.own_fields
        row = self._record(parameter("document", JSONB()), many=True)
        who = parameter("principal", sa.Text())
        inserted = (
            insert(self._table)
            .from_select(
                ["id", "created_by", "updated_by", *own],
                sa.select(row.c.id, who, who, *(initial_value(self._resource, n, row.c[n]) for n in own))
                .select_from(row.join(context, context.c.request_id.isnot(None)))
                .order_by(*(row.c[name] for name in unique_fields(self._table)), row.c.ordinality),
                include_defaults=False,
            )
            .on_conflict_do_nothing()
            .returning(*self._returned)
            .cte("changed")
        )
        return compile_statement(
            representation(inserted, self._resource.shown_fields).add_columns(inserted.c.id)
        )

    def _record(self, source: sa.ColumnElement[Any], *, many: bool = False) -> Any:
        """Rows of the table's type out of JSON."""
        columns = [sa.column(column.name, column.type) for column in self._table.columns]
        null: sa.ColumnElement[Any] = null_row(self._table)
        if many:
            records = sa.func.jsonb_populate_recordset(null, source)
            return records.table_valued(*columns, with_ordinality="ordinality", name="given")
        return sa.func.jsonb_populate_record(null, source).table_valued(*columns, name="given")

    def _change(self, *, patch: bool) -> Statement:
        context = request_context()
        table = self._table
        current = self._current()
        new = self._new_values(current) if patch else {}
        given = self._record(current.c.patch).lateral("given")
        differs: Iterable[sa.ColumnElement[bool]] = (current.c[n].is_distinct_from(v) for n, v in new.items())
        allowed = sa.or_(current.c.versions.is_(None), current.c.version == sa.any_(current.c.versions))
        wanted = (
            sa.select(
                current.c.id,
                *(value.label(f"new_{name}") for name, value in new.items()),
                allowed.label("allowed"),
                (sa.or_(sa.false(), *differs) if patch else sa.true()).label("changes"),
            )
            .select_from(current.join(given, sa.true()) if patch else current)
            .cte("wanted")
        )
        values: dict[str, Any] = {name: wanted.c[f"new_{name}"] for name in new}
        changed = (
            sa.update(table)
            .where(
                table.c.id == wanted.c.id,
                wanted.c.allowed,
                wanted.c.changes,
                context.c.request_id.isnot(None),
            )
            .values(
                **(values if patch else {"deleted_at": _NOW}),
                version=table.c.version + 1,
                updated_at=_NOW,
                updated_by=parameter("principal", sa.Text()),
            )
            .returning(*self._returned)
            .cte("changed")
        )
        return self._all(changed, current, wanted)

    def _current(self) -> sa.CTE:
        """The chosen rows, locked, each with what is wanted of it."""
        table = self._table
        asked = (
            sa.func.jsonb_to_recordset(parameter("document", JSONB()))
            .table_valued(
                sa.column("id", sa.Uuid()),
                sa.column("versions", sa.ARRAY(sa.Integer())),
                sa.column("patch", JSONB()),
            )
            .render_derived(name="asked", with_types=True)
        )
        return (
            sa.select(*table.columns, asked.c.versions, asked.c.patch)
            .select_from(table.join(asked, table.c.id == asked.c.id))
            .where(table.c.deleted_at.is_(None))
            .order_by(table.c.id)
            .with_for_update(of=table, key_share=True)
            .cte("current")
        )

    def _new_values(self, current: sa.CTE) -> dict[str, sa.ColumnElement[Any]]:
        given = sa.table("given", *(sa.column(c.name, c.type) for c in self._table.columns))
        values: dict[str, sa.ColumnElement[Any]] = {}
        for name in self._resource.own_fields:
            if name in self._resource.immutable:
                continue
            named: sa.ColumnElement[str] = sa.literal_column(f"'{name}'")
            new: sa.ColumnElement[Any] = sa.literal_column(f"given.{quoted(name)}", given.c[name].type)
            if self._resource.kinds[name].is_json:
                # A null that stands for the whole document is no value, as in every other way to write it.
                patch = sa.func.nullif(current.c.patch.op("->")(named), sa.literal_column("'null'::jsonb"))
                new = sa.func.slipway_merge_patch(current.c[name], patch, type_=JSONB)
            values[name] = sa.case((current.c.patch.op("?")(named), new), else_=current.c[name])
        return values

    def _all(self, changed: sa.CTE, current: sa.CTE, wanted: sa.CTE) -> Statement:
        names = self._resource.shown_fields
        done = representation(changed, names).add_columns(
            changed.c.id, sa.true().label("done"), sa.true().label("allowed")
        )
        untouched = wanted.c.id.notin_(sa.select(changed.c.id))
        kept = (
            representation(current, names)
            .add_columns(current.c.id, sa.false(), wanted.c.allowed)
            .where(wanted.c.id == current.c.id, untouched)
        )
        return compile_statement(sa.union_all(done, kept))
