"""The service, its schema and its keys.

Exit codes: 0 success, 1 failure, 2 usage, 3 settings, 4 database not reached, 5 port taken, 6 migration failed,
7 database not at the head.
"""

import typer

from service import __version__
from service.cli import keys
from service.cli.check import check
from service.cli.dev import dev
from service.cli.importing import import_
from service.cli.migrate import migrate
from service.cli.openapi import openapi
from service.cli.purge import purge
from service.cli.seed import seed
from service.cli.serve import serve

app = typer.Typer(
    name="slipway",
    help=__doc__.replace("\n7", " 7"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (serve, dev, migrate, check, seed, purge, openapi):
    app.command()(command)
app.command("import")(import_)
app.add_typer(keys.app, name="keys")


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """From a SQLModel class to an observable, audited, zero-downtime API on Kubernetes."""


def main() -> None:
    """Entry point of the `slipway` command."""
    app()
