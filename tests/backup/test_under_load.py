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
from typing import Self

import asyncpg
import pytest

from tests.backup.conftest import BULK, KEY, Backup, name_of, renamed, sql
from tests.backup.test_restore import contents, schema
from tests.process.conftest import new_key
from tests.process.served import Served, command_environment, eventually
from tests.shop.door import PROGRAM

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
WRITERS = 4
PAUSE = WRITERS / 300  # seconds between two writes of a writer
STATE = "SELECT substr(slug, 7)::int, description::int, version FROM tests_shelf"
BROKEN = """
SELECT s.slug FROM tests_shelf s JOIN row_history h ON h.row_id = s.id GROUP BY s.slug, s.version
HAVING count(*) <> s.version OR max(h.version) <> s.version
"""


class Writers:
    """Connections that number the shelves' descriptions, 300 times a second if the server keeps up."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.begun, self.done = (dict.fromkeys(range(1, 51), 0) for _ in range(2))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(30)

    async def _all(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(WRITERS)))

    async def _write(self, number: int) -> None:
        connection = await asyncpg.connect(self._url)
        shelves = [shelf for shelf in self.begun if shelf % WRITERS == number]
        while not self._stopped.is_set():
            for shelf in shelves:
                self.begun[shelf] += 1
                await connection.execute(
                    "UPDATE tests_shelf SET description = $1, version = version + 1 WHERE slug = $2",
                    str(self.begun[shelf]),
                    f"shelf-{shelf}",
                )
                self.done[shelf] += 1
                await asyncio.sleep(PAUSE)
        await connection.close()


@pytest.mark.usefixtures("shop_serves")
def test_backup_under_writes_restores_one_moment(backup: Backup, filled: str, empty: str) -> None:
    sql(filled, BULK.format(mib=16))
    sql(filled, "UPDATE tests_shelf SET description = '0'")
    before = schema(filled)
    with Writers(filled) as writers:
        assert eventually(lambda: min(writers.done.values()) > 0)
        at_least = dict(writers.done)
        made = json.loads(backup("create", "--json").stdout)
        at_most = dict(writers.begun)
        assert eventually(lambda: all(writers.done[shelf] > at_most[shelf] for shelf in at_most), seconds=60)
    assert sum(at_most.values()) - sum(at_least.values()) > 100, "nothing was written during the backup"

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
