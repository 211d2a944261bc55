"""The database's merge patch against the examples of RFC 7396, appendix A."""

import json
from typing import Any

import pytest

EXAMPLES = """
{"a":"b"}           | {"a":"c"}                   | {"a":"c"}
{"a":"b"}           | {"b":"c"}                   | {"a":"b","b":"c"}
{"a":"b"}           | {"a":null}                  | {}
{"a":"b","b":"c"}   | {"a":null}                  | {"b":"c"}
{"a":["b"]}         | {"a":"c"}                   | {"a":"c"}
{"a":"c"}           | {"a":["b"]}                 | {"a":["b"]}
{"a":{"b":"c"}}     | {"a":{"b":"d","c":null}}    | {"a":{"b":"d"}}
{"a":[{"b":"c"}]}   | {"a":[1]}                   | {"a":[1]}
["a","b"]           | ["c","d"]                   | ["c","d"]
{"a":"b"}           | ["c"]                       | ["c"]
{"a":"foo"}         | null                        | null
{"a":"foo"}         | "bar"                       | "bar"
{"e":null}          | {"a":1}                     | {"e":null,"a":1}
[1,2]               | {"a":"b","c":null}          | {"a":"b"}
{}                  | {"a":{"bb":{"ccc":null}}}   | {"a":{"bb":{}}}
"""
CASES = [tuple(map(str.strip, line.split(" | "))) for line in EXAMPLES.strip().splitlines()]


@pytest.fixture
async def merge(database_url: str, connect: Any) -> Any:
    connection = await connect(database_url)

    async def call(target: str | None, patch: str) -> Any:
        return await connection.fetchval(
            "SELECT slipway_merge_patch($1::jsonb, $2::jsonb)::text", target, patch
        )

    return call


def test_all_fifteen_examples_are_covered() -> None:
    assert len(CASES) == 15


@pytest.mark.parametrize(("target", "patch", "result"), CASES)
async def test_example_of_the_rfc(merge: Any, target: str, patch: str, result: str) -> None:
    assert json.loads(await merge(target, patch)) == json.loads(result)


async def test_patching_null_creates_an_object_without_nulls(merge: Any) -> None:
    assert json.loads(await merge(None, '{"a": {"b": null, "c": 1}}')) == {"a": {"c": 1}}


@pytest.mark.parametrize("plan", ["generic", "custom"])
async def test_large_stored_document_is_read_once(database_url: str, connect: Any, plan: str) -> None:
    """Each session chooses a kind of plan after a few calls."""
    connection = await connect(database_url)
    stored = {"deep": [[0] * 20] * 40_000}
    patch = {f"name {number}": {"is": number, "not": None} for number in range(8_000)}
    await connection.execute("CREATE TEMPORARY TABLE stored (document jsonb)")
    await connection.execute("INSERT INTO stored VALUES ($1)", json.dumps(stored))
    await connection.execute(f"SET plan_cache_mode = force_{plan}_plan; SET statement_timeout = '5s'")
    merged = await connection.fetchval(
        "SELECT slipway_merge_patch(document, $1)::text FROM stored", json.dumps(patch)
    )
    assert json.loads(merged) == stored | {name: {"is": value["is"]} for name, value in patch.items()}
