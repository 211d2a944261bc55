"""`slipway check`: print the effective settings."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message
from service.config.loading import effective


@exit_with_message
def check() -> None:
    """Print the effective settings with secrets masked, or every error that makes them invalid or unsafe.

    Exit codes: 0 valid, 3 invalid or unsafe settings, with one line per error on standard error.
    """
    for name, value in effective(load_settings()):
        typer.echo(f"{name}={value}")
