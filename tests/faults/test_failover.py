"""A primary that becomes read-only, and one that fails while its standby is promoted."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.dev.free_ports import LOOPBACK
from tests.faults.measurements import Measurements
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.server_thread import in_server_thread
from tests.faults.servers import Postgres
from tests.faults.system import KINDS, Kind, System, refused_in

RATE = 30
WRITABLE_SECONDS = 5.0
ANSWERED_SECONDS = 1.0
ELSEWHERE = "127.0.0.2"
WRITES = {"create", "update"}


@pytest.mark.fault
@KINDS
async def test_read_only_primary_refuses_only_writes_and_recovers(
    system: System, measure: Measurements, kind: Kind
) -> None:
    await system.serve(1, kind)
    name = urlsplit(system.database_url).path[1:]
    async with system.load(rate=RATE).running():
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await system.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await system.execute(_END_OTHERS)
        await asyncio.sleep(2)
        await _as_writer(system, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        writable = time.monotonic()
        await asyncio.sleep(WRITABLE_SECONDS + 0.5)
    system.only(
        lambda event: refused_in(event, began, writable + WRITABLE_SECONDS, within=ANSWERED_SECONDS),
        "the primary took no writes",
    )
    failed = [event for event in system.history.failures() if event.operation in WRITES]
    assert failed, "the outage was not felt"
    healed = max(0, max(event.end for event in failed) - writable)
    measure(f"read-only-{'workers-' if kind else ''}healed", healed, WRITABLE_SECONDS, unit="s")
    reads = [e for e in system.history.events if e.operation == "read" and began + 1 < e.start < writable]
    assert all(event.good for event in reads), system.history.around([e for e in reads if not e.good])
    await system.judge()


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def _as_writer(system: System, statement: str) -> None:
    await system.execute("SET default_transaction_read_only = off", statement)


@dataclass
class Pair:
    """A primary and its standby, each behind a proxy, on two addresses with the same port."""

    primary: Postgres
    standby: Postgres
    ways: tuple[Proxy, Proxy]


@pytest.fixture
def pair_folder(servers_folder: Path) -> Path:
    """The seed of this test, even if one is given for all tests."""
    folder = Path(tempfile.mkdtemp(dir=servers_folder))
    folder.chmod(0o711)
    return folder


@pytest.fixture
async def pair(pair_folder: Path) -> AsyncIterator[Pair]:
    primary = Postgres(pair_folder / "primary")
    await in_server_thread(primary.start)
    standby = await in_server_thread(primary.standby, pair_folder / "standby")
    await in_server_thread(standby.start)
    try:
        async with (
            Proxy(_of(primary)) as first,
            Proxy(_of(standby), listen=Endpoint(ELSEWHERE, first.port)) as second,
        ):
            yield Pair(primary, standby, (first, second))
    finally:
        for server in (primary, standby):
            server.resume()
            await in_server_thread(server.end, "immediate")


def _of(server: Postgres) -> Endpoint:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Endpoint(parts.hostname, parts.port)


@pytest.mark.fault
@pytest.mark.parametrize("how", ["crash", "silent"])
async def test_promoted_standby_is_used_without_a_restart(
    pair: Pair, system: System, measure: Measurements, how: Literal["crash", "silent"]
) -> None:
    system.database_url = await in_server_thread(pair.primary.database, "failover")
    await _replicate_synchronously(pair.primary)
    await system.serve(1, _both_hosts(system.database_url, pair.ways[0].port))
    process = system.replicas[0].pid
    async with system.load(rate=RATE).running():
        await asyncio.sleep(0.5)
        began = time.monotonic()
        if how == "crash":
            await in_server_thread(pair.primary.end, "immediate")
        else:
            pair.ways[0].swallow()
            await in_server_thread(pair.primary.pause)
        await asyncio.sleep(1)
        await _promote(pair.standby)
        writable = time.monotonic()
        await asyncio.sleep(WRITABLE_SECONDS + 1)
    assert system.replicas[0].pid == process
    system.database_url = pair.standby.url.rpartition("/")[0] + "/failover"
    slowest = 3.0 + ANSWERED_SECONDS if how == "silent" else ANSWERED_SECONDS
    system.only(
        lambda event: refused_in(event, began, writable + WRITABLE_SECONDS, within=slowest),
        "the primary was gone",
    )
    healed = max(0, max(event.end for event in system.history.failures()) - writable)
    measure(f"failover-{how}-healed", healed, WRITABLE_SECONDS, unit="s")
    await system.judge()


def _both_hosts(url: str, port: int) -> dict[str, object]:
    """Return settings that name the standby before the primary."""
    parts = urlsplit(url)
    return {
        "database__url": None,
        "database__host": f"{ELSEWHERE},{LOOPBACK}",
        "database__port": port,
        "database__name": parts.path[1:],
        "database__user": parts.username,
        "database__password": parts.password,
        "database__statement_timeout": 2,
        "database__connect_timeout": 1,
        "database__ssl": "disable",
    }


async def _replicate_synchronously(primary: Postgres) -> None:
    """From now on, acknowledge commits only once the standby has them."""
    connection = await asyncpg.connect(primary.url)
    try:
        async with asyncio.timeout(10):
            while not await connection.fetchval("SELECT count(*) FROM pg_stat_replication"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def _promote(standby: Postgres) -> None:
    connection = await asyncpg.connect(standby.url)
    try:
        await connection.execute("SELECT pg_promote()")
    finally:
        await connection.close()
