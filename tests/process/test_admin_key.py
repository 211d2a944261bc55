"""The admin key of the settings: created by the migration, once, and never again after it was revoked."""

import asyncio
import secrets
import subprocess
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import Result

from service import clock
from service.cli.errors import Exit
from service.migrations.branches import CHASSIS, head
from service.security.api_keys import key_format
from service.security.api_keys.admin_key import parse
from tests.process.conftest import Command, new_key
from tests.process.served import Served, eventually
from tests.services import ROOT


def status(service: Served, key: str) -> int:
    return service.api.get("/api/v1/keys", headers={"X-API-Key": key}).status_code


async def backdate(database_url: str, prefix: str) -> None:
    """Set the revocation of a key back by a month."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "UPDATE api_key SET revoked_at = revoked_at - interval '30 days' WHERE prefix = $1", prefix
        )
    finally:
        await connection.close()


def test_admin_key_is_created_once_and_stays_revoked(
    shared: Served, command: Command, database_url: str
) -> None:
    first, second = key_format.generate(), key_format.generate()

    def migrate(key: key_format.KeyParts) -> Result:
        done = command("migrate", database__url=database_url, security__admin_key=key.text)
        assert done.exit_code == 0, done.output
        assert key.secret not in done.output
        return done

    asyncio.run(new_key(database_url, "admin"))  # it is no earlier key of the settings
    assert status(shared, first.text) == 401
    given = {"database__url": database_url, "security__admin_key": first.text}
    assert command("migrate", "--to", head(CHASSIS), **given).stderr == "", "only at the heads"
    assert "created the admin key" in migrate(first).stderr
    assert eventually(lambda: status(shared, first.text) == 200, seconds=10)
    assert migrate(first).stderr == ""

    said = migrate(second).stderr
    assert "an earlier admin key still works; revoke it once nobody uses it" in said
    assert first.prefix in said
    assert eventually(lambda: status(shared, second.text) == 200, seconds=10)
    assert status(shared, first.text) == 200, "clients have time to change"

    for key in (first, second):
        command("keys", "revoke", key.prefix, database__url=database_url)
    asyncio.run(backdate(database_url, first.prefix))
    assert command("purge", database__url=database_url, retention__key_days=7).exit_code == 0
    said = migrate(first).stderr
    assert "it was revoked; put a new key into the setting" in said
    assert "an earlier admin key" not in said, "the other one was revoked too"
    assert eventually(lambda: status(shared, first.text) == 401, seconds=2)  # its cache time is 0.3 s
    assert first.secret not in shared.output


def test_key_that_exists_otherwise_is_used_or_refused(command: Command, database_url: str) -> None:
    existing = asyncio.run(new_key(database_url, "shop:read"))
    done = command("migrate", database__url=database_url, security__admin_key=existing)
    assert done.exit_code == 0
    assert "it was created before, without the scope admin" in done.stderr
    ended = clock.now() - timedelta(seconds=1)
    expired = asyncio.run(new_key(database_url, "admin", expires_at=ended))
    done = command("migrate", database__url=database_url, security__admin_key=expired)
    assert "it has expired; put a new key into the setting" in done.stderr
    prefix = existing.split("_")[1]
    other = f"slw_{prefix}_{secrets.token_urlsafe(32)}"
    done = command("migrate", database__url=database_url, security__admin_key=other)
    said = f"slipway: SLIPWAY_SECURITY__ADMIN_KEY: another key has the prefix {prefix}; generate a new key\n"
    assert (done.exit_code, done.stderr) == (Exit.MIGRATION, said)


def test_command_of_the_docs_makes_a_key(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith("printf 'slw_"))
    for _ in range(5):  # letters of base64 that a key must not have are not in each
        subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True, timeout=20)
        parse((tmp_path / "admin.txt").read_text("utf-8"))


@pytest.mark.parametrize("text", ["hunter2", f"slw_{'x' * 12}_{'changeme' * 5}abc"])
def test_admin_key_that_could_be_guessed_is_refused(command: Command, database_url: str, text: str) -> None:
    done = command("migrate", database__url=database_url, security__admin_key=text)
    assert done.exit_code == Exit.SETTINGS
    assert done.stderr.startswith("slipway: SLIPWAY_SECURITY__ADMIN_KEY: must be slw_, 12 random ")
    assert text not in done.stderr
