"""`slipway migrate`: bring the database schema up to date, or check it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run, session_of
from service.config import Environment, Settings
from service.migrations import branches, rendering, revisions, runner
from service.migrations.branches import CHASSIS, DOMAINS
from service.migrations.revisions import Position
from service.security.api_keys import admin_key
from service.security.api_keys.key_format import KeyParts

EMPTY = "none"
To = Annotated[
    str,
    typer.Option(
        metavar="REVISION",
        help="Stop at this revision. A chassis revision leaves the domains unchanged; a domains revision first "
        "brings the chassis to its head.",
    ),
]
Start = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="REVISION",
        help="With --sql: start at this revision without connecting; `none` means an empty database. Repeat it to name "
        "the revision of the domains; without that, the database predates the two branches.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0, max=3600, help="Seconds to wait for the database and its locks, or with --check for the heads."
    ),
]


@exit_with_message
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail unless the database is at the heads.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Change nothing; print the SQL as a psql script.")
    ] = False,
    to: To = "head",
    from_: Start = None,
    wait: Wait = 0,
) -> None:
    """Migrate the database to the schema of this version: first the chassis, then the domains. Does nothing if it is
    up to date. At the heads, creates the API key of SLIPWAY_SECURITY__ADMIN_KEY if it does not exist.

    Refuses a database whose encoding is not UTF8, a branch with two heads, and a duplicate revision id.

    Exit codes: 0 done, 2 unknown revision, 3 wrong settings, 4 database unreachable, 6 migration failed or refused,
    7 not at the heads.
    """
    if from_ and not sql:
        raise CommandError("--from needs --sql", Exit.USAGE)
    if from_ and wait:
        raise CommandError("--from does not connect to a database: omit --wait", Exit.USAGE)
    if check and (sql or to != "head"):
        raise CommandError("--check cannot be combined with --sql or --to", Exit.USAGE)
    branches.scripts()  # refuse contradictory migrations before connecting
    start, target = _start(from_ or []), revisions.target(to)
    # Without a connection, no password is needed.
    settings = load_settings(**({"app": {"environment": Environment.TEST}} if start else {}))
    if check:
        done = run(runner.check(settings, wait=wait))
        typer.echo(f"the database is at revision {done.position}")
        if done.unfinished:
            typer.echo(f"slipway: {done.unfinished}", err=True)
    elif sql:
        before = start or run(runner.position_of(settings, wait=wait))
        typer.echo(rendering.script(settings, before=before, target=target), nl=False)
    else:
        _upgrade(settings, to, wait)


def _upgrade(settings: Settings, to: str, wait: float) -> None:
    try:
        given = settings.security.admin_key.get_secret_value()
        key = admin_key.parse(given) if given else None
    except admin_key.AdminKeyError as error:
        raise CommandError(str(error), Exit.SETTINGS) from None
    done = run(runner.upgrade(settings, to=to, wait=wait))
    typer.echo(f"{'migrated to' if done.changed else 'already at'} revision {done.after}")
    if key is not None and to == "head":
        run(_ensure(settings, key))


async def _ensure(settings: Settings, key: KeyParts) -> None:
    try:
        async with session_of(settings) as session:
            await admin_key.ensure_admin_key(session, key)
    except admin_key.AdminKeyError as error:
        raise CommandError(str(error), Exit.MIGRATION) from None


def _start(given: Sequence[str]) -> Position | None:
    """Return where `--from` says that the database is; None if it does not say."""
    if not given:
        return None
    if list(given) == [EMPTY]:
        return Position(recorded=False)
    named = {revisions.branch_of(revision): revision for revision in given}
    if CHASSIS not in named or len(named) < len(given):
        raise CommandError(
            "--from must be `none`, or a chassis revision, optionally with a second --from for a domains revision",
            Exit.USAGE,
        )
    chassis, domains = named[CHASSIS], named.get(DOMAINS)
    return revisions.found(chassis, domains, recorded=domains is not None)
