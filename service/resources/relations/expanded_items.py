"""Reads one item with the items that it refers to, in one statement."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg
import sqlalchemy as sa

from service.resources.declaration import RestResource
from service.resources.relations.expansions import Expansion
from service.resources.relations.related import related_item, related_version
from service.resources.statements.columns import not_deleted, representation, with_version
from service.resources.statements.ownership import RowAccess
from service.resources.statements.statement import Statement, compile_statement, parameter

SHAPES = 64  # cached statements, a few kilobytes each


class ExpandedItem(NamedTuple):
    """The representation of an item, its version, and a digest of what it shows of other items."""

    body: bytes
    version: int
    others: str


class ExpandedItems:
    """Reads items of one resource together with others."""

    def __init__(self, resource: RestResource, access: RowAccess) -> None:
        self._resource = resource
        self._access = access
        self.statement = lru_cache(SHAPES)(self._statement)

    def item(self, row: asyncpg.Record, expansions: Sequence[Expansion]) -> ExpandedItem:
        """Return the item in a row of the statement with these expansions."""
        body, version, *versions = row
        shown = [(e.relation.name, e.fields, other) for e, other in zip(expansions, versions, strict=True)]
        return ExpandedItem(body.encode(), version, hashlib.sha256(repr(shown).encode()).hexdigest()[:8])

    def _statement(self, expansions: tuple[Expansion, ...]) -> Statement:
        """Return the statement with the parameter id. Rows are (body, version), then the version of each other item,
        NULL without one."""
        table = self._resource.table
        row = (
            sa.select(*with_version(table, self._resource.read_columns))
            .where(table.c.id == parameter("id", sa.Uuid()), not_deleted(table), *self._access.seen(table))
            .subquery("_rows")
        )
        versions: list[sa.ColumnElement[Any]] = [
            related_version(row, expansion).label(f"_version_{number}")
            for number, expansion in enumerate(expansions)
        ]
        more = [related_item(row, expansion) for expansion in expansions]
        return compile_statement(representation(row, self._resource, more).add_columns(*versions), reads=True)
