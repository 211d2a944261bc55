"""Indexes for product filters that had none, and search statistics for the planner.

Revises: catalog_0002
"""

# allow require-concurrent-index-creation: written before the first release, when no table was in use

import sqlalchemy as sa
from alembic import op

from service.migrations.operations import forget_search

revision = "catalog_0003"
down_revision = "catalog_0002"
branch_labels = None
depends_on = None
formerly = "0004"

ALIVE = sa.text("deleted_at IS NULL")
FILTERED = ("stock", "updated_at")


def upgrade() -> None:
    for column in FILTERED:
        op.create_index(f"ix_product_{column}", "product", [column, "id"], postgresql_where=ALIVE)
    for table in ("product", "category"):
        op.execute(
            f"CREATE STATISTICS st_{table}_search ON "
            f"(to_tsvector('simple'::regconfig, name || ' ' || description)) FROM {table}"
        )


def downgrade() -> None:
    for table in ("product", "category"):
        forget_search(table)
    for column in FILTERED:
        op.drop_index(f"ix_product_{column}", "product")
