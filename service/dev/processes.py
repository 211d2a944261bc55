"""Servers that an earlier run left behind, because it was killed: they are ended before new ones start.

Where the kernel ends children with their parent (Linux) there are none, or they are on their way out.
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
    """End a postgres that still serves `data`, and remove a pid file whose process is none.

    PostgreSQL refuses to start when the number in its pid file belongs to any living process. In a container,
    where numbers are few and start again from 1, that is usually another program.
    """
    file = data / "postmaster.pid"
    pid = read_pid(file)
    if pid is None:
        return
    if is_running(pid) and str(data) in command_of(pid):
        stop_process(pid, orderly=signal.SIGINT, forced=signal.SIGQUIT)
    file.unlink(missing_ok=True)


def read_pid(file: Path) -> int | None:
    """Return the process id in the first line of a pid file, or None when there is none."""
    try:
        return int(file.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def stop_process(pid: int, *, orderly: signal.Signals, forced: signal.Signals) -> None:
    """End a process that is not a child of this one, and wait until it is gone."""
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
        while clock.monotonic() < deadline:
            if not is_running(pid):
                return
            time.sleep(POLL_SECONDS)
    raise LocalServerError(f"a server of an earlier run (process {pid}) does not end: end it, then try again")


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than an entry that waits to be collected."""
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
    """Return a process's command line, "" when it has none or is gone."""
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
