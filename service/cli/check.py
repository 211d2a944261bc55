"""`slipway check`: print the effective settings."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message
from service.config.loading import effective


@exit_with_message
def check() -> None:
    """Print the effective settings with secrets masked, or every reason why they are wrong or unsafe.

    Exit codes: 0 valid, 3 wrong or unsafe settings, with a line for each on standard error.
    """
    for name, value in effective(load_settings()):
        typer.echo(f"{name}={value}")
