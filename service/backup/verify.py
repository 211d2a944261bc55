"""Proves a stored backup: every part is there, unchanged, and opens."""

from service.backup.manifest import Manifest
from service.backup.parts import read_parts
from service.backup.progress import Progress
from service.backup.sealing import Seal
from service.backup.storage.storage_protocol import Storage


async def verify(manifest: Manifest, storage: Storage, seal: Seal | None, progress: Progress) -> None:
    """Read the whole backup. Raises `RefusedBackupError` at the first defect."""
    progress.start(f"verifying {manifest.header.id}", manifest.header.size)
    async for _ in read_parts(manifest, storage, seal, progress):
        pass
