"""Manifests that have a checksum of their own and are malformed anyway, and a folder that cannot be written."""

import os
from pathlib import Path
from typing import Any

import pytest

from service.backup import manifest
from service.backup.errors import RefusedBackupError, StorageError
from service.backup.sealing import KeyRing
from service.backup.storage.folder import FolderStorage
from service.backup.stored_backups import backups, opened
from tests.backup.test_stored import SERVICE, Folder, body, storage, store

__all__ = ["storage"]

SEALED = {"cipher": "AES-256-GCM", "key_id": "0", "salt": "00" * 32}


def rewritten(storage: Folder, backup: str, **changes: Any) -> None:
    """Change the header or the body of a backup's manifest, as one who computes the checksum again."""
    file = storage.path / backup / manifest.MANIFEST
    stored = manifest.Stored(backup, file.read_bytes())
    header, content = stored.header.model_dump(mode="json"), body().model_dump(mode="json")
    framed = {
        "header": header | changes.get("header", {}),
        "body": changes.get("body", content),
    }
    file.write_bytes(manifest._text({**framed, "checksum": manifest._checksum(framed)}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"header": {"size": -1}}, "is damaged"),
        ({"header": {"colour": "red"}}, "is damaged"),
        ({"body": {}}, "is damaged"),
        ({"body": None}, "is damaged"),
        (
            {"header": {"sealed": {**SEALED, "cipher": "ROT13"}}, "body": ""},
            "is sealed by ROT13; this version reads",
        ),
    ],
)
async def test_malformed_manifest_is_refused(storage: Folder, changes: dict[str, Any], told: str) -> None:
    backup = await store(storage, 1)
    rewritten(storage, backup, **changes)
    with pytest.raises(RefusedBackupError, match=told):
        await opened(storage, KeyRing((), seals=False), backup, service=SERVICE)


@pytest.mark.parametrize("sealed", [7, "=", "ü"])
async def test_sealed_body_without_base64_is_damaged(storage: Folder, sealed: Any) -> None:
    keys = KeyRing((b"k" * 32,), seals=True)
    seal = keys.new_seal("")
    assert seal is not None
    backup = await store(storage, 1)
    rewritten(storage, backup, header={"sealed": {**SEALED, "key_id": seal.key_id}}, body=sealed)
    with pytest.raises(RefusedBackupError, match="is damaged"):
        await opened(storage, keys, backup, service=SERVICE)


async def test_only_what_has_the_name_of_a_backup_is_one(storage: Folder) -> None:
    backup = await store(storage, 1)
    (storage.path / backup).rename(storage.path / "saved")
    assert await backups(storage) == []
    with pytest.raises(RefusedBackupError, match="saved is not the id of a backup: `slipway backup list`"):
        await opened(storage, KeyRing((), seals=False), "saved", service=SERVICE)


async def test_object_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    (tmp_path / "b" / "taken" / "by a folder").mkdir(parents=True)
    with pytest.raises(StorageError, match=f"the folder {tmp_path} cannot be written: Is a directory"):
        await storage.put("b/taken", b"content")
    assert [one.name for one in (tmp_path / "b").iterdir()] == ["taken"]


async def test_backups_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await FolderStorage(tmp_path).put("b/part", b"content")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("b", "b/part")] == [0o700, 0o600]


async def test_part_and_its_names_are_on_disk_when_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure must not leave a manifest without its parts."""
    synced = list[str]()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    await FolderStorage(tmp_path).put("b/part", b"content")
    draft, *folders = synced
    assert draft.startswith(f"{tmp_path}/b/.draft-")
    assert folders == [f"{tmp_path}/b", f"{tmp_path}"]
