"""Settings of `slipway purge`."""

from tests.process.served import Served, slipway
from tests.process.settings.table import Given, Running, Setup, process, setting

OLD, BUSY = (1, 8, 20), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # days since each version, newest first
ENDED = (0.5, 1, 5)  # days since the end of each key
ROW = """
INSERT INTO row_history (table_name, row_id, version, action, actor, at, row)
SELECT $1, item.id, cardinality($2::float[]) + 1 - place, 'update', 'test',
  now() - make_interval(secs => age * 86400), '{}'
FROM (SELECT gen_random_uuid() AS id) AS item, unnest($2::float[]) WITH ORDINALITY AS v (age, place)
"""
KEYS = """
INSERT INTO api_key (id, name, prefix, secret_hash, scopes, revoked_at)
SELECT gen_random_uuid(), 'old', 'p' || age, '', '{}', now() - make_interval(secs => age * 86400)
FROM unnest($1::float[]) AS age
"""
LEFT = "SELECT version FROM row_history WHERE table_name = $1 ORDER BY version"


def purge(setup: Setup, given: Given) -> Served:
    """Run the command, which is the process under test, to its end."""
    done = slipway(setup.home, "purge", **given)
    assert done.returncode == 0, done.stderr
    return None  # type: ignore[return-value]  # nothing to talk to


@process("purge", purge)
def aged(setup: Setup) -> Given:
    run = Running(setup, None)  # type: ignore[arg-type]  # no process yet
    run.sql(ROW, "old", OLD)
    run.sql(ROW, "busy", BUSY)
    run.sql(KEYS, ENDED)
    return {"database__url": setup.database_url}


@setting("retention__history_days", 6, process="purge")
def version_that_was_current_then_is_the_oldest(run: Running) -> None:
    assert [row[0] for row in run.sql(LEFT, "old")] == [2, 3]


@setting("retention__history_versions", 4, process="purge")
def newest_versions_are_kept(run: Running) -> None:
    assert [row[0] for row in run.sql(LEFT, "busy")] == [3, 4, 5, 6]


@setting("retention__key_days", 4, process="purge")
def keys_that_ended_later_are_kept(run: Running) -> None:
    assert [row[0] for row in run.sql("SELECT prefix FROM api_key ORDER BY 1")] == ["p0.5", "p1"]
