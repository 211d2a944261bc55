"""Create and drop databases of a PostgreSQL server."""

import asyncpg


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def create_database(server: str, name: str, *, template: str | None = None) -> None:
    """Create a database, from a template if one is named. Does nothing if the database exists."""
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(
            f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template or 'template1')}"
        )
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        await connection.close()


async def drop_database(server: str, name: str) -> None:
    """Drop a database and end its connections. Does nothing if the database does not exist."""
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
    finally:
        await connection.close()
