"""An empty environment for tests of settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.config import sources

Env = Callable[..., None]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Sets variables in an environment without settings. The current folder is empty; a `.env` in it is read."""
    monkeypatch.setattr(sources, "DOTENV", ".env")
    monkeypatch.chdir(tmp_path)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put
