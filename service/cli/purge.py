"""`slipway purge`: delete what the settings no longer keep."""

import typer

from service.cli.command_settings import load_settings
from service.cli.errors import CommandError
from service.cli.runtime import exit_with_message, run
from service.config import Settings
from service.database import Database
from service.migrations import runner
from service.resources.history.errors import HistoryPrivilegeError
from service.resources.history.prune_history import prune_history
from service.resources.purge_expired import ExpiredRows


@exit_with_message
def purge() -> None:
    """Delete what is older than the settings say: stored responses to requests with an Idempotency-Key
    (SLIPWAY_APP__IDEMPOTENCY_HOURS), and, if set, row history and ended API keys (SLIPWAY_RETENTION__…).

    Works in small batches while the service runs. Row history needs the role that migrates.

    Exit codes: 0 done, 1 row history may not be changed, 4 database unreachable, 7 database not at the head.
    """
    run(_purge(load_settings(database={"acquire_timeout": 10.0})))


async def _purge(settings: Settings) -> None:
    await runner.check(settings)
    database = Database(settings)
    await database.start()
    rules = settings.retention
    try:
        expired = ExpiredRows(database, settings)
        typer.echo(f"{await expired.purge_records()} expired idempotency records deleted")
        if rules.key_days:
            typer.echo(f"{await expired.purge_keys()} revoked or expired API keys deleted")
        if rules.history_days or rules.history_versions:
            typer.echo(f"{await prune_history(database, rules)} versions of row history deleted")
    except HistoryPrivilegeError as error:
        raise CommandError(str(error)) from None
    finally:
        await database.stop()
