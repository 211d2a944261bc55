"""What a developer writes to serve a table: a model, a path, scopes, and which fields can do what."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from fastapi import APIRouter

from service.models.base import SYSTEM_FIELDS, Resource
from service.models.indexes import search_vector
from service.models.sql_identifiers import LONGEST
from service.resources.columns.fields import checked_kind, is_generated
from service.resources.columns.indexes import check_indexes, check_search
from service.resources.columns.kind import ColumnError, Kind
from service.resources.names import operation_id, with_article, words
from service.security.principals import Principal

RESERVED = frozenset({"limit", "cursor", "sort", "count", "q", "as_of"})
OPERATIONS = frozenset(
    {"list", "create", "read", "replace", "patch", "delete", "restore", "history", "bulk", "export"}
)


MAX_SORT_FIELDS = 3
BULK_KINDS = ("create", "patch", "delete")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
SINGULAR = re.compile(r"[A-Za-z][A-Za-z0-9]*([ -][A-Za-z0-9]+)*\Z")
# The engine's own names in statements never begin with a letter, so they cannot hide a table.
TABLE = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST - 1}}}\Z")
PATH = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


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
    stand under the resource's path. `name` is what its schemas begin with, the model's name unless two resources
    share a model; `singular` is what one item is called in sentences and operation ids, the words of `name` unless
    given.
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
    name: str = ""
    singular: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model.__name__)
        if not self.singular:
            object.__setattr__(self, "singular", words(self.name))
        self._check_table()
        self._check_words()
        self._check_names()
        self._check_columns()
        self._check_roles()

    def _check_table(self) -> None:
        if self.table.schema:
            raise self._wrong(
                f"{self.model.__name__} names the schema {self.table.schema}; the engine finds tables by the "
                "connection's search_path, so leave the schema out"
            )
        if self.table.name.lower().startswith("pg_"):
            raise self._wrong(
                f"the table name {self.table.name!r} begins with pg_, as those of PostgreSQL's own tables, which are "
                "looked at first"
            )
        if not TABLE.match(self.table.name):
            raise self._wrong(
                f"the table name {self.table.name!r} must begin with a letter, hold only ASCII letters, digits and "
                f"underscores, and have at most {LONGEST} of them"
            )

    def _check_words(self) -> None:
        if not PATH.match(self.path):
            raise self._wrong("a path is made of small letters, digits and single hyphens")
        if not NAME.match(self.name):
            raise self._wrong(f"{self.name} is no name of a schema: give a name= of letters and digits")
        if not SINGULAR.match(self.singular):
            raise self._wrong(
                "singular is made of letters, digits, and single blanks or hyphens, such as order item"
            )

    def _check_names(self) -> None:
        known = set(self.table.columns.keys())
        for name in self.model.model_fields:
            if name not in known:
                raise self._wrong(f"{name} is not the name of its column; give both the same name")
        for role in ("filterable", "sortable", "searchable", "immutable", "hidden"):
            for name in getattr(self, role):
                if name not in known:
                    raise self._wrong(f"{role} names {name}, which {self.model.__name__} lacks")
        if unknown := self.without - OPERATIONS:
            raise self._wrong(f"there is no operation {', '.join(sorted(unknown))}")
        if self.without.issuperset(BULK_KINDS) and "bulk" not in self.without:
            raise self._wrong(
                "without create, patch and delete there is nothing to do in bulk; leave it out too"
            )
        if "id" in self.hidden:
            raise self._wrong("the id cannot be hidden, since it is how items are found")

    def _check_columns(self) -> None:
        fields = self.model.model_fields
        try:
            check_indexes(self.table, fields, self.kinds)
            check_search(self.searchable, self.table, fields)
        except ColumnError as error:
            raise self._wrong(str(error)) from None

    def _check_roles(self) -> None:
        for name in self.filterable:
            if name in RESERVED or name in self.hidden:
                raise self._wrong(f"{name} is hidden or a parameter of every list, so no filter")
        for name in self.searchable:
            if name in self.hidden or self.table.c[name].nullable:
                raise self._wrong(f"{name} is hidden or may be NULL, so words cannot be searched in it")
        if self.searchable and not self._has_search_index():
            columns = ", ".join(f'"{name}"' for name in (self.table.name, *self.searchable))
            raise self._wrong(
                f"to search, {self.model.__name__} needs search_index({columns}) and its migration"
            )
        for name in dict.fromkeys((*self.sortable, *self._default_sort())):
            if name in self.hidden or name not in self.sortable:
                raise self._wrong(f"{name} must be sortable and not hidden to sort by it")
            if not self._has_sort_index(name):
                raise self._wrong(
                    f"to sort by {name}, {self.model.__name__} needs "
                    f'sort_index("{self.table.name}", "{name}") and a migration that creates it'
                )

    def _default_sort(self) -> tuple[str, ...]:
        names = tuple(part.removeprefix("-") for part in self.default_sort.split(","))
        if len(names) > MAX_SORT_FIELDS or len(set(names)) < len(names):
            raise self._wrong(f"default_sort names up to {MAX_SORT_FIELDS} fields, each once")
        return names

    def _has_sort_index(self, name: str) -> bool:
        """Whether an index has the column's own order: a B-tree without another class of operators."""
        if not self.kinds[name].sortable:
            raise self._wrong(f"{name} has no order to sort by")
        for index in self.table.indexes:
            options = index.dialect_options["postgresql"]
            plain = options["using"] in (False, "", "btree") and name not in (options["ops"] or {})
            if plain and len(index.columns) and index.columns[0].name == name:
                return True
        return False

    def _has_search_index(self) -> bool:
        vector = search_vector(*self.searchable)
        return any(vector in str(part) for index in self.table.indexes for part in index.expressions)

    def _wrong(self, message: str) -> DeclarationError:
        return DeclarationError(f"{self.path}: {message}")

    @cached_property
    def a_singular(self) -> str:
        """One item, with its article: "an order item"."""
        return with_article(self.singular)

    @cached_property
    def plural(self) -> str:
        """Several items: the words of the path."""
        return self.path.replace("-", " ")

    @property
    def tag(self) -> dict[str, str]:
        """Its tag in OpenAPI, described by the first line of the model's docstring."""
        own = inspect.cleandoc(self.model.__dict__.get("__doc__") or "").partition("\n")[0]
        return {"name": self.path, "description": own or f"{self.plural.capitalize()}."}

    def operation_id(self, operation: str) -> str:
        """The id of one of its generated operations in OpenAPI."""
        return operation_id(operation, path=self.path, singular=self.singular)

    @cached_property
    def table(self) -> sa.Table:
        table: sa.Table = self.model.__table__  # type: ignore[attr-defined]
        return table

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Return the kind of each column by name. Raises `DeclarationError` for an unsupported column."""
        found = {}
        for name, info in self.model.model_fields.items():
            try:
                found[name] = checked_kind(info, self.table.c[name])
            except ColumnError as error:
                raise self._wrong(f"{name} {error}") from None
        return found

    @cached_property
    def own_fields(self) -> tuple[str, ...]:
        """The fields that clients write, in the model's order: not those that the database generates."""
        return tuple(name for name in self._fields if name not in self.generated_fields)

    @cached_property
    def generated_fields(self) -> tuple[str, ...]:
        """Fields that only the database sets: computed columns and identities."""
        return tuple(name for name in self._fields if is_generated(self.table.c[name]))

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        return tuple(name for name in self.model.model_fields if name not in SYSTEM_FIELDS)

    @cached_property
    def shown_own_fields(self) -> tuple[str, ...]:
        """The shown fields but for the id, who, when and version: those that history compares."""
        return tuple(name for name in self._fields if name not in self.hidden)

    @cached_property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields of the representation: id, own fields, then who, when and version."""
        system = ("created_at", "updated_at", "created_by", "updated_by", "version")
        names = ("id", *self._fields, *system)
        return tuple(name for name in names if name not in self.hidden)

    def parents(self, others: "tuple[RestResource, ...]") -> "list[tuple[RestResource, str]]":
        """The resources that this one's foreign keys refer to, with the field that does."""
        return [
            (other, key.parent.name)
            for other in others
            for key in self.table.foreign_keys
            if key.column.table is other.table and key.parent.name in self.filterable
        ]
