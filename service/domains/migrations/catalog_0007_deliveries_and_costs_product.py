"""Deliveries and costs: product.

Revises: catalog_0006
"""

import sqlalchemy as sa
from alembic import op

revision = "catalog_0007"
down_revision = "catalog_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "product", sa.Column("cost", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("product", "cost")
