"""The data folder of `slipway dev`: one process at a time uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.dev.errors import FolderInUseError
from service.dev.processes import read_pid


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Make the folder if needed and hold it. Raises FolderInUseError while another process does.

    The kernel lets go of the lock with the process, however it ends: a lock is never left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(
                f"the data in {folder} is in use by process {read_pid(folder / 'lock')}: stop that one first"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield folder
