"""The parts of a backup: the dump, cut into pieces that are sealed, stored and read one at a time."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from service.backup.errors import MissingObjectError, OversizedObjectError, RefusedBackupError
from service.backup.manifest import Manifest, Part, part_name
from service.backup.progress import Progress
from service.backup.sealing import Seal
from service.backup.storage.storage_protocol import Storage

PART_BYTES = 16 * 2**20  # of the dump; three parts at most are in memory
SEAL_BYTES = 16  # that sealing adds to a part


async def write_parts(
    dump: AsyncIterable[bytes], storage: Storage, backup: str, seal: Seal | None, progress: Progress
) -> list[Part]:
    """Seal and store each chunk of the dump. Raises `StorageError`."""
    parts: list[Part] = []
    async for chunk in dump:
        number = len(parts) + 1
        stored = seal.close(number, chunk) if seal else chunk
        await storage.put(f"{backup}/{part_name(number)}", stored)
        parts.append(Part(size=len(stored), sha256=hashlib.sha256(stored).hexdigest()))
        progress.add(len(stored))
    return parts


async def read_parts(
    manifest: Manifest, storage: Storage, seal: Seal | None, progress: Progress
) -> AsyncIterator[bytes]:
    """Yield the dump, each piece after its proof. Raises `RefusedBackupError` at the first part that is missing or
    changed."""
    backup = manifest.header.id
    for number, part in enumerate(manifest.body.parts, 1):
        name = part_name(number)
        try:
            stored = await storage.get(f"{backup}/{name}", at_most=part.size)
        except MissingObjectError:
            raise RefusedBackupError(f"backup {backup} is incomplete: {name} is missing") from None
        except OversizedObjectError:
            raise _damaged(backup, name) from None
        if hashlib.sha256(stored).hexdigest() != part.sha256:
            raise _damaged(backup, name)
        progress.add(len(stored))
        yield seal.open(number, stored) if seal else stored


def _damaged(backup: str, name: str) -> RefusedBackupError:
    return RefusedBackupError(f"backup {backup} is damaged: {name} does not match its checksum")
