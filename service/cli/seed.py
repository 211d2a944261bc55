"""`slipway seed`: load the sample data of the domains."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message, run, session_of
from service.config import Settings
from service.domains import DOMAINS
from service.migrations import runner


@exit_with_message
def seed() -> None:
    """Load the sample data of the domains. Existing rows are left unchanged, even if edited or deleted.

    The database must be at the head.
    """
    for line in run(_seed(load_settings())) or ["no domain provides sample data"]:
        typer.echo(line)


async def _seed(settings: Settings) -> list[str]:
    await runner.check(settings)
    async with session_of(settings) as session:
        return [await domain.seed.load(session) for domain in DOMAINS if domain.seed is not None]
