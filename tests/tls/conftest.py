"""Two certificate authorities: one that issues the servers' certificates, and one that nobody should trust."""

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
