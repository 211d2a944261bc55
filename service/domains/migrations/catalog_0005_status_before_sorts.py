"""Indexes for lists of products with one status, in every order.

Revises: catalog_0004
"""

import sqlalchemy as sa
from alembic import op

from service.migrations.operations import create_index_concurrently

revision = "catalog_0005"
down_revision = "catalog_0004"
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
SORTS = ("created_at", "name", "price")


def upgrade() -> None:
    for sort in SORTS:
        create_index_concurrently(
            f"ix_product_status_{sort}", "product", ["status", sort, "id"], postgresql_where=ALIVE
        )


def downgrade() -> None:
    for sort in SORTS:
        op.drop_index(f"ix_product_status_{sort}", "product")
