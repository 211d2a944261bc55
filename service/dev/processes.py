"""Processes other than our children, such as servers that a killed run left behind.

On Linux the kernel ends children with their parent, so there are none left, or they are about to exit.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from service import clock
from service.dev.errors import LocalServerError
from service.dev.server_process import POLL_SECONDS

ORDERLY_SECONDS = 15.0
FORCED_SECONDS = 5.0


def stop_orphaned_postgres(data: Path) -> None:
    """Stop a postgres that still serves `data`, and remove a stale pid file.

    PostgreSQL refuses to start if its pid file names any running process. In a container, where process ids start from
    1 again, that is usually another program.
    """
    file = data / "postmaster.pid"
    pid = read_pid(file)
    if pid is None:
        return
    if is_running(pid) and str(data) in command_of(pid):
        stop_process(pid, orderly=signal.SIGINT, forced=signal.SIGQUIT)
    file.unlink(missing_ok=True)


def read_pid(file: Path) -> int | None:
    """Return the process id in the first line of a pid file, or None if the file names no process."""
    try:
        return int(file.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def stop_process(pid: int, *, orderly: signal.Signals, forced: signal.Signals) -> None:
    """Stop a process that is not a child, and wait for its exit. Raises LocalServerError if it keeps running."""
    for number, seconds in (
        (orderly, ORDERLY_SECONDS),
        (forced, FORCED_SECONDS),
        (signal.SIGKILL, FORCED_SECONDS),
    ):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = clock.monotonic() + seconds
        while is_running(pid) and clock.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if not is_running(pid):
            return
    raise LocalServerError(
        f"a server of an earlier run (process {pid}) does not stop: kill it, then try again"
    )


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self").exists()
    return state not in "ZX"


def command_of(pid: int) -> str:
    """Return the command line of a process, or "" if it has none or has ended."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listing = subprocess.run(  # noqa: S603 the only variable is a number
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607 there is one ps
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout
