"""Names of tables and columns for SQL that is written as text."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS
from sqlalchemy.sql.elements import conv

LONGEST = 63  # bytes of a name; PostgreSQL truncates longer ones (NAMEDATALEN - 1)
_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]

# PostgreSQL reserves these too (appendix "SQL Key Words"); SQLAlchemy 2.1 does not know them.
RESERVED_WORDS.update({"collation", "concurrently", "lateral", "system_user", "tablesample"})


def quoted(name: str) -> str:
    """Return the name for use in SQL, quoted if necessary, as for the keyword `order`."""
    return str(_PREPARER.quote(name))


def shortened(name: str) -> str:
    """Return a composed name, shortened to PostgreSQL's limit.

    Shortens as SQLAlchemy does for names of constraints: a hash of the full name at the end.
    """
    return str(_PREPARER.truncate_and_render_constraint_name(conv(name), _alembic_quote=False))


def literal(text: str) -> str:
    """Return the text as an SQL literal, in single quotes."""
    return "'" + text.replace("'", "''") + "'"
