"""Names of tables and columns in SQL that is written as text."""

from sqlalchemy.dialects import postgresql

_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]


def quoted(name: str) -> str:
    """The name as SQL wants it: in quotes where it is a word of SQL such as `order`, otherwise as it is."""
    return str(_PREPARER.quote(name))
