"""`slipway seed`: put the sample catalogue into a database."""

import typer

from service.cli.runtime import clear_errors, run
from service.cli.settings import load_settings
from service.config import Settings
from service.database import Database
from service.migrations import runner
from service.sample.load import Loaded, load_sample


@clear_errors
def seed() -> None:
    """Load the sample catalogue: 14 categories and over 1 000 products. Running it again adds nothing.

    What exists stays as it is, even if it was changed or deleted. The database must be at the head.
    """
    typer.echo(f"sample catalogue: {run(_seed(load_settings()))}")


async def _seed(settings: Settings) -> Loaded:
    await runner.check(settings)
    database = Database(settings)
    try:
        async with database.session() as session:
            return await load_sample(session)
    finally:
        await database.stop()
