"""Indexes that lists need as a table grows, found from a declaration: a filter in front of a sort.

A filter by an owner, an enum, a boolean or a foreign key matches a share of the rows that does not shrink as the table
grows, or hardly any. PostgreSQL then walks the index of the sort until it has found enough matches, however rare they
are, or sorts all of them. With an index on the filter and then the sort it reads one page.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from service.models.indexes import whole_columns
from service.models.sql_identifiers import quoted, shortened
from service.resources.declaration.declaration import Declaration

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """A list that gets slower as its table grows. `field` is filtered by, `sort` is sorted by."""

    resource: Declaration
    field: str
    sort: str

    @property
    def sql(self) -> str:
        """The statement that creates the index without blocking writes."""
        table = self.resource.table.name
        name = shortened(f"ix_{table}_{self.field}_{self.sort}")
        columns = f"{quoted(self.field)}, {quoted(self.sort)}, id"
        return f"CREATE INDEX CONCURRENTLY {quoted(name)} ON {quoted(table)} ({columns}) WHERE deleted_at IS NULL"

    def __str__(self) -> str:
        table, path = self.resource.table.name, self.resource.path
        model = f'sort_index("{table}", "{self.field}", "{self.sort}")'
        return (
            f"{path}: lists filtered by {self.field} and sorted by {self.sort} get slower as the table grows; add "
            f"{model} to {self.resource.model.__name__}, and a migration: {self.sql}"
        )


def missing_indexes(resource: Declaration) -> list[MissingIndex]:
    """Return the indexes that lists of a resource lack.

    They are for the owner's column, each enum and each boolean with each sort, and for each foreign key with the
    default sort, also for the one through which items have their owner.
    A filter over a relation is one by its foreign key. A view has no indexes; those of its tables serve it.
    """
    if "list" in resource.without or resource.is_view:
        return []
    return [
        MissingIndex(resource, field, sort)
        for field in _filters(resource)
        for sort in _sorts_needing_index(resource, field)
        if sort != field and not _has_index(resource.table, field, sort)
    ]


def warn_of_missing_indexes(resources: Iterable[Declaration]) -> None:
    """Log one line for each index that a list lacks."""
    for resource in resources:
        for missing in missing_indexes(resource):
            log.warning(
                "lists get slower as the table grows",
                resource=resource.path,
                filter=missing.field,
                sort=missing.sort,
                create=missing.sql,
            )


def _filters(resource: Declaration) -> Iterable[str]:
    """The fields that lists filter by: the owner's always."""
    own = () if resource.owner is None else (resource.owner.field,)
    related = map(resource.foreign_key_of, resource.related_filters)
    return dict.fromkeys((*own, *resource.own_filters, *related))


def _sorts_needing_index(resource: Declaration, field: str) -> Iterator[str]:
    column = resource.table.c[field]
    if (
        field == resource.owner_field
        or isinstance(column.type, sa.Boolean)
        or "enum" in resource.kinds[field].schema
    ):
        yield from resource.sortable
    elif column.foreign_keys:
        yield resource.default_sort.split(",")[0].removeprefix("-")


def _has_index(table: sa.Table, field: str, sort: str) -> bool:
    for index in table.indexes:
        options = index.dialect_options["postgresql"]
        plain = options["using"] in (False, "", "btree") and not options["ops"]
        if plain and whole_columns(index)[:2] == (field, sort):
            return True
    return False
