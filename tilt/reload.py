"""Run a command of the service, and restart `serve` whenever the code under /tmp/live changes.

The image's file system is read-only, so changed files are synced to a volume, /tmp. It holds a copy of the installed
package, which precedes the original on PYTHONPATH. Commands other than `serve` run unchanged.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

LIVE = Path("/tmp/live")  # noqa: S108  # the pod's own volume
POLL_SECONDS = 0.5


def unpack() -> None:
    """Copy the installed package once per pod, so that changes survive a restart of the container.

    Files that are synced meanwhile, or before, replace those of the package.
    """
    unpacked = LIVE.with_name("live.unpacked")
    if not unpacked.exists():
        found = importlib.util.find_spec("service")
        assert found is not None
        assert found.submodule_search_locations
        package = Path(found.submodule_search_locations[0])
        for file in (one for one in package.rglob("*") if one.is_file()):
            copy = LIVE / "service" / file.relative_to(package)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                part = copy.with_name(f"{copy.name}.part")
                shutil.copy2(file, part)
                part.rename(copy)  # a container that is killed leaves no half of a file
        unpacked.touch()


def state() -> dict[str, int]:
    """Return the modification time of each file."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in LIVE.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    }


class Reloader:
    """Runs the server and restarts it. SIGTERM stops the server, then the reloader."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._server: subprocess.Popen[bytes] | None = None
        self._ending = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True
        if self._server is not None:
            self._server.terminate()

    def run(self) -> int:
        """Return the exit code of the last server."""
        while not self._ending:
            before = state()
            self._server = subprocess.Popen(self._command)  # noqa: S603  # the container's own command
            self._wait_for_change(before)
            self._server.terminate()
            self._server.wait()
        return self._server.returncode if self._server else 0

    def _wait_for_change(self, before: dict[str, int]) -> None:
        """Return once the code has changed and the changes are complete, or on SIGTERM.

        If the server has exited, for example because the changed code does not start, this waits for the next change.
        """
        now = before
        while not self._ending and now == before:
            time.sleep(POLL_SECONDS)
            now = state()
        while not self._ending and before != now:
            time.sleep(POLL_SECONDS)
            before, now = now, state()
        sys.stdout.write("reload: ending\n" if self._ending else "reload: the code has changed\n")
        sys.stdout.flush()


def main(command: list[str]) -> int:
    if command[1:2] != ["serve"]:
        os.execvp(command[0], command)  # noqa: S606
    unpack()
    return Reloader(command).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
