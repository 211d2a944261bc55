"""Operations for migrations: PostgreSQL's row-level security for tables whose rows have owners.

The policies read what `service.resources.rows_of_callers` tells. They hold for every role except the owner of the
tables, superusers and roles with BYPASSRLS, so that migrations, backups and erasures see all rows.
"""

from alembic import op

from service.migrations.policies import CALLER, EVERY_ROW, HISTORY, RECORDS, history_policy, owner_policy
from service.models.sql_identifiers import literal, quoted

# The service sets `slipway.rows` at the beginning of each transaction. Without it, nobody sees a row that has an owner.
FUNCTIONS = {
    "slipway_rows()": """
CREATE FUNCTION slipway_rows() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('slipway.rows', true), '')::jsonb
""",
    "slipway_sees_every_row(text)": """
CREATE FUNCTION slipway_sees_every_row(of_table text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((slipway_rows() -> 'all') ?| ARRAY[of_table, '*'], false)
""",
    "slipway_owner(text)": """
CREATE FUNCTION slipway_owner(of_table text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN slipway_rows() -> 'own' ->> of_table
""",
    "slipway_caller()": """
CREATE FUNCTION slipway_caller() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN slipway_rows() ->> 'caller'
""",
}


def install_row_functions() -> None:
    """Create the functions that policies call."""
    for source in FUNCTIONS.values():
        op.execute(source)


def remove_row_functions() -> None:
    """Undo `install_row_functions`."""
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")


def secure_rows(table: str, owner: str, *, type_: str = "text", through: str | None = None) -> None:
    """Let roles that do not own `table` see and change only rows whose column `owner` is the caller's, with their
    history, and replay only the caller's own stored responses.

    `type_` is the column's type if it is no text: `uuid` or `bigint`. If the owner is that of a parent, `owner` is the
    foreign key and `through` the parent's table, which has policies of its own. Other policies of the table cannot show
    more.
    """
    name, column = literal(table), quoted(owner)
    # In subqueries, which PostgreSQL evaluates once for a statement and not for each row.
    every, own = f"(SELECT slipway_sees_every_row({name}))", f"(SELECT slipway_owner({name}))"
    past = f'"row" ->> {literal(owner)}'
    if through is None:
        mine, was_mine = f"{column} = {own if type_ == 'text' else f'{own}::{type_}'}", f"{past} = {own}"
    else:
        parents = f"EXISTS (SELECT FROM {quoted(through)} AS _owner WHERE _owner.id = "
        mine = f"{parents}{quoted(table)}.{column})"
        # Other tables may have a member of this name that is no UUID.
        was_mine = f"{parents}(CASE WHEN table_name = {name} THEN ({past})::uuid END))"
    for secured in (HISTORY, RECORDS):
        _enable(secured)
    op.execute(f"""
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = current_schema() AND policyname = '{CALLER}') THEN
    CREATE POLICY {CALLER} ON {RECORDS} AS RESTRICTIVE
    USING ((SELECT slipway_sees_every_row('{RECORDS}')) OR caller = (SELECT slipway_caller()));
  END IF;
END $$""")
    op.execute(f"""
CREATE POLICY {quoted(history_policy(table, owner))} ON {HISTORY} AS RESTRICTIVE USING (
  table_name <> {name} OR {every}
  OR {was_mine} AND EXISTS (SELECT FROM {quoted(table)} AS _now WHERE _now.id = row_id)
)""")
    _enable(table)
    op.execute(
        f"CREATE POLICY {quoted(owner_policy(owner))} ON {quoted(table)} AS RESTRICTIVE USING ({every} OR {mine})"
    )


def unsecure_rows(table: str, owner: str) -> None:
    """Undo `secure_rows`. A table that is secured by another column as well stays so. With the last secured table,
    history and stored responses are no longer secured either."""
    op.execute(f"DROP POLICY {quoted(owner_policy(owner))} ON {quoted(table)}")
    op.execute(f"DROP POLICY {quoted(history_policy(table, owner))} ON {HISTORY}")
    _disable_unless_restricted(table, table)
    _disable_unless_restricted(HISTORY, HISTORY, RECORDS)


def _enable(table: str) -> None:
    """Enable row-level security, with a policy that shows every row to restrict: without any, all are hidden."""
    op.execute(f"""
DO $$ BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_policies
    WHERE schemaname = current_schema() AND tablename = {literal(table)} AND policyname = '{EVERY_ROW}'
  ) THEN
    ALTER TABLE {quoted(table)} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY {EVERY_ROW} ON {quoted(table)} USING (true);
  END IF;
END $$""")


def _disable_unless_restricted(table: str, *tables: str) -> None:
    """Disable row-level security of the tables, unless a policy restricts the rows of `table`."""
    disable = "\n".join(
        f"    DROP POLICY {EVERY_ROW} ON {quoted(one)};\n"
        f"    DROP POLICY IF EXISTS {CALLER} ON {quoted(one)};\n"
        f"    ALTER TABLE {quoted(one)} DISABLE ROW LEVEL SECURITY;"
        for one in tables
    )
    op.execute(f"""
DO $$ BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_policies
    WHERE schemaname = current_schema() AND tablename = {literal(table)} AND permissive = 'RESTRICTIVE'
  ) THEN
{disable}
  END IF;
END $$""")
