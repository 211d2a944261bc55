"""Recovery to a chosen commit with PostgreSQL's own tools, as docs/backup.md says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backup.conftest import ROWS, sql
from tests.faults.servers import Postgres
from tests.process.served import Served, eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
WANTED = """
WITH changed AS (UPDATE tests_shelf SET name = 'wanted', version = version + 1 RETURNING 1)
SELECT pg_current_xact_id()::text, count(*) FROM changed
"""
ARCHIVED = "SELECT last_archived_wal >= $1 FROM pg_stat_archiver"


@contextmanager
def started(server: Postgres) -> Iterator[Postgres]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    folder.chmod(0o777)  # for the user that the server runs as
    return folder


def _archiving(folder: Path, archive: Path) -> Postgres:
    command = f"test ! -f {archive}/%f && cp %p {archive}/%f"
    return Postgres(folder, wal_level="replica", archive_mode="on", archive_command=command)


def test_recovery_to_a_chosen_commit(tmp_path: Path, archive: Path) -> None:
    copy = tmp_path / "copy"
    with started(_archiving(tmp_path / "server", archive)) as server:
        url = server.database("shop")
        sql(url, ROWS.format(count=50))
        server.copy_to(copy)
        chosen = sql(url, WANTED)[0][0]
        sql(url, "UPDATE tests_shelf SET name = 'mistake', version = version + 1")
        last = sql(url, "SELECT pg_walfile_name(pg_switch_wal())")[0][0]
        assert eventually(lambda: sql(url, ARCHIVED, last)[0][0], seconds=60)

    (copy / "data" / "recovery.signal").touch()
    target = {"recovery_target_xid": chosen, "recovery_target_action": "promote"}
    with started(Postgres(copy, restore_command=f"cp {archive}/%f %p", **target)) as recovered:
        url = recovered.url.rpartition("/")[0] + "/shop"
        assert eventually(lambda: not sql(url, "SELECT pg_is_in_recovery()")[0][0], seconds=60)
        assert [tuple(row) for row in sql(url, "SELECT DISTINCT name, version FROM tests_shelf")] == [
            ("wanted", 2)
        ]
        assert tuple(sql(url, "SELECT count(*), max(version) FROM row_history")[0]) == (100, 2)
        served = Served(tmp_path / "served", database__url=url, redis__enabled="false")
        try:
            served.ready()
        finally:
            served.close()
