"""Starts a program many times without its imports, which take most of a start: this process makes them once, and each
start is a fork of it.

    python -P tests/forkserver.py FOLDER tests.shop.__main__

imports that module, which may put other domains in place of the team's, and every command of `slipway`, and listens at
FOLDER/socket. A client sends a line of JSON, the parameters of `become`, and reads two: the process id, and at the end
of the process its exit code as `subprocess` has it. When standard input ends, this process and all that it started end.

Like a program that was executed, a fork has its own session, environment, working directory, streams and random
numbers and PYTHONWARNINGS. At its end, it waits for threads and runs what is registered, as an interpreter does, but
does not take its modules apart: that would copy all that the imports have made. It shares what else an interpreter
reads at its start.
"""

import ctypes
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from service.cli import main as run_program
from service.cli.command_line import application
from tests.forking import ForkServer, end, send

PR_SET_PDEATHSIG = 1
LIBRARY: Any = warnings  # with what typeshed leaves out


def become(
    parent: int,
    *,
    program: list[str],
    arguments: list[str],
    cwd: str,
    environment: dict[str, str],
    output: str,
    errors: str | None,
) -> None:
    """Give this process what a program has that was executed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the fork server is gone")
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    replace_warnings(environment.get("PYTHONWARNINGS", ""))
    for path, flags, stream in (
        (os.devnull, os.O_RDONLY, 0),
        (output, os.O_WRONLY, 1),
        (errors, os.O_WRONLY, 2),
    ):
        file = os.open(path, flags) if path else os.dup(1)
        os.dup2(file, stream)
        os.close(file)
    sys.argv[:] = [program[-1], *arguments]
    # For a program that executes itself again.
    sys.orig_argv[:] = [sys.executable, *program[program[0] == sys.executable :], *arguments]


def replace_warnings(options: str) -> None:
    """Put the filters of these options, as in PYTHONWARNINGS, in the place of those of this interpreter's own."""
    given = [option for option in options.split(",") if option]
    filters, own = [*warnings.filters], filters_of(sys.warnoptions)
    rest = [found for found in filters if found not in own]
    place = next((index for index, found in enumerate(filters) if found in own), 0)
    sys.warnoptions[:] = given
    warnings.resetwarnings()
    LIBRARY.filters[:] = [*rest[:place], *filters_of(given), *rest[place:]]


def filters_of(options: list[str]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        LIBRARY._processoptions(options)
        return [*warnings.filters]


def record() -> None:
    """Start coverage where the environment asks for it, as at the start of an interpreter (`make coverage`)."""
    if "COVERAGE_PROCESS_START" in os.environ:
        import coverage  # noqa: PLC0415  # for `make coverage` alone

        coverage.process_startup()


def run_to_the_end() -> NoReturn:
    """Run the program, and end this process with its exit code."""
    code: object = 0
    try:
        run_program()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001  # as an interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    end(code or 0)


def main() -> None:
    folder, module = sys.argv[1:]
    import_module(module)
    application()  # it imports every command
    gc.collect()
    gc.freeze()  # no fork visits, and so copies, what the imports have made
    server, parent = ForkServer(Path(folder), sys.stdin), os.getpid()
    client = server.next_client()
    server.close()
    if client is None:
        shutil.rmtree(folder, ignore_errors=True)  # its parent may have been killed
        return
    with client, client.makefile() as lines:
        become(parent, **json.loads(lines.readline()))
        send(client, os.getpid())
    record()
    run_to_the_end()


if __name__ == "__main__":
    main()
