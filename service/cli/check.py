"""`slipway check`: the settings, as the service would see them."""

import typer

from service.cli.runtime import clear_errors
from service.cli.settings import load_settings
from service.config.check import effective


@clear_errors
def check() -> None:
    """Print the effective settings, secrets masked; refuse wrong and unsafe ones, all reasons at once.

    Exit codes: 0 good, 3 wrong or unsafe settings, one line for each on standard error.
    """
    for name, value in effective(load_settings()):
        typer.echo(f"{name}={value}")
