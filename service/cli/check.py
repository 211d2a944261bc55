"""`slipway check`: the settings, as the service would see them."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message
from service.config.check import effective


@exit_with_message
def check() -> None:
    """Print the effective settings, secrets masked; refuse wrong and unsafe ones, all reasons at once.

    Exit codes: 0 good, 3 wrong or unsafe settings, one line for each on standard error.
    """
    for name, value in effective(load_settings()):
        typer.echo(f"{name}={value}")
