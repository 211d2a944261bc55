"""Which rows a caller sees: one condition, which every statement on a table with an owner has.

`Owners` knows the tables of all resources that have one. `Ownership.condition` is the condition for any source of the
table's columns, so a statement of another resource can use it too; its arguments are in `Rows`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
import sqlalchemy as sa

from service.http.problems import Forbidden, Unauthenticated
from service.resources.declaration import DeclarationError, OwnedThrough, Owner, RestResource
from service.resources.declaration.declaration import Declaration
from service.resources.statements.columns import not_deleted
from service.resources.statements.statement import parameter
from service.security.principals import ANONYMOUS, Principal

# No row has this id: the owner of a reference's target must decide as a missing target does.
_NO_ROW = sa.literal_column("'00000000-0000-0000-0000-000000000000'::uuid", sa.Uuid())

Given = Callable[[str, sa.types.TypeEngine[Any]], sa.ColumnElement[Any]]
"""Returns the value of an argument in a statement: by default, its parameter."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a caller sees. `arguments` are those of all conditions of a resource's statements.

    `every` means that the rows of all owners are among them. `owner` is the value of new items, None if the caller
    cannot own any.
    """

    arguments: Mapping[str, Any]
    every: bool = True
    owner: Any = None

    @property
    def bound_to(self) -> tuple[str, ...]:
        """What cursors and stored responses of these rows are bound to; empty without owners."""
        return (self.key,) if self.arguments else ()

    @property
    def key(self) -> str:
        """A text that differs between callers who see different rows; the same for all without owners."""
        return orjson.dumps(self.in_json()).decode() if self.arguments else ""

    def in_json(self) -> Mapping[str, Any]:
        """Return the arguments as the member of a document, for `given_in`."""
        return {
            name: value if value is None or isinstance(value, bool) else str(value)
            for name, value in self.arguments.items()
        }


EVERY_ROW = Rows(MappingProxyType({}))
"""The rows of a resource without an owner."""


def given_in(document: sa.ColumnElement[Any]) -> Given:
    """Return what reads arguments from a JSON document, made by `Rows.in_json`."""

    def given(name: str, type_: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(document.op("->>")(sa.literal_column(f"'{name}'", sa.Text())), type_)

    return given


class Ownership:
    """The owner of the rows of one table, which has a column for it."""

    def __init__(self, resource: Declaration, owner: Owner | OwnedThrough) -> None:
        self.table = resource.table
        self.owner = owner
        self.column: sa.Column[Any] = resource.table.c[owner.field]
        self._kind = resource.kinds[owner.field]
        self.root = self.table.name  # the table that has the column
        self.depth = 0  # how many foreign keys lead there
        self._every, self._own = f"every_{self.root}", f"owner_{self.root}"

    def condition(self, source: sa.FromClause, given: Given = parameter) -> sa.ColumnElement[bool]:
        """Return whether the caller sees a row of `source`, which has the columns of the table."""
        return sa.or_(given(self._every, sa.Boolean()), self.owns(source.c[self.owner.field], given))

    def sees_every(self) -> sa.ColumnElement[bool]:
        """Return whether the caller sees the rows of all owners."""
        return parameter(self._every, sa.Boolean())

    def owns(self, column: sa.ColumnElement[Any], given: Given = parameter) -> sa.ColumnElement[bool]:
        """Return whether the caller owns the row with this value of the column."""
        return column == given(self._own, self._kind.sql)

    def owns_listed(self) -> sa.ColumnElement[bool]:
        """Return the same for rows of the table in a list; an index on the column can answer it."""
        return self.owns(self.column)

    def image_is_own(self, image: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return whether the caller sees a row image of history. An image without the owner's column is nobody's."""
        names = (self.owner.field, *self.column.info.get("formerly", ()))
        texts = [image.op("->>")(sa.literal_column(f"'{name}'", sa.Text())) for name in names]
        value = sa.cast(sa.func.coalesce(*texts), self._kind.sql)
        return sa.or_(self.sees_every(), self.owns(value))

    def value_of(self, principal: Principal) -> Any:
        """Return the principal's own value of the owner's field; None if it has none."""
        assert isinstance(self.owner, Owner)
        length: int | None = getattr(self.column.type, "length", None)
        return self.owner.value_of(principal, self._kind, length)

    def arguments(self, principal: Principal) -> dict[str, Any]:
        """Return the arguments of the condition: whether the principal sees every row, then its own value."""
        return {self._every: self.owner.sees_all(principal), self._own: self.value_of(principal)}

    def every_row(self) -> dict[str, Any]:
        """Return the arguments with which every row is seen."""
        return {self._every: True, self._own: None}


class OwnershipThroughParent(Ownership):
    """The owner of the rows of one table, which is that of the rows that a foreign key refers to.

    The arguments are those of the table that has the owner's column. A history row belongs to the parent's current
    owner.
    """

    def __init__(self, resource: Declaration, owner: OwnedThrough) -> None:
        super().__init__(resource, owner)
        self.parent = parent = ownership_of(owner.parent)
        self.root, self.depth = parent.root, parent.depth + 1
        self._every, self._own = f"every_{self.root}", f"owner_{self.root}"

    def owns(self, column: sa.ColumnElement[Any], given: Given = parameter) -> sa.ColumnElement[bool]:
        row = self.parent.table.alias(f"_owner_{self.depth}")
        found: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            row.c.id == column, self.parent.owns(row.c[self.parent.owner.field], given)
        )
        return sa.exists(found)

    def owns_listed(self) -> sa.ColumnElement[bool]:
        parent = self.parent
        # References are guarded: no item that a list shows has a deleted parent. The owner's index leaves these out.
        ids = sa.select(parent.table.c.id).where(not_deleted(parent.table), parent.owns_listed())
        # An array, found first: by a join, PostgreSQL may walk the rows of all owners in the order of the sort.
        return self.column == sa.any_(sa.func.array(ids.scalar_subquery(), type_=sa.ARRAY(sa.Uuid())))

    def value_of(self, principal: Principal) -> Any:
        return self.parent.value_of(principal)


