"""Row history that ends: `as_of` inside the window, erased items, erased values, and who may do it."""

import json
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
import sqlalchemy as sa

from service import clock
from service.config import RetentionSettings
from service.resources.history import erase_history as erasing
from service.resources.history import prune_history as pruning
from service.resources.history.erase_history import erase_history
from service.resources.history.errors import ErasureError
from service.resources.history.prune_history import prune_history
from tests.engine.api import BASE, Api, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets

ANY = {"If-Match": "*"}
AGE = "UPDATE row_history SET at = at - make_interval(days => $3) WHERE row_id = $1 AND version <= $2"
TWIN = """
INSERT INTO row_history (table_name, row_id, version, action, actor, at, row)
SELECT 'group', row_id, version + shift, action, actor, at, row
FROM row_history, generate_series(0, 2) shift WHERE row_id = $1 AND version = 1
"""
"""Rows of two tables may have one id."""
OF_TWIN = "SELECT version FROM row_history WHERE table_name = 'group' AND row_id = $1"
VERSIONS = "SELECT version FROM row_history WHERE table_name = 'gadget' AND row_id = $1 ORDER BY version"


async def changed(api: Api, versions: int, **item: object) -> str:
    """Create a gadget and change it until it has so many versions. Return its id."""
    made = (await api.make("gadgets", **item)).json()
    for rank in range(2, versions + 1):
        response = await api.client.patch(f"{BASE}/gadgets/{made['id']}", json={"rank": rank}, headers=ANY)
        assert response.status_code == 200
    return str(made["id"])


async def versions(api: Api, item: str) -> list[int]:
    return [row["version"] for row in await api.database.fetch(VERSIONS, [UUID(item)])]


async def age(api: Api, item: str, *, upto: int, days: int) -> None:
    await api.database.fetch(AGE, [UUID(item), upto, days])


async def test_as_of_is_exact_inside_the_window(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BLOCKS", 1)
    api = await shop()
    item, quiet = await changed(api, 5, code="a"), await changed(api, 1, code="b")
    await age(api, item, upto=4, days=5)
    await age(api, item, upto=3, days=10)  # 15 days old
    await age(api, quiet, upto=1, days=100)
    url = f"{BASE}/gadgets/{item}"
    newest = (await api.client.get(f"{url}/history", params={"limit": "3"})).json()
    rules = RetentionSettings(history_days=7)
    assert await prune_history(api.database, rules) == 2
    assert await versions(api, item) == [3, 4, 5]
    assert await versions(api, quiet) == [1]
    rest = await api.client.get(f"{url}/history", params={"cursor": newest["next_cursor"]})
    assert (rest.status_code, rest.json()) == (200, {"items": [], "next_cursor": None})
    for days, rank in ((6, 3), (1, 4), (0, 5)):
        past = await api.client.get(url, params={"as_of": _ago(days)})
        assert past.json()["rank"] == rank
    page = (await api.client.get(f"{url}/history")).json()
    assert [entry["version"] for entry in page["items"]] == [5, 4, 3]
    assert await prune_history(api.database, rules) == 0


async def test_version_as_old_as_the_window_replaces_those_before_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await shop()
    item = await changed(api, 2, code="a")
    await age(api, item, upto=2, days=30)
    [[at]] = await api.database.fetch(
        "SELECT at FROM row_history WHERE row_id = $1 AND version = 2", [UUID(item)]
    )
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(days=7))
    assert await prune_history(api.database, RetentionSettings(history_days=7)) == 1
    assert await versions(api, item) == [2]


async def test_versions_of_another_table_replace_none(shop: Shop) -> None:
    api = await shop()
    item = await changed(api, 1, code="a")
    await api.database.fetch(TWIN, [UUID(item)])
    await age(api, item, upto=3, days=30)
    assert await prune_history(api.database, RetentionSettings(history_versions=2)) == 1
    assert await prune_history(api.database, RetentionSettings(history_days=7)) == 1
    assert await versions(api, item) == [1]
    assert [row[0] for row in await api.database.fetch(OF_TWIN, [UUID(item)])] == [3]


async def test_pruning_visits_every_block_and_rests_after_each(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else it would take the server's whole time."""
    api = await shop()
    for number in range(30):
        await changed(api, 2, code=f"a{number}", title="x" * 90)
    await api.database.fetch("UPDATE row_history SET at = at - interval '30 days'")
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(pruning, "BLOCKS", 1)
    monkeypatch.setattr(pruning, "asyncio", SimpleNamespace(sleep=rest))
    began = clock.monotonic()
    assert await prune_history(api.database, RetentionSettings(history_days=7)) == 30
    assert len(rests) >= 2
    assert 0 < sum(rests) <= clock.monotonic() - began


def _ago(days: float) -> str:
    return (clock.now() - timedelta(days=days)).isoformat()


async def test_history_of_a_row_that_is_gone_ends(shop: Shop) -> None:
    api = await shop()
    item = await changed(api, 3, code="a")
    await api.database.fetch("DELETE FROM gadget WHERE id = $1", [UUID(item)])
    await age(api, item, upto=9, days=100)
    rules = RetentionSettings(history_days=7)
    await prune_history(api.database, rules)
    assert await versions(api, item) == [4], "an earlier version would look like the last"
    past = await api.client.get(f"{BASE}/gadgets/{item}", params={"as_of": _ago(0)})
    problem(past, 404, "not_found")
    await prune_history(api.database, rules)
    assert await versions(api, item) == []


async def test_values_are_erased_and_the_changes_stay(shop: Shop) -> None:
    api = await shop()
    item = await changed(api, 2, code="a", title="Ada Lovelace", notes={"born": 1815})
    other = await changed(api, 1, code="b", title="Ada Lovelace")
    await api.database.fetch(TWIN, [UUID(item)])
    await api.database.fetch(
        "UPDATE row_history SET row = row - 'title' || '{\"name\": \"Ada\"}' WHERE row_id = $1 AND version = 1",
        [UUID(item)],
    )
    assert await erase_history(api.database, gadgets(), UUID(item), ["title", "notes"]) == 2
    stored = await api.database.fetch(
        "SELECT row::text FROM row_history WHERE table_name = 'gadget' AND row_id = $1 ORDER BY version",
        [UUID(item)],
    )
    assert not any("Ada" in row[0] or "1815" in row[0] for row in stored)
    assert [{"title", "name", "label"} & json.loads(row[0]).keys() for row in stored] == [{"name"}, {"title"}]
    entries = (await api.client.get(f"{BASE}/gadgets/{item}/history")).json()["items"]
    assert [(entry["version"], entry["action"]) for entry in entries] == [(2, "update"), (1, "create")]
    assert {"field": "title", "before": None, "after": "erased"} in entries[1]["changes"]
    [kept] = await api.database.fetch(
        "SELECT row->>'title' FROM row_history WHERE row_id = $1", [UUID(other)]
    )
    assert kept[0] == "Ada Lovelace"
    assert await api.database.fetch(f"{OF_TWIN} AND row->>'title' = 'Ada Lovelace'", [UUID(item)])
    assert erasing._text(sa.Column("size", sa.String(3), nullable=False)) == "era"
    for field, told in (("weight", "neither null nor a text"), ("id", "has no field id")):
        with pytest.raises(ErasureError, match=told):
            await erase_history(api.database, gadgets(), UUID(item), [field])
