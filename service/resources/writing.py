"""The statements that change a resource: one each, with the request id set in the same breath."""

from collections.abc import Sequence
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service.resources.columns import is_json, representation
from service.resources.declaration import RestResource
from service.resources.statement import Statement, compile_statement, parameter, request_context

_NOW = sa.func.clock_timestamp()


class Writer:
    """Builds the statements of one resource, each once. Own fields are parameters by their names."""

    def __init__(self, resource: RestResource) -> None:
        self._resource = resource
        self._table = resource.table
        self._returned = [self._table.c[name] for name in resource.shown_fields]
        self.create = self._create()
        self.delete = self._delete()
        self.update = lru_cache(maxsize=512)(self._update)

    def _create(self) -> Statement:
        """Parameters: id, principal and the own fields. One row: (body, version)."""
        context = request_context()
        own = self._resource.own_fields
        values = [parameter(name, self._table.c[name].type) for name in own]
        who = parameter("principal", sa.Text())
        inserted = (
            sa.insert(self._table)
            .from_select(
                ["id", "created_by", "updated_by", *own],
                sa.select(parameter("id", sa.Uuid()), who, who, *values).where(
                    context.c.request_id.isnot(None)
                ),
                include_defaults=False,
            )
            .returning(*self._returned)
            .cte("changed")
        )
        return compile_statement(representation(inserted, self._resource.shown_fields))

    def _versions(self) -> sa.ColumnElement[bool]:
        versions = parameter("versions", sa.ARRAY(sa.Integer()))
        return sa.or_(versions.is_(None), self._table.c.version == sa.any_(versions))

    def _alive(self) -> sa.ColumnElement[bool]:
        return sa.and_(self._table.c.id == parameter("id", sa.Uuid()), self._table.c.deleted_at.is_(None))

    def _update(self, fields: Sequence[str]) -> Statement:
        """A merge patch of `fields`. Parameters: id, principal, versions (None for any) and the fields.

        One row (body, version, updated, allowed, changes), from the change or else from the row as it is; no row
        when there is none. `changes` tells a patch that asks for nothing new from one that lost a race.
        """
        context = request_context()
        table = self._table
        new = {name: self._merged(name) for name in fields}
        differs = sa.or_(*(table.c[name].is_distinct_from(value) for name, value in new.items()))
        changed = (
            sa.update(table)
            .where(self._alive(), self._versions(), differs, context.c.request_id.isnot(None))
            .values(
                **new,
                version=table.c.version + 1,
                updated_at=_NOW,
                updated_by=parameter("principal", sa.Text()),
            )
            .returning(*self._returned)
            .cte("changed")
        )
        current = (
            sa.select(
                *self._returned,
                sa.func.coalesce(self._versions(), sa.false()).label("is_allowed"),
                differs.label("has_changes"),
            )
            .where(self._alive())
            .cte("current")
        )
        names = self._resource.shown_fields
        done = representation(changed, names).add_columns(
            sa.true().label("updated"), sa.true().label("allowed"), sa.true().label("changes")
        )
        kept = (
            representation(current, names)
            .add_columns(sa.false(), current.c.is_allowed, current.c.has_changes)
            .where(~_any_of(changed))
        )
        return compile_statement(sa.union_all(done, kept))

    def _merged(self, name: str) -> sa.ColumnElement[object]:
        """The new value: the parameter, or for JSON documents the old one with the patch merged in (RFC 7396)."""
        column = self._table.c[name]
        value = parameter(name, column.type)
        return sa.func.slipway_merge_patch(column, value, type_=JSONB) if is_json(column) else value

    def _delete(self) -> Statement:
        """Parameters: id, principal, versions. One row (deleted), false when the version did not match."""
        context = request_context()
        table = self._table
        changed = (
            sa.update(table)
            .where(self._alive(), self._versions(), context.c.request_id.isnot(None))
            .values(
                deleted_at=_NOW,
                version=table.c.version + 1,
                updated_at=_NOW,
                updated_by=parameter("principal", sa.Text()),
            )
            .returning(table.c.id)
            .cte("changed")
        )
        current = sa.select(table.c.id).where(self._alive()).cte("current")
        return compile_statement(sa.select(_any_of(changed).label("deleted")).select_from(current))


def _any_of(rows: sa.CTE) -> sa.ColumnElement[bool]:
    return sa.exists(sa.select(sa.literal_column("1")).select_from(rows))
