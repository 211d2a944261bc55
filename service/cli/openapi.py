"""`slipway openapi`: print the OpenAPI document."""

import json

import typer

from service.cli.command_settings import SETTINGS
from service.cli.runtime import exit_with_message
from service.config import Environment
from service.config.loading import load
from service.main import create_app


@exit_with_message
def openapi() -> None:
    """Print the OpenAPI document as JSON. Needs no database."""
    app = create_app(load(SETTINGS, app={"environment": Environment.TEST}, redis={"enabled": False}))
    typer.echo(json.dumps(app.openapi(), indent=2, ensure_ascii=False))
