"""What backups need of a storage."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: its name (`<backup>/<file>`), its size in bytes and when it was written."""

    name: str
    size: int
    written_at: datetime


class Storage(Protocol):
    """Objects under names of two parts. Methods raise `StorageError` with the reason."""

    def describe(self) -> str:
        """Return the location, without secrets."""

    async def put(self, name: str, content: bytes) -> None:
        """Store an object. It exists completely and durably when this returns, and not at all if this fails."""

    async def get(self, name: str, *, at_most: int) -> bytes:
        """Return an object. Raises `MissingObjectError`, or `OversizedObjectError` above `at_most` bytes."""

    async def list(self) -> list[StoredObject]:
        """Return all objects."""

    async def space(self) -> tuple[int, int] | None:
        """Return the free bytes and the size of the storage; None if it has no bound or does not tell."""

    async def delete(self, names: Iterable[str]) -> None:
        """Delete objects, in order. One that does not exist is no error."""
