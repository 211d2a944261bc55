"""An index created in SQL, which the model does not know, refuses a value without failing the request."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.engine.api import BASE, Api, problem

LIST = f"{BASE}/zz-probes"


@pytest.fixture
async def indexed(api: Api) -> AsyncIterator[Api]:
    """Create a B-tree index on an unbounded text, and an exclusion constraint."""
    async with api.database.connection() as connection:
        await connection.execute("CREATE INDEX zz_essay ON zz_probe (essay)")
        await connection.execute(
            "ALTER TABLE zz_probe ADD CONSTRAINT zz_apart EXCLUDE USING hash (big WITH =)"
        )
        yield api
        await connection.execute("DROP INDEX zz_essay")
        await connection.execute("ALTER TABLE zz_probe DROP CONSTRAINT zz_apart")


async def test_text_too_long_for_an_index_is_refused(indexed: Api) -> None:
    client = indexed.client
    body = {"essay": secrets.token_hex(20_000)}  # too random to compress
    refused = problem(await client.post(LIST, json=body), 422, "validation_failed")
    assert refused["detail"] == "A value is too long to be stored."
    operations = [{"op": "create", "item": body}, {"op": "create", "item": {}}]
    partial = await client.post(f"{LIST}/bulk", json={"mode": "partial", "operations": operations})
    assert [result["status"] for result in partial.json()["results"]] == [422, 201]


async def test_exclusion_violation_is_a_conflict(indexed: Api) -> None:
    big = secrets.randbelow(2**62)
    await indexed.make("zz-probes", big=big)
    problem(await indexed.client.post(LIST, json={"big": big}), 409, "conflict")
