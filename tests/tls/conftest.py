"""Two authorities: one that certifies the servers of these tests, and one that nobody should believe."""

from pathlib import Path

import pytest

from tests.tls.terminator import Authority


def _authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return _authority(tmp_path / "known")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return _authority(tmp_path / "stranger")
