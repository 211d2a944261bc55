"""`slipway check`: print the effective settings, and the indexes that lists lack."""

import typer

from service.cli.command_settings import load_settings
from service.cli.runtime import exit_with_message
from service.config.loading import effective
from service.domains import DOMAINS
from service.resources.declaration.list_indexes import missing_indexes
from service.resources.domain import resources_of


@exit_with_message
def check() -> None:
    """Print the effective settings with secrets masked, or every error that makes them invalid or unsafe.

    Then, on standard error, a line for each index that lists need as their tables grow.

    Exit codes: 0 valid, 3 invalid or unsafe settings, with one line per error on standard error.
    """
    for name, value in effective(load_settings()):
        typer.echo(f"{name}={value}")
    for resource in resources_of(DOMAINS):
        for missing in missing_indexes(resource):
            typer.echo(f"slipway: {missing}", err=True)
