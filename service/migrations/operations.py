"""Row history for migrations: `install_history()` once a database, `track_history("product")` once a table."""

from alembic import op

TOUCH = """
CREATE FUNCTION slipway_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A statement that minds versions itself never gets here: the trigger's WHEN clause sees to it.
  NEW.version := OLD.version + 1;
  NEW.updated_at := clock_timestamp();
  NEW.updated_by := coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user);
  RETURN NEW;
END $$
"""

HISTORY = """
CREATE FUNCTION slipway_history() RETURNS trigger LANGUAGE plpgsql AS $$
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
                 ELSE 'update' END,
            NEW.updated_by, nullif(current_setting('slipway.request_id', true), ''), NEW.updated_at,
            to_jsonb(NEW));
  END IF;
  RETURN NULL;
END $$
"""


def install_history() -> None:
    """The functions behind the triggers."""
    op.execute(TOUCH)
    op.execute(HISTORY)


def remove_history() -> None:
    """Undo `install_history`."""
    op.execute("DROP FUNCTION slipway_history()")
    op.execute("DROP FUNCTION slipway_touch()")


def track_history(table: str) -> None:
    """From now on every change of a row of `table` leaves its whole image in `row_history`."""
    op.execute(
        f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON {table} "
        "FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION slipway_touch()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_history AFTER INSERT OR UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION slipway_history()"
    )
