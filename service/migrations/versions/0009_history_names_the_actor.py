"""Row history records the actor of the transaction, even if the statement writes another one into the row.

Revises: 0008
"""

from alembic import op

from service.migrations.operations import HISTORY, guard_history

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NAMED_BY_ROW = "NEW.updated_by, nullif("
NAMED_BY_TRANSACTION = (
    "coalesce(nullif(current_setting('slipway.principal', true), ''), NEW.updated_by), nullif("
)


def upgrade() -> None:
    _replace(HISTORY.replace(NAMED_BY_ROW, NAMED_BY_TRANSACTION))


def downgrade() -> None:
    _replace(HISTORY)


def _replace(source: str) -> None:
    op.execute(source.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    guard_history()  # replacing a function resets its rights and search_path
