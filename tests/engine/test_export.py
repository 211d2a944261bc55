"""Exports from a real process: content, memory, concurrency and failures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from service.database import Database
from tests.engine.api import ARTICLES, Json, settings_for
from tests.engine.rows import load_articles
from tests.process.conftest import new_key
from tests.process.served import Served, eventually
from tests.protocol.test_admission import locked
from tests.services import Client

pytestmark = pytest.mark.xdist_group("export")

# 24 MB: what an export keeps is told by its bytes, and few rows are inserted sooner than many.
ROWS, PADDING = 10_000, 2_000
SLOTS = 2
EXPORT = f"{ARTICLES}/export"
MEBIBYTE = 2**20
_EXPORTING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND query LIKE '%row_to_json%'
"""


@dataclass(frozen=True)
class Exporting:
    """A server whose database has many articles, and access to both."""

    served: Served
    url: str
    database: Database
    headers: dict[str, str]

    @contextmanager
    def begun(self, client: httpx2.Client) -> Iterator[Iterator[bytes]]:
        """Start an export of everything, and yield what follows its first bytes."""
        with client.stream("GET", EXPORT, headers=self.headers) as response:
            assert response.status_code == 200
            rest = response.iter_raw(1000)
            next(rest)
            yield rest

    def lines(self, **query: str) -> list[Json]:
        response = self.served.api.get(EXPORT, params=query, headers=self.headers, timeout=60)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in response.text.splitlines()]

    async def backends(self) -> list[int]:
        """Return the server processes of running exports."""
        return [row["pid"] for row in await self.database.fetch(_EXPORTING)]

    async def idle(self) -> bool:
        """Whether all exports have ended, now or soon."""
        for _ in range(200):
            if not await self.backends():
                return True
            await asyncio.sleep(0.05)
        return False

    def peak(self) -> int:
        """Return the peak memory of the server since `forget_peak`, in bytes."""
        status = Path(f"/proc/{self.served.process.pid}/status")
        if not status.exists():
            pytest.skip("this system does not tell the memory of a process")
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.served.process.pid}/clear_refs").write_text("5")

    def drain(self, **query: str) -> int:
        """Read an export to its end, and return the number of bytes."""
        with self.served.api.stream(
            "GET", EXPORT, params=query, headers=self.headers, timeout=60
        ) as response:
            return sum(len(chunk) for chunk in response.iter_raw())


@pytest.fixture(scope="module")
async def exporting(
    services: Client, worker: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Exporting]:
    url = services.create_database(f"export_{worker}", migrated=True)
    database = Database(settings_for(url))
    await database.start()
    home = tmp_path_factory.mktemp("export")
    served = Served(home, database__url=url, redis__enabled="false", performance__exports=SLOTS)
    try:
        await load_articles(database, ROWS, shelves=1, padding=PADDING)
        key = await new_key(url, "shop:read", "shop:write")
        yield Exporting(served.ready(), url, database, {"Authorization": f"Bearer {key}"})
    finally:
        served.close()
        await database.stop()
        services.drop_database(f"export_{worker}")


async def test_export_matches_the_list(exporting: Exporting) -> None:
    query = {"q": "brass", "price__lt": "200", "stock__gte": "900", "sort": "price,-name"}
    listed = exporting.served.api.get(ARTICLES, params={**query, "limit": "200"}, headers=exporting.headers)
    assert 10 < len(listed.json()["items"]) < 200
    assert exporting.lines(**query) == listed.json()["items"]
    assert exporting.lines(sku="no-such") == []


@pytest.mark.parametrize("query", ["limit=1", "cursor=x", "count=exact", "nope=1", "sort=stock"])
async def test_invalid_export_parameters_are_refused(exporting: Exporting, query: str) -> None:
    response = exporting.served.api.get(f"{EXPORT}?{query}", headers=exporting.headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")


async def test_memory_is_independent_of_the_number_of_rows(exporting: Exporting) -> None:
    some = {"sku__startswith": "ROW-00000"}  # below a thousand
    exporting.drain(**some)
    exporting.forget_peak()
    small = exporting.drain(**some)
    few = exporting.peak()
    exporting.forget_peak()
    large = exporting.drain()
    many = exporting.peak()
    assert large > 9 * small > 9 * 2 * MEBIBYTE
    assert many - few < 4 * MEBIBYTE, (
        f"{few / MEBIBYTE:.1f} MiB for {small} bytes, {many / MEBIBYTE:.1f} for {large}"
    )


async def test_exports_beyond_the_slots_get_retry_after(exporting: Exporting) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(httpx2.Client(base_url=exporting.served.api.base_url)) for _ in range(3)
        ]
        for client in clients[:SLOTS]:
            stack.enter_context(exporting.begun(client))
        refused = clients[SLOTS].get(EXPORT, headers=exporting.headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "5", "an export takes longer than a request"
        assert exporting.served.api.get(ARTICLES, headers=exporting.headers).status_code == 200
    assert await exporting.idle()


async def test_disconnect_frees_slot_and_connection(exporting: Exporting) -> None:
    for _ in range(2 * SLOTS):
        with httpx2.Client(base_url=exporting.served.api.base_url) as client, exporting.begun(client):
            assert await exporting.backends()
        assert await exporting.idle()
    assert exporting.lines(sku="ROW-00000001")


async def test_failure_midway_truncates_the_response(exporting: Exporting) -> None:
    client = httpx2.Client(base_url=exporting.served.api.base_url, timeout=20)
    with client, exporting.begun(client) as rest:
        for pid in await exporting.backends():
            await exporting.database.fetch("SELECT pg_terminate_backend($1)", [pid])
        with pytest.raises(httpx2.RemoteProtocolError):
            list(rest)
    assert await exporting.idle()
    assert exporting.lines(sku="ROW-00000001")
    assert eventually(lambda: exporting.served.lines(level="error"))


async def test_head_of_an_export_has_no_content(exporting: Exporting) -> None:
    response = exporting.served.api.head(EXPORT, headers=exporting.headers)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert "content-length" not in response.headers
    assert exporting.served.api.head(f"{EXPORT}?nope=1", headers=exporting.headers).status_code == 400


async def test_head_of_an_export_reads_no_row(exporting: Exporting) -> None:
    async with locked(exporting.url):
        response = exporting.served.api.head(EXPORT, headers=exporting.headers)
        assert response.status_code == 200
        assert not await exporting.backends()


@pytest.fixture
def hasty(exporting: Exporting, tmp_path: Path) -> Iterator[Served]:
    """A server on the same database, with an export timeout of a second and a half."""
    given = {"redis__enabled": "false", "performance__export_timeout": 1.5}
    served = Served(tmp_path / "hasty", database__url=exporting.url, **given)
    yield served.ready()
    served.close()


def test_export_over_its_time_limit_is_aborted(exporting: Exporting, hasty: Served) -> None:
    with hasty.api.stream("GET", EXPORT, headers=exporting.headers) as response:
        assert response.status_code == 200
        rest = response.iter_raw(1000)
        next(rest)
        time.sleep(2)
        with pytest.raises(httpx2.RemoteProtocolError):
            list(rest)
    assert eventually(lambda: "longer than allowed" in hasty.output)
    assert hasty.api.get(ARTICLES, headers=exporting.headers).status_code == 200
