"""Row history records the role that logged in, in addition to the actor named in the row.

Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In two steps, because earlier rows have no known author and must not get the default.
    op.add_column("row_history", sa.Column("db_user", sa.Text()))
    op.alter_column("row_history", "db_user", server_default=sa.text("session_user"))


def downgrade() -> None:
    op.drop_column("row_history", "db_user")
