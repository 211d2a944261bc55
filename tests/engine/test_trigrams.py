"""`contains` on text needs the extension pg_trgm, which most servers include, but not the embedded one."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import sort_index, trigram_index
from service.resources.declaration import RestResource
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, running
from tests.engine.tables import set_apart
from tests.shop.metadata import new_metadata
from tests.shop.resources import SCOPES

METADATA = new_metadata()


class Poem(Resource, table=True):
    metadata = METADATA
    __table_args__ = (sort_index("poem", "created_at"), trigram_index("poem", "line"))

    line: str = Field(max_length=200)


@pytest.fixture
async def url(fresh_database: DatabaseFactory) -> str:
    """A database with the extension and a table of poems."""
    url = fresh_database()
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            found = await connection.scalar(
                text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
            )
            if not found:
                pytest.skip(
                    "this PostgreSQL has no pg_trgm; SLIPWAY_TEST_SERVICES=testcontainers brings one that has"
                )
            await connection.execute(text("CREATE EXTENSION pg_trgm"))
            await connection.run_sync(set_apart)
            await connection.run_sync(METADATA.create_all)
    finally:
        await engine.dispose()
    return url


async def test_text_is_found_by_substring(url: str) -> None:
    poems = RestResource(model=Poem, path="poems", scopes=SCOPES, filterable=("line",))
    async with running(url, [poems], ("shop:read", "shop:write")) as api:
        for line in ("The sea is 100% calm", "a_b", "aXb", "back\\slash"):
            await api.make("poems", line=line)
        for part, lines in {
            "SEA IS": ["The sea is 100% calm"],
            "0% c": ["The sea is 100% calm"],
            "a_b": ["a_b"],
            "k\\s": ["back\\slash"],
            "%": ["The sea is 100% calm"],
            "none": [],
        }.items():
            response = await api.client.get(f"{BASE}/poems", params={"line__contains": part})
            assert [item["line"] for item in response.json()["items"]] == lines
        await api.database.fetch(
            "INSERT INTO poem (id, created_by, updated_by, line) "
            "SELECT gen_random_uuid(), 't', 't', md5(n::text) FROM generate_series(1, 20000) n"
        )
        await api.database.fetch("VACUUM ANALYZE poem")
        plan = await api.database.fetch(
            "EXPLAIN SELECT 1 FROM poem WHERE line ILIKE '%sea is%' AND deleted_at IS NULL"
        )
        assert any("ix_poem_line_trigrams" in row[0] for row in plan), plan
