"""Create, list, revoke and purge API keys, for the routes under `/api/v1/keys` and the command `slipway keys`."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.models.api_key import ApiKey
from service.security.api_keys import key_format
from service.security.api_keys.admin_key import NAME as ADMIN_KEY
from service.security.scope_names import SCOPE

NAME = re.compile(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
_NAME_LENGTH = 100  # the column's
CLAIM = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")
CLAIM_LENGTH = 255
NO_CLAIMS: Mapping[str, str] = MappingProxyType({})


class NoSuchKeyError(Exception):
    """No key has this prefix."""


async def create_key(
    session: AsyncSession,
    *,
    name: str,
    scopes: Sequence[str],
    claims: Mapping[str, str] = NO_CLAIMS,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key. Returns its row, and its text, which is not stored and cannot be shown again.

    `claims` say more about its holder, as those of a token do. Raises `ValueError` for an invalid name, scope or claim.
    """
    if not 1 <= len(name) <= _NAME_LENGTH:
        raise ValueError(f"the name of a key must have 1 to {_NAME_LENGTH} characters")
    if not NAME.fullmatch(name):
        raise ValueError("the name of a key must not contain line breaks or control characters")
    if wrong := [scope for scope in scopes if not SCOPE.fullmatch(scope)]:
        raise ValueError(f"invalid scopes: {', '.join(wrong)}")
    if not scopes:
        raise ValueError("a key needs at least one scope")
    _check_claims(claims)
    parts = key_format.generate()
    key = ApiKey(
        name=name,
        prefix=parts.prefix,
        secret_hash=key_format.digest(parts.secret),
        scopes=sorted(set(scopes)),
        claims=dict(claims),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    return key, parts.text


def _check_claims(claims: Mapping[str, str]) -> None:
    for claim, value in claims.items():
        if not CLAIM.fullmatch(claim):
            raise ValueError(
                f"invalid claim {claim!r}: names consist of letters, digits, underscores and hyphens"
            )
        if not (1 <= len(value) <= CLAIM_LENGTH and NAME.fullmatch(value)):
            raise ValueError(
                f"the value of the claim {claim} must have 1 to {CLAIM_LENGTH} characters, none of them a control one"
            )


async def list_keys(session: AsyncSession) -> Sequence[ApiKey]:
    """Return all keys, oldest first, including expired and revoked ones."""
    return (await session.exec(select(ApiKey).order_by(col(ApiKey.id)))).all()


async def revoke_key(session: AsyncSession, prefix: str) -> ApiKey:
    """Revoke a key; revoking it again keeps the first time. Raises `NoSuchKeyError`."""
    key = (await session.exec(select(ApiKey).where(ApiKey.prefix == prefix))).one_or_none()
    if key is None:
        raise NoSuchKeyError(prefix)
    key.revoked_at = key.revoked_at or clock.now()
    return key


async def purge_keys(session: AsyncSession, days: float) -> int:
    """Delete keys that were revoked or expired more than `days` ago. Return how many.

    Keeps admin keys of the settings: without its row, the next migration would create a revoked one again.
    """
    ended = func.least(col(ApiKey.revoked_at), col(ApiKey.expires_at))  # ignores null
    old = (
        delete(ApiKey)
        .where(ended < clock.now() - timedelta(days=days), col(ApiKey.name) != ADMIN_KEY)
        .returning(col(ApiKey.id))
    )
    return len((await session.exec(old)).all())
