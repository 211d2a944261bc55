"""Texts are normalised for searching with one regular expression.

Revises: 0019
"""

from alembic import op

from service.migrations.operations import install_search_text

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# The function returns the same texts as before, so its indexes stay valid. But open sessions remember an index with the
# older body in its expression, and would not use it for queries, which get the new body. A change of the index makes
# them read it again. This one, of a parameter that no index has, blocks neither reads nor writes.
RENEW = """
DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT DISTINCT i.indexrelid::regclass AS name FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass
      AND d.refobjid = 'slipway_search_text(text)'::regprocedure
      AND (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = d.objid)
  LOOP
    EXECUTE format('ALTER INDEX %s RESET (slipway_nothing)', found.name);
  END LOOP;
END $$
"""


def upgrade() -> None:
    install_search_text()
    op.execute(RENEW)


def downgrade() -> None:
    """Older versions work with this function, too."""
