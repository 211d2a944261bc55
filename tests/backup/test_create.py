"""`slipway backup create` and `list`, against a real database."""

import asyncio
import base64
import json
import os
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.backup.create_backup import LOCK
from service.dev.binaries import bundled_clients
from service.dev.free_ports import LOOPBACK
from tests.backup.conftest import KEY, Backup, sql
from tests.engine.secured import secured
from tests.faults.proxy import Endpoint, Proxy
from tests.process.served import command_environment
from tests.process.settings.background import Background
from tests.shop.door import PROGRAM


def test_backup_records_what_the_database_holds(backup: Backup, filled: str) -> None:
    done = backup("create", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    tables = {table["name"]: table["rows"] for table in made["tables"]}
    assert tables["public.tests_shelf"] == tables["public.row_history"] == 50
    assert tables["public.tests_article"] == 0
    assert made["server_major"] == int(sql(filled, "SHOW server_version_num")[0][0]) // 10_000
    assert isinstance(made["parts"], int), "not all of them, which may be thousands"
    summary = f": {sum(tables.values())} rows in {len(tables)} tables, "
    assert summary in backup("verify").stdout
    assert made["revisions"]["chassis"] == sql(filled, "SELECT version_num FROM alembic_version")[0][0]
    [listed] = json.loads(backup("list", "--json").stdout)
    assert (listed["id"], listed["size"], listed["refused"]) == (made["id"], made["size"], None)


def test_checksums_follow_every_change_and_not_the_order(backup: Backup, filled: str) -> None:
    def checksums() -> dict[str, str]:
        tables = json.loads(backup("create", "--json").stdout)["tables"]
        return {table["name"]: table["checksum"] for table in tables if table["name"] != "public.backup_run"}

    before = checksums()
    sql(filled, "ALTER TABLE tests_shelf DISABLE TRIGGER USER")
    sql(filled, "UPDATE tests_shelf SET description = 'x' WHERE slug = 'shelf-7'")
    changed = checksums()
    assert [name for name in before if before[name] != changed[name]] == ["public.tests_shelf"]
    sql(filled, "UPDATE tests_shelf SET description = '' WHERE slug = 'shelf-7'")  # moves the row to the end
    assert checksums() == before


def test_second_backup_at_the_same_time_is_refused(backup: Backup, filled: str, storage: Path) -> None:
    background = Background()
    other = background.run(asyncpg.connect(filled))
    try:
        background.run(other.execute(f"SELECT pg_advisory_lock({LOCK})"))
        assert "another backup of this database is running" in backup("create").stderr
        assert not storage.exists()
    finally:
        background.run(other.close())
        background.close()


async def refuse(proxy: Proxy) -> None:
    proxy.refuse()


def test_backup_waits_for_the_server(backup: Backup, filled: str) -> None:
    parts = urlsplit(filled)
    assert parts.hostname is not None
    assert parts.port is not None
    background = Background()
    try:
        proxy = background.enter(Proxy(Endpoint(parts.hostname, parts.port)))
        login = parts.netloc.rpartition("@")[0]
        url = parts._replace(netloc=f"{login}@{LOOPBACK}:{proxy.port}").geturl()
        background.run(refuse(proxy))
        assert backup("create", database__url=url).exit_code == 4
        threading.Timer(0.7, lambda: background.run(proxy.listen())).start()
        done = backup("create", "--wait", "30", database__url=url)
        assert done.exit_code == 0, done.output
    finally:
        background.close()


def test_client_programs_of_another_major_are_refused(backup: Backup, filled: str, tmp_path: Path) -> None:
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 9.6.24'\n")
        program.chmod(0o755)
    done = backup("create", backup__client_folder=tmp_path)
    assert done.exit_code == 1
    assert f"{tmp_path}/pg_dump is pg_dump (PostgreSQL) 9.6.24" in done.stderr
    assert "install PostgreSQL's client programs of version" in done.stderr
    [(ok, detail)] = sql(filled, "SELECT ok, detail FROM backup_run")
    assert (ok, "pg_dump is pg_dump (PostgreSQL) 9.6.24" in detail) == (False, True)
    version = sql(filled, "SHOW server_version")[0][0]
    (tmp_path / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n")
    done = backup("create", backup__client_folder=tmp_path)
    assert f"is pg_dump (PostgreSQL) {version})" in done.stderr, "pg_restore is of another version"


@pytest.mark.long
def test_full_disk_leaves_no_backup_and_keeps_the_old_ones(
    backup: Backup, filled: str, storage: Path, tmp_path: Path
) -> None:
    assert backup("create").exit_code == 0
    before = sorted(storage.rglob("*"))
    settings = command_environment(database__url=filled, backup__storage=storage, backup__key=KEY)
    # Python would write bytecode that is cut off, for all later processes.
    settings |= {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        # Files of this process may have 4 KiB: the file system refuses the rest, as a full one does.
        ["/bin/sh", "-c", 'ulimit -f 8 && exec "$@"', "sh", *PROGRAM, "backup", "create"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"the folder {storage} cannot be written: {os.strerror(27)}" in done.stderr
    assert sorted(storage.rglob("*")) == before
    assert backup("verify").exit_code == 0


def test_pooler_and_missing_storage_are_refused(backup: Backup) -> None:
    assert "not PgBouncer" in backup("create", database__pgbouncer="true").stderr
    done = backup("list", backup__storage="")
    assert done.exit_code == 3
    assert "set SLIPWAY_BACKUP__STORAGE" in done.stderr


@pytest.mark.parametrize(
    "key", ["short", "bm90LTMyLWJ5dGVz", base64.b64encode(b"k" * 33).decode(), f"{KEY},{KEY}"]
)
def test_key_of_another_form_is_refused_without_showing_it(backup: Backup, key: str) -> None:
    done = backup("create", backup__key=key)
    assert done.exit_code == 3
    assert "SLIPWAY_BACKUP__KEY: must be 32 bytes in base64" in done.stderr
    assert key not in done.stderr


def test_backup_leaves_out_no_rows_hidden_by_row_level_security(backup: Backup, filled: str) -> None:
    """Neither does pg_dump itself, but its error comes late and says less."""
    secure = secured(filled)
    with asyncio.Runner() as runner:
        app_url = runner.run(secure.__aenter__())
        try:
            done = backup("create", database__url=app_url)
            assert done.exit_code == 1
            assert (
                "row-level security hides rows of public.idempotency_record, public.row_history"
                in done.stderr
            )
            dump = [str(bundled_clients()[0] / "pg_dump"), "--data-only", "--table=row_history", app_url]
            failed = subprocess.run(dump, capture_output=True, text=True, check=False, timeout=60)
            assert 'affected by row-level security policy for table "row_history"' in failed.stderr
            made = backup("create", "--json")
            tables = {table["name"]: table["rows"] for table in json.loads(made.stdout)["tables"]}
            assert tables["public.row_history"] == 50
        finally:
            runner.run(secure.__aexit__(None, None, None))
