"""Row history names the action that changed an item, such as `ship`.

Revises: 0014
"""

from alembic import op

from service.migrations.operations import guard_history

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UPDATE = "'update'"
# The engine sets `slipway.action` to the table, the item's id and the action's name; other rows that the transaction
# changes are ordinary updates.
ACTION = """CASE WHEN starts_with(current_setting('slipway.action', true), TG_TABLE_NAME || ' ' || NEW.id || ' ')
                      THEN split_part(current_setting('slipway.action', true), ' ', 3) ELSE 'update' END"""


def upgrade() -> None:
    _replace(ACTION)


def downgrade() -> None:
    _replace(UPDATE)


def _replace(name_of_update: str) -> None:
    op.execute(f"""
CREATE OR REPLACE FUNCTION slipway_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, OLD.id, OLD.version + 1, 'erase',
            coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user),
            nullif(current_setting('slipway.request_id', true), ''), clock_timestamp(), to_jsonb(OLD));
  ELSE
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, NEW.id, NEW.version,
            CASE WHEN TG_OP = 'INSERT' THEN 'create'
                 WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'delete'
                 WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL THEN 'restore'
                 ELSE {name_of_update} END,
            coalesce(nullif(current_setting('slipway.principal', true), ''), NEW.updated_by),
            nullif(current_setting('slipway.request_id', true), ''), NEW.updated_at,
            to_jsonb(NEW));
  END IF;
  IF current_setting('slipway.principal', true) <> '' THEN
    RAISE INFO USING MESSAGE = 'slipway_changed', TABLE = TG_TABLE_NAME, DETAIL = coalesce(NEW.id, OLD.id);
  END IF;
  RETURN NULL;
END $$
""")
    guard_history()  # replacing a function resets its rights and search_path
