"""Pictures of the dashboards' data for the documentation."""

import os
from pathlib import Path

import pytest

from tests.observability.boards import BOARDS
from tests.observability.evidence import Evidence

LARGEST = 75_000  # bytes


@pytest.mark.observability
@pytest.mark.timeout(400)
@pytest.mark.parametrize("board", sorted(BOARDS))
def test_dashboard_can_be_rendered(board: str, seen: Evidence, tmp_path: Path) -> None:
    from tests.observability.pictures import draw  # noqa: PLC0415  # matplotlib: half a second for each worker

    folder = Path(os.environ.get("SLIPWAY_PICTURES") or tmp_path)
    folder.mkdir(exist_ok=True)
    path = folder / f"{board}.png"
    draw(board, seen, path)
    assert 5_000 < path.stat().st_size < LARGEST
