"""A PostgreSQL at its limits: out of connections or disk. It counts as up, and logs one line."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
import sqlalchemy as sa
import structlog
from httpx2 import Response

from service.config import Settings
from service.database import Database, DatabaseUnavailableError
from service.database.errors import OutOfResourcesError
from service.resources.engine import Engine, Services
from service.resources.imports.importer import Importer
from service.resources.lists.cursor import CursorCodec
from service.resources.requests.idempotency import IdempotencyStore
from tests.conftest import DatabaseFactory
from tests.engine.api import SHELVES, Api, Json, problem, running, unique
from tests.engine.pools import measured, pool_of
from tests.shop.models import Shelf
from tests.shop.resources import RESOURCES

MOST = 3
CALLERS = 48


@asynccontextmanager
async def _role_with_limit(database_url: str) -> AsyncIterator[str]:
    """Yield the URL of a database whose role has a lower connection limit than the pools."""
    admin = await asyncpg.connect(database_url)
    role = f"crowded_{urlsplit(database_url).path[1:]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT {MOST}")
    url = sa.make_url(database_url).set(username=role, password="x").render_as_string(hide_password=False)
    try:
        yield url
    finally:
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


@pytest.fixture
async def crowded(database_url: str) -> AsyncIterator[Database]:
    """A database whose role has a lower connection limit than the pools."""
    async with (
        _role_with_limit(database_url) as url,
        pool_of(url, pool_min=1, pool_max=8, acquire_timeout=1.0) as database,
    ):
        await database.start()
        yield database


async def test_requests_share_the_available_connections(crowded: Database) -> None:
    outcomes = await asyncio.gather(*(_call(crowded) for _ in range(CALLERS)))
    assert outcomes == [True] * CALLERS
    assert crowded.pool.size <= MOST
    assert await crowded.probe("SELECT 1")


async def test_full_server_is_logged_as_one_that_is_up(database_url: str) -> None:
    async with _role_with_limit(database_url) as url, pool_of(url, pool_min=MOST + 1) as database:
        with structlog.testing.capture_logs() as lines:
            await database.start()
        assert {line["event"] for line in lines} == {"database takes no more connections"}
        assert "too many connections" in lines[0]["reason"]


async def test_sessions_share_the_available_connections(crowded: Database) -> None:
    async with crowded.connection(), crowded.connection():
        outcomes = await asyncio.gather(*(_call_session(crowded) for _ in range(8)))
    assert outcomes == [True] * 8


async def test_session_waits_no_longer_than_a_statement_for_a_connection(crowded: Database) -> None:
    async with crowded.connection(), crowded.connection(), crowded.connection():
        before = measured("acquire_timeouts_total")
        with pytest.raises(DatabaseUnavailableError, match="no connection in time"):
            async with crowded.session():
                pass
        assert measured("acquire_timeouts_total") == before + 1


async def _call(database: Database) -> bool:
    for _ in range(5):
        try:
            await database.fetch("SELECT pg_sleep(0.002)")
        except DatabaseUnavailableError:
            return False
    return True


async def _call_session(database: Database) -> bool:
    try:
        async with database.session() as session:
            await session.exec(sa.text("SELECT pg_sleep(0.02)"))  # type: ignore[call-overload]
    except DatabaseUnavailableError:
        return False
    return True


FAILS = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF new.description LIKE 'fails %' THEN
    RAISE EXCEPTION 'no room for it' USING ERRCODE = split_part(new.description, ' ', 2);
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON tests_shelf FOR EACH ROW EXECUTE FUNCTION fail()
"""


@pytest.fixture
async def full(fresh_database: DatabaseFactory) -> AsyncIterator[Api]:
    """A service on a database that raises an error for each shelf with the description `fails <SQLSTATE>`."""
    async with running(fresh_database()) as api:
        async with api.database.connection() as connection:
            await connection.execute(FAILS)
        yield api


def _shelf(sqlstate: str) -> Json:
    return {"slug": unique("full"), "name": "Full", "description": f"fails {sqlstate}"}


async def _create(api: Api, sqlstate: str) -> Response:
    return await api.client.post(SHELVES, json=_shelf(sqlstate))


async def _create_with_key(api: Api, sqlstate: str) -> Response:
    key = {"Idempotency-Key": unique("key")}
    return await api.client.post(SHELVES, json=_shelf(sqlstate), headers=key)


async def _patch(api: Api, sqlstate: str) -> Response:
    body = {"description": f"fails {sqlstate}"}
    return await api.client.patch(f"{SHELVES}/{await api.shelf()}", json=body, headers={"If-Match": "*"})


async def _bulk(api: Api, sqlstate: str) -> Response:
    operations = [{"op": "create", "item": _shelf(sqlstate)} for _ in range(3)]
    return await api.client.post(f"{SHELVES}/bulk", json={"mode": "partial", "operations": operations})


async def test_write_without_a_connection_is_retryable(
    full: Api, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for sqlstate in ("53000", "53100", "53200", "53400", "58000", "58030", "58P01"):
        for call in (_create, _create_with_key, _patch, _bulk):
            response = await call(full, sqlstate)
            problem(response, 503, "unavailable")
            assert response.headers["retry-after"]
        # One line names the cause of all; another test of this process may have logged it already.
        told = (capsys.readouterr().out, caplog.text)
        lines = [[line for line in text.splitlines() if sqlstate in line] for text in told]
        assert max(map(len, lines)) == 1
        assert all("no room for it" in line for line in chain(*lines))


async def test_session_and_import_report_a_full_server(full: Api) -> None:
    with pytest.raises(OutOfResourcesError):
        async with full.database.session() as session:
            session.add(Shelf(**_shelf("53100")))
    with pytest.raises(OutOfResourcesError):
        await _export(full.database)
    engine = Engine(next(known for known in RESOURCES if known.path == "shelves"), _services(full))
    lines = io.BytesIO(orjson.dumps(_shelf("53100")))
    with pytest.raises(OutOfResourcesError):
        await Importer(engine).run(lines)


async def _export(database: Database) -> None:
    async with database.dedicated() as connection:
        await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")


def _services(api: Api) -> Services:
    sizes = Settings().performance
    return Services(
        api.database, IdempotencyStore(api.database, 24), CursorCodec(""), sizes, exports=asyncio.Semaphore(1)
    )


async def test_probe_reports_a_full_server(full: Api) -> None:
    """An error raised in SQL stands for a real one, so no disk has to be filled."""
    raises = "DO $$ BEGIN RAISE EXCEPTION 'no room for it' USING ERRCODE = '53200'; END $$"
    with pytest.raises(OutOfResourcesError):
        await full.database.probe(raises)
    assert await full.database.probe("SELECT 1")
