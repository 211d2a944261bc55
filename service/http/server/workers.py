"""Several processes on the same two ports: uvicorn workers under gunicorn.

Each worker serves both ports like a single process, with its own pools, caches and probes. Metrics are summed over the
workers through files, in a directory that must be set before prometheus-client is imported.
"""

import asyncio
import logging
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from prometheus_client import multiprocess
from uvicorn_worker import UvicornWorker

from service.config import METRICS_FOLDER, child_environment
from service.config.server import ServerSettings
from service.http.server.listeners import listeners
from service.http.server.run import Applications, serve_on
from service.observability import logs

log = structlog.get_logger(__name__)

OWN_FOLDER = "slipway-metrics-"
BEAT_SECONDS = 1.0
SPARE_SECONDS = 30  # beyond the longest stop that a silent worker has before gunicorn kills it


def run(make: Callable[[], Applications], settings: ServerSettings) -> None:
    """Serve in `settings.workers` processes until SIGTERM; `make` is called in each of them.

    Raises `PortTakenError`, and `SystemExit` at the end. The process re-executes itself
    once, with the directory for metrics.
    """
    if METRICS_FOLDER not in child_environment():
        folder = tempfile.mkdtemp(prefix=OWN_FOLDER)
        if (writer := logs.stdout_writer()) is not None:
            writer.flush()
        os.execve(  # noqa: S606  # ourselves
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            child_environment(**{METRICS_FOLDER: folder}),
        )
    _remove_old_metrics()
    try:
        sockets = listeners(settings)
    except Exception:
        _remove_folder()
        raise
    _Master(make, settings, [sock.detach() for sock in sockets]).run()


class _Master(BaseApplication):  # type: ignore[misc]
    """gunicorn with the settings of the service only: no configuration file, command line or control socket."""

    def __init__(
        self, make: Callable[[], Applications], settings: ServerSettings, descriptors: list[int]
    ) -> None:
        self._make = make
        self._settings = settings
        self._descriptors = descriptors
        super().__init__()

    def load_config(self) -> None:
        server = self._settings
        stop = math.ceil(server.drain_delay + server.shutdown_timeout) + 5
        for name, value in {
            "bind": [f"fd://{number}" for number in self._descriptors],
            "workers": server.workers,
            "worker_class": _Worker,
            "graceful_timeout": stop,
            "timeout": stop + SPARE_SECONDS,
            "logger_class": _Logger,
            "control_socket_disable": True,
            "child_exit": _worker_is_gone,
            "on_exit": lambda _: _remove_folder(),
        }.items():
            self.cfg.set(name, value)

    def load(self) -> tuple[Applications, ServerSettings]:
        """Called in each worker; `_Worker` serves what this returns."""
        return self._make(), self._settings


class _Worker(UvicornWorker):  # type: ignore[misc]
    """Serves both ports with uvicorn. The master's signals drain it; Ctrl-C in a terminal is for the master."""

    CONFIG_KWARGS: dict[str, Any] = {"loop": "uvloop", "http": "httptools"}  # noqa: RUF012  # the library's interface

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("uvicorn.error", "uvicorn.access"):  # the library detaches these from our logs
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True

    async def _serve(self) -> None:
        applications, settings = self.wsgi
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        beating = asyncio.create_task(self._beat())
        try:
            await serve_on(
                self.sockets,
                applications,
                settings,
                stop_signals=(signal.SIGTERM, signal.SIGQUIT),
            )
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Tell gunicorn that the worker is alive; stop if the master is gone."""
        while os.getppid() == self.ppid:
            self.notify()
            await asyncio.sleep(BEAT_SECONDS)
        log.error("the master process has exited")
        os.kill(self.pid, signal.SIGTERM)


class _Logger(glogging.Logger):  # type: ignore[misc]
    """Writes gunicorn's messages to the log of the service."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel("WARNING")


def _worker_is_gone(_master: Any, worker: Any) -> None:
    """Remove the live gauges of a dead worker; its counters stay."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _remove_old_metrics() -> None:
    """Remove files of an earlier run, which would count again at every scrape. Files of this process are in use."""
    for file in Path(child_environment()[METRICS_FOLDER]).glob("*.db"):
        if not file.stem.endswith(f"_{os.getpid()}"):
            file.unlink()


def _remove_folder() -> None:
    """Remove the directory, unless the operator chose it."""
    folder = Path(child_environment()[METRICS_FOLDER])
    if folder.name.startswith(OWN_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