def ownership_of(resource: Declaration) -> Ownership:
    """Return the owner of the rows of a resource that has one."""
    owner = resource.owner
    if isinstance(owner, OwnedThrough):
        return OwnershipThroughParent(resource, owner)
    assert owner is not None
    return Ownership(resource, owner)


def seen_rows(resource: RestResource, source: sa.FromClause) -> list[sa.ColumnElement[bool]]:
    """Return the condition for the rows of any resource that the caller sees, for statements of resources that refer
    to it: their `Rows` have its arguments."""
    return [] if resource.owner is None else [ownership_of(resource).condition(source)]


class RowAccess:
    """The owner of one resource's rows, if it has one, and those of the rows that its foreign keys refer to."""

    def __init__(
        self, resource: RestResource, own: Ownership | None, targets: Mapping[str, Ownership]
    ) -> None:
        self._resource = resource
        self.own = own
        self._targets = targets
        others = {
            one.table.name: one for one in targets.values() if own is None or one.table is not own.table
        }
        self._others = tuple(others.values())
        every = {
            name: value for one in (own, *self._others) if one for name, value in one.every_row().items()
        }
        self.every_row = Rows(every)
        """The rows that the service itself sees: commands, jobs."""

    def of(self, principal: Principal) -> Rows:
        """Return the rows that the principal sees.

        Raises `Unauthenticated` and `Forbidden` for one that owns nothing and does not see everything.
        """
        own = self.own
        if own is None:
            return self.every_row
        arguments = own.arguments(principal)
        every, value = arguments.values()
        if not every and value is None:
            raise Unauthenticated if principal.id == ANONYMOUS else self.ownerless()
        for target in self._others:
            arguments |= target.arguments(principal)
        return Rows(arguments, every, value)

    def ownerless(self) -> Forbidden:
        """Return the problem of a caller who cannot own items."""
        assert self.own is not None
        needed = self.own.owner.needed
        return Forbidden(f"Each {self._resource.singular} has an owner: the credential needs {needed}.")

    def seen(self, source: sa.FromClause, given: Given = parameter) -> list[sa.ColumnElement[bool]]:
        """Return the condition for rows that the caller sees, if there is one."""
        return [] if self.own is None else [self.own.condition(source, given)]

    def reference(
        self, field: str, value: sa.ColumnElement[Any], given: Given = parameter
    ) -> sa.ColumnElement[Any]:
        """Return the value of a foreign key, or that of a missing row if the caller does not see the one it names."""
        target = self._targets.get(field)
        if target is None:
            return value
        row = target.table.alias("_target")
        seen = sa.select(row.c.id).where(row.c.id == value, target.condition(row, given)).scalar_subquery()
        return sa.case((value.is_(None), sa.null()), else_=sa.func.coalesce(seen, _NO_ROW))


class Owners:
    """The tables that have owners. Raises `DeclarationError` for resources that would show their rows to others."""

    def __init__(self, resources: Iterable[RestResource] = ()) -> None:
        every = tuple(resources)
        self._by_table = {
            resource.table.name: ownership_of(resource) for resource in every if resource.owner is not None
        }
        for resource in every:
            self._check(resource)

    @property
    def all(self) -> Collection[Ownership]:
        """The owners of all tables that have one."""
        return self._by_table.values()

    def access(self, resource: RestResource) -> RowAccess:
        """Return the access to the rows of a resource."""
        own = None if resource.owner is None else ownership_of(resource)
        return RowAccess(resource, own, self._targets(resource))

    def _targets(self, resource: RestResource) -> dict[str, Ownership]:
        return {
            key.parent.name: target
            for key in resource.table.foreign_keys
            if (target := self._by_table.get(key.column.table.name)) is not None
        }

    def _check(self, resource: RestResource) -> None:
        here = self._by_table.get(resource.table.name)
        if here is not None and here.owner != resource.owner:
            raise DeclarationError(
                f"{resource.path}: another resource on the table {resource.table.name} has another owner; give both "
                "the same, and see everything by its all_scope"
            )
        if isinstance(here, OwnershipThroughParent):
            parent = self._by_table.get(here.parent.table.name)
            if parent is None or parent.owner != here.parent.owner:
                raise DeclarationError(
                    f"{resource.path}: its owner is that of {here.parent.table.name}, but no resource on that table "
                    "has this owner; name the resource that a domain lists"
                )
        for key in resource.table.foreign_keys:
            if key.column.table.name not in self._by_table:
                continue
            if resource.owner is None:
                raise DeclarationError(
                    f"{resource.path}: {key.parent.name} refers to rows that have owners, so {resource.path} needs an "
                    "owner too"
                )
            if key.column.name != "id":
                raise DeclarationError(
                    f"{resource.path}: {key.parent.name} refers to rows that have owners by {key.column.name}; refer "
                    "to their id"
                )
