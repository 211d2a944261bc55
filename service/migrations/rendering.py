"""Migrations as SQL, for whoever reads them before they run, or runs them by hand. Nothing here needs a database."""

from io import StringIO

from alembic import command

from service import __version__
from service.config import Settings
from service.migrations import encoding, grants
from service.migrations.revisions import reached, revisions
from service.migrations.runner import LOCK, configuration

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
  IF {elsewhere} THEN
    RAISE EXCEPTION 'the database is not at revision {before}';
  END IF;
END $$;

"""
EMPTY = "to_regclass('alembic_version') IS NOT NULL"
AT = "(SELECT version_num FROM alembic_version) IS DISTINCT FROM '{before}'"
TAIL = "SELECT pg_advisory_unlock({lock});\n"


def script(settings: Settings, *, before: str | None, target: str) -> str:
    """What `upgrade` would run on a database at `before` (None: an empty one), as a script for psql.

    It stops at the first error, and before anything is done when the database is at another revision. Raises
    `BackwardsError`.
    """
    known, role = revisions(), settings.database.app_role
    if reached(before, target) and not (role and before in known):
        return f"-- slipway {__version__}: the database is at revision {before}, there is nothing to do.\n"
    values = {
        "version": __version__,
        "before": before or "none",
        "after": target,
        "lock": LOCK,
        "lock_timeout": round(settings.database.migration_lock_timeout * 1000),
        "encoding": encoding.QUERY,
        "needed": encoding.NEEDED,
        "elsewhere": AT.format(before=before) if before else EMPTY,
    }
    steps = known[known.index(before) + 1 if before else 0 : known.index(target) + 1]
    return "".join(
        [
            HEAD.format(**values),
            *(statements(step) for step in steps),
            grants.script(role) if role else "",
            TAIL.format(**values),
        ]
    )


def statements(revision: str) -> str:
    """The SQL of one revision, with its transaction and the note of the revision."""
    known = revisions()
    at = known.index(revision)
    buffer = StringIO()
    command.upgrade(
        configuration(output_buffer=buffer), f"{known[at - 1] if at else 'base'}:{revision}", sql=True
    )
    return buffer.getvalue()
