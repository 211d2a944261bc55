"""Merge patches of any fields, assembled from parts compiled once: a client can send other fields each time."""

from collections.abc import Callable, Sequence
from functools import cache

import sqlalchemy as sa

from service.resources.statements.fragment import Fragment, concatenate, either
from service.resources.statements.statement import DIALECT, Statement, compile_fragment, statement_of

SET, DIFFERS, CHANGES = "/*set*/", "/*differs*/", "/*changes*/"


class PatchStatements:
    """Fills a `template` of an update: new values after `SET`, and whether one differs, at `DIFFERS` and `CHANGES`.

    `new_value` returns the new value of a field.
    """

    def __init__(
        self, table: sa.Table, template: Fragment, new_value: Callable[[str], sa.ColumnElement[object]]
    ) -> None:
        self._columns = table.c
        self._parts = template.split(SET, DIFFERS, CHANGES)
        self._new_value = new_value
        self._set = cache(self._compiled_set)
        self._differs = cache(self._compiled_difference)

    def of(self, fields: Sequence[str]) -> Statement:
        """Return the patch of these fields, at least one."""
        head, after_set, between, tail = self._parts
        differs = either(map(self._differs, fields))
        return statement_of(
            concatenate(head, *map(self._set, fields), after_set, differs, between, differs, tail)
        )

    def _compiled_set(self, name: str) -> Fragment:
        column = DIALECT.identifier_preparer.format_column(self._columns[name])
        return concatenate(f", {column}=", compile_fragment(self._new_value(name)))

    def _compiled_difference(self, name: str) -> Fragment:
        return compile_fragment(self._columns[name].is_distinct_from(self._new_value(name)))
