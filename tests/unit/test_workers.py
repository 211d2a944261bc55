"""Workers of pytest-xdist are forks of a process that has collected the tests, and are workers like others."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forked import FORKS
from tests.process.served import eventually

pytestmark = pytest.mark.skipif(not FORKS, reason="pytest-xdist starts its own workers here")

ROOT = Path(__file__).parents[2]
TESTS = """
import os, signal, time
from pathlib import Path
import pytest

NOTES = Path(__file__).with_name("notes")
with NOTES.open("a") as file:
    file.write(f"import {os.getpid()} -\\n")

@pytest.mark.parametrize("number", range(8))
def test_passing(worker_id, tmp_path, number):
    with NOTES.open("a") as file:
        file.write(f"{worker_id} {os.getpid()} {tmp_path.parent.name}\\n")

def test_failing():
    assert NOTES is None

def test_crash():
    os.kill(os.getpid(), signal.SIGKILL)
"""
THREAD = """
import threading

threading.Thread(target=threading.Event().wait, name="from a module", daemon=True).start()
"""
SLOW = """
import os, time
from pathlib import Path

def test_slow():
    Path(__file__).with_name("running").write_text(f"{os.getpid()} {os.getppid()}")
    time.sleep(600)
"""


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    plugins = ("-p", "xdist", "-p", "tests.workers.controller", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", "-q", "-n", "2", f"--rootdir={home}", *plugins, *arguments)
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TMPDIR": str(home),
    }
    return subprocess.Popen(
        command,
        cwd=home,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for tests of a run. It leaves no files of its own there."""
    yield tmp_path
    assert [*tmp_path.glob("slipway-collector-*")] == []


def test_workers_run_tests_that_were_collected_once(home: Path) -> None:
    (home / "test_broken.py").write_text("import no_such_module")
    (home / "test_it.py").write_text(TESTS)
    run = start(home)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert output.splitlines()[-1].startswith("2 failed, 8 passed, 1 error"), output
    for line in (
        "ERROR test_broken.py",
        "FAILED test_it.py::test_failing - ",
        "FAILED test_it.py::test_crash - worker 'gw",
    ):
        assert f"\n{line}" in output
    (_, collector, _), *tests = [line.split() for line in (home / "notes").read_text().splitlines()]
    workers = {name: {(pid, folder) for one, pid, folder in tests if one == name} for name, _, _ in tests}
    assert len(tests) == 8  # nothing was imported again
    assert len(workers) > 1
    for name, seen in workers.items():
        ((pid, folder),) = seen
        assert (pid != collector, folder) == (True, f"popen-{name}")


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        pytest.param("no_such_folder", "file or directory not found: no_such_folder", marks=pytest.mark.long),
        ("test_it.py", "workers would lack threads that run since the collection: ['from a module']"),
    ],
)
def test_run_that_cannot_fork_workers_says_why(home: Path, argument: str, reason: str) -> None:
    (home / "test_it.py").write_text(THREAD)
    run = start(home, argument)
    output, _ = run.communicate(timeout=60)
    assert f"ERROR: {reason}" in output
    assert run.returncode == pytest.ExitCode.USAGE_ERROR


def interrupt(run: subprocess.Popen[str]) -> None:
    """What Ctrl-C does in a terminal."""
    os.killpg(run.pid, signal.SIGINT)


@pytest.mark.long
@pytest.mark.parametrize("end", [interrupt, subprocess.Popen.kill])
def test_nothing_survives_an_interrupted_run(
    home: Path, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    (home / "test_it.py").write_text(SLOW)
    running = home / "running"
    with start(home) as run:
        assert eventually(lambda: running.exists() and running.read_text(), seconds=60)
        processes = [Path("/proc", pid) for pid in running.read_text().split()]
        assert all(process.exists() for process in processes)
        end(run)
        run.wait(60)
    assert eventually(lambda: not any(process.exists() for process in processes), seconds=60)
