"""Backups in a folder: a mounted volume, or a disk of this machine."""

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.backup.errors import MissingObjectError, OversizedObjectError, StorageError
from service.backup.storage.storage_protocol import StoredObject

_DRAFT = ".draft-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FolderStorage:
    """Objects as files. A file is written under a draft name, synced to disk and then renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> str:
        return str(self._folder)

    async def put(self, name: str, content: bytes) -> None:
        await asyncio.to_thread(self._put, name, content)

    async def get(self, name: str, *, at_most: int) -> bytes:
        return await asyncio.to_thread(self._get, name, at_most)

    async def list(self) -> list[StoredObject]:
        return await asyncio.to_thread(lambda: [*self._objects()])

    async def space(self) -> tuple[int, int] | None:
        return await asyncio.to_thread(self._space)

    async def delete(self, names: Iterable[str]) -> None:
        await asyncio.to_thread(self._delete, [*names])

    def _space(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(self._folder)
            return usage.free, usage.total
        return None

    def _put(self, name: str, content: bytes) -> None:
        file = self._folder / name
        draft = file.with_name(f"{_DRAFT}{secrets.token_hex(4)}")
        with self._explained("written"):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with open(draft, "xb", opener=_private) as opened:  # Path.open takes no opener
                    opened.write(content)
                    opened.flush()
                    os.fsync(opened.fileno())
                draft.rename(file)
            except BaseException:
                draft.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    file.parent.rmdir()  # if nothing else is in it
                raise
            _sync(file.parent)
            _sync(self._folder)

    def _get(self, name: str, at_most: int) -> bytes:
        with self._explained("read"):
            try:
                with (self._folder / name).open("rb") as opened:
                    content = opened.read(at_most + 1)
            except (FileNotFoundError, NotADirectoryError):
                raise MissingObjectError(f"{self._folder}: there is no {name}") from None
        if len(content) > at_most:
            raise OversizedObjectError(f"{self._folder}: {name} is larger than {at_most} bytes")
        return content

    def _objects(self) -> Iterator[StoredObject]:
        with self._explained("read"):
            for folder in sorted(self._folder.iterdir()) if self._folder.exists() else ():
                for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        status = file.stat()
                        written = _EPOCH + timedelta(seconds=status.st_mtime)
                        yield StoredObject(f"{folder.name}/{file.name}", status.st_size, written)

    def _delete(self, names: Iterable[str]) -> None:
        with self._explained("changed"):
            for name in names:
                file = self._folder / name
                file.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    file.parent.rmdir()  # if it was the last
        with contextlib.suppress(OSError):
            _sync(self._folder)

    @contextlib.contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageError(f"the folder {self._folder} cannot be {verb}: {reason}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
