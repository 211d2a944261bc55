"""Backups and restores while others write and read."""

import asyncio
import json
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.backup.storage.folder import FolderStorage
from tests.backup.conftest import BULK, KEY, Backup, name_of, renamed, sql
from tests.backup.test_restore import contents, schema
from tests.backup.writers import RATE, Writers
from tests.process.conftest import new_key
from tests.process.served import Served, command_environment
from tests.shop.door import PROGRAM

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
STATE = "SELECT substr(slug, 7)::int, description::int, version FROM tests_shelf"
BROKEN = """
SELECT s.slug FROM tests_shelf s JOIN row_history h ON h.row_id = s.id GROUP BY s.slug, s.version
HAVING count(*) <> s.version OR max(h.version) <> s.version
"""


@pytest.mark.usefixtures("shop_serves")
def test_backup_under_writes_restores_one_moment(
    backup: Backup, filled: str, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql(filled, BULK.format(mib=32))
    sql(filled, "UPDATE tests_shelf SET description = '0'")
    before = schema(filled)
    with Writers(filled) as writers:
        written = _storage_waits_for(writers, monkeypatch)
        already = asyncio.run(writers.on_time())
        at_least = dict(writers.done)
        made = json.loads(backup("create", "--json").stdout)
        at_most = dict(writers.begun)
        asyncio.run(writers.on_time())
    assert written[-1] - already > RATE, "the backup took less than a second"
    sql(renamed(filled, "postgres"), f"DROP DATABASE {name_of(filled)} WITH (FORCE)")
    for again in (
        backup("restore", made["id"], "--replace"),
        backup("restore", made["id"], database__url=empty),
    ):
        assert again.exit_code == 0, again.output
    assert contents(filled) == contents(empty)
    assert schema(filled) == before
    state = {row[0]: row[1] for row in sql(filled, STATE)}
    assert all(at_least[shelf] <= state[shelf] <= at_most[shelf] for shelf in state), (
        at_least,
        state,
        at_most,
    )
    assert not sql(filled, BROKEN), "a row and its history are of different moments"
    assert backup("drill").exit_code == 0


def _storage_waits_for(writers: Writers, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the storage take the next part only when the writers are on time, so that a slow machine has the same load
    during a backup. Return how many writes were committed at the end of each part, in a list that grows."""
    written: list[float] = []
    put = FolderStorage.put

    async def put_on_time(storage: FolderStorage, name: str, content: bytes) -> None:
        await put(storage, name, content)
        written.append(await writers.on_time())

    monkeypatch.setattr(FolderStorage, "put", put_on_time)
    return written


def test_of_two_backups_at_once_one_is_made(
    backup: Backup, filled: str, storage: Path, tmp_path: Path
) -> None:
    sql(filled, BULK.format(mib=32))
    settings = command_environment(database__url=filled, backup__storage=storage, backup__key=KEY)
    command = [*PROGRAM, "backup", "create"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, env=settings, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=90)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], told
    assert sum("another backup of this database is running" in text for text in told) == 1
    assert len(json.loads(backup("list", "--json").stdout)) == 1
    assert backup("verify").exit_code == 0


@pytest.fixture
def served(filled: str, tmp_path: Path) -> Iterator[Served]:
    started = Served(tmp_path / "served", database__url=filled, redis__enabled="false")
    yield started.ready()
    started.close()


def test_service_serves_the_restored_rows_after_its_database_is_replaced(
    backup: Backup, filled: str, kept: list[str], served: Served
) -> None:
    key = asyncio.run(new_key(filled, "shop:read"))
    assert backup("create").exit_code == 0
    sql(filled, "UPDATE tests_shelf SET name = 'after the backup'")
    seen: Counter[int] = Counter()
    stopped = threading.Event()

    def names() -> set[str]:
        response = served.api.get("/api/v1/shelves", headers={"X-API-Key": key})
        seen[response.status_code] += 1
        return {item["name"] for item in response.json().get("items", [])}

    def call() -> None:
        while not stopped.is_set():
            names()
            time.sleep(0.02)

    calling = threading.Thread(target=call)
    calling.start()
    try:
        done = backup("restore", "latest", "--replace")
        assert done.exit_code == 0, done.output
        kept += re.findall(r'DROP DATABASE "(.+)"', done.stdout)
    finally:
        time.sleep(2)
        stopped.set()
        calling.join()
    assert len(names()) > 1
    assert seen.keys() <= {200, 503}
    assert served.process.poll() is None
