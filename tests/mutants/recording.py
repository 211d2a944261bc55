"""A pytest plugin: says which test runs to the coverage of this process (`make coverage`).

Coverage starts in every process that finds COVERAGE_PROCESS_START in its environment. A process that a test starts
takes the name of the test from PYTEST_CURRENT_TEST (pyproject.toml, tool.coverage.run); this process runs them all, and
switches. How long each test took is kept too, in seconds.json.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

_seconds: dict[str, float] = defaultdict(float)


def _switch(item: pytest.Item, phase: str) -> None:
    if recorder := coverage.Coverage.current():
        recorder.switch_context(f"{item.nodeid} ({phase})")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _switch(item, "setup")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _switch(item, "call")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _switch(item, "teardown")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        kept = Path(os.environ["COVERAGE_FOLDER"]) / "seconds.json"
        before = json.loads(kept.read_text()) if kept.exists() else {}
        kept.write_text(json.dumps({**before, **_seconds}))
