"""The function that normalises texts for searching: composed accents, no typographic punctuation.

Revises: 0009
"""

from service.migrations.operations import install_search_text, remove_search_text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    install_search_text()


def downgrade() -> None:
    remove_search_text()
