"""The indexes behind lists and lookups of resources. They leave out soft-deleted rows, except `plain_index`."""

import re

from sqlalchemy import ClauseElement, Column, Index, UnaryExpression, text
from sqlalchemy.schema import ColumnCollectionConstraint

from service.models.sql_identifiers import quoted, shortened

NOT_DELETED = text("deleted_at IS NULL")
_QUALIFIED = re.compile(r'[()]|(?:"[^"]+"|\w+)\.')
SEARCH_CONFIG = "simple"
SEARCH_TEXT = "slipway_search_text"
"""The SQL function that normalises text for searching; a migration creates it."""
SEARCHED = "searched"
"""The key in `Index.info` of the columns that a search index covers."""


def columns_in(index: Index | ColumnCollectionConstraint) -> tuple[str, ...]:
    """Return the names of the table's columns in an index or constraint, also of those in expressions.

    SQLAlchemy does not know the columns of SQL text; a `literal_column` is not the table's.
    """
    return tuple(column.name for column in index.columns if column.table is not None)


def whole_columns(index: Index) -> tuple[str, ...]:
    """Return the names of an index's columns if it is on whole columns of every row that is not deleted. Otherwise
    none: it has another order, and values that are unique in it need not be unique in the table.
    """
    where = index.dialect_options["postgresql"]["where"]
    columns = [part.element if isinstance(part, UnaryExpression) else part for part in index.expressions]
    whole = all(isinstance(column, Column) for column in columns)
    return columns_in(index) if whole and (where is None or _is_not_deleted(where)) else ()


def _is_not_deleted(where: ClauseElement) -> bool:
    """Whether the condition is NOT_DELETED, as text or built from the column."""
    if where is NOT_DELETED:  # of nearly every index; as text it takes 0.1 ms, for each filter of each index
        return True
    return _QUALIFIED.sub("", str(where)).casefold() == str(NOT_DELETED).casefold()


def unique_index(table: str, *columns: str) -> Index:
    """Make the values unique among rows that are not deleted. A deleted row frees its values."""
    name = shortened(f"uq_{table}_{'_'.join(columns)}")
    return Index(name, *columns, unique=True, postgresql_where=NOT_DELETED)


def sort_index(table: str, *columns: str) -> Index:
    """Serve `sort=` by these columns in both directions, with the id as tie-breaker, and filters on the first."""
    return Index(shortened(f"ix_{table}_{'_'.join(columns)}"), *columns, "id", postgresql_where=NOT_DELETED)


def prefix_index(table: str, column: str) -> Index:
    """Serve `column__startswith=`, regardless of the database's collation."""
    name = shortened(f"ix_{table}_{column}_prefix")
    return Index(name, column, postgresql_ops={column: "text_pattern_ops"}, postgresql_where=NOT_DELETED)


def plain_index(table: str, *columns: str) -> Index:
    """Return an ordinary index, named by convention. It includes deleted rows."""
    return Index(shortened(f"ix_{table}_{'_'.join(columns)}"), *columns)


def array_index(table: str, column: str) -> Index:
    """Serve `column__contains=` for an array column."""
    name = shortened(f"ix_{table}_{column}_elements")
    return Index(name, column, postgresql_using="gin", postgresql_where=NOT_DELETED)


def trigram_index(table: str, column: str) -> Index:
    """Serve `column__contains=` for a text column. The migration must create the extension pg_trgm first."""
    name = shortened(f"ix_{table}_{column}_trigrams")
    ops = {column: "gin_trgm_ops"}
    return Index(name, column, postgresql_using="gin", postgresql_ops=ops, postgresql_where=NOT_DELETED)


def search_index(table: str, *columns: str) -> Index:
    """Serve `q=` over these columns: full-text search on an expression, so no text is stored twice.

    The migration must also call `create_search_statistics`.
    """
    return Index(
        shortened(f"ix_{table}_search"),
        text(f"({search_vector(*columns)})"),
        postgresql_using="gin",
        postgresql_where=NOT_DELETED,
        info={SEARCHED: columns},
    )


def search_vector(*columns: str, prefix: str = "") -> str:
    """Return the expression of a search index. A query must repeat it literally to use the index."""
    words = " || ' ' || ".join(f"{prefix}{quoted(column)}" for column in columns)
    return f"to_tsvector('{SEARCH_CONFIG}'::regconfig, {SEARCH_TEXT}({words}))"
