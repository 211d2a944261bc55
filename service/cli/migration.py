"""`slipway migration`: write the file of a new migration of a domain."""

import re
from typing import Annotated

import typer

from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message
from service.domains import DOMAINS
from service.migrations import new_revision

PLAIN = re.compile(r'[^"\\\n]+')


@exit_with_message
def migration(
    domain: Annotated[str, typer.Argument(help="Name of the domain, as in `DOMAINS`.")],
    message: Annotated[str, typer.Argument(help="What it does, in a sentence: the first line of the file.")],
) -> None:
    """Write the file of a new migration into `service/domains/migrations/`, after the newest one. It needs no database.

    Fill in its `upgrade` and `downgrade`.
    """
    if not PLAIN.fullmatch(message):
        raise CommandError("MESSAGE is one line without quotation marks and backslashes", Exit.USAGE)
    names = [known.name for known in DOMAINS]
    if domain not in names:
        listed = ", ".join(names) or "none"
        raise CommandError(f"service/domains has no domain {domain}; it has {listed}", Exit.USAGE)
    typer.echo(new_revision.write(domain, message))
