"""A password is rotated: its secret file and the role's password change at different moments."""

from pathlib import Path

import asyncpg
import pytest
import structlog
from sqlalchemy import make_url

from service.config import Settings
from service.database.connector import Connector
from tests.engine.api import unique
from tests.engine.pools import proxied


async def test_connections_open_before_and_after_the_role_has_the_new_password(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "database" / "password"
    file.parent.mkdir()
    file.write_text("before")
    monkeypatch.setenv("SLIPWAY_SECRETS_DIR", str(tmp_path))
    role = unique("rotated").replace("-", "_")
    owner = await asyncpg.connect(database_url)
    async with proxied(database_url) as (url, way):
        parts = make_url(url)
        place = {"host": parts.host, "port": parts.port, "name": parts.database, "ssl": "disable"}
        connector = Connector(Settings.model_validate({"database": {**place, "user": role, "url": None}}))
        try:
            await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'before'")
            await _opens(connector)
            file.write_text("after")
            for _ in range(2):  # as often as needed, until the role has it
                with structlog.testing.capture_logs() as lines:
                    await _opens(connector)
                assert [line["event"] for line in lines] == [
                    "new database password refused, using the previous one"
                ]
            assert connector.outage is None
            await owner.execute(f"ALTER ROLE {role} PASSWORD 'after'")
            await _opens(connector)
            await owner.execute(f"ALTER ROLE {role} PASSWORD 'another'")
            for password, attempts in (("wrong", 2), ("after", 1)):  # no password is tried twice
                file.write_text(password)
                before = way.accepted
                with pytest.raises(asyncpg.InvalidPasswordError):
                    await _opens(connector)
                assert way.accepted == before + attempts
        finally:
            await owner.execute(f"DROP ROLE {role}")
            await owner.close()


async def _opens(connector: Connector) -> None:
    connection = await connector.attempt()
    await connection.close()
