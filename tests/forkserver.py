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

import atexit
import contextlib
import ctypes
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from service.cli import main as run_program
from service.cli.command_line import application

PR_SET_PDEATHSIG = 1
# With what typeshed leaves out.
LIBRARY: Any = warnings
THREADS: Any = threading


class ForkServer:
    """Forks for every client, and tells it how its process ended."""

    def __init__(self, folder: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "socket"))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._clients: dict[int, socket.socket] = {}

    def next_client(self) -> socket.socket | None:
        """Return a client in the process that was forked for it; in this one, None when standard input ends."""
        while sys.stdin not in (ready := [key.fileobj for key, _ in self._selector.select()]):
            for file in ready:
                if isinstance(file, int):
                    self._ended(file)
                elif (client := self._fork()) is not None:
                    return client
        return None

    def close(self) -> None:
        """Close what a fork has inherited."""
        self._selector.close()
        self._listener.close()
        for file, client in self._clients.items():
            os.close(file)
            client.close()

    def _fork(self) -> socket.socket | None:
        client, _ = self._listener.accept()
        if not (pid := os.fork()):
            return client
        file = os.pidfd_open(pid)
        self._clients[file] = client
        self._selector.register(file, selectors.EVENT_READ, pid)
        return None

    def _ended(self, file: int) -> None:
        _, status = os.waitpid(self._selector.unregister(file).data, 0)
        os.close(file)
        with self._clients.pop(file) as client:
            send(client, os.waitstatus_to_exitcode(status))


def send(client: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the client may be gone
        client.sendall(f"{number}\n".encode())


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
    THREADS._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


def main() -> None:
    folder, module = sys.argv[1:]
    import_module(module)
    application()  # it imports every command
    gc.collect()
    gc.freeze()  # no fork visits, and so copies, what the imports have made
    server, parent = ForkServer(Path(folder)), os.getpid()
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
