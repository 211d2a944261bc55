"""API keys carry claims.

Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_key", sa.Column("claims", JSONB(), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("api_key", "claims")
