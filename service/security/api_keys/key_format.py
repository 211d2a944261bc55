"""The text of an API key: `slw_<prefix>_<secret>`. The prefix finds the row, the hash of the secret proves the holder.

The secret has 256 random bits, so one round of SHA-256 is enough: nobody can guess it.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

_SCHEME = "slw"
_KEY = re.compile(r"^slw_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PREFIX_LENGTH = 12
_SECRET_BYTES = 32


class KeyParts(NamedTuple):
    """The two parts of a key. The prefix may be shown and logged; the secret may not."""

    prefix: str
    secret: str

    @property
    def text(self) -> str:
        """The key as a client sends it."""
        return f"{_SCHEME}_{self.prefix}_{self.secret}"


def generate() -> KeyParts:
    """Return a new random key."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_LENGTH))
    return KeyParts(prefix, secrets.token_urlsafe(_SECRET_BYTES))


def parse(presented: str) -> KeyParts | None:
    """Return the parts of a key; None for text that does not have the form of a key."""
    match = _KEY.match(presented)
    return None if match is None else KeyParts(match[1], match[2])


def digest(text: str) -> bytes:
    """Return the SHA-256 hash of a secret, as stored."""
    return hashlib.sha256(text.encode()).digest()


def cache_key(text: str) -> bytes:
    """Return the BLAKE2 hash of a whole key, as cached: each request needs it, and OpenSSL is not asked for it."""
    return hashlib.blake2s(text.encode()).digest()
