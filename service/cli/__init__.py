"""Serve the API, migrate and back up its database, and manage API keys and feature flags.

Exit codes: 0 success, 1 failure, 2 usage, 3 settings, 4 database unreachable, 5 port taken, 6 migration failed,
7 database not at the head, 8 backup refused.
"""

import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any

# Module and attribute of each command, imported on demand: importing all takes longer than most commands run.
COMMANDS = {
    "serve": ("serve", "serve"),
    "dev": ("dev", "dev"),
    "migrate": ("migrate", "migrate"),
    "migration": ("migration", "migration"),
    "check": ("check", "check"),
    "seed": ("seed", "seed"),
    "purge": ("purge", "purge"),
    "history": ("history", "app"),
    "openapi": ("openapi", "openapi"),
    "import": ("importing", "import_"),
    "keys": ("keys", "app"),
    "features": ("features", "app"),
    "jobs": ("jobs", "app"),
    "backup": ("backup", "app"),
}


def imported(module: str, attribute: str) -> Any:
    """Import a command without two steps that take a fifth of the time.

    Garbage collection is off, because objects made by imports stay alive. And rich is hidden from structlog, which
    would import it for tracebacks that our logs do not use; Typer's help gets it afterwards.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("rich", None)  # None makes `import rich` fail
    gc.disable()
    try:
        return getattr(import_module(f"service.cli.{module}"), attribute)
    finally:
        if modules["rich"] is None:
            del modules["rich"]
        gc.enable()


def main() -> None:
    """Entry point of the `slipway` command."""
    # Process 1 of a container gets only the signals that it handles.
    signal.signal(signal.SIGTERM, _exit)
    try:
        if sys.argv[1:] == ["serve"]:  # without Typer, which a server would keep in its memory
            imported(*COMMANDS["serve"])()
        else:
            command_line = import_module("service.cli.command_line")
            command = command_line.application(sys.argv[1:])
            signal.signal(signal.SIGTERM, _unwind)
            command()
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        gc.freeze()  # the interpreter collects garbage when it ends: 0.4 s over what was imported


def _exit(number: int, _: object) -> None:
    """End a process that serves nothing yet, until the server or the command handles signals. Lines that its log has
    not written yet are lost.

    An exception would be lost where Python ignores exceptions: in the callback that ends each import's lock, in
    destructors. The process would then start to serve, and Kubernetes does not send SIGTERM a second time.
    """
    os._exit(128 + number)


def _unwind(number: int, _: object) -> None:
    raise SystemExit(128 + number)
