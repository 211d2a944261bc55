"""`slipway serve`: the service itself."""

import uvloop

from service.admin import create_admin_app
from service.cli.runtime import clear_errors
from service.config import Settings
from service.http.server import serve as serve_both
from service.main import create_app
from service.observability import logs
from service.settings_check import load


@clear_errors
def serve() -> None:
    """Serve the API and the admin port until SIGTERM.

    A database that cannot be reached does not end it: it is not ready, and goes on trying.
    """
    run_server(load())


def run_server(settings: Settings) -> None:
    """Serve in this process until a signal comes. Raises `PortTakenError`."""
    logs.configure(settings.logging)
    app = create_app(settings)
    admin = create_admin_app(app.state.health, metrics=settings.monitoring.metrics)
    uvloop.run(serve_both(app, admin, settings.server, app.state.lifecycle))
