"""An index to filter products by tag.

Revises: catalog_0001
"""

# allow require-concurrent-index-creation: written before the first release, when no table was in use

import sqlalchemy as sa
from alembic import op

revision = "catalog_0002"
down_revision = "catalog_0001"
branch_labels = None
depends_on = None
formerly = "0002"


def upgrade() -> None:
    op.create_index(
        "ix_product_tags_elements",
        "product",
        ["tags"],
        postgresql_using="gin",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_product_tags_elements", "product")
