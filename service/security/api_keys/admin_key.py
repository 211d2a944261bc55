"""The administrator's API key that the settings bring, so that an installation needs no command by hand."""

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.models.api_key import ApiKey
from service.models.uuid7 import uuid7
from service.security.api_keys import key_format
from service.security.api_keys.key_format import KeyParts
from service.security.principals import ADMIN

log = structlog.get_logger(__name__)

NAME = "SLIPWAY_SECURITY__ADMIN_KEY"
FEWEST_CHARACTERS = 16  # different ones in a secret; 43 random ones of 64 have about 31


class AdminKeyError(Exception):
    """The key of the settings cannot be used. The message never shows it."""


def parse(text: str) -> KeyParts:
    """Return the parts of the key. Raises `AdminKeyError` unless it has the form of a key and looks random."""
    parts = key_format.parse(text)
    if parts is None or len(set(parts.secret)) < FEWEST_CHARACTERS:
        raise AdminKeyError(
            f"{NAME}: must be slw_, 12 random lowercase letters or digits, _, and 32 random bytes in base64url "
            "(43 characters); docs/kubernetes.md has a command that makes one"
        )
    return parts


async def ensure_admin_key(session: AsyncSession, parts: KeyParts) -> None:
    """Create the key with the scope `admin`, unless it exists. A revoked key stays revoked.

    Logs what it did, whether the key works, and which keys from earlier values of the setting still do. Raises
    `AdminKeyError` if another key has the prefix.
    """
    digest = key_format.digest(parts.secret)
    values = {"id": uuid7(), "name": NAME, "prefix": parts.prefix, "secret_hash": digest, "scopes": [ADMIN]}
    creating = insert(ApiKey).values(**values).on_conflict_do_nothing().returning(col(ApiKey.id))
    created = (await session.exec(creating)).first()
    if created:
        log.info("created the admin key", prefix=parts.prefix)
    key = (await session.exec(select(ApiKey).where(ApiKey.prefix == parts.prefix))).one()
    if key.secret_hash != digest:
        raise AdminKeyError(f"{NAME}: another key has the prefix {parts.prefix}; generate a new key")
    if reason := _unusable(key):
        log.warning("the admin key does not work", prefix=parts.prefix, reason=reason)
    for earlier in await _earlier(session, parts.prefix):
        log.warning("an earlier admin key still works; revoke it once nobody uses it", prefix=earlier)


def _unusable(key: ApiKey) -> str:
    """Return why the key cannot administer; empty if it can."""
    if key.revoked_at is not None:
        return "it was revoked; put a new key into the setting"
    if key.expires_at is not None and key.expires_at <= clock.now():
        return "it has expired; put a new key into the setting"
    return "" if ADMIN in key.scopes else "it was created before, without the scope admin"


async def _earlier(session: AsyncSession, prefix: str) -> list[str]:
    valid = select(ApiKey.prefix).where(
        ApiKey.name == NAME, ApiKey.prefix != prefix, col(ApiKey.revoked_at).is_(None)
    )
    return sorted((await session.exec(valid)).all())
