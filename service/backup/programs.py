"""Finds the PostgreSQL client programs of the server's major version.

Only a dump by the server's own major is known to be complete and to restore into it: an older `pg_dump` refuses a newer
server, and a newer one writes statements that the server does not know.
"""

import asyncio
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.backup.errors import BackupError

DUMP, RESTORE = "pg_dump", "pg_restore"
# Debian and PGDG's packages, Red Hat's, Homebrew's.
_USUAL = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Programs:
    """The client programs. `version` is what they say of themselves, such as `pg_dump (PostgreSQL) 18.1`."""

    dump: Path
    restore: Path
    version: str


async def find_programs(major: int, *, configured: Path | None, bundled: Sequence[Path]) -> Programs:
    """Return the client programs of a major version.

    configured: the only folder to look in, if given.
    bundled: folders to look in after the system's.
    Raises `BackupError`, naming what was found instead.
    """
    found: dict[str, str] = {}
    folders = [configured] if configured else [*_on_path(), *_usual(major), *bundled]
    for folder in folders:
        dump, restore = folder / DUMP, folder / RESTORE
        if str(dump) in found or not (dump.is_file() and restore.is_file()):
            continue
        version = found[str(dump)] = await _version(dump)
        if _major(version) == major == _major(await _version(restore)):
            return Programs(dump, restore, version)
    others = "; ".join(f"{path} is {version}" for path, version in found.items()) or "there is none"
    raise BackupError(
        f"the server is PostgreSQL {major}, and no pg_dump and pg_restore of version {major} was found ({others}): "
        f"install PostgreSQL's client programs of version {major} (Debian: postgresql-client-{major}), or name their "
        "folder in SLIPWAY_BACKUP__CLIENT_FOLDER"
    )


def _on_path() -> Iterator[Path]:
    if found := shutil.which(DUMP):
        yield Path(found).parent


def _usual(major: int) -> Iterable[Path]:
    return (Path(folder.format(major=major)) for folder in _USUAL)


async def _version(program: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    return output.decode(errors="replace").strip()


def _major(version: str) -> int | None:
    found = _VERSION.search(version)
    return int(found[1]) if found else None
