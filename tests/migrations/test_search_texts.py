"""Older databases get the function that normalises texts for searching as it is now, and use their indexes with it."""

import time
from typing import Any

import asyncpg
import pytest

from service.migrations import runner
from service.migrations.branches import CHASSIS, known
from service.migrations.operations import _MARKS, SEARCH
from tests.conftest import DatabaseFactory
from tests.migrations.conftest import downgrade, settings_for
from tests.migrations.test_models import Connect

OLD = f"""
CREATE OR REPLACE FUNCTION slipway_search_text(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(normalize(given, NFKC), '{_MARKS}', '{" " * len(_MARKS)}')
"""
BEFORE = "0019"
BODY = "SELECT pg_get_functiondef('slipway_search_text(text)'::regprocedure)"
WORDS = "to_tsvector('simple', slipway_search_text(words))"
PLAN = f"EXPLAIN SELECT FROM note WHERE {WORDS} @@ 'word'"
# What the function makes of every character of Unicode's basic plane between two letters.
TEXTS = """
SELECT string_agg(slipway_search_text('a' || chr(code) || 'b'), ',' ORDER BY code)
FROM generate_series(1, 65535) code WHERE code NOT BETWEEN 55296 AND 57343
"""


@pytest.fixture
async def older(fresh_database: DatabaseFactory, connect: Connect) -> tuple[str, Any]:
    """The URL of a database with the older function and an index on it, and a session that knows them."""
    url = fresh_database()
    await downgrade(url, CHASSIS, BEFORE)
    session = await connect(url)
    await session.execute(OLD)
    await session.execute("CREATE TABLE note (words text); SET enable_seqscan = off")
    await session.execute(f"CREATE INDEX ix_note_words ON note USING gin (({WORDS}))")
    assert await uses_index(session)
    return url, session


async def uses_index(session: Any) -> bool:
    return any("ix_note_words" in line for (line,) in await session.fetch(PLAN))


async def test_open_sessions_use_their_indexes_with_the_new_function(older: tuple[str, Any]) -> None:
    url, session = older
    await runner.upgrade(settings_for(url), to=known(CHASSIS)[-1])
    assert "translate" not in await session.fetchval(BODY)
    assert await uses_index(session)


async def test_new_function_returns_what_the_older_one_did(older: tuple[str, Any]) -> None:
    _, session = older
    before = await session.fetchval(TEXTS)
    await session.execute(SEARCH)
    assert await session.fetchval(TEXTS) == before


async def test_normalising_costs_less_than_parsing(db: Any) -> None:
    """What PostgreSQL does with the text anyway takes longer."""

    async def seconds(text: str) -> float:
        began = time.perf_counter()
        await db.fetchval(f"SELECT length({text})", "a desk lamp, " * 20_000)
        return time.perf_counter() - began

    pairs = [
        (await seconds("slipway_search_text($1)"), await seconds("to_tsvector('simple', $1)"))
        for _ in range(5)
    ]
    assert min(ours / theirs for ours, theirs in pairs) < 1, pairs


async def test_texts_of_a_nondeterministic_collation_are_normalised(db: Any) -> None:
    try:
        await db.execute("CREATE COLLATION any_case (provider = icu, locale = 'und', deterministic = false)")
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this PostgreSQL has no ICU; SLIPWAY_TEST_SERVICES=testcontainers brings one that has")
    assert await db.fetchval("SELECT slipway_search_text('“a”' COLLATE any_case)") == " a "
