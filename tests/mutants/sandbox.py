"""A copy of the work tree in which one file at a time is changed, and processes that run in it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.mutations import ROOT, Mutation

TIMED_OUT = -1
CRASHED = 70
PYTEST_OPTIONS = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "--tb=line",
    "-W",
    # Libraries are imported before pytest can rewrite their assertions.
    "ignore::pytest.PytestAssertRewriteWarning",
)


class Sandbox:
    """A copy of the files under version control, and of those that are about to be."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.output = folder / "output"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name, follow_symlinks=False)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        # Some tests ask for the tracked files.
        subprocess.run(["git", "init", "-q"], cwd=self.root, check=True)
        subprocess.run(["git", "add", "-A"], cwd=self.root, check=True)
        self._changed_at = int(time.time())

    @contextmanager
    def changed(self, mutation: Mutation) -> Iterator[None]:
        """Change the file, and change it back."""
        file = self.root / mutation.path
        source = file.read_text("utf-8")
        self._write(file, mutation.applied(source))
        try:
            yield
        finally:
            self._write(file, source)

    def _write(self, file: Path, source: str) -> None:
        file.write_text(source, "utf-8")
        self._changed_at += 2  # bytecode is kept for a size and a second
        os.utime(file, (self._changed_at, self._changed_at))

    def enter(self) -> None:
        """Make this process one of the copy, with its output in a file."""
        os.chdir(self.root)
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path[:] = [str(self.root), *(path for path in sys.path if path not in {str(ROOT), ""})]
        for name in [name for name in sys.modules if name.partition(".")[0] in {"service", "tests"}]:
            del sys.modules[name]
        self.redirect()

    def redirect(self) -> None:
        """Empty the file with the output, and write to it from here on."""
        output = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)

    def first_failure(self) -> tuple[str, str]:
        """Return the test that failed in the last run, and why; empty if none did."""
        for line in self.output.read_text("utf-8", "replace").splitlines():
            if line.startswith(
                ("FAILED tests/", "ERROR tests/")
            ):  # captured lines of a log begin with a level
                test, _, reason = line.split(" ", 1)[1].partition(" - ")
                return test, reason
        return "", ""


def fork(work: Callable[[], int]) -> int:
    """Start work in a fork of this process, in a session of its own, and return the process id."""
    pid = os.fork()
    if pid:
        return pid
    code = CRASHED
    try:
        os.setsid()
        code = work()
    except BaseException:  # noqa: BLE001  # nothing may get back into the code that forked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float) -> int:
    """Return the exit code of a fork. Kills it when the time is over, and returns TIMED_OUT."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return TIMED_OUT
