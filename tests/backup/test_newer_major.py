"""A backup of an older PostgreSQL, made with its client programs, restores into a newer one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.dev import postgres_server
from service.dev.binaries import bundled_clients
from tests.backup.conftest import ROWS, Backup, sql
from tests.backup.test_restore import contents, schema
from tests.faults.servers import Postgres

OLDER = {"16": bundled_clients()[-1], "15": Path("/usr/lib/postgresql/15/bin")}
BUILTIN = ("--locale-provider=", "--builtin-locale=")  # options of initdb since PostgreSQL 17

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(params=OLDER, scope="module")
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server of an older major version."""
    programs = OLDER[request.param]
    if not programs.joinpath("postgres").exists():
        pytest.skip(f"PostgreSQL {request.param} is not installed in {programs}")
    options = tuple(option for option in postgres_server.INITDB if not option.startswith(BUILTIN))
    server = Postgres(tmp_path_factory.mktemp(f"postgres-{request.param}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_server, "postgres_binaries", lambda: programs)
        patch.setattr(postgres_server, "INITDB", options)
        server.start()
    try:
        assert sql(server.url, "SHOW server_version")[0][0].startswith(f"{request.param}.")
        yield server
    finally:
        server.stop()


@pytest.mark.usefixtures("shop_serves")
def test_backup_of_an_older_server_restores_into_a_newer_one(
    backup: Backup, older: Postgres, empty: str
) -> None:
    url = older.database("shop")
    sql(url, ROWS.format(count=50))
    sql(url, "UPDATE tests_shelf SET name = 'changed', version = version + 1 WHERE slug = 'shelf-7'")
    rows = contents(url)
    created = backup("create", database__url=url)
    assert created.exit_code == 0, created.output
    restored = backup("restore", created.stdout.strip(), database__url=empty)
    assert restored.exit_code == 0, restored.output
    assert contents(empty) == rows
    assert schema(empty) == schema(url)
    drilled = backup("drill", database__url=empty)
    assert drilled.exit_code == 0, drilled.output


@pytest.mark.parametrize("older", ["15"], indirect=True)
def test_compression_that_an_old_server_does_not_know_is_refused(backup: Backup, older: Postgres) -> None:
    done = backup("create", database__url=older.url, backup__compression="zstd")
    assert done.exit_code == 1
    assert "SLIPWAY_BACKUP__COMPRESSION is zstd, which needs PostgreSQL 16 or newer" in done.stderr
