"""Only the triggers can write row history, with the privileges of the tables' owner.

Revises: 0004
"""

from service.migrations.operations import guard_history, unguard_history

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    guard_history()


def downgrade() -> None:
    unguard_history()
