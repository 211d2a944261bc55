"""`slipway migration`: write the next migrations of a domain."""

import re
from typing import Annotated

import typer

from service.cli.command_settings import SETTINGS
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message
from service.config import Environment
from service.config.loading import load
from service.domains import DOMAINS
from service.migrations import new_revision
from service.migrations.model_changes import plan
from service.migrations.policies import Owning
from service.resources.domain import Domain, tables_of

PLAIN = re.compile(r'[^"\\\n]+')


@exit_with_message
def migration(
    domain: Annotated[str, typer.Argument(help="Name of the domain, as in `DOMAINS`.")],
    message: Annotated[str, typer.Argument(help="What it does, in a sentence: the first line of the file.")],
) -> None:
    """Write the next migrations of a domain into `service/domains/migrations/`, and print their paths. It needs no
    database.

    They create the tables, columns, constraints and indexes that the domain's models have and no migration creates,
    without blocking a service that runs; and unless SLIPWAY_DATABASE__ROW_SECURITY is `disable`, row-level security for
    owners. Other differences are printed, for you to write. If there is nothing to create, the file does nothing:
    fill in its `upgrade` and `downgrade`.
    """
    if not PLAIN.fullmatch(message):
        raise CommandError("MESSAGE is one line without quotation marks and backslashes", Exit.USAGE)
    known = {one.name: one for one in DOMAINS}
    if domain not in known:
        listed = ", ".join(known) or "none"
        raise CommandError(f"service/domains has no domain {domain}; it has {listed}", Exit.USAGE)
    needed = plan(tables_of(known[domain]), _secured(known[domain]))
    for path in new_revision.write(domain, message, needed.revisions):
        typer.echo(path)
    for difference in needed.by_hand:
        typer.echo(f"slipway: write by hand: {difference}", err=True)


def _secured(domain: Domain) -> list[Owning] | None:
    """Return the owners' columns that row-level security needs; None if the setting is `disable`."""
    # Without a connection, no password is needed.
    settings = load(SETTINGS, app={"environment": Environment.TEST})
    if settings.database.row_security == "disable":
        return None
    return [
        Owning(one.table.c[one.owner.field], one.owner_parent)
        for one in domain.resources
        if one.owner is not None
    ]
