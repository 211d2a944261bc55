"""`slipway serve`: run the service."""

import uvloop

from service.cli import without_pydantic_v1  # noqa: F401  # before any route is made
from service.cli.runtime import exit_with_message
from service.config import Settings
from service.config.loading import load
from service.domains import DOMAINS
from service.health.admin_port import create_admin_app
from service.http.server.run import Applications
from service.http.server.run import serve as serve_both
from service.main import create_app
from service.migrations import branches
from service.observability import logs
from service.resources.domain import settings_of


@exit_with_message
def serve() -> None:
    """Serve the API and the admin port until SIGTERM.

    While the database is unreachable, the service is not ready and keeps trying to connect.
    """
    run_server(load(settings_of(DOMAINS)))


def run_server(settings: Settings) -> None:
    """Serve until a signal arrives, in this process or in as many workers as configured. Raises `PortTakenError`
    or `ScriptsError`."""
    logs.configure(settings.logging)
    branches.scripts()  # here, so that workers do not fail one by one
    if settings.server.workers > 1:
        from service.http.server import workers  # noqa: PLC0415  # gunicorn is needed for several workers only

        workers.run(lambda: _applications(settings), settings.server)
        return
    uvloop.run(serve_both(_applications(settings), settings.server))


def _applications(settings: Settings) -> Applications:
    app = create_app(settings)
    admin = create_admin_app(app.state.health, settings, app.state.lifecycle)
    return Applications(app, admin, app.state.lifecycle, app.state.entrance)
