"""A backup that is ended midway leaves nothing that looks like a backup."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from service.backup.replacement import maintenance, new_database
from service.config import Settings
from tests.backup.conftest import BULK, KEY, Backup, sql
from tests.process.served import command_environment, eventually
from tests.shop.door import PROGRAM


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_midway(
    number: signal.Signals, backup: Backup, filled: str, storage: Path, tmp_path: Path
) -> None:
    sql(filled, BULK.format(mib=64))  # four parts
    settings = command_environment(database__url=filled, backup__storage=storage, backup__key=KEY)
    process = subprocess.Popen(
        [*PROGRAM, "backup", "create"], cwd=tmp_path, env=settings, start_new_session=True
    )
    try:
        assert eventually(lambda: [*storage.rglob("part-000001")], seconds=60)
        process.send_signal(number)
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert not [*storage.rglob("manifest.json")]
    assert json.loads(backup("list", "--json").stdout) == []
    if number == signal.SIGTERM:
        assert not [*storage.iterdir()]
    ours = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert eventually(lambda: not sql(filled, ours)), "its connections are still open"
    assert backup("create").exit_code == 0
    assert backup("verify").exit_code == 0


async def test_database_of_a_restore_is_dropped_even_if_a_second_signal_comes(empty: str) -> None:
    """The second one comes while another transaction holds the drop up."""
    settings = Settings.model_validate({"database": {"url": empty}})
    made = asyncio.Queue[str]()
    other = await asyncpg.connect(empty)
    # Not pg_stat_activity, which a transaction reads once.
    locks = """
    SELECT 1 FROM pg_locks JOIN pg_database ON objid = pg_database.oid AND classid = 'pg_database'::regclass
    WHERE datname = $1 AND NOT granted
    """

    async def restore(server: asyncpg.Connection) -> None:
        async with new_database(server, settings, "restored") as name:
            made.put_nowait(name)
            await asyncio.sleep(60)

    async with asyncio.timeout(20), maintenance(settings) as server:
        running = asyncio.create_task(restore(server))
        name = await made.get()
        async with other.transaction():
            await other.execute(f"COMMENT ON DATABASE {name} IS 'locked'")
            running.cancel()
            while not await other.fetch(locks, name):  # noqa: ASYNC110  # the server says nothing of its own accord
                await asyncio.sleep(0.01)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        while await other.fetch("SELECT 1 FROM pg_database WHERE datname = $1", name):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    await other.close()
