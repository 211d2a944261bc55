"""Adds the function that applies the operations of a refused bulk request one by one, inside the server.

Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

EACH = """
CREATE FUNCTION slipway_each(statement text, principal text, document jsonb, request_id text, most integer)
RETURNS TABLE (id uuid, matched boolean, body text, version integer, done boolean, allowed boolean, error jsonb)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
  element jsonb;
  state text; refused_by text; in_column text; in_table text; message text;
BEGIN
  -- Prepared, since EXECUTE would plan the statement anew for each element. The name is this session's: it may be left
  -- over from a call that an error has ended.
  IF EXISTS (SELECT FROM pg_prepared_statements p WHERE p.name = '_slipway_each') THEN
    DEALLOCATE _slipway_each;
  END IF;
  EXECUTE 'PREPARE _slipway_each (text, jsonb, text) AS ' || statement;
  FOR element IN SELECT e FROM jsonb_array_elements(document) AS e LOOP
    error := NULL;
    BEGIN
      EXECUTE format('EXECUTE _slipway_each (%L, %L, %L)', principal, jsonb_build_array(element), request_id)
        INTO body, version, id, done, allowed;
      matched := id IS NOT NULL;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, refused_by = CONSTRAINT_NAME, in_column = COLUMN_NAME,
        in_table = TABLE_NAME, message = MESSAGE_TEXT;
      matched := false;
      error := jsonb_strip_nulls(jsonb_build_object('C', state, 'n', nullif(refused_by, ''), 'c', nullif(in_column, ''),
        't', nullif(in_table, ''), 'M', message));
      most := most - 1;
    END;
    id := coalesce(element ->> 'id', element ->> '_id')::uuid;
    RETURN NEXT;
    EXIT WHEN most = 0;
  END LOOP;
  DEALLOCATE _slipway_each;
END $$
"""


def upgrade() -> None:
    op.execute(EACH)


def downgrade() -> None:
    op.execute("DROP FUNCTION slipway_each(text, text, jsonb, text, integer)")
