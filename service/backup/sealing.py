"""Sealing: authenticated encryption of the parts and the manifest of a backup.

Each backup has a random salt. HKDF-SHA256 (RFC 5869) derives its AES-256-GCM key from the configured key and that
salt, so a counter is a safe nonce (NIST SP 800-38D, section 8.2.1): 0 seals the manifest, n seals part n. Every message
is bound to its backup and its number, so parts cannot be swapped, repeated or moved to another backup.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.backup.errors import RefusedBackupError

CIPHER = "AES-256-GCM"
SALT_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Key:
    """A configured key of 32 bytes. Its id says which key sealed a backup, and nothing about the key itself."""

    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"

    @property
    def id(self) -> str:
        return _derived(self.secret, b"", b"slipway backup key id", 8).hex()


class Seal:
    """Seals and opens the messages of one backup."""

    def __init__(self, key: Key, *, backup: str, salt: bytes) -> None:
        self.key_id, self.salt, self._backup = key.id, salt, backup
        self._cipher = AESGCM(_derived(key.secret, salt, b"slipway backup " + backup.encode(), 32))

    def close(self, number: int, content: bytes, header: bytes = b"") -> bytes:
        """Return the content sealed as message `number`, bound to `header`, which stays readable."""
        return self._cipher.encrypt(_nonce(number), content, self._bound(number, header))

    def open(self, number: int, sealed: bytes, header: bytes = b"") -> bytes:
        """Return the content. Raises `RefusedBackupError` if anything about it was changed."""
        try:
            return self._cipher.decrypt(_nonce(number), sealed, self._bound(number, header))
        except InvalidTag:
            where = f"part {number}" if number else "the manifest"
            raise RefusedBackupError(
                f"backup {self._backup}: {where} was changed after it was sealed"
            ) from None

    def _bound(self, number: int, header: bytes) -> bytes:
        return b"slipway backup\0%b\0%d\0%b" % (self._backup.encode(), number, header)


class KeyRing:
    """The configured keys: the first seals, all of them open."""

    def __init__(self, secrets: Iterable[bytes], *, seals: bool) -> None:
        self._keys = {key.id: key for key in map(Key, secrets)}
        self._current = next(iter(self._keys.values())) if seals else None

    @property
    def seals(self) -> bool:
        """Whether new backups are sealed."""
        return self._current is not None

    def new_seal(self, backup: str) -> Seal | None:
        """Return the seal of a new backup; None if no key is configured."""
        if self._current is None:
            return None
        return Seal(self._current, backup=backup, salt=os.urandom(SALT_BYTES))

    def seal_of(self, backup: str, key_id: str, salt: bytes) -> Seal:
        """Return the seal of a stored backup. Raises `RefusedBackupError` if its key is not configured."""
        if (key := self._keys.get(key_id)) is None:
            known = ", ".join(self._keys) or "none"
            raise RefusedBackupError(
                f"backup {backup} is sealed by the key {key_id}, and the configured keys are {known}: add its key to "
                "SLIPWAY_BACKUP__OLD_KEYS"
            )
        return Seal(key, backup=backup, salt=salt)


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")


def _derived(secret: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, purpose).derive(secret)
