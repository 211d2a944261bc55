"""The backups of a storage: what is in each, and whether it is complete."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from service import clock
from service.backup.errors import MissingObjectError, OversizedObjectError, RefusedBackupError
from service.backup.manifest import LARGEST, MANIFEST, Header, Manifest, Stored, part_name
from service.backup.sealing import KeyRing, Seal
from service.backup.storage.storage_protocol import Storage, StoredObject

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
UNFINISHED = timedelta(hours=24)  # no part is written for so long only by a run that is gone


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored backup. `refused` says why it cannot be used; empty if nothing in its listing speaks against it.

    `header` is None if the manifest cannot be read.
    """

    id: str
    objects: Sequence[StoredObject] = field(repr=False)
    header: Header | None
    refused: str = ""


async def backups(storage: Storage) -> list[Entry]:
    """Return the backups of a storage, oldest first: everything with a manifest, damaged or not.

    Reads the manifests and the sizes of the parts, not the parts. Raises `StorageError`.
    """
    grouped = _grouped(await storage.list())
    entries = [
        await _entry(storage, backup, objects)
        for backup, objects in grouped.items()
        if _has_manifest(backup, objects)
    ]
    return sorted(entries, key=lambda entry: entry.id)


async def opened(
    storage: Storage, keys: KeyRing, backup: str, *, service: str, unsealed: bool = False
) -> tuple[Manifest, Seal | None]:
    """Return the manifest of a backup and the seal of its parts.

    `backup` may be `latest`. Raises `RefusedBackupError`, also for a backup of another service than `service`.
    """
    if backup == "latest":
        backup = (await latest(storage, service=service)).id
    if not _ID.fullmatch(backup):
        raise RefusedBackupError(f"{backup} is not the id of a backup: `slipway backup list` shows the ids")
    stored = await _stored(storage, backup)
    if stored.header.service != service:
        raise RefusedBackupError(
            f"backup {backup} is of the service {stored.header.service}, and this is {service} (SLIPWAY_APP__NAME)"
        )
    return stored.opened(keys, unsealed=unsealed)


async def latest(storage: Storage, *, service: str) -> Entry:
    """Return the newest backup of a service. Raises `RefusedBackupError` if it has no backup."""
    own = [
        entry
        for entry in await backups(storage)
        if entry.header is not None and entry.header.service == service and not entry.refused
    ]
    if not own:
        raise RefusedBackupError(f"there is no backup of {service} in {storage.describe()}")
    return own[-1]


async def remove_unfinished(storage: Storage) -> list[str]:
    """Delete what interrupted runs left behind a day ago or earlier; return the ids."""
    removed = []
    for backup, objects in _grouped(await storage.list()).items():
        newest = max(one.written_at for one in objects)
        if not _has_manifest(backup, objects) and clock.now() - newest > UNFINISHED:
            await storage.delete(one.name for one in objects)
            removed.append(backup)
    return removed


def _grouped(objects: Sequence[StoredObject]) -> Mapping[str, list[StoredObject]]:
    """Return the objects of each backup. What else is in the storage is ignored."""
    grouped: dict[str, list[StoredObject]] = {}
    for one in objects:
        backup, _, _ = one.name.partition("/")
        if _ID.fullmatch(backup):
            grouped.setdefault(backup, []).append(one)
    return grouped


def _has_manifest(backup: str, objects: Sequence[StoredObject]) -> bool:
    return any(one.name == f"{backup}/{MANIFEST}" for one in objects)


async def _entry(storage: Storage, backup: str, objects: Sequence[StoredObject]) -> Entry:
    try:
        header = (await _stored(storage, backup)).header
    except RefusedBackupError as error:
        return Entry(backup, objects, None, str(error))
    return Entry(backup, objects, header, _incomplete(header, objects))


def _incomplete(header: Header, objects: Sequence[StoredObject]) -> str:
    sizes = {one.name: one.size for one in objects}
    wanted = [f"{header.id}/{part_name(number)}" for number in range(1, header.parts + 1)]
    if missing := [name for name in wanted if name not in sizes]:
        return f"backup {header.id} is incomplete: {missing[0]} is missing"
    if sum(sizes[name] for name in wanted) != header.size:
        return f"backup {header.id} is damaged: its parts do not have the recorded size"
    return ""


async def _stored(storage: Storage, backup: str) -> Stored:
    try:
        content = await storage.get(f"{backup}/{MANIFEST}", at_most=LARGEST)
    except (MissingObjectError, OversizedObjectError) as error:
        raise RefusedBackupError(f"backup {backup} has no manifest: {error}") from None
    return Stored(backup, content)
