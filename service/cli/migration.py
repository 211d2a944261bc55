"""`slipway migration`: write the file of a new migration of a domain."""

import re
from typing import Annotated

import typer

from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message
from service.domains import DOMAINS
from service.migrations import new_revision
from service.resources.domain import tables_of

PLAIN = re.compile(r'[^"\\\n]+')


@exit_with_message
def migration(
    domain: Annotated[str, typer.Argument(help="Name of the domain, as in `DOMAINS`.")],
    message: Annotated[str, typer.Argument(help="What it does, in a sentence: the first line of the file.")],
) -> None:
    """Write the file of a new migration into `service/domains/migrations/`, after the newest one. It needs no database.

    It creates the domain's tables that no migration creates yet, with their indexes and row history. For any other
    change, fill in its `upgrade` and `downgrade`.
    """
    if not PLAIN.fullmatch(message):
        raise CommandError("MESSAGE is one line without quotation marks and backslashes", Exit.USAGE)
    known = {one.name: one for one in DOMAINS}
    if domain not in known:
        listed = ", ".join(known) or "none"
        raise CommandError(f"service/domains has no domain {domain}; it has {listed}", Exit.USAGE)
    typer.echo(new_revision.write(domain, message, tables_of(known[domain])))
