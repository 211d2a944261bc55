"""`slipway openapi`: the API's description."""

import json

import typer

from service.cli.runtime import clear_errors
from service.cli.settings import SETTINGS
from service.config import Environment
from service.config.check import load
from service.main import create_app


@clear_errors
def openapi() -> None:
    """Print the OpenAPI document as JSON. It needs no database."""
    app = create_app(load(SETTINGS, app={"environment": Environment.TEST}, redis={"enabled": False}))
    typer.echo(json.dumps(app.openapi(), indent=2, ensure_ascii=False))
