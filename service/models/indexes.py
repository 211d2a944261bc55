"""The indexes that lists and look-ups of resources live on. All but the search index leave deleted rows out."""

from sqlalchemy import Index, text

from service.models.sql_identifiers import quoted, shortened

NOT_DELETED = text("deleted_at IS NULL")
SEARCH_CONFIG = "simple"
SEARCH_TEXT = "slipway_search_text"
"""The function that normalises texts for searching; migrations install it."""


def unique_index(table: str, *columns: str) -> Index:
    """No two rows that are not deleted share these values; a deleted row keeps its values without harm."""
    name = shortened(f"uq_{table}_{'_'.join(columns)}")
    return Index(name, *columns, unique=True, postgresql_where=NOT_DELETED)


def sort_index(table: str, *columns: str) -> Index:
    """Serves `sort=` by these columns in both directions, with the id as tie-break, and filters by the first."""
    return Index(shortened(f"ix_{table}_{'_'.join(columns)}"), *columns, "id", postgresql_where=NOT_DELETED)


def prefix_index(table: str, column: str) -> Index:
    """Serves `column__startswith=`, whatever the collation of the database."""
    name = shortened(f"ix_{table}_{column}_prefix")
    return Index(name, column, postgresql_ops={column: "text_pattern_ops"}, postgresql_where=NOT_DELETED)


def plain_index(table: str, *columns: str) -> Index:
    """An index like any other, by the house's name."""
    return Index(shortened(f"ix_{table}_{'_'.join(columns)}"), *columns)


def array_index(table: str, column: str) -> Index:
    """Serves `column__contains=` for a column that holds an array."""
    name = shortened(f"ix_{table}_{column}_elements")
    return Index(name, column, postgresql_using="gin", postgresql_where=NOT_DELETED)


def trigram_index(table: str, column: str) -> Index:
    """Serves `column__contains=` for a text. The migration must create the extension pg_trgm before."""
    name = shortened(f"ix_{table}_{column}_trigrams")
    ops = {column: "gin_trgm_ops"}
    return Index(name, column, postgresql_using="gin", postgresql_ops=ops, postgresql_where=NOT_DELETED)


def search_index(table: str, *columns: str) -> Index:
    """Serves `q=` over these columns: full-text search on an expression, so that the row stores nothing twice.

    Its migration calls `create_search_statistics` too.
    """
    return Index(
        shortened(f"ix_{table}_search"),
        text(f"({search_vector(*columns)})"),
        postgresql_using="gin",
        postgresql_where=NOT_DELETED,
    )


def search_vector(*columns: str, prefix: str = "") -> str:
    """The expression of a search index, letter by letter as a query must repeat it."""
    words = " || ' ' || ".join(f"{prefix}{quoted(column)}" for column in columns)
    return f"to_tsvector('{SEARCH_CONFIG}'::regconfig, {SEARCH_TEXT}({words}))"
