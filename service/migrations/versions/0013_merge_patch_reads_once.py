"""A merge patch reads the stored document once, not once for each member of the patch.

Revises: 0012
"""

from alembic import op

from service.migrations.operations import MERGE_PATCH

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# In a generic plan, which a session makes after a few calls, `target -> key` decompressed the stored document for each
# key: half a minute for a patch of a megabyte.
FUNCTION = """
CREATE OR REPLACE FUNCTION slipway_merge_patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  -- RFC 7396, section 2.
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN
    target := '{}';
  END IF;
  RETURN coalesce((
    SELECT jsonb_object_agg(coalesce(p.key, t.key), CASE
      WHEN p.key IS NULL THEN t.value
      WHEN jsonb_typeof(p.value) = 'object' THEN slipway_merge_patch(t.value, p.value)
      ELSE p.value END)
    FROM jsonb_each(target) t FULL JOIN jsonb_each(patch) p ON p.key = t.key
    WHERE p.key IS NULL OR jsonb_typeof(p.value) <> 'null'
  ), '{}');
END $$
"""


def upgrade() -> None:
    op.execute(FUNCTION)


def downgrade() -> None:
    op.execute(MERGE_PATCH.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
