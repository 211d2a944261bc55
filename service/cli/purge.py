"""`slipway purge`: delete expired idempotency records."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message, run
from service.config import Settings
from service.database import Database
from service.migrations import runner
from service.resources.requests.idempotency import IdempotencyStore


@exit_with_message
def purge() -> None:
    """Delete stored responses to requests with an Idempotency-Key, once older than SLIPWAY_APP__IDEMPOTENCY_HOURS.

    Exit codes: 0 done, 4 database unreachable, 7 database not at the head.
    """
    count = run(_purge(load_settings(database={"acquire_timeout": 10.0})))
    typer.echo(f"{count} expired idempotency records deleted")


async def _purge(settings: Settings) -> int:
    await runner.check(settings)
    database = Database(settings)
    await database.start()
    try:
        return await IdempotencyStore(database, settings.app.idempotency_hours).purge()
    finally:
        await database.stop()
