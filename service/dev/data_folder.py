"""The data folder of `slipway dev`, locked so that only one process uses it at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.dev.errors import FolderInUseError
from service.dev.processes import read_pid


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Create the folder if needed and lock it. Raises FolderInUseError if another process holds the lock.

    The kernel releases the lock when the process ends, however it ends, so a lock is never left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(
                f"the data in {folder} is in use by process {read_pid(folder / 'lock')}: "
                "stop that process first, or choose another folder with --data"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield folder
