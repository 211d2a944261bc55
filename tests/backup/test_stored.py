"""Small backups in a folder: which are chosen, proved, deleted and left alone. No test here needs PostgreSQL."""

import os
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from service import clock
from service.backup.errors import RefusedBackupError
from service.backup.manifest import MANIFEST, Body, Header, Manifest, pack
from service.backup.parts import write_parts
from service.backup.progress import Progress
from service.backup.restore_backup import refuse_newer
from service.backup.retention import Pruned, prune
from service.backup.sealing import KeyRing
from service.backup.storage.folder import FolderStorage
from service.backup.storage.storage_protocol import StoredObject
from service.backup.stored_backups import backups, latest, remove_unfinished
from service.config import BackupSettings
from service.migrations.branches import CHASSIS, DOMAINS, known
from tests.backup.test_verify import flip

SERVICE, OTHER = "slipway", "orders"
KEYS = KeyRing((), seals=False)
QUIET = Progress(lambda _: None)
NEWEST_ALONE = BackupSettings(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0)
TWO_NEWEST = NEWEST_ALONE.model_copy(update={"keep_last": 2})


class Folder(FolderStorage):
    """A folder that notes what is deleted, in order, and lists its objects in no helpful one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder
        self.deleted: list[str] = []

    async def delete(self, names: Iterable[str]) -> None:
        given = [*names]
        self.deleted += given
        await super().delete(given)

    async def list(self) -> list[StoredObject]:
        return (await super().list())[::-1]

    def left(self) -> set[str]:
        return {one.name for one in self.path.iterdir()}


@pytest.fixture
def storage(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def store(storage: Folder, day: int, service: str = SERVICE) -> str:
    """Store a backup of two parts that was made on a day, and return its id."""
    at = clock.now().replace(year=2026, month=3, day=day, microsecond=0)
    backup = f"{at:%Y%m%dT%H%M%SZ}-{day:08x}"

    async def dump() -> AsyncIterator[bytes]:
        for text in (b"one", b"two"):
            yield text

    parts = await write_parts(dump(), storage, backup, None, QUIET)
    size = sum(part.size for part in parts)
    header = Header(
        format=1, service=service, id=backup, created_at=at, size=size, parts=len(parts), sealed=None
    )
    await storage.put(f"{backup}/{MANIFEST}", pack(Manifest(header=header, body=body(parts=parts)), None))
    return backup


def body(**given: object) -> Body:
    nothing = {"server": "18", "server_major": 18, "client": "", "database": "", "revisions": {}, "roles": []}
    return Body.model_validate({"version": "9", **nothing, "tables": [], "parts": [], "seconds": 0, **given})


async def pruned(storage: Folder, rules: BackupSettings = NEWEST_ALONE, *, dry_run: bool = False) -> Pruned:
    return await prune(storage, KEYS, QUIET, rules=rules, service=SERVICE, dry_run=dry_run, unsealed=False)


def damage(storage: Folder, backup: str) -> None:
    """Change a part, which keeps its size: only reading it shows it."""
    part = storage.path / backup / "part-000002"
    part.write_bytes(flip(part.read_bytes(), 0.5))


async def test_backups_of_another_service_neither_count_nor_go(storage: Folder) -> None:
    old, newest = await store(storage, 1), await store(storage, 2)
    others = {await store(storage, day, OTHER) for day in (3, 4)}
    assert await pruned(storage) == Pruned([old], [newest], [])
    assert storage.left() == {newest, *others}
    assert (await latest(storage, service=SERVICE)).id == newest


async def test_dry_run_deletes_nothing(storage: Folder) -> None:
    old, newest = await store(storage, 1), await store(storage, 2)
    assert await pruned(storage, dry_run=True) == Pruned([old], [newest], [])
    assert storage.deleted == []


@pytest.mark.parametrize("defect", ["missing part", "size of a part"])
async def test_defect_of_the_listing_is_not_a_backup_to_keep(storage: Folder, defect: str) -> None:
    old, good, newest = [await store(storage, day) for day in (1, 2, 3)]
    part = storage.path / newest / "part-000001"
    if defect == "missing part":
        part.unlink()
    else:
        part.write_bytes(b"longer")
    assert (await latest(storage, service=SERVICE)).id == good
    assert await pruned(storage) == Pruned([old], [good], [newest])
    assert storage.left() == {good, newest}


async def test_one_good_backup_among_those_that_stay_is_enough(storage: Folder) -> None:
    old, good, newest = [await store(storage, day) for day in (1, 2, 3)]
    damage(storage, newest)
    assert (await pruned(storage, TWO_NEWEST)).deleted == [old]
    assert storage.left() == {good, newest}


async def test_nothing_is_deleted_if_all_that_stay_are_damaged(storage: Folder) -> None:
    _, *staying = [await store(storage, day) for day in (1, 2, 3)]
    for backup in staying:
        damage(storage, backup)
    with pytest.raises(RefusedBackupError, match=r"nothing was deleted.*part-000002.*part-000002"):
        await pruned(storage, TWO_NEWEST)
    assert storage.deleted == []


async def test_manifest_is_deleted_first(storage: Folder) -> None:
    """Whatever ends the deletion, the rest is no backup."""
    old, _ = await store(storage, 1), await store(storage, 2)
    await pruned(storage)
    assert storage.deleted == [f"{old}/{name}" for name in (MANIFEST, "part-000002", "part-000001")]


async def test_unfinished_backups_go_after_a_day(storage: Folder) -> None:
    """They have no manifest. A finished one is as old, and stays."""
    old, young, finished = [await store(storage, day) for day in (1, 2, 3)]
    for backup in (old, young):
        (storage.path / backup / MANIFEST).unlink()
    now = clock.now()
    for backup, hours in ((old, 25), (young, 23), (finished, 25)):
        written = (now - timedelta(hours=hours)).timestamp()
        for file in (storage.path / backup).iterdir():
            os.utime(file, (written, written))
    os.utime(storage.path / old / "part-000001")  # the other part is what ended it a day ago
    assert await remove_unfinished(storage) == []
    os.utime(storage.path / old / "part-000001", (now.timestamp() - 25 * 3600,) * 2)
    assert await remove_unfinished(storage) == [old]
    assert storage.left() == {young, finished}


async def test_backups_are_listed_oldest_first(storage: Folder) -> None:
    made = [await store(storage, day) for day in (3, 1, 2)]
    assert [entry.id for entry in await backups(storage)] == sorted(made)


@pytest.mark.parametrize("branch", [CHASSIS.name, DOMAINS.name])
def test_backup_of_a_newer_version_is_refused(branch: str) -> None:
    heads: dict[str, str | None] = {CHASSIS.name: known(CHASSIS)[-1], DOMAINS.name: known(DOMAINS)[-1]}
    at = clock.now()
    header = Header(format=1, service=SERVICE, id="x", created_at=at, size=0, parts=0, sealed=None)
    refuse_newer(Manifest(header=header, body=body(revisions=heads)))
    refuse_newer(Manifest(header=header, body=body(revisions={**heads, branch: None})))
    newer = Manifest(header=header, body=body(revisions={**heads, branch: "9999"}))
    with pytest.raises(RefusedBackupError, match=rf"revision 9999 \({branch}\).*version 9 or a newer one"):
        refuse_newer(newer)
