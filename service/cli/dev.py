"""`slipway dev`: the service on a developer's machine, with an embedded PostgreSQL and Redis and sample data."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvloop

from service.cli.command_settings import SETTINGS
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message
from service.config import Settings
from service.config.loading import load
from service.dev.banner import banner
from service.dev.data_folder import locked
from service.dev.database_setup import set_up_database
from service.dev.errors import LocalServerError, PortInUseError
from service.dev.instance import FOLDER, published
from service.dev.servers import check_ports, development_arguments, embedded_servers
from service.domains import DOMAINS
from service.health.admin_port import create_admin_app
from service.http.server.lifecycle import Lifecycle
from service.http.server.run import Applications
from service.http.server.run import serve as serve_both
from service.main import create_app
from service.observability import logs

POLL_SECONDS = 0.02
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Port = Annotated[
    int | None, typer.Option(envvar="PORT", min=1, max=65535, help="Public port [default: 8000].")
]
AdminPort = Annotated[
    int | None, typer.Option(envvar="ADMIN_PORT", min=1, max=65535, help="Admin port [default: 9000].")
]
Data = Annotated[Path, typer.Option(help="Folder for the servers' data, keys and logs.")]


@exit_with_message
def dev(*, port: Port = None, admin_port: AdminPort = None, data: Data = FOLDER) -> None:
    """Serve on this machine with embedded PostgreSQL and Redis, and sample data.

    Ctrl-C stops everything and keeps the data. To use other servers, set SLIPWAY_DATABASE__URL and SLIPWAY_REDIS__URL.
    """
    try:
        with _ended_by_signals(), locked(data.absolute()) as folder:
            _run(folder, port, admin_port)
    except PortInUseError as error:
        raise CommandError(str(error), Exit.PORT_TAKEN) from None
    except LocalServerError as error:
        raise CommandError(str(error), Exit.UNAVAILABLE) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


def _run(folder: Path, port: int | None, admin_port: int | None) -> None:
    arguments = development_arguments(SETTINGS, folder, port=port, admin_port=admin_port)
    settings = load(SETTINGS, **arguments)
    logs.configure(settings.logging)
    check_ports(settings)
    with embedded_servers(SETTINGS, folder, arguments, _say) as settings:
        try:
            seeds = [domain.seed for domain in DOMAINS if domain.seed is not None]
            quick_start = asyncio.run(set_up_database(settings, folder, seeds, _say))
            with published(folder, settings):
                uvloop.run(_serve(settings, banner(settings, quick_start, folder)))
        finally:
            _say("stopping")
            _ignore_signals()
    _say(f"stopped; the data is in {folder}")


async def _serve(settings: Settings, welcome: str) -> None:
    """Serve until a signal arrives. Prints `welcome` once the service answers requests."""
    app = create_app(settings)
    admin = create_admin_app(app.state.health, settings, app.state.lifecycle)
    lifecycle, entrance = app.state.lifecycle, app.state.entrance
    greeting = asyncio.create_task(_greet(lifecycle, welcome))
    try:
        await serve_both(Applications(app, admin, lifecycle, entrance), settings.server)
    finally:
        greeting.cancel()


async def _greet(lifecycle: Lifecycle, welcome: str) -> None:
    while not lifecycle.started:  # noqa: ASYNC110  # a flag for the probes, without an event to wait for
        await asyncio.sleep(POLL_SECONDS)
    typer.echo(welcome)


def _say(line: str) -> None:
    typer.echo(f"slipway: {line}", err=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that the servers are always stopped."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGTERM)  # once the server runs, it drains on SIGTERM

    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Ignore signals while the servers stop; each step has a timeout."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
