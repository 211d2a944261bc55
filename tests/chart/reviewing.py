"""The linters of `make chart-test`, and all renderings as files for them."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.chart.rendering import PROFILES, own, profile


def tool(path: str) -> str:
    """Return a program or file that tests/chart/tools fetched. Skips the test if it is missing."""
    folder = os.environ.get("SLIPWAY_CHART_TOOLS")
    if folder is None:
        pytest.skip("a reviewer's program, too heavy for each run: `make chart-test`")
    found = Path(folder, path)
    if not found.exists():
        pytest.skip(f"tests/chart/tools could not fetch {path}; it says why")
    return str(found.absolute())


def renderings(folder: Path) -> Iterator[Path]:
    """Write the own objects of each profile, and of the defaults, to a file."""
    for values in [None, *PROFILES]:
        path = folder / (values or "defaults.yaml")
        path.write_text(own(*profile(values)), "utf-8")
        yield path


def unexplained(findings: list[str], skips: list[tuple[str, str]]) -> list[str]:
    """Return findings that no pattern excuses. A pattern that matches nothing is a finding too."""
    idle = [pattern for pattern, _ in skips if not any(fnmatch(found, pattern) for found in findings)]
    return [
        *(found for found in findings if not any(fnmatch(found, pattern) for pattern, _ in skips)),
        *(f"nothing left to skip: {pattern}" for pattern in idle),
    ]
