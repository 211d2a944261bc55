"""The command line, by Typer."""

from collections.abc import Sequence

import typer

from service import __version__, cli
from service.cli import COMMANDS, imported


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the command line. If the arguments name a command, only that command is imported."""
    app = typer.Typer(
        name="slipway",
        help=str(cli.__doc__).replace("\n7", " 7"),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(root)
    called = [name for name in arguments[:1] if name in COMMANDS]
    for name in called or COMMANDS:
        command = imported(*COMMANDS[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """From a SQLModel class to an observable, audited, zero-downtime API on Kubernetes."""
