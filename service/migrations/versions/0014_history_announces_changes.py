"""The history trigger announces each changed row to the connection of the service that changed it.

Revises: 0013
"""

from alembic import op

from service.migrations.operations import HISTORY, guard_history

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BEFORE = HISTORY.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(
    "NEW.updated_by, nullif(",
    "coalesce(nullif(current_setting('slipway.principal', true), ''), NEW.updated_by), nullif(",
)
# INFO goes to the client, regardless of client_min_messages, and to no log. Only the service sets a principal.
ANNOUNCE = """
  IF current_setting('slipway.principal', true) <> '' THEN
    RAISE INFO USING MESSAGE = 'slipway_changed', TABLE = TG_TABLE_NAME, DETAIL = coalesce(NEW.id, OLD.id);
  END IF;
  RETURN NULL;
"""


def upgrade() -> None:
    _replace(BEFORE.replace("\n  RETURN NULL;\n", ANNOUNCE))


def downgrade() -> None:
    _replace(BEFORE)


def _replace(source: str) -> None:
    op.execute(source)
    guard_history()  # replacing a function resets its rights and search_path
