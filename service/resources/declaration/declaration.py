"""The fields of a declaration, and what follows from them and the model."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic_core import PydanticUndefined
from sqlalchemy.sql import visitors

from service.models.base import SYSTEM_FIELDS, Resource
from service.models.view import View
from service.resources.columns.kind import ColumnError, Kind
from service.resources.columns.model_fields import checked_kind, is_generated
from service.resources.declaration.actions import Action
from service.resources.declaration.computed import Computed
from service.resources.declaration.error import DeclarationError
from service.resources.declaration.hooks import Hooks
from service.resources.declaration.owner import OwnedThrough, Owner
from service.resources.names import operation_id, with_article
from service.security.principals import Principal

D = TypeVar("D", bound="Declaration")

RESERVED = frozenset({"limit", "cursor", "sort", "count", "q", "as_of", "expand"})
"""Query parameters of lists and reads, which no filter can be called."""
READING = frozenset({"list", "read", "export"})
"""The operations of a resource on a view."""
OPERATIONS = frozenset(
    {"list", "create", "read", "replace", "patch", "delete", "restore", "history", "bulk", "export"}
)
MAX_SORT_FIELDS = 3
BULK_KINDS = ("create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes required to read and to change items. Resources on views need no `write`."""

    read: str
    write: str = ""


MOST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cached:
    """Keeps items in the memory of each process for up to `seconds`, at most one.

    A client reads its own writes, and other processes hear of changes within milliseconds through Redis. The lifetime
    is for changes that are not announced: SQL from elsewhere, and all changes of other processes without Redis.
    """

    seconds: float = MOST_SECONDS


