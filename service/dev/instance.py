"""Lets commands find a running `slipway dev` in the same checkout, and use its database."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from service.config import Settings
from service.dev.private_files import read_secret, write_private_file
from service.dev.processes import read_pid

FOLDER = Path(".local")  # the default folder of `slipway dev`
FILE = "running.json"


@dataclass(frozen=True)
class Instance:
    """A running `slipway dev`: its process, its folder, and its `database` settings."""

    pid: int | None
    folder: Path
    database: dict[str, Any]


@contextmanager
def published(folder: Path, settings: Settings) -> Iterator[None]:
    """Within the block, `find` finds this instance. The file holds passwords; only its owner can read it."""
    file = folder / FILE
    given = {name: _plain(getattr(settings.database, name)) for name in settings.database.model_fields_set}
    write_private_file(file, json.dumps({"database": given}) + "\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find(folder: Path) -> Instance | None:
    """Return the `slipway dev` running in this folder, or None. Ignores the file of a killed process."""
    folder = folder.absolute()
    stored = read_secret(folder / FILE)
    if stored is None or not _held(folder / "lock"):
        return None
    return Instance(read_pid(folder / "lock"), folder, json.loads(stored)["database"])


def database_address(settings: Settings) -> str:
    """Return the URL of the database, without the password."""
    database = settings.database
    if database.url is None:
        return f"postgresql://{database.user}@{database.host}:{database.port}/{database.name}"
    where = urlsplit(database.url.get_secret_value())
    _, at, host = where.netloc.rpartition("@")
    return urlunsplit(where._replace(netloc=f"{where.username}@{host}" if at else host, query=""))


def _held(file: Path) -> bool:
    """Whether a process holds the lock that `data_folder.locked` takes."""
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
