"""What a developer writes to serve a table: a model, a path, scopes, and which fields can do what."""

from dataclasses import dataclass, field
from functools import cached_property

import sqlalchemy as sa

from service.models.base import SYSTEM_FIELDS, Resource

RESERVED = frozenset({"limit", "cursor", "sort", "count", "q", "as_of"})


class DeclarationError(Exception):
    """A declaration that contradicts its model; raised at start-up, naming the resource and the field."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes that reading and changing ask for."""

    read: str
    write: str


@dataclass(frozen=True)
class RestResource:
    """One table as a REST resource under `/api/v1/<path>`.

    `filterable` and `sortable` name the fields that lists may use; each needs an index of the model.
    `default_sort` is what lists use when the client names none. `searchable` names the text columns of the
    model's search index. `immutable` fields can be set at creation only; `hidden` ones never leave the service.
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
    singular: str = field(default="")

    def __post_init__(self) -> None:
        if not self.singular:
            object.__setattr__(self, "singular", self.model.__name__.lower())
        known = set(self.table.columns.keys())
        for role in ("filterable", "sortable", "searchable", "immutable", "hidden"):
            for name in getattr(self, role):
                if name not in known:
                    raise DeclarationError(
                        f"{self.path}: {role} names {name}, which {self.model.__name__} lacks"
                    )
        for name in self.sortable:
            if name in self.hidden:
                raise DeclarationError(f"{self.path}: {name} is hidden, so it cannot be sortable")
        for name in self.filterable:
            if name in RESERVED:
                raise DeclarationError(
                    f"{self.path}: {name} is a parameter of every list, so it cannot be a filter"
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
