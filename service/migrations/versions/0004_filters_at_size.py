"""Does nothing: its indexes moved to catalog_0003 of the domains. Kept for databases at this revision.

Revises: 0003
"""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing."""


def downgrade() -> None:
    """Do nothing."""
