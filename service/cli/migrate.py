"""`slipway migrate`: the schema."""

from typing import Annotated

import typer

from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run
from service.config import Environment, Settings
from service.migrations import rendering, revisions, runner

EMPTY = "none"
Start = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="REVISION",
        help="With --sql: start here, and ask no database. `none` is an empty one.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0, max=3600, help="Seconds to wait for the database and its locks (--check: for the head)."
    ),
]


@exit_with_message
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; succeed only if the database is at the head.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Change nothing; print what would be run, as a script for psql.")
    ] = False,
    to: Annotated[str, typer.Option(metavar="REVISION", help="Go to this revision, no further.")] = "head",
    from_: Start = "",
    wait: Wait = 0,
) -> None:
    """Bring the database to the schema of this version. At the head it does nothing, quickly.

    Refuses a database whose encoding is not UTF8, and migrations with two heads or a duplicate revision id.

    Exit codes: 0 done, 2 no such revision, 3 wrong settings, 4 database not reached, 6 migration failed or refused,
    7 not at the head.
    """
    if from_ and not sql:
        raise CommandError("--from goes with --sql", Exit.USAGE)
    if from_ and wait:
        raise CommandError("--from asks no database, so there is nothing to --wait for", Exit.USAGE)
    if check and (sql or to != "head"):
        raise CommandError("--check goes with neither --sql nor --to", Exit.USAGE)
    revisions.revisions()  # refuse contradictory migrations before connecting
    # What asks no database needs no password either.
    settings = load_settings(**({"app": {"environment": Environment.TEST}} if from_ else {}))
    if check:
        typer.echo(f"the database is at revision {run(runner.check(settings, wait=wait))}")
    elif sql:
        typer.echo(_script(settings, from_, revisions.known(to), wait), nl=False)
    else:
        done = run(runner.upgrade(settings, to=to, wait=wait))
        typer.echo(f"{'migrated to' if done.changed else 'already at'} revision {done.after}")


def _script(settings: Settings, before: str, target: str, wait: float) -> str:
    if before == EMPTY:
        return rendering.script(settings, before=None, target=target)
    start = revisions.known(before) if before else run(runner.revision_of(settings, wait=wait))
    return rendering.script(settings, before=start, target=target)
