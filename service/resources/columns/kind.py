"""A column type, as all parts of the engine use it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import NoneType
from typing import Any

import sqlalchemy as sa

from service.resources.columns.input_checks import Text
from service.resources.statements.statement import parameter

EQUALITY = ("eq", "ne", "in")
ORDER = (*EQUALITY, "lt", "lte", "gt", "gte")


class ColumnError(Exception):
    """A column that the engine cannot serve. The message names the column and the fix."""


def unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True, eq=False)
class Kind:
    """A type of column.

    `name` is PostgreSQL's; `annotations` are the types that a model's field can have. `sql` is the type in which values
    are compared, unbounded so that nothing is rounded. `text` converts a Python value to PostgreSQL's input format.
    Values of a `native` kind go to the driver unchanged; others go as text with a cast, because drivers change some
    values (infinity, the ends of the calendar, REAL). `member` returns the SQL of the JSON member. `parse` and `schema`
    are for query parameters; `grammar`, `rules` and `before` are Pydantic rules for input, and `before` runs before the
    field's own rules; `shown` is the type in responses. `width` is the maximum size in an index in bytes, None if only
    the field bounds it.
    """

    name: str
    annotations: tuple[Any, ...]
    sql: sa.types.TypeEngine[Any]
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    width: int | None
    text: Callable[[Any], str] = str
    native: bool = False
    member: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]] = unchanged
    operators: tuple[str, ...] = ORDER
    sortable: bool = True
    grammar: Text | None = None
    rules: tuple[Any, ...] = ()
    before: tuple[Any, ...] = ()
    shown: Any = None
    element: "Kind | None" = field(default=None)

    def wire(self, value: Any) -> Any:
        """Convert a Python value to the driver's value for `bound`."""
        return value if value.__class__ in self.taken_as_is else self.convert(value)

    @property
    def taken_as_is(self) -> Collection[type]:
        """The types whose values `wire` returns unchanged."""
        return (*self.annotations, NoneType) if self.native else (NoneType,)

    @property
    def convert(self) -> Callable[[Any], Any]:
        """What `wire` does with a value of any other type."""
        return unchanged if self.native else self.text

    def wire_list(self, values: list[Any]) -> list[Any]:
        """Convert the values of an `in` filter to the driver's value for `bound_list`."""
        return [self.wire(value) for value in values]

    def wire_shown(self, value: Any) -> Any:
        """Convert a member of an item, as the service shows it, to the driver's value for `bound`."""
        return value if self.native or value is None or isinstance(value, str) else str(value)

    def bound(self, name: str) -> sa.ColumnElement[Any]:
        """Return an SQL parameter of this kind."""
        if self.native:
            return parameter(name, self.sql)
        return sa.cast(parameter(name, sa.Text()), self.sql)

    def bound_list(self, name: str) -> sa.ColumnElement[Any]:
        """Return an SQL parameter that is a list of this kind."""
        if self.native:
            return parameter(name, sa.ARRAY(self.sql))
        return sa.cast(parameter(name, sa.ARRAY(sa.Text())), sa.ARRAY(self.sql))

    @cached_property
    def is_json(self) -> bool:
        """Whether values are JSON documents, into which a merge patch is merged."""
        return isinstance(self.sql, sa.JSON)


@dataclass(frozen=True, eq=False)
class ArrayKind(Kind):
    """A one-dimensional array of another kind. The driver gets an array of text."""

    @property
    def convert(self) -> Callable[[Any], Any]:
        assert self.element is not None
        text = self.element.text
        return lambda value: value and [None if part is None else text(part) for part in value]

    def bound(self, name: str) -> sa.ColumnElement[Any]:
        texts: sa.ColumnElement[Any] = parameter(name, sa.ARRAY(sa.Text()))
        return sa.cast(texts, self.sql)
