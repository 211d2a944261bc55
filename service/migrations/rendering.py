"""Migrations as SQL for psql. Needs no database."""

from io import StringIO

from alembic import command

from service import __version__
from service.config import Settings
from service.migrations import encoding, grants
from service.migrations.branches import CHASSIS, DOMAINS, Branch, known
from service.migrations.migration_connection import LOCK
from service.migrations.revisions import Position, is_known, steps
from service.migrations.runner import configuration
from service.migrations.version_tables import recording
from service.models.sql_identifiers import literal

HEAD = """\
-- slipway {version}: from revision {before} to {after}. For psql, as the role that owns the tables.
\\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET lock_timeout = '{lock_timeout}ms';
SELECT pg_advisory_lock({lock});

DO $$ BEGIN
  IF {encoding} <> '{needed}' THEN
    RAISE EXCEPTION 'the database''s encoding is %, but {needed} is needed', {encoding};
  END IF;
{refusals}END $$;

{recording}"""
REFUSE = """\
  IF {elsewhere} THEN
    RAISE EXCEPTION 'the database is not at revision {before}';
  END IF;
"""
# PL/pgSQL plans a condition when it gets there: the table may be missing.
UNLESS_MISSING = "to_regclass('{table}') IS NULL THEN\n    NULL;\n  ELSIF {elsewhere}"
EMPTY = "to_regclass('{table}') IS NOT NULL"
AT = "(SELECT version_num FROM {table}) IS DISTINCT FROM {revision}"
TAIL = "SELECT pg_advisory_unlock({lock});\n"


def script(settings: Settings, *, before: Position, target: Position) -> str:
    """Return what `upgrade` would run on a database at `before`, as a psql script.

    The script stops at the first error, and changes nothing in a database at other revisions. Raises
    `BackwardsError`.
    """
    missing, role = steps(before, target), settings.database.app_role
    if not missing and before.recorded and not (role and is_known(before)):
        return f"-- slipway {__version__}: the database is at revision {before}; nothing to do.\n"
    values = {
        "version": __version__,
        "before": before,
        "after": before.after(missing),
        "lock": LOCK,
        "lock_timeout": round(settings.database.migration_lock_timeout * 1000),
        "encoding": encoding.QUERY,
        "needed": encoding.NEEDED,
        "refusals": _refusals(before),
        "recording": "".join(f"{statement};\n\n" for statement in ("BEGIN", *recording(before), "COMMIT")),
    }
    return "".join(
        [
            HEAD.format(**values),
            *(
                statements(branch, revision)
                for branch, revisions in missing.items()
                for revision in revisions
            ),
            grants.script(role) if role else "",
            TAIL.format(**values),
        ]
    )


def _refusals(before: Position) -> str:
    """Return the checks that stop the script if the database is at other revisions."""
    table, revision = DOMAINS.table, "NULL" if before.domains is None else literal(before.domains)
    domains = AT.format(table=table, revision=revision)
    if not before.recorded:
        domains = UNLESS_MISSING.format(table=table, elsewhere=domains)
    chassis = AT if before.chassis else EMPTY
    chassis = chassis.format(table=CHASSIS.table, revision=literal(before.chassis or ""))
    return "".join(REFUSE.format(elsewhere=elsewhere, before=before) for elsewhere in (chassis, domains))


def statements(branch: Branch, revision: str) -> str:
    """Return the SQL of one revision, including its transaction and the update of the version table."""
    line = known(branch)
    at = line.index(revision)
    buffer = StringIO()
    command.upgrade(
        configuration(branch, output_buffer=buffer), f"{line[at - 1] if at else 'base'}:{revision}", sql=True
    )
    # The script has already created this table, since its absence marks a database from before the branches.
    made = f"CREATE TABLE {DOMAINS.table} "
    return buffer.getvalue().replace(made, made.replace("TABLE", "TABLE IF NOT EXISTS"), 1)
