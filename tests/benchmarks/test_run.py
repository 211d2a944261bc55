"""`make bench` works, in its shortest form."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_one_scenario_of_one_second(tmp_path: Path) -> None:
    short = "--scenarios cached read create --programs floor slipway stock --rounds 1 --seconds 1"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *short.split(), "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "report.md").read_text()
    for title in ("Floor: a bare", "Slipway, everything on", "FastAPI with SQLModel"):
        assert text.count(f"| {title}") == 2 + (title != "FastAPI with SQLModel")  # scenarios
    assert (tmp_path / "plot.svg").read_text().count("<rect") == 1 + 2 + 6
