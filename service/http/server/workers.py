"""Several processes on the same two ports: uvicorn workers under gunicorn.

Each worker serves both ports as a single process does, with pools, caches and probes of its own. Metrics are added up
over the workers through files, in a folder that prometheus-client must know of before it is imported.
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

from service.config import child_environment
from service.config.server import ServerSettings
from service.http.server.ports import listeners
from service.http.server.run import Applications, serve_on
from service.observability import logs

log = structlog.get_logger(__name__)

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
OWN_FOLDER = "slipway-metrics-"
BEAT_SECONDS = 1.0
SPARE_SECONDS = 30  # that a worker may be silent beyond its longest stop, before gunicorn takes it for dead


def run(make: Callable[[], Applications], settings: ServerSettings) -> None:
    """Serve in `settings.workers` processes until SIGTERM; `make` is called in each of them.

    Raises `PortTakenError`, and `SystemExit` at the end. The process starts anew once, with the folder for metrics.
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
    """gunicorn with our settings alone: no configuration file, no command line, no control socket."""

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
    """Serves both ports by uvicorn. The master's signals drain it; the terminal's Ctrl-C is for the master."""

    CONFIG_KWARGS: dict[str, Any] = {"loop": "uvloop", "http": "httptools"}  # noqa: RUF012  # the library's interface

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("uvicorn.error", "uvicorn.access"):  # which the library takes away from our logs
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
        """Tell gunicorn that we live, and stop when it does not."""
        while os.getppid() == self.ppid:
            self.notify()
            await asyncio.sleep(BEAT_SECONDS)
        log.error("the master process is gone")
        os.kill(self.pid, signal.SIGTERM)


class _Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's messages as log lines of ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel("WARNING")


def _worker_is_gone(_master: Any, worker: Any) -> None:
    """What a dead worker measured of the present is no longer true; what it counted stays counted."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _remove_old_metrics() -> None:
    """Files of an earlier run would count again, and be read at every scrape. This process has opened its own."""
    for file in Path(child_environment()[METRICS_FOLDER]).glob("*.db"):
        if not file.stem.endswith(f"_{os.getpid()}"):
            file.unlink()


def _remove_folder() -> None:
    """Leave nothing behind; a folder that the operator chose stays."""
    folder = Path(child_environment()[METRICS_FOLDER])
    if folder.name.startswith(OWN_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
