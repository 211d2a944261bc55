"""A copy of the work tree, in which one file at a time is changed, and pytest in processes that are forked.

Imports of libraries take most of the start of a test run: this process makes them once, and each run is a fork of it.
It never imports the service or the tests that it runs.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from redis import Redis

from tests.mutants.mutations import ROOT, Mutation

TIMED_OUT = -1
COLLECTION_SECONDS = 300
# Plugins are imported before pytest can rewrite their assertions.
OPTIONS = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "--tb=line",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)
# Prints the modules of libraries that the service and its tests import.
_LIBRARIES = """
import sys, pytest_asyncio.plugin, hypothesis, service.main, service.cli, tests.conftest
own = {"service", "tests", "__main__"}
print(*(name for name in sys.modules if name.partition(".")[0] not in own))
"""


class Sandbox:
    """A copy of the files under version control, and of those that are about to be."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        self._redis = redis
        self.root = folder / "tree"
        self.output = folder / "output"
        shutil.rmtree(self.root, ignore_errors=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name, follow_symlinks=False)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        subprocess.run(
            ["git", "init", "-q"], cwd=self.root, check=True
        )  # some tests ask for the tracked files
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

    def run(self, tests: Sequence[str], seconds: float) -> int:
        """Return pytest's exit code for these tests, up to the first that fails, or TIMED_OUT."""
        self._redis.flushall()  # or else a run finds the counts of the one before
        pid = os.fork()
        if not pid:
            self._become_pytest(tests)
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

    def collected(self) -> set[str]:
        """Return the names of all tests that there are."""
        code = self.run(["--collect-only", "tests"], COLLECTION_SECONDS)
        if code:
            raise RuntimeError(
                f"collecting the tests: pytest exited with {code}: {self.output.read_text('utf-8')}"
            )
        return {line for line in self.output.read_text("utf-8").splitlines() if "::" in line}

    def _become_pytest(self, tests: Sequence[str]) -> None:
        code = 70
        try:
            os.setsid()
            os.chdir(self.root)
            os.environ["PYTHONPATH"] = str(self.root)
            sys.path[:] = [str(self.root), *(path for path in sys.path if path not in {str(ROOT), ""})]
            for name in [name for name in sys.modules if name.partition(".")[0] in {"service", "tests"}]:
                del sys.modules[name]
            output = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            arguments = self.root.parent / "arguments"
            arguments.write_text("\n".join(tests))
            import pytest  # noqa: PLC0415  # it is imported by now

            code = int(pytest.main([*OPTIONS, f"@{arguments}"]))
        except BaseException:  # noqa: BLE001  # nothing may get back into the runner
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def first_failure(self) -> str:
        """Return the test that failed in the last run; empty if none did."""
        for line in self.output.read_text("utf-8", "replace").splitlines():
            if line.startswith(("FAILED ", "ERROR ")):
                return line.split(" ", 1)[1].partition(" - ")[0]
        return ""


def import_libraries() -> None:
    """Import what the service and its tests import of others."""
    names = subprocess.check_output([sys.executable, "-c", _LIBRARIES], cwd=ROOT, text=True).split()
    for name in names:
        with contextlib.suppress(Exception):  # a module that is made at run time
            import_module(name)
