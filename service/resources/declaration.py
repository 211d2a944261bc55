"""What a developer writes to serve a table: a model, a path, scopes, and which fields can do what."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from fastapi import APIRouter

from service.models.base import SYSTEM_FIELDS, Resource
from service.security.principals import Principal

RESERVED = frozenset({"limit", "cursor", "sort", "count", "q", "as_of"})
OPERATIONS = frozenset(
    {"list", "create", "read", "replace", "patch", "delete", "restore", "history", "bulk", "export"}
)


class DeclarationError(Exception):
    """A declaration that contradicts its model; raised at start-up, naming the resource and the field."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes that reading and changing ask for."""

    read: str
    write: str


@dataclass(slots=True)
class Change:
    """One change on its way into the database, as hooks see it.

    `values` holds the fields that the client set, as Python values; a hook may alter them. `connection` is in the
    transaction of the change.
    """

    operation: str
    id: UUID
    principal: Principal
    values: dict[str, Any]
    connection: asyncpg.Connection


class Hooks:
    """What else happens with a change. Override what is needed; a resource without hooks saves a transaction.

    A hook may raise a problem: before the commit it undoes the change.
    """

    async def before_create(self, change: Change) -> None:
        """In the transaction, before the row is inserted."""

    async def before_update(self, change: Change) -> None:
        """In the transaction, before a patch, a replacement or a restore."""

    async def before_delete(self, change: Change) -> None:
        """In the transaction, before the row is marked as deleted."""

    async def before_commit(self, change: Change) -> None:
        """In the transaction, after the change."""

    async def after_commit(self, change: Change) -> None:
        """After the commit; `change.connection` is out of its transaction and must not be used."""


@dataclass(frozen=True, eq=False)
class RestResource:
    """One table as a REST resource under `/api/v1/<path>`.

    `filterable` and `sortable` name the fields that lists may use; `default_sort` is what lists use when the client
    names none. `searchable` names the columns of the model's search index. `immutable` fields can be set at
    creation only; `hidden` ones never leave the service. `without` drops operations; `extra` adds routes, which
    stand under the resource's path.
    """

    model: type[Resource]
    path: str
    scopes: Scopes
    filterable: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ("created_at",)
    default_sort: str = "-created_at"
    searchable: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    hooks: Hooks | None = None
    extra: APIRouter | None = None
    singular: str = field(default="")

    def __post_init__(self) -> None:
        if not self.singular:
            object.__setattr__(self, "singular", self.model.__name__.lower())
        self._check_names()
        self._check_roles()

    def _check_names(self) -> None:
        known = set(self.table.columns.keys())
        for role in ("filterable", "sortable", "searchable", "immutable", "hidden"):
            for name in getattr(self, role):
                if name not in known:
                    raise DeclarationError(
                        f"{self.path}: {role} names {name}, which {self.model.__name__} lacks"
                    )
        if unknown := self.without - OPERATIONS:
            raise DeclarationError(f"{self.path}: there is no operation {', '.join(sorted(unknown))}")

    def _check_roles(self) -> None:
        for name in (*self.sortable, *(part.removeprefix("-") for part in self.default_sort.split(","))):
            if name in self.hidden or name not in self.sortable:
                raise DeclarationError(f"{self.path}: {name} must be sortable and not hidden to sort by it")
            if not any(index.columns[0].name == name for index in self.table.indexes if len(index.columns)):
                raise DeclarationError(
                    f"{self.path}: to sort by {name}, {self.model.__name__} needs "
                    f'sort_index("{self.table.name}", "{name}") and a migration that creates it'
                )
        for name in self.filterable:
            if name in RESERVED or name in self.hidden:
                raise DeclarationError(
                    f"{self.path}: {name} is hidden or a parameter of every list, so no filter"
                )

    @cached_property
    def table(self) -> sa.Table:
        table: sa.Table = self.model.__table__  # type: ignore[attr-defined]
        return table

    @cached_property
    def own_fields(self) -> tuple[str, ...]:
        """The fields that clients write, in the model's order."""
        return tuple(name for name in self.model.model_fields if name not in SYSTEM_FIELDS)

    @cached_property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields of the representation: id, own fields, then who, when and version."""
        system = ("created_at", "updated_at", "created_by", "updated_by", "version")
        names = ("id", *self.own_fields, *system)
        return tuple(name for name in names if name not in self.hidden)

    def parents(self, others: "tuple[RestResource, ...]") -> "list[tuple[RestResource, str]]":
        """The resources that this one's foreign keys refer to, with the field that does."""
        return [
            (other, key.parent.name)
            for other in others
            for key in self.table.foreign_keys
            if key.column.table is other.table and key.parent.name in self.filterable
        ]
