"""History of tables with renamed, added and removed columns: images are not rewritten, but can be read."""

from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import sort_index
from service.resources.declaration import RestResource
from tests.engine.api import BASE
from tests.engine.conftest import Shop
from tests.engine.tables import groups
from tests.shop.metadata import new_metadata
from tests.shop.resources import SCOPES

ANY = {"If-Match": "*"}


class Gadget(Resource, table=True):
    """The table of tests.engine.tables some releases later: `title` is renamed to `headline`, and there is a
    `grade`."""

    metadata = new_metadata()
    __table_args__ = (sort_index("gadget", "created_at"),)

    code: str = Field(max_length=40)
    headline: str = Field(default="", sa_column_kwargs={"info": {"formerly": ("label", "title")}})
    grade: int = Field(default=3)
    motto: str | None = Field(default='it\'s "new"')


_RELEASE = """
ALTER TABLE gadget RENAME COLUMN title TO headline;
ALTER TABLE gadget ADD COLUMN grade integer NOT NULL DEFAULT 3, ADD COLUMN motto text;
ALTER TABLE gadget DROP COLUMN weight;
"""


async def test_history_of_earlier_releases_uses_current_names(shop: Shop) -> None:
    before = await shop()
    item = (await before.make("gadgets", code="a", title="Old", weight=2.5)).json()
    url = f"{BASE}/gadgets/{item['id']}"
    older = (await before.client.patch(url, json={"title": "Older"}, headers=ANY)).json()
    async with before.database.transaction() as connection:
        await connection.execute(_RELEASE)
        # An image from before the previous rename.
        await connection.execute(
            "UPDATE row_history SET row = row - 'title' || '{\"label\": \"Oldest\"}' WHERE version = 1"
        )

    after = await shop(groups(), RestResource(model=Gadget, path="gadgets", scopes=SCOPES))
    await after.client.patch(url, json={"headline": "New", "grade": 5}, headers=ANY)

    async def as_of(moment: str) -> dict[str, object]:
        past = (await after.client.get(url, params={"as_of": moment})).json()
        assert past.keys() == {"id", "code", "headline", "grade", "motto"} | _SYSTEM
        return {name: past[name] for name in ("headline", "grade", "motto")}

    assert await as_of(item["updated_at"]) == {"headline": "Oldest", "grade": 3, "motto": 'it\'s "new"'}
    assert await as_of(older["updated_at"]) == {"headline": "Older", "grade": 3, "motto": 'it\'s "new"'}
    assert await as_of("2999-01-01T00:00:00Z") == {"headline": "New", "grade": 5, "motto": None}
    newest, middle, first = (await after.client.get(f"{url}/history")).json()["items"]
    assert {"field": "headline", "before": "Older", "after": "New"} in newest["changes"]
    assert middle["changes"] == [{"field": "headline", "before": "Oldest", "after": "Older"}]
    assert {"field": "headline", "before": None, "after": "Oldest"} in first["changes"]


_SYSTEM = {"created_at", "updated_at", "created_by", "updated_by", "version"}


async def test_history_before_a_rename_reads_the_old_column(shop: Shop) -> None:
    api = await shop()
    item = (await api.make("gadgets", code="a", title="Same")).json()
    for old in ("label", "name"):
        await api.database.fetch(
            "UPDATE row_history SET row = row - 'title' - 'label' || jsonb_build_object($1::text, 'Was ' || $1)",
            [old],
        )
        past = await api.client.get(f"{BASE}/gadgets/{item['id']}", params={"as_of": "2999-01-01T00:00:00Z"})
        assert past.json()["title"] == f"Was {old}"
        await api.database.fetch("UPDATE row_history SET row = row - $1::text", [old])
