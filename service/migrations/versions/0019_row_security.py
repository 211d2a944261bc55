"""Functions for row-level security by owner, and whose a stored response is.

Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

from service.migrations.row_security import install_row_functions, remove_row_functions

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# The guards of older revisions that look for rows which refer to a deleted one. They must find those of other owners.
GUARDS = """
DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype
      AND p.prosrc ~ 'PERFORM 1 FROM \\S+ AS _row WHERE _row.id = OLD\\.id FOR UPDATE;'
  LOOP
    {statements}
  END LOOP;
END $$
"""
DEFINER = """EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', found.name,
      current_schema());
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found.name);"""
INVOKER = """EXECUTE format('ALTER FUNCTION %s SECURITY INVOKER RESET search_path', found.name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', found.name);"""


def upgrade() -> None:
    install_row_functions()
    op.add_column("idempotency_record", sa.Column("caller", sa.Text()))
    op.alter_column("idempotency_record", "caller", server_default=sa.text("slipway_caller()"))
    op.execute(GUARDS.format(statements=DEFINER))


def downgrade() -> None:
    op.execute(GUARDS.format(statements=INVOKER))
    op.drop_column("idempotency_record", "caller")
    remove_row_functions()
