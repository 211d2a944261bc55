"""`slipway backup restore`, against real databases."""

import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from service.backup import create_backup as creating
from service.dev.binaries import bundled_clients
from tests.backup.conftest import OTHER_KEY, Backup, name_of, renamed, sql
from tests.backup.test_verify import flip

TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
ORDERED = "SELECT count(*), md5(string_agg(md5(r::text), '' ORDER BY r::text)) FROM {} AS r"
# PostgreSQL prints casts in a CHECK of a list otherwise once it has read its own print.
CASTS = re.compile(r"::character varying|::text(\[\])?|[()]")

# After most tables have been created.
REFUSE_ITEMS = """
CREATE FUNCTION information_schema.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF to_regclass('public.tests_shelf') IS NOT NULL THEN RAISE 'no shelves'; END IF;
END $$
"""


def contents(url: str) -> dict[str, tuple[int, str]]:
    """Return rows and a checksum of each table, computed in another way than backups do."""
    tables = [row[0] for row in sql(url, TABLES)]
    found = sql(
        url, " UNION ALL ".join(f"SELECT '{table}', * FROM ({ORDERED.format(table)}) t" for table in tables)
    )
    return {table: (count, checksum) for table, count, checksum in found}


def schema(url: str) -> list[str]:
    """Return what `pg_dump --schema-only` says, without comments and the random word that guards newer dumps."""
    dump = subprocess.run(
        [bundled_clients()[0] / "pg_dump", "--schema-only", "--no-owner", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    lines = [line for line in dump.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict"))]
    return [CASTS.sub("", line) if "CHECK" in line else line for line in lines]


def test_round_trip(backup: Backup, filled: str, empty: str) -> None:
    sql(filled, "UPDATE tests_shelf SET name = 'naïve ☃ \\\\ \"quoted\"' WHERE slug = 'shelf-3'")
    before = contents(filled), schema(filled)
    assert backup("create").exit_code == 0
    done = backup("restore", "latest", database__url=empty)
    assert done.exit_code == 0, done.output
    assert contents(empty) == before[0]
    assert schema(empty) == before[1]
    sql(empty, "UPDATE tests_shelf SET name = 'goes on' WHERE slug = 'shelf-4'")
    assert sql(empty, "SELECT max(version) FROM row_history WHERE row->>'slug' = 'shelf-4'")[0][0] == 2


def test_database_in_use_is_not_touched(backup: Backup, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backup("create").exit_code == 0
    before = contents(filled)
    done = backup("restore", "latest")
    assert done.exit_code == 1
    assert f"the database {name_of(filled)} is not empty (it has public." in done.stderr

    async def older(_: object) -> int:
        """Stands for a server of an older version."""
        return 9

    monkeypatch.setattr("service.backup.restore_backup.server_major", older)
    done = backup("restore", "latest")
    assert done.exit_code == 1
    assert "this server is 9: restore it on PostgreSQL" in done.stderr
    assert contents(filled) == before


def test_bad_backup_is_refused_before_the_target_is_touched(
    backup: Backup, filled: str, empty: str, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup("create").stdout.strip()
    assert backup("restore", made, database__url=empty, backup__key=OTHER_KEY).exit_code == 8
    sql(filled, "UPDATE alembic_version SET version_num = '9999'")
    newer = backup("create").stdout.strip()
    done = backup("restore", newer, "--replace")
    assert done.exit_code == 8
    assert "is at revision 9999 (chassis), which this version does not know" in done.stderr
    part = storage / made / "part-000001"
    part.write_bytes(flip(part.read_bytes(), 0.5))
    done = backup("restore", made, database__url=empty)
    assert done.exit_code == 8
    assert sql(empty, TABLES) == []


def test_restore_that_fails_midway_leaves_the_database_empty(
    backup: Backup, empty: str, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "PART_BYTES", 8192)
    third = storage / backup("create").stdout.strip() / "part-000003"
    assert third.exists()
    sql(empty, REFUSE_ITEMS)  # in a schema whose objects do not count
    sql(
        empty, "CREATE EVENT TRIGGER refusing ON ddl_command_end EXECUTE FUNCTION information_schema.refuse()"
    )
    assert backup("restore", "latest", database__url=empty).exit_code == 1
    assert sql(empty, TABLES) == []

    async def unproved(*_: object) -> None:
        """Stands for a storage that is damaged after the backup was proved."""
        third.write_bytes(b"")

    monkeypatch.setattr("service.backup.restore_backup.verify", unproved)
    assert backup("restore", "latest", database__url=empty).exit_code == 8
    assert sql(empty, TABLES) == []


def test_replace_swaps_the_databases_and_keeps_the_old_one(
    backup: Backup, filled: str, kept: list[str]
) -> None:
    name = name_of(filled)
    before = contents(filled)
    gone = f"reader_{uuid4().hex[:8]}"
    sql(filled, f"CREATE ROLE {gone}")
    sql(filled, f"GRANT SELECT ON tests_shelf TO {gone}")
    assert backup("create").exit_code == 0
    sql(filled, f"DROP OWNED BY {gone}")
    sql(filled, f"DROP ROLE {gone}")
    sql(filled, "DELETE FROM tests_shelf")
    sql(filled, f"ALTER DATABASE {name} SET work_mem = '7MB'")
    sql(filled, f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    done = backup("restore", "latest", "--replace")
    assert done.exit_code == 0, done.output
    old = done.stdout.rpartition(" ")[2].strip().strip('"')
    kept.append(old)
    assert old.startswith(f"{name[:40]}_before_")
    assert contents(filled) == before
    assert sql(filled, "SHOW work_mem")[0][0] == "7MB"
    assert f"privileges are not restored, because roles do not exist: {gone}" in done.stderr
    assert not sql(filled, "SELECT has_database_privilege('public', current_database(), 'CONNECT')")[0][0]
    assert sql(renamed(filled, old), "SELECT count(*) FROM tests_shelf")[0][0] == 0
    assert not sql(filled, "SELECT 1 FROM pg_database WHERE datname ~ $1", f"^{name[:40]}_restored_")


@pytest.mark.long
def test_replace_restores_a_database_that_is_gone(backup: Backup, filled: str) -> None:
    before = contents(filled)
    assert backup("create").exit_code == 0
    sql(renamed(filled, "postgres"), f"DROP DATABASE {name_of(filled)} WITH (FORCE)")
    done = backup("restore", "latest", "--replace")
    assert done.exit_code == 0, done.output
    assert contents(filled) == before


@pytest.mark.long
def test_services_role_has_its_privileges_afterwards(backup: Backup, filled: str, empty: str) -> None:
    role, reader = f"app_{uuid4().hex[:8]}", f"reader_{uuid4().hex[:8]}"
    sql(filled, f"CREATE ROLE {reader}")
    try:
        sql(filled, f"GRANT SELECT ON tests_shelf TO {reader}")
        assert backup("create").exit_code == 0
        done = backup(
            "restore",
            "latest",
            database__url=empty,
            database__app_role=role,
            database__app_password="for-tests",
        )
        assert done.exit_code == 0, done.output
        granted = "SELECT has_table_privilege($1, 'tests_shelf', $2)"
        assert sql(empty, granted, role, "INSERT")[0][0]
        assert not sql(empty, granted, role, "TRUNCATE")[0][0]
        assert sql(empty, granted, reader, "SELECT")[0][0]
    finally:
        for url in (filled, empty):
            for name in (role, reader):
                if sql(url, "SELECT 1 FROM pg_roles WHERE rolname = $1", name):
                    sql(url, f"DROP OWNED BY {name}")
        for name in (role, reader):
            sql(filled, f"DROP ROLE IF EXISTS {name}")
