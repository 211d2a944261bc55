"""An environment without settings, to put some into."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.config import sources

Env = Callable[..., None]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Sets variables, from none of ours; the current folder is empty, and a `.env` in it counts."""
    monkeypatch.setattr(sources, "DOTENV", ".env")
    monkeypatch.chdir(tmp_path)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put
