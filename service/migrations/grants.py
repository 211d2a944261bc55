"""Privileges of the role that the service logs in as, if another role owns the tables and migrates."""

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

log = structlog.get_logger(__name__)

# Each row is a statement to run: a missing grant, or the revocation of an excessive one. Three tables are read-only for
# the role: migrations write the revisions, and triggers write the history with the owner's privileges.
PENDING = """
WITH role AS (
  SELECT r.oid, r.rolname AS name, n.oid AS schema_oid, n.nspname AS schema
  FROM pg_roles r, pg_namespace n WHERE r.rolname = :role AND n.nspname = current_schema()
), own AS (
  SELECT c.oid, format('%I.%I', role.schema, c.relname) AS name, role.name AS role,
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
    CASE WHEN c.relkind = 'S' THEN ARRAY['SELECT', 'USAGE']
         WHEN c.relkind IN ('v', 'm') THEN ARRAY['SELECT']
         WHEN c.relname IN ('alembic_version', 'alembic_version_domains', 'row_history') THEN ARRAY['SELECT']
         ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END AS due
  FROM role JOIN pg_class c ON c.relnamespace = role.schema_oid
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_has_role(c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
), held AS (
  SELECT own.name, own.role, kind, privilege, privilege = ANY (due) AS due,
    CASE kind WHEN 'SEQUENCE' THEN has_sequence_privilege(own.role, own.oid, privilege)
              ELSE has_table_privilege(own.role, own.oid, privilege) END AS held
  FROM own, unnest(CASE kind WHEN 'SEQUENCE' THEN ARRAY['SELECT', 'USAGE'] ELSE
    ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] END) AS privilege
)
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name) FROM role
WHERE NOT has_database_privilege(name, current_database(), 'CONNECT')
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', schema, name) FROM role
WHERE NOT has_schema_privilege(name, schema_oid, 'USAGE')
UNION ALL
SELECT format('REVOKE CREATE ON SCHEMA %I FROM %I', schema, name) FROM role
WHERE has_schema_privilege(name, schema_oid, 'CREATE')
UNION ALL
SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT %s TO %I', schema, future.privileges, name)
FROM role, (VALUES ('r', 'SELECT, INSERT, UPDATE, DELETE ON TABLES'), ('S', 'SELECT, USAGE ON SEQUENCES'))
  AS future (kind, privileges)
WHERE NOT EXISTS (
  SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
  WHERE d.defaclrole = quote_ident(current_user)::regrole AND d.defaclnamespace = schema_oid
    AND d.defaclobjtype::text = future.kind AND a.grantee = role.oid)
UNION ALL
SELECT format(CASE WHEN due THEN 'GRANT %s ON %s %s TO %I' ELSE 'REVOKE %s ON %s %s FROM %I' END,
              string_agg(privilege, ', '), kind, name, role)
FROM held WHERE due <> held GROUP BY due, kind, name, role
"""
SCRIPT = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) THEN
    RAISE EXCEPTION 'there is no role %', {role};
  END IF;
END $$;
{pending}\\gexec

"""
TOO_POWERFUL = text("""
SELECT rolsuper OR pg_has_role(r.oid, quote_ident(current_user)::regrole, 'MEMBER')
  OR pg_has_role(r.oid, datdba, 'MEMBER') OR COALESCE(pg_has_role(r.oid, nspowner, 'MEMBER'), false)
FROM pg_roles r JOIN pg_database ON datname = current_database()
  LEFT JOIN pg_namespace ON nspname = current_schema()
WHERE rolname = :role
""")


class AppRoleError(Exception):
    """The service must not log in as the role of `SLIPWAY_DATABASE__APP_ROLE`."""


async def exists(connection: AsyncConnection, role: str) -> bool:
    """Whether the role exists."""
    found = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    await connection.rollback()
    return found is not None


async def check(connection: AsyncConnection, role: str) -> None:
    """Raise `AppRoleError` unless the role exists and has fewer privileges than the role of this connection."""
    too_powerful = await connection.scalar(TOO_POWERFUL, {"role": role})
    await connection.rollback()
    if too_powerful is None:
        raise AppRoleError(
            f"SLIPWAY_DATABASE__APP_ROLE: role {role} does not exist; create it with a password, then migrate"
        )
    if too_powerful:
        raise AppRoleError(
            f"SLIPWAY_DATABASE__APP_ROLE: {role} is a superuser, the migrating role, the owner of the database, or a "
            "member of one of them; the service needs a role that owns nothing"
        )


async def pending(connection: AsyncConnection, role: str) -> list[str]:
    """Return the statements that grant what the service needs and revoke everything else; empty if there are none."""
    statements = (await connection.scalars(text(PENDING), {"role": role})).all()
    await connection.rollback()
    return sorted(statements)


async def settle(connection: AsyncConnection, role: str) -> None:
    """Run the pending statements in one transaction. Logs a warning for privileges that others have granted as well."""
    statements = await pending(connection, role)
    for statement in statements:
        await connection.exec_driver_sql(statement)
    await connection.commit()
    if statements:
        log.info("updated the privileges of the service's role", role=role, statements=len(statements))
        if left := await pending(connection, role):
            log.warning("the service's role has privileges granted by other roles", role=role, pending=left)


def script(role: str) -> str:
    """Return the same for a psql script, which determines the pending statements itself."""
    literal = "'" + role.replace("'", "''") + "'"
    return SCRIPT.format(role=literal, pending=PENDING.replace(":role", literal).strip())
