"""Authors have room for a subject of 255 characters and its issuer (OpenID Connect Core 1.0, section 2).

Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A longer varchar is a change of the catalog alone: no rewrite, no check of the rows. The tables are those that keep
# history, whoever's they are; one whose columns are wide enough already is not locked.
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
    """Nothing: the version before writes shorter authors, and rows may hold longer ones by now."""
