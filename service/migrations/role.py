"""Creates the role that the service logs in as, if the migrating role may create roles."""

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
LOCK = 0x51_1B_3A_7A  # concurrent runs would both try to create or alter the role


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL stores for an ASCII password: SCRAM-SHA-256 (RFC 5802, section 3; RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_, server_ = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt_}${stored_}:{server_}"


def _matches(stored: str | None, password: str) -> bool:
    """Whether the stored verifier belongs to this password."""
    scheme, _, rest = (stored or "").partition("$")
    if scheme != "SCRAM-SHA-256":
        return False
    iterations, _, salt = rest.partition("$")[0].partition(":")
    return hmac.compare_digest(stored or "", verifier(password, base64.b64decode(salt), int(iterations)))


async def settled(connection: AsyncConnection, role: str, password: str) -> bool:
    """Whether the role can log in with this password. False if this connection may not find out."""
    there = await connection.scalar(
        sa.text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": role}
    )
    known = bool(there) and _matches(await _stored(connection, role), password)
    await connection.rollback()
    return known


async def ensure(connection: AsyncConnection, role: str, password: str) -> None:
    """Create the role, or set its password if it differs. Only the SCRAM verifier is sent, so the password cannot
    end up in a log of the server. Raises `AppRoleError` if this connection lacks the privilege."""
    try:
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        there = await connection.scalar(
            sa.text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": role}
        )
        if there and _matches(await _stored(connection, role), password):
            return
        name = connection.dialect.identifier_preparer.quote_identifier(role)
        verb = "CREATE" if there is None else "ALTER"
        await connection.exec_driver_sql(
            f"{verb} ROLE {name} LOGIN PASSWORD '{verifier(password, os.urandom(16))}'"
        )
        await connection.commit()
        log.info("created or updated the role of the service", role=role, created=there is None)
    except sa.exc.IntegrityError:
        # The lock is this database's own, and a run in another database of the server has just created the role.
        await connection.rollback()
        await ensure(connection, role, password)
    except sa.exc.ProgrammingError as error:
        reason = str(error.orig).splitlines()[0]
        raise AppRoleError(
            f"SLIPWAY_DATABASE__APP_PASSWORD: cannot create or alter role {role}: {reason}"
        ) from error
    finally:
        await connection.rollback()


async def _stored(connection: AsyncConnection, role: str) -> str | None:
    """Return the stored verifier of the role's password; None if this connection is not a superuser's."""
    if not await connection.scalar(sa.text("SELECT has_table_privilege('pg_authid', 'SELECT')")):
        return None
    stored: str | None = await connection.scalar(
        sa.text("SELECT rolpassword FROM pg_authid WHERE rolname = :role"), {"role": role}
    )
    return stored
