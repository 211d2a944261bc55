"""Making the role that the service logs in as, where the role that migrates may make roles."""

import base64
import hashlib
import hmac
import os

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.migrations.grants import AppRoleError

log = structlog.get_logger(__name__)

ITERATIONS = 4096
LOCK = 0x51_1B_3A_7A  # two at once would both find no role, or change the same one


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """What PostgreSQL keeps of a password of ASCII characters: SCRAM-SHA-256, RFC 5802 section 3 and RFC 7677."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_, server_ = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt_}${stored_}:{server_}"


def _fits(kept: str | None, password: str) -> bool:
    """Whether what the server keeps is of this password."""
    scheme, _, rest = (kept or "").partition("$")
    if scheme != "SCRAM-SHA-256":
        return False
    iterations, _, salt = rest.partition("$")[0].partition(":")
    return hmac.compare_digest(kept or "", verifier(password, base64.b64decode(salt), int(iterations)))


async def settled(connection: AsyncConnection, role: str, password: str) -> bool:
    """Whether the role logs in with this password, as far as this connection may know."""
    there = await connection.scalar(
        sa.text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": role}
    )
    known = bool(there) and _fits(await _kept(connection, role), password)
    await connection.rollback()
    return known


async def ensure(connection: AsyncConnection, role: str, password: str) -> None:
    """Make the role, or give it this password when it has another. The server never sees the password itself, so that
    no log can hold it. Raises `AppRoleError` when the role of this connection may not do that."""
    try:
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        there = await connection.scalar(
            sa.text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": role}
        )
        if there and _fits(await _kept(connection, role), password):
            return
        name = connection.dialect.identifier_preparer.quote_identifier(role)
        verb = "CREATE" if there is None else "ALTER"
        await connection.exec_driver_sql(
            f"{verb} ROLE {name} LOGIN PASSWORD '{verifier(password, os.urandom(16))}'"
        )
        await connection.commit()
        log.info("role of the service settled", role=role, made=there is None)
    except sa.exc.ProgrammingError as error:
        reason = str(error.orig).splitlines()[0]
        raise AppRoleError(
            f"SLIPWAY_DATABASE__APP_PASSWORD: role {role} cannot be made or changed: {reason}"
        ) from error
    finally:
        await connection.rollback()


async def _kept(connection: AsyncConnection, role: str) -> str | None:
    """What the server keeps of the role's password, which only superusers may see."""
    if not await connection.scalar(sa.text("SELECT has_table_privilege('pg_authid', 'SELECT')")):
        return None
    kept: str | None = await connection.scalar(
        sa.text("SELECT rolpassword FROM pg_authid WHERE rolname = :role"), {"role": role}
    )
    return kept
