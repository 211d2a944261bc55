"""Statements that change many items: one for each kind of operation, with all values in one JSON document."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint, insert

from service.models.indexes import columns_in
from service.models.sql_identifiers import quoted
from service.resources.declaration import RestResource
from service.resources.statements.columns import not_deleted, null_row, representation
from service.resources.statements.fragment import Fragment
from service.resources.statements.initial import initial_value
from service.resources.statements.ownership import RowAccess, given_in
from service.resources.statements.statement import (
    Statement,
    compile_statement,
    parameter,
    request_context,
    statement_of,
)

_NOW = sa.func.clock_timestamp()

EACH = statement_of(
    Fragment(
        ("SELECT * FROM slipway_each(", ", ", ", ", ", ", ", ", ")"),
        ("statement", "principal", "document", "request_id", "most"),
    )
)
"""Runs a batch statement for each element of the document, one after the other in subtransactions, until `most` have
failed. Rows are (id, matched, body, version, done, allowed, error). `text_for_each` makes the parameter `statement`."""


def text_for_each(statement: Statement) -> str:
    """Return the SQL of a batch statement with the parameter numbers that `slipway_each` uses."""
    return statement.fragment.sql({name: number for number, name in enumerate(EACH.parameters)})


def unique_keys(resource: RestResource) -> list[tuple[str, ...]]:
    """Return the columns of each unique index and unique constraint; without the owner's."""
    table = resource.table
    keys = [columns_in(index) for index in table.indexes if index.unique]
    keys += [columns_in(c) for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    return [tuple(name for name in key if name != resource.owner_field) for key in keys]


def sole_key(resource: RestResource) -> tuple[str, ...] | None:
    """Return the columns of the only constraint in which two new rows can conflict; None if it is not the only one."""
    keys = unique_keys(resource)
    excludes = any(isinstance(constraint, ExcludeConstraint) for constraint in resource.table.constraints)
    return keys[0] if len(keys) == 1 and not excludes else None


class BatchWriter:
    """Builds the batch statements of one resource. Parameters: document (a JSON array), principal, request id.

    Elements of the document also have the member `_rows`, `Rows.in_json` of the caller.

    `create` takes rows with id and own fields, and returns (body, version, id) for each inserted row; it skips rows
    that violate a unique key. `create_strictly` fails instead. `patch` and `delete` take {_id, _versions, _patch} and
    return (body, version, id, done, allowed) for each item that exists. Rows are locked in the order of their ids, and
    inserted in the order of the document.
    """

    def __init__(self, resource: RestResource, access: RowAccess) -> None:
        self._resource = resource
        self._access = access
        self._table = resource.table
        names = dict.fromkeys(("id", "version", *resource.read_columns))
        self._returned = [self._table.c[name] for name in names]
        self.create = self._create(skip_taken=True)
        self.create_strictly = self._create(skip_taken=False)
        self.patch = self._change(patch=True)
        self.delete = self._change(patch=False)

    def _create(self, *, skip_taken: bool) -> Statement:
        context = request_context()
        own = self._resource.own_fields
        given = (
            sa.func.jsonb_array_elements(parameter("document", JSONB()))
            .table_valued(sa.column("_element", JSONB()), with_ordinality="_place")
            .render_derived(name="_given")
        )
        row = self._record(given.c["_element"]).lateral("_record")
        who = parameter("principal", sa.Text())
        rows = given_in(given.c["_element"].op("->")(sa.literal_column("'_rows'")))
        values = [initial_value(self._resource, n, self._access.reference(n, row.c[n], rows)) for n in own]
        insertion = insert(self._table).from_select(
            ["id", "created_by", "updated_by", *own],
            sa.select(row.c.id, who, who, *values)
            .select_from(given.join(row, sa.true()).join(context, context.c.request_id.isnot(None)))
            .order_by(given.c["_place"]),
            include_defaults=False,
        )
        if skip_taken:
            insertion = insertion.on_conflict_do_nothing()
        inserted = insertion.returning(*self._returned).cte("_changed")
        return compile_statement(representation(inserted, self._resource).add_columns(inserted.c.id))

    def _record(self, source: sa.ColumnElement[Any]) -> Any:
        """Return a row of the table's type from JSON."""
        columns = [sa.column(column.name, column.type) for column in self._table.columns]
        null: sa.ColumnElement[Any] = null_row(self._table)
        return sa.func.jsonb_populate_record(null, source).table_valued(*columns, name="_record")

    def _change(self, *, patch: bool) -> Statement:
        context = request_context()
        table = self._table
        current = self._current()
        new = self._new_values(current) if patch else {}
        given = self._record(current.c["_patch"]).lateral("_record")
        differs: Iterable[sa.ColumnElement[bool]] = (current.c[n].is_distinct_from(v) for n, v in new.items())
        versions = current.c["_versions"]
        allowed = sa.or_(versions.is_(None), current.c.version == sa.any_(versions))
        wanted = (
            sa.select(
                current.c.id,
                *(value.label(f"_new_{place}") for place, value in enumerate(new.values())),
                allowed.label("_allowed"),
                (sa.or_(sa.false(), *differs) if patch else sa.true()).label("_changes"),
            )
            .select_from(current.join(given, sa.true()) if patch else current)
            .where(not_deleted(current))
            .cte("_wanted")
        )
        values: dict[str, Any] = {name: wanted.c[f"_new_{place}"] for place, name in enumerate(new)}
        changed = (
            sa.update(table)
            .where(
                table.c.id == wanted.c.id,
                wanted.c["_allowed"],
                wanted.c["_changes"],
                context.c.request_id.isnot(None),
            )
            .values(
                **(values if patch else {"deleted_at": _NOW}),
                version=table.c.version + sa.literal_column("1"),
                updated_at=_NOW,
                updated_by=parameter("principal", sa.Text()),
            )
            .returning(*self._returned)
            .cte("_changed")
        )
        return self._all(changed, current, wanted)

    def _current(self) -> sa.CTE:
        """Return the requested rows, locked, each with its requested change.

        Deleted rows are locked too: another request may restore one while this one waits, and a later statement would
        then lock it out of order.
        """
        table = self._table
        asked = (
            sa.func.jsonb_to_recordset(parameter("document", JSONB()))
            .table_valued(
                sa.column("_id", sa.Uuid()),
                sa.column("_versions", sa.ARRAY(sa.Integer())),
                sa.column("_patch", JSONB()),
                sa.column("_rows", JSONB()),
            )
            .render_derived(name="_asked", with_types=True)
        )
        return (
            sa.select(*table.columns, asked.c["_versions"], asked.c["_patch"], asked.c["_rows"])
            .select_from(table.join(asked, table.c.id == asked.c["_id"]))
            .where(*self._access.seen(table, given_in(asked.c["_rows"])))
            .order_by(table.c.id)
            .with_for_update(of=table, key_share=True)
            .cte("_current")
        )

    def _new_values(self, current: sa.CTE) -> dict[str, sa.ColumnElement[Any]]:
        given = sa.table("_record", *(sa.column(c.name, c.type) for c in self._table.columns))
        values: dict[str, sa.ColumnElement[Any]] = {}
        for name in self._resource.own_fields:
            if name in self._resource.immutable:
                continue
            named: sa.ColumnElement[str] = sa.literal_column(f"'{name}'")
            new: sa.ColumnElement[Any] = sa.literal_column(f"_record.{quoted(name)}", given.c[name].type)
            if self._resource.kinds[name].is_json:
                # A JSON null as the whole document means SQL NULL, as in single patches.
                patch = sa.func.nullif(
                    current.c["_patch"].op("->")(named), sa.literal_column("'null'::jsonb")
                )
                new = sa.func.slipway_merge_patch(current.c[name], patch, type_=JSONB)
            new = self._access.reference(name, new, given_in(current.c["_rows"]))
            values[name] = sa.case((current.c["_patch"].op("?")(named), new), else_=current.c[name])
        return values

    def _all(self, changed: sa.CTE, current: sa.CTE, wanted: sa.CTE) -> Statement:
        done = representation(changed, self._resource).add_columns(
            changed.c.id, sa.true().label("done"), sa.true().label("allowed")
        )
        untouched = wanted.c.id.notin_(sa.select(changed.c.id))
        kept = (
            representation(current, self._resource)
            .add_columns(current.c.id, sa.false(), wanted.c["_allowed"])
            .where(wanted.c.id == current.c.id, untouched)
        )
        return compile_statement(sa.union_all(done, kept))
