"""Searches find words with composed or decomposed accents, and words inside typographic quotes.

Revises: catalog_0003
"""

# allow renaming-object: no statement names an index

from alembic import op
from sqlalchemy import text

from service.migrations.operations import forget_search, renew_search

revision = "catalog_0004"
down_revision = "catalog_0003"
branch_labels = None
depends_on = None
formerly = "0010"

TABLES = ("product", "category")
BEFORE = "(to_tsvector('simple'::regconfig, name || ' ' || description))"


def upgrade() -> None:
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
