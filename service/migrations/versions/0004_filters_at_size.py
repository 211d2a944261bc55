"""Does nothing: its indexes are catalog_0003 of the domains. Databases that were at it keep their place.

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
