"""`.ci/again` runs a few failed tests again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).parents[2] / ".ci" / "again"
TESTS = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({number}))
def test_once(number):
    seen = Path(f"seen-{{number}}")
    again = seen.exists()
    seen.touch()
    assert again

def test_passing():
    with Path("passing").open("a") as file:
        file.write("x")

@pytest.mark.skipif({works}, reason="works")
def test_broken():
    assert Path("seen-0") is None
"""


PYTEST = (sys.executable, "-m", "pytest", "-q")
NOTHING_IN_THE_SECOND_RUN = """case "$PYTEST_ADDOPTS" in *--last-failed*) exit 0;; esac; exec "$@" """


def run_again(
    home: Path, *, number: int, works: bool, by: tuple[str, ...] = ()
) -> tuple[int, list[str], str]:
    """Return the exit code, the tests that are reported as flaky, and how often the passing test ran."""
    (home / "test_it.py").write_text(TESTS.format(number=number, works=works))
    variables = {
        "PATH": os.environ["PATH"],
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "FLAKY_TESTS": str(home / "flaky"),
    }
    command = [sys.executable, str(AGAIN), *by, *PYTEST, f"--rootdir={home}"]
    done = subprocess.run(command, cwd=home, env=variables, check=False, timeout=60, capture_output=True)
    flaky = home / "flaky"
    return (
        done.returncode,
        flaky.read_text().split() if flaky.exists() else [],
        (home / "passing").read_text(),
    )


@pytest.mark.parametrize(
    ("number", "works", "code", "flaky"),
    [
        pytest.param(0, True, 0, [], id="all pass", marks=pytest.mark.long),
        pytest.param(
            2, True, 0, ["test_it.py::test_once[0]", "test_it.py::test_once[1]"], id="two pass later"
        ),
        pytest.param(1, False, 1, [], id="one fails twice"),
        pytest.param(6, True, 1, [], id="too many fail", marks=pytest.mark.long),
    ],
)
def test_failed_tests_pass_if_they_pass_alone(
    tmp_path: Path, number: int, *, works: bool, code: int, flaky: list[str]
) -> None:
    assert run_again(tmp_path, number=number, works=works) == (code, flaky, "x")


@pytest.mark.long
def test_failed_test_that_does_not_run_again_has_failed(tmp_path: Path) -> None:
    by = ("sh", "-c", NOTHING_IN_THE_SECOND_RUN, "sh")
    assert run_again(tmp_path, number=1, works=True, by=by) == (1, [], "x")