@dataclass(frozen=True, eq=False)
class Declaration:
    """The fields of `RestResource`, and what follows from them."""

    model: type[Resource] | type[View]
    path: str
    scopes: Scopes
    filterable: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ("created_at",)
    default_sort: str = "-created_at"
    searchable: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    readonly: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    visible: Mapping[str, str] = field(default_factory=dict)
    computed: Mapping[str, Computed] = field(default_factory=dict)
    expand: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: Owner | OwnedThrough | None = None
    children: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    actions: tuple[Action, ...] = ()
    hooks: Hooks | None = None
    cache: Cached | None = None
    extra: APIRouter | None = None
    name: str = ""
    singular: str = ""

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
        """The tag in OpenAPI, described by the first line of the model's docstring."""
        own = inspect.cleandoc(self.model.__dict__.get("__doc__") or "").partition("\n")[0]
        return {"name": self.path, "description": own or f"{self.plural.capitalize()}."}

    @cached_property
    def own_filters(self) -> tuple[str, ...]:
        """The filterable fields of the resource itself."""
        return tuple(name for name in self.filterable if "." not in name)

    @cached_property
    def related_filters(self) -> Mapping[str, tuple[str, ...]]:
        """The filterable fields of other resources, by relation."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.filterable:
            relation, dot, other = name.partition(".")
            if dot:
                found[relation] = (*found.get(relation, ()), other)
        return found

    @staticmethod
    def foreign_key_of(relation: str) -> str:
        """Return the column of a relation: `customer_id` for `customer`."""
        return f"{relation}_id"

    def note_on(self, name: str) -> str:
        """Return what the description of a field or a parameter adds: who sees it, if not all callers do."""
        scope = self.visible.get(name)
        return "" if scope is None else f" Only with the scope `{scope}`."

    def operation_id(self, operation: str) -> str:
        """Return the id of a generated operation in OpenAPI."""
        return operation_id(operation, path=self.path, singular=self.singular)

    @cached_property
    def table(self) -> sa.Table:
        table: sa.Table = self.model.__dict__["__table__"]
        return table

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Return the kind of each column by name. Raises `DeclarationError` for an unsupported column."""
        found = {}
        for name, info in self.model.model_fields.items():
            try:
                found[name] = checked_kind(info, self.table.c[name])
            except ColumnError as error:
                raise DeclarationError(f"{self.path}: {name} {error}") from None
        return found

    @cached_property
    def is_view(self) -> bool:
        """Whether the resource serves a view, which is only read."""
        return issubclass(self.model, View)

    @cached_property
    def own_fields(self) -> tuple[str, ...]:
        """The fields that the engine writes, in the model's order, without those that the database generates."""
        return tuple(name for name in self._fields if name not in self.generated_fields)

    @cached_property
    def input_fields(self) -> tuple[str, ...]:
        """The own fields that clients write."""
        return tuple(name for name in self.own_fields if name not in self.readonly)

    def owned_by(self, principal: Principal) -> sa.ColumnElement[bool]:
        """Return the condition for rows that the principal sees, for queries of hand-written code."""
        owner = self.owner
        if owner is None or owner.sees_all(principal):
            return sa.true()
        if isinstance(owner, OwnedThrough):
            parent = owner.parent
            own = sa.select(parent.table.c.id).where(parent.owned_by(principal))
            return self.table.c[owner.field].in_(own)
        column = self.table.c[owner.field]
        value = owner.value_of(principal, self.kinds[owner.field], getattr(column.type, "length", None))
        return sa.false() if value is None else column == value

    @cached_property
    def owner_field(self) -> str | None:
        """The field in which the service writes the owner of a new item, if it has a column."""
        return self.owner.field if isinstance(self.owner, Owner) else None

    @property
    def owner_parent(self) -> str | None:
        """The table of the parent through which items have their owner, if they do."""
        return self.owner.parent.table.name if isinstance(self.owner, OwnedThrough) else None

    @property
    def creates_by_id(self) -> bool:
        """Whether clients create items under ids of their choice. With an owner, an id that is taken would tell."""
        return "create" not in self.without and self.owner is None

    def default_of(self, name: str, values: Mapping[str, Any]) -> Any:
        """Return the default of a field of a new item with these values.

        None lets the database choose; `PydanticUndefined` means that there is no default.
        """
        value = self.model.model_fields[name].get_default(
            call_default_factory=True, validated_data=dict(values)
        )
        if value is not PydanticUndefined:
            return value
        column = self.table.c[name]
        return None if column.nullable or column.server_default is not None else PydanticUndefined

    @cached_property
    def generated_fields(self) -> tuple[str, ...]:
        """Fields that only the database sets: computed columns and identities, and all fields of a view."""
        return tuple(name for name in self._fields if self.is_view or is_generated(self.table.c[name]))

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        return tuple(name for name in self.model.model_fields if name not in SYSTEM_FIELDS)

    @cached_property
    def shown_own_fields(self) -> tuple[str, ...]:
        """The shown fields that history compares: without id, timestamps, principals and version."""
        return tuple(name for name in self._fields if name not in self.hidden)

    @cached_property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields of the representation: id, own fields, timestamps, principals and version."""
        system = ("created_at", "updated_at", "created_by", "updated_by", "version")
        names = ("id", *self._fields, *(name for name in system if name in self.table.c))
        return tuple(name for name in names if name not in self.hidden)

    def columns_of(self, computed: Computed) -> frozenset[str]:
        """Return the columns of the row that a computed member uses."""
        parts = visitors.iterate(computed.sql(self.table.c))
        return frozenset(p.name for p in parts if isinstance(p, sa.Column) and p.table is self.table)

    @cached_property
    def has_subqueries(self) -> bool:
        """Whether a computed member has a subquery."""
        return any(one.has_subquery(self.table.c) for one in self.computed.values())

    @cached_property
    def read_columns(self) -> tuple[str, ...]:
        """The columns of the representation: the shown fields, and those that computed members use."""
        used = [name for one in self.computed.values() for name in sorted(self.columns_of(one))]
        return tuple(dict.fromkeys((*self.shown_fields, *used)))

    def parents(self, others: Iterable[D]) -> list[tuple[D, str]]:
        """Return the resources that filterable foreign keys of this one refer to, each with the field."""
        return [
            (other, key.parent.name)
            for other in others
            for key in self.table.foreign_keys
            if key.column.table is other.table and key.parent.name in self.filterable
        ]
