"""`slipway migrate`: the schema."""

from typing import Annotated

import typer

from service.cli.runtime import clear_errors, load_settings, run
from service.migrations import runner


@clear_errors
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; succeed only if the database is at the head.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Seconds to wait for the database (with --check: for the head)."),
    ] = 0,
) -> None:
    """Bring the database to the schema of this version. At the head it does nothing, quickly.

    Exit codes: 0 done, 3 wrong settings, 4 database not reached, 6 migration failed, 7 not at the head.
    """
    settings = load_settings()
    if check:
        run(runner.check(settings, wait=wait))
        typer.echo(f"the database is at revision {runner.head()}")
    elif run(runner.upgrade(settings, wait=wait)):
        typer.echo(f"migrated to revision {runner.head()}")
    else:
        typer.echo(f"already at revision {runner.head()}")
