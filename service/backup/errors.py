"""Why a backup command did not succeed. Messages are for people and contain no secret."""


class BackupError(Exception):
    """The command failed; stored backups are as they were."""


class StorageError(BackupError):
    """The storage cannot be read or written."""


class MissingObjectError(StorageError):
    """The storage has no object of this name."""


class OversizedObjectError(StorageError):
    """An object is larger than it may be."""


class RefusedBackupError(BackupError):
    """A stored backup cannot be used: damaged, incomplete, foreign, made by a newer version, or sealed by a key that
    is not configured."""
