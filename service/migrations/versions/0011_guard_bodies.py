"""Updates the reference guards of older databases to the functions of new databases.

Revises: 0010
"""

from alembic import op

from service.migrations.operations import STILL_REFERENCED

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Only functions written by `guard_reference` up to 0006. The new bodies cannot confuse a column with a variable,
# and report which side of a reference was refused. Replacing a function locks no table.
REPLACE = f"""
DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT pg_get_functiondef(p.oid) AS source FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype
      AND (p.prosrc ~ 'PERFORM 1 FROM \\S+ WHERE id = NEW\\.\\S+ AND deleted_at IS NULL FOR KEY SHARE;'
        OR p.prosrc ~ 'PERFORM 1 FROM \\S+ WHERE id = OLD\\.id FOR UPDATE;')
  LOOP
    EXECUTE regexp_replace(regexp_replace(regexp_replace(regexp_replace(found.source,
      ' WHERE id = (NEW|OLD)\\.', ' AS _row WHERE _row.id = \\1.'),
      ' AND deleted_at IS NULL', ' AND _row.deleted_at IS NULL'),
      '(EXISTS \\(SELECT 1 FROM \\S+) WHERE (\\S+ = OLD\\.id)', '\\1 AS _row WHERE _row.\\2'),
      '(RAISE EXCEPTION ''a .*, TABLE = ''[^'']+'');', '\\1, DETAIL = ''{STILL_REFERENCED}'';');
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute(REPLACE)


def downgrade() -> None:
    """Do nothing: the previous version works with either body."""
