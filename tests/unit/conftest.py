"""An environment without settings, to put some into."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

Env = Callable[..., None]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Sets variables, from none of ours; the current folder is empty, so there is no `.env`."""
    for name in os.environ:
        if name.startswith("SLIPWAY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put
