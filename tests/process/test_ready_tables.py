"""A service with missing tables is not ready, and says what is missing."""

import asyncpg

from tests.conftest import DatabaseFactory
from tests.process.conftest import Serve
from tests.process.served import eventually

TAKEN_AWAY = """
ALTER TABLE tests_article RENAME TO tests_article_elsewhere;
ALTER TABLE tests_shelf RENAME COLUMN description TO text;
ALTER TABLE tests_shelf DISABLE TRIGGER tests_shelf_history;
ALTER TABLE idempotency_record DROP COLUMN status;
"""
MISSING = (
    "table idempotency_record has no column status; table tests_shelf has no column description; "
    "table tests_shelf has no row history trigger; call track_history in its migration; and 1 more"
)


async def test_missing_tables_columns_and_triggers_are_reported(
    serve: Serve, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database()
    db = await asyncpg.connect(url)
    await db.execute(TAKEN_AWAY)
    service = serve(database__url=url).listening()

    def detail() -> str:
        response = service.admin.get("/readyz")
        return f"{response.status_code} {response.json()['checks']['database'].get('detail')}"

    assert eventually(lambda: detail() == f"503 {MISSING}"), detail()
    told = eventually(lambda: service.lines(event="cannot serve this database"))
    assert [line["reason"] for line in told] == [MISSING]
    assert service.metric("slipway_migration_pending") == 0
    await db.execute("ALTER TABLE idempotency_record ADD COLUMN status integer NOT NULL")
    await db.execute("ALTER TABLE tests_shelf RENAME COLUMN text TO description")
    await db.execute("ALTER TABLE tests_shelf ENABLE TRIGGER tests_shelf_history")
    assert eventually(lambda: detail() == "503 table tests_article does not exist"), detail()
    await db.execute("ALTER TABLE tests_article_elsewhere RENAME TO tests_article")
    assert eventually(lambda: detail().startswith("200 revision ")), detail()
    await db.close()
