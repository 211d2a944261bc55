"""A password is rotated: its secret file and the role's password change at different moments."""

from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from service.config import Settings
from service.database.connector import Connector
from tests.engine.api import unique


async def test_connections_open_before_and_after_the_role_has_the_new_password(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "database" / "password"
    file.parent.mkdir()
    file.write_text("before")
    monkeypatch.setenv("SLIPWAY_SECRETS_DIR", str(tmp_path))
    role, parts = unique("rotated").replace("-", "_"), make_url(database_url)
    place = {"host": parts.host, "port": parts.port, "name": parts.database, "user": role, "url": None}
    connector = Connector(Settings(database=place))
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'before'")
        await _opens(connector)
        file.write_text("after")
        await _opens(connector)
        assert connector.outage is None
        await owner.execute(f"ALTER ROLE {role} PASSWORD 'after'")
        await _opens(connector)
        file.write_text("wrong")
        await owner.execute(f"ALTER ROLE {role} PASSWORD 'another'")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _opens(connector)
    finally:
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()


async def _opens(connector: Connector) -> None:
    connection = await connector.attempt()
    await connection.close()
