"""Storage of backups: named objects that are written once and never changed."""

from pathlib import Path

from service.backup.errors import BackupError
from service.backup.storage.folder import FolderStorage
from service.backup.storage.storage_protocol import Storage
from service.config import BackupSettings


def open_storage(settings: BackupSettings) -> Storage:
    """Return the configured storage. Raises `BackupError` if none is configured."""
    if not settings.storage:
        raise BackupError(
            "there is no storage for backups: set SLIPWAY_BACKUP__STORAGE to a folder or to s3://bucket/prefix"
        )
    if settings.storage.startswith("s3:"):
        from service.backup.storage.s3 import S3Storage  # noqa: PLC0415  # a large library, only for S3

        return S3Storage(settings)
    return FolderStorage(Path(settings.storage))
