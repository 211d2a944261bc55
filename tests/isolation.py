"""Isolates the tests from the settings of the developer's machine, and configures their logs."""

import functools
import os
import sys
import traceback
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import alembic.util
import httpcore2
import structlog
from httpx2._transports import asgi
from structlog.typing import ExcInfo

from service.config import SECRETS_DIR, sources
from service.migrations import branches
from service.observability.logs import with_request_id

FRAMES = 6  # the last frames of a traceback in the log


def forget_settings() -> None:
    """Remove the settings of the developer's machine: variables such as SLIPWAY_DATABASE__URL, and `.env`.

    Variables that steer the tests themselves (SLIPWAY_TEST_…, SLIPWAY_FAULT_…) stay.
    """
    for name in [*os.environ]:
        if name == SECRETS_DIR or (name.upper().startswith("SLIPWAY_") and "__" in name):
            del os.environ[name]
    sources.DOTENV = os.devnull


def read_authorities_once() -> None:
    """Let all HTTP clients of this process share the machine's certificates: reading them takes 30 ms for each."""
    httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)


def assume_asyncio() -> None:
    """Keep clients of the application in this process from looking for `sniffio` on the disk in each request, to learn
    whether trio runs. It is not installed, so Python searches its whole path each time: 3 % of the tests' time."""
    asgi.is_running_trio = lambda: False


def read_revisions_once() -> None:
    """Read each revision once per process, where a command that has a process of its own reads all of them in 40 ms.
    What tells revisions apart is the path and the text of a file, because tests write their own."""
    load, read_constants = alembic.util.load_python_file, branches._constants
    modules = dict[tuple[str, bytes], ModuleType]()
    constants = dict[bytes, dict[str, Any]]()

    def load_once(folder: str | PathLike[str], filename: str | PathLike[str]) -> ModuleType:
        if str(filename) == "env.py":  # it runs the migrations
            return load(folder, filename)
        file = Path(folder, filename)
        key = str(file), file.read_bytes()
        if key not in modules:
            modules[key] = load(folder, filename)
        return modules[key]

    def read_constants_once(file: Path) -> dict[str, Any]:
        content = file.read_bytes()
        if content not in constants:
            constants[content] = read_constants(file)
        return {**constants[content]}

    alembic.util.load_python_file = load_once  # type: ignore[assignment]  # its parameters have other names
    branches._constants = read_constants_once


def keep_no_loggers() -> None:
    """Let loggers ask for the configuration each time. One that is first used while a command of a test has configured
    the logs would keep that for good, and hide its lines from the tests after it."""
    configure = structlog.configure

    def keeping_none(**options: Any) -> None:
        configure(**options | {"cache_logger_on_first_use": False})

    structlog.configure = keeping_none  # type: ignore[assignment]  # it is called with keywords only


def log_plainly() -> None:
    """Log failures in a few lines. structlog's default prints every frame with all local variables through rich,
    which takes seconds and buries the failed assertion."""
    structlog.configure(
        processors=[
            with_request_id,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=_last_frames),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stdout),
    )


def _last_frames(stream: TextIO, error: ExcInfo) -> None:
    stream.write("\n" + "".join(traceback.format_exception(*error, limit=-FRAMES)))
