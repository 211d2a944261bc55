"""Members of items that PostgreSQL computes when it makes the representation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.resources.columns.kind import ColumnError
from service.resources.statements.statement import DIALECT

_PARAMETER = re.compile(r"\$\d")
_SUBQUERY = re.compile(r"\bselect\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Computed:
    """A member that is no column: `Computed(lambda row: row.price * row.stock, "What the stock is worth.")`.

    `sql` gets the columns of the row, and returns an expression, which may have a subquery on other tables. The type of
    the expression is the member's; `sa.cast` gives it another one. `nullable` says whether it can be NULL.
    """

    sql: Callable[[Any], sa.ColumnElement[Any]]
    description: str
    nullable: bool = False

    def written(self, row: Any) -> sa.ColumnElement[Any]:
        """Return the expression as text, with its constants: SQLAlchemy would take the row's source into a subquery.

        Raises `AttributeError` for a column that the row lacks, and `ColumnError` for a constant without a text.
        """
        expression = self.sql(row)
        try:
            text = str(expression.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
        except sa.exc.CompileError as error:
            raise ColumnError(f"has a constant that cannot be written as SQL ({error})") from None
        if _PARAMETER.search(text):
            raise ColumnError("has $ and a digit in a text, which looks like a parameter")
        written: sa.ColumnElement[Any] = sa.literal_column(f"({text})", expression.type)
        return written

    def has_subquery(self, row: Any) -> bool:
        """Whether the value depends on rows of tables, not only on the columns of its own row."""
        return _SUBQUERY.search(str(self.written(row))) is not None
