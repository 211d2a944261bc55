"""Searches find words with composed or decomposed accents, and words inside typographic quotes.

Revises: 0009
"""

# allow renaming-object: no statement names an index

from alembic import op
from sqlalchemy import text

from service.migrations.operations import (
    forget_search,
    install_search_text,
    remove_search_text,
    renew_search,
)

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("product", "category")
BEFORE = "(to_tsvector('simple'::regconfig, name || ' ' || description))"


def upgrade() -> None:
    install_search_text()
    for table in TABLES:
        renew_search(table, "name", "description")


def downgrade() -> None:
    for table in TABLES:
        forget_search(table)
        op.drop_index(f"ix_{table}_search", table)
        op.create_index(
            f"ix_{table}_search",
            table,
            [text(BEFORE)],
            postgresql_using="gin",
            postgresql_where=text("deleted_at IS NULL"),
        )
        op.execute(f"CREATE STATISTICS st_{table}_search ON {BEFORE} FROM {table}")
    remove_search_text()
