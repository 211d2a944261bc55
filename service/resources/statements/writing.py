"""Statements that change one item. Each also sets the principal and the request id."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service.models.idempotency_record import IdempotencyRecord
from service.resources.declaration import RestResource
from service.resources.statements.columns import not_deleted, representation
from service.resources.statements.initial import initial_value
from service.resources.statements.ownership import RowAccess
from service.resources.statements.patches import CHANGES, DIFFERS, SET, PatchStatements
from service.resources.statements.statement import (
    Statement,
    compile_statement,
    own_field,
    parameter,
    request_context,
)

_NOW = sa.func.clock_timestamp()
_NOTHING: sa.ColumnElement[str] = sa.literal_column("''", sa.Text())


class Writer:
    """Builds and caches the statements of one resource. `own_field()` gives the parameter names of own fields.

    Statements that change an existing item return one row (body, version, done, allowed, refused, changes): the changed
    item, or the current one if nothing was changed; no row if there is no such item. `refused` names the immutable
    fields that would change, separated by commas.
    """

    def __init__(self, resource: RestResource, access: RowAccess) -> None:
        self._resource = resource
        self._access = access
        self._table = resource.table
        names = dict.fromkeys(("version", *resource.read_columns))
        self._returned = [self._table.c[name] for name in names]
        self.restore = lru_cache(maxsize=64)(self._restore)
        self.patch = lru_cache(maxsize=512)(self._patch)
        self.replace = lru_cache(maxsize=64)(self._replace)

    @cached_property
    def create(self) -> Statement:
        """What inserts an item."""
        return self._create(keyed=False)

    @cached_property
    def create_once(self) -> Statement:
        """What inserts an item and the record of its idempotency key."""
        return self._create(keyed=True)

    @cached_property
    def delete(self) -> Statement:
        """What marks an item as deleted."""
        return self._set_deleted(deleted=True)

    def _create(self, *, keyed: bool) -> Statement:
        """Parameters: id, principal, own fields; if keyed, those of the record. Returns one row (body, version)."""
        context = request_context()
        resource = self._resource
        own = resource.own_fields
        values = [initial_value(resource, name, self._given(name)) for name in own]
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
            .cte("_changed")
        )
        item = representation(inserted, self._resource)
        return compile_statement(_recorded(item) if keyed else item)

    def _allowed(self) -> sa.ColumnElement[bool]:
        """Whether the preconditions allow the version. NULL allows all, or excludes none."""
        versions = parameter("versions", sa.ARRAY(sa.Integer()))
        excluded = parameter("excluded", sa.ARRAY(sa.Integer()))
        version = self._table.c.version
        return sa.and_(
            sa.or_(versions.is_(None), version == sa.any_(versions)),
            sa.or_(excluded.is_(None), version != sa.all_(excluded)),
        )

    def _chosen(self, *, deleted: bool = False) -> sa.ColumnElement[bool]:
        state = not_deleted(self._table)
        return sa.and_(
            self._table.c.id == parameter("id", sa.Uuid()),
            sa.not_(state) if deleted else state,
            *self._access.seen(self._table),
        )

    def _patch(self, fields: Sequence[str]) -> Statement:
        """Return a merge patch of `fields`. Parameters: id, principal, versions, excluded and the fields."""
        # Only a hook can set immutable fields, and remove all.
        if not fields or not set(fields).isdisjoint(self._resource.immutable):
            return self._change(fields, merge=True)
        return self._patches.of(fields)

    @cached_property
    def _patches(self) -> PatchStatements:
        template = self._update(
            {"updated_at": sa.literal_column(f"clock_timestamp(){SET}", self._table.c.updated_at.type)},
            differs=sa.literal_column(DIFFERS, sa.Boolean()),
            changes=sa.literal_column(CHANGES, sa.Boolean()),
        )
        return PatchStatements(self._table, template.fragment, lambda name: self._new_value(name, merge=True))

    def _replace(self, fields: Sequence[str]) -> Statement:
        """Return a replacement of `fields`: all fields, unless a hook removes some. Parameters as for `_patch`."""
        return self._change(fields, merge=False)

    def _change(self, fields: Sequence[str], *, merge: bool) -> Statement:
        """Return an update of `fields`, of which the immutable ones must not change."""
        table = self._table
        mutable = [name for name in fields if name not in self._resource.immutable]
        new = {name: self._new_value(name, merge=merge) for name in mutable}
        differs = _any_differs(table, new)
        fixed = {n: self._new_value(n, merge=False) for n in fields if n in self._resource.immutable}
        stays, refused = sa.not_(_any_differs(table, fixed)), _names_that_differ(table, fixed)
        return self._update(new, sa.and_(stays, differs), changes=differs, refused=refused)

    def _update(
        self,
        new: Mapping[str, sa.ColumnElement[object]],
        differs: sa.ColumnElement[bool],
        *,
        changes: sa.ColumnElement[bool],
        refused: sa.ColumnElement[str] = _NOTHING,
    ) -> Statement:
        """Return an update. Its column `changes` distinguishes a request without changes from one that lost a race."""
        context = request_context()
        changed = (
            sa.update(self._table)
            .where(self._chosen(), self._allowed(), differs, context.c.request_id.isnot(None))
            .values(**{**self._stamp(), **new})
            .returning(*self._returned)
            .cte("_changed")
        )
        return self._or_current(changed, self._chosen(), refused=refused, changes=changes)

    def _restore(self, fields: Sequence[str]) -> Statement:
        """Return a restore that sets the `fields` set by hooks. Parameters as for `_patch`."""
        return self._set_deleted(fields, deleted=False)

    def _set_deleted(self, fields: Sequence[str] = (), *, deleted: bool) -> Statement:
        """Parameters: id, principal, versions, excluded and the fields."""
        context = request_context()
        chosen = self._chosen(deleted=not deleted)
        new = {name: self._new_value(name, merge=False) for name in fields}
        changed = (
            sa.update(self._table)
            .where(chosen, self._allowed(), context.c.request_id.isnot(None))
            .values(**new, deleted_at=_NOW if deleted else sa.null(), **self._stamp())
            .returning(*self._returned)
            .cte("_changed")
        )
        return self._or_current(changed, chosen, refused=_NOTHING, changes=sa.true())

    def _stamp(self) -> dict[str, sa.ColumnElement[object]]:
        return {
            "version": self._table.c.version + sa.literal_column("1"),
            "updated_at": _NOW,
            "updated_by": parameter("principal", sa.Text()),
        }

    def _new_value(self, name: str, *, merge: bool) -> sa.ColumnElement[object]:
        """Return the parameter; for JSON documents in a patch, the old value merged with it (RFC 7396)."""
        given = self._given(name)
        if merge and self._resource.kinds[name].is_json:
            return sa.func.slipway_merge_patch(self._table.c[name], given, type_=JSONB)
        return given if merge else initial_value(self._resource, name, given)

    def _given(self, name: str) -> sa.ColumnElement[Any]:
        """Return the parameter of a field."""
        return self._access.reference(name, self._resource.kinds[name].bound(own_field(name)))

    def _or_current(
        self,
        changed: sa.CTE,
        chosen: sa.ColumnElement[bool],
        *,
        refused: sa.ColumnElement[str],
        changes: sa.ColumnElement[bool],
    ) -> Statement:
        true = sa.true()
        current = (
            sa.select(
                *self._returned,
                self._allowed().label("_allowed"),
                refused.label("_refused"),
                changes.label("_changes"),
            )
            .where(chosen)
            .cte("_current")
        )
        done = representation(changed, self._resource).add_columns(
            true.label("done"), true.label("allowed"), _NOTHING.label("refused"), true.label("changes")
        )
        kept = (
            representation(current, self._resource)
            .add_columns(sa.false(), current.c["_allowed"], current.c["_refused"], current.c["_changes"])
            .where(~_any_of(changed))
        )
        return compile_statement(sa.union_all(done, kept))


def _any_differs(table: sa.Table, values: dict[str, sa.ColumnElement[object]]) -> sa.ColumnElement[bool]:
    tests: Iterable[sa.ColumnElement[bool]] = (table.c[n].is_distinct_from(v) for n, v in values.items())
    return sa.or_(sa.false(), *tests)


def _names_that_differ(table: sa.Table, values: dict[str, sa.ColumnElement[object]]) -> sa.ColumnElement[str]:
    """Return the names of changed columns, separated by commas. Text, since arrays cost the driver a look-up."""

    def text(value: str) -> sa.ColumnElement[str]:
        return sa.literal_column(f"'{value}'", sa.Text())

    names = [sa.case((table.c[n].is_distinct_from(v), text(n))) for n, v in values.items()]
    return sa.func.concat_ws(text(","), *names, type_=sa.Text) if names else _NOTHING


def _any_of(rows: sa.CTE) -> sa.ColumnElement[bool]:
    return sa.exists(sa.select(sa.literal_column("1")).select_from(rows))


def _recorded(item: sa.Select[tuple[str, int]]) -> sa.Select[tuple[str, int]]:
    """Also store the row as the response for its idempotency key. A key that exists fails the whole statement."""
    rows = item.cte("_answer")
    table: sa.Table = IdempotencyRecord.__table__  # type: ignore[attr-defined]
    names = ["principal", "key", "fingerprint", "status", "headers"]
    stored = (
        sa.insert(table)
        .from_select(
            [*names, "body"],
            sa.select(
                *(parameter(f"record_{n}", table.c[n].type) for n in names),
                rows.c.body,
            ),
            include_defaults=False,
        )
        .returning(table.c.key)
        .cte("_stored")
    )
    return sa.select(rows.c.body, rows.c.version).select_from(rows.join(stored, sa.true()))
