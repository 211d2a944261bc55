"""Widens author columns for a subject of 255 characters and its issuer (OpenID Connect Core 1.0, section 2).

Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Widening a varchar changes only the catalog: no rewrite, no check of the rows. Covers every table with history,
# including the team's; a table whose columns are wide enough is not locked.
WIDEN = """
DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT DISTINCT c.oid::regclass AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('created_by', 'updated_by')
    WHERE t.tgfoid = 'slipway_history()'::regprocedure
      AND a.atttypid = 'varchar'::regtype AND a.atttypmod BETWEEN 4 AND 4 + 511
  LOOP
    EXECUTE format(
      'ALTER TABLE %s ALTER created_by TYPE varchar(512), ALTER updated_by TYPE varchar(512)', found.name);
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute(WIDEN)


def downgrade() -> None:
    """Do nothing: the previous version writes shorter authors, and rows may already hold longer ones."""
