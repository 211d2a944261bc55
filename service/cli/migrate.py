"""`slipway migrate`: bring the database schema up to date, or check it."""

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
        help="With --sql: start at this revision without connecting; `none` is an empty database.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0, max=3600, help="Seconds to wait for the database and its locks, or with --check for the head."
    ),
]


@exit_with_message
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail unless the database is at the head.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Change nothing; print the SQL as a script for psql.")
    ] = False,
    to: Annotated[str, typer.Option(metavar="REVISION", help="Stop at this revision.")] = "head",
    from_: Start = "",
    wait: Wait = 0,
) -> None:
    """Migrate the database to the schema of this version. Does nothing if it is already there.

    Refuses a database whose encoding is not UTF8, and migrations with two heads or a duplicate revision id.

    Exit codes: 0 done, 2 unknown revision, 3 wrong settings, 4 database unreachable, 6 migration failed or refused,
    7 not at the head.
    """
    if from_ and not sql:
        raise CommandError("--from needs --sql", Exit.USAGE)
    if from_ and wait:
        raise CommandError("--from does not connect to a database: omit --wait", Exit.USAGE)
    if check and (sql or to != "head"):
        raise CommandError("--check cannot be combined with --sql or --to", Exit.USAGE)
    revisions.revisions()  # refuse contradictory migrations before connecting
    # Without a connection, no password is needed.
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
